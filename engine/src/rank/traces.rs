//! Spans as signals: the time that a service spends itself, and the errors that begin with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    case::{Bins, Form, Signal, Source},
    shift,
};

/// A span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub entity: String,
    pub start_us: f64,
    pub duration_us: f64,
    pub is_error: bool,
}

/// Signals of all spans, and who calls whom.
pub(super) fn signals(spans: &[Span]) -> (Vec<Signal>, BTreeSet<(String, String)>) {
    let starts_ms = || spans.iter().map(|span| (span.start_us / 1000.0) as i64);
    let (Some(first), Some(last)) = (starts_ms().min(), starts_ms().max()) else {
        return (Vec::new(), BTreeSet::new());
    };
    let bins = Bins::over(first, last);
    let index: HashMap<(&str, &str), usize> =
        spans.iter().enumerate().map(|(at, span)| ((span.trace.as_str(), span.id.as_str()), at)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut calls = BTreeSet::new();
    for (at, span) in spans.iter().enumerate() {
        let Some(parent) = index.get(&(span.trace.as_str(), span.parent.as_str())) else { continue };
        if *parent != at {
            children[*parent].push(at);
            if spans[*parent].entity != span.entity {
                calls.insert((spans[*parent].entity.clone(), span.entity.clone()));
            }
        }
    }
    let mut services: BTreeMap<&str, Service<'_>> = BTreeMap::new();
    for (at, span) in spans.iter().enumerate() {
        let bin = bins.of((span.start_us / 1000.0) as i64);
        let service = services.entry(&span.entity).or_insert_with(|| Service::new(bins.len()));
        let below: Vec<&Span> = children[at].iter().map(|child| &spans[*child]).collect();
        service.take(bin, span, self_time(span, &below), &below);
    }
    (services.into_iter().flat_map(|(entity, service)| service.signals(entity, &bins)).collect(), calls)
}

/// A span's duration without the union of what is below it, microseconds.
fn self_time(span: &Span, below: &[&Span]) -> f64 {
    let end = span.start_us + span.duration_us;
    let mut parts: Vec<(f64, f64)> = below
        .iter()
        .map(|child| (child.start_us.max(span.start_us), (child.start_us + child.duration_us).min(end)))
        .collect();
    parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut covered, mut reached) = (0.0, span.start_us);
    for (start, end) in parts {
        covered += (end - start.max(reached)).max(0.0);
        reached = reached.max(end);
    }
    (span.duration_us - covered).max(0.0)
}

struct Service<'a> {
    self_times: Vec<Vec<f64>>,
    errors: Vec<f64>,
    slowest: (f64, &'a str),
    error: Option<&'a str>,
}

impl<'a> Service<'a> {
    fn new(bins: usize) -> Service<'a> {
        Service {
            self_times: vec![Vec::new(); bins],
            errors: vec![0.0; bins],
            slowest: (-1.0, ""),
            error: None,
        }
    }

    fn take(&mut self, bin: usize, span: &'a Span, self_time: f64, below: &[&Span]) {
        self.self_times[bin].push(self_time);
        if self_time > self.slowest.0 {
            self.slowest = (self_time, &span.trace);
        }
        if span.is_error && !below.iter().any(|child| child.is_error) {
            self.errors[bin] += 1.0;
            self.error = Some(&span.trace);
        }
    }

    fn signals(self, entity: &str, bins: &Bins) -> [Signal; 2] {
        let signal = |measure: &str, form: Form, values: Vec<f64>, trace: Option<&str>| Signal {
            entity: entity.to_owned(),
            measure: measure.to_owned(),
            source: Source::Traces,
            form,
            times_ms: bins.starts_ms.clone(),
            values,
            names: None,
            example: trace.map(|trace| format!("trace {trace}")),
        };
        let middle = |mut times: Vec<f64>| match times.is_empty() {
            true => f64::NAN,
            false => shift::quantile(&mut times, 0.5) / 1000.0,
        };
        let self_times = self.self_times.into_iter().map(middle).collect();
        [
            signal("self time (ms, median)", Form::Rise, self_times, Some(self.slowest.1)),
            signal("errors that began here", Form::Count, self.errors, self.error),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, entity: &str, start_us: f64, duration_us: f64, is_error: bool) -> Span {
        let [trace, id, parent, entity] = ["t", id, parent, entity].map(str::to_owned);
        Span { trace, id, parent, entity, start_us, duration_us, is_error }
    }

    #[test]
    fn self_time_leaves_out_the_union_of_what_is_below() {
        let spans = [
            span("a", "", "web", 0.0, 100.0, true),
            span("b", "a", "cart", 10.0, 40.0, false),
            span("c", "a", "pay", 30.0, 50.0, true),
            span("d", "a", "pay", 90.0, 500.0, false),
        ];
        let below: Vec<&Span> = spans[1..].iter().collect();
        assert_eq!(self_time(&spans[0], &below), 100.0 - 70.0 - 10.0);
        let (signals, calls) = signals(&spans);
        let sums: Vec<(String, f64)> = signals
            .iter()
            .filter(|signal| signal.form == Form::Count)
            .map(|signal| (signal.entity.clone(), signal.values.iter().sum()))
            .collect();
        let expected = [("cart", 0.0), ("pay", 1.0), ("web", 0.0)].map(|(name, sum)| (name.to_owned(), sum));
        assert_eq!(sums, expected, "an error belongs to the lowest span that has it");
        assert_eq!(calls.len(), 2);
    }
}

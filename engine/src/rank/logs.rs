//! Log lines as signals: each service's templates, and its lines that speak of errors, counted.

use std::collections::BTreeMap;

use foreshock_core::{
    intake::Redactor,
    measures::{TemplateConfig, TemplateMiner},
};

use super::case::{Bins, Form, Signal, Source};

/// Templates of a service; a line that would need one more joins the most similar one.
const TEMPLATES: usize = 300;
/// Characters of a line that are shown.
const SHOWN: usize = 160;
/// An entity of a shorter name is not looked for in lines: too much would be taken for it.
const NAME: usize = 4;
const TROUBLE: [&str; 12] = [
    "error",
    "exception",
    "fail",
    "fatal",
    "panic",
    "timeout",
    "refused",
    "reject",
    "denied",
    "unable",
    "cannot",
    "unavailable",
];

/// A line of a log.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub time_ms: i64,
    pub entity: String,
    pub text: String,
}

/// Signals of all lines; `entities` are the names that lines may speak of.
pub(super) fn signals(mut lines: Vec<Line>, entities: &[String]) -> Vec<Signal> {
    lines.sort_by_key(|line| line.time_ms);
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Vec::new() };
    let bins = Bins::over(first.time_ms, last.time_ms);
    let mut services: BTreeMap<&str, Service> = BTreeMap::new();
    let mut redactor = Redactor::new(true);
    for line in &lines {
        let service = services.entry(&line.entity).or_insert_with(|| Service::new(bins.len()));
        service.count(bins.of(line.time_ms), redactor.redact(&line.text), |text| {
            named(text, &line.entity, entities).is_some()
        });
    }
    services.into_iter().flat_map(|(entity, service)| service.signals(entity, &bins, entities)).collect()
}

struct Service {
    miner: TemplateMiner,
    /// By template: counts per bin, and the first line.
    templates: Vec<(Vec<f64>, String)>,
    trouble: Vec<f64>,
    example: Option<String>,
}

impl Service {
    fn new(bins: usize) -> Service {
        let config = TemplateConfig { max_templates: TEMPLATES, ..TemplateConfig::default() };
        let miner = TemplateMiner::new(config);
        Service { miner, templates: Vec::new(), trouble: vec![0.0; bins], example: None }
    }

    /// Trouble that a line lays to another is not the service's own.
    fn count(&mut self, bin: usize, text: &str, names_another: impl Fn(&str) -> bool) {
        let lower = text.to_ascii_lowercase();
        if TROUBLE.iter().any(|word| lower.contains(word)) && !names_another(text) {
            self.trouble[bin] += 1.0;
            self.example = Some(cut(text));
        }
        let Some(found) = self.miner.learn(text) else { return };
        while self.templates.len() <= found.index {
            self.templates.push((vec![0.0; self.trouble.len()], String::new()));
        }
        let (counts, first) = &mut self.templates[found.index];
        counts[bin] += 1.0;
        if first.is_empty() {
            *first = cut(text);
        }
    }

    fn signals(mut self, entity: &str, bins: &Bins, entities: &[String]) -> Vec<Signal> {
        // What became part of another template counts for it.
        for index in 0..self.templates.len() {
            let into = self.miner.current(index);
            if into != index {
                let counts = std::mem::take(&mut self.templates[index].0);
                self.templates[into].0.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        let signal =
            |measure: String, values: Vec<f64>, names: Option<String>, example: Option<String>| Signal {
                entity: entity.to_owned(),
                measure,
                source: Source::Logs,
                form: Form::Count,
                times_ms: bins.starts_ms.clone(),
                values,
                names,
                example,
            };
        let mut signals =
            vec![signal("log lines that speak of trouble".to_owned(), self.trouble, None, self.example)];
        for (index, (counts, first)) in self.templates.into_iter().enumerate() {
            if counts.iter().any(|count| *count > 0.0) {
                let template = cut(&self.miner.template(index));
                let names = named(&template, entity, entities);
                signals.push(signal(
                    format!("log lines \"{template}\""),
                    counts,
                    names,
                    Some(format!("\"{first}\"")),
                ));
            }
        }
        signals
    }
}

/// The longest name of another entity that stands in a text as a word.
fn named(text: &str, own: &str, entities: &[String]) -> Option<String> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let stands = |name: &str| {
        text.match_indices(name)
            .any(|(at, _)| !text[..at].ends_with(is_inner) && !text[at + name.len()..].starts_with(is_inner))
    };
    let others = entities.iter().filter(|name| name.len() >= NAME && *name != own);
    others.filter(|name| stands(name)).max_by_key(|name| name.len()).cloned()
}

fn cut(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if text.chars().count() > SHOWN { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_entity_it_complains_of() {
        let entities: Vec<String> = ["payment", "payment-db", "cart"].map(str::to_owned).to_vec();
        let cases = [
            ("cannot connect to payment:8080", Some("payment")),
            ("cannot connect to payment-db:5432", Some("payment-db")),
            ("prepayment done", None),
            ("cart is empty", None),
        ];
        for (text, expected) in cases {
            assert_eq!(named(text, "cart", &entities).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_by_template_and_secrets_do_not_come_through() {
        let lines = (0..100).map(|k| Line {
            time_ms: 1000 * k,
            entity: "user".to_owned(),
            text: if k < 90 {
                format!("served request {k}")
            } else {
                format!("login failed password=hunter{k}")
            },
        });
        let signals = signals(lines.collect(), &[]);
        assert_eq!(signals.len(), 3, "{signals:?}");
        assert!(!format!("{signals:?}").contains("hunter"));
        let counts: Vec<f64> = signals.iter().map(|signal| signal.values.iter().sum()).collect();
        assert_eq!(counts, [10.0, 90.0, 10.0]);
    }
}

//! What is known of an incident.

use std::{collections::BTreeSet, rc::Rc};

/// Which part of the time is normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Where the normal part begins, unix milliseconds; the beginning of the data where nobody says.
    pub from_ms: Option<i64>,
    /// Where it ends and the trouble begins; found where nobody says.
    pub at_ms: Option<i64>,
}

/// The normal part, and what came after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub from_ms: i64,
    pub at_ms: i64,
}

/// The kind of telemetry that a signal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Metrics,
    Logs,
    Traces,
}

/// How a signal is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A level: it may rise or fall.
    Level,
    /// A level that only tells when it rises: latency, errors.
    Rise,
    /// Events per bin: a rise of the mean tells, against what chance brings.
    Count,
}

/// One signal of an entity over time.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    pub entity: String,
    /// What people call it.
    pub measure: String,
    pub source: Source,
    pub form: Form,
    /// Unix milliseconds, rising; shared by the signals of one source.
    pub times_ms: Rc<[i64]>,
    /// As many; NaN is missing.
    pub values: Vec<f64>,
    /// An entity that the signal speaks of beside its own: a log line that names a callee.
    pub names: Option<String>,
    /// Where to look: a line, a trace.
    pub example: Option<String>,
}

impl Signal {
    /// The values before and after the trouble's beginning, those that are missing left out.
    pub(super) fn split(&self, parts: Parts) -> (Vec<f64>, Vec<f64>) {
        (self.within(parts.from_ms, parts.at_ms), self.within(parts.at_ms.max(parts.from_ms), i64::MAX))
    }

    /// The values from one time to before another, those that are missing left out.
    pub(super) fn within(&self, from_ms: i64, to_ms: i64) -> Vec<f64> {
        let start = self.times_ms.partition_point(|time| *time < from_ms);
        let end = self.times_ms.partition_point(|time| *time < to_ms).max(start);
        self.values[start..end].iter().copied().filter(|value| value.is_finite()).collect()
    }

    /// Whether it shows what was done to the entity, by callers or callees, rather than by it.
    pub(super) fn is_symptom(&self) -> bool {
        const LOAD: [&str; 7] = ["response", "load", "lod", "workload", "request", "rps", "throughput"];
        self.source == Source::Metrics && (is_trouble(&self.measure) || speaks_of(&self.measure, &LOAD))
    }
}

/// Whether a measure is one whose rise alone is trouble: latency, errors.
pub(super) fn is_trouble(measure: &str) -> bool {
    speaks_of(measure, &["lat", "duration", "err", "5xx", "timeout"])
}

/// Whether a word of a measure's name begins so.
fn speaks_of(measure: &str, beginnings: &[&str]) -> bool {
    let measure = measure.to_ascii_lowercase();
    measure
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| beginnings.iter().any(|beginning| word.starts_with(beginning)))
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub time_ms: i64,
    pub entity: String,
    pub kind: String,
    pub version: String,
}

/// Everything that the files tell of one incident.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub(super) signals: Vec<Signal>,
    /// Who calls whom: caller, callee.
    pub(super) calls: BTreeSet<(String, String)>,
    pub(super) changes: Vec<Change>,
    pub(super) moved: Vec<Moved>,
    pub(super) unnamed: Vec<String>,
}

/// A stretch of time that stands elsewhere in the case than in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub first_ms: i64,
    pub last_ms: i64,
    pub by_ms: i64,
}

impl Case {
    /// Number of signals.
    pub fn signals(&self) -> usize {
        self.signals.len()
    }

    /// Columns that name no service, and were left out.
    pub fn unnamed(&self) -> &[String] {
        &self.unnamed
    }

    /// Where a time of the data stands in the case.
    pub(super) fn placed(&self, time_ms: i64) -> i64 {
        let within = self.moved.iter().find(|moved| (moved.first_ms..=moved.last_ms).contains(&time_ms));
        within.map_or(time_ms, |moved| time_ms + moved.by_ms)
    }

    /// The data's time of what stands here in the case.
    pub(super) fn recorded(&self, time_ms: i64) -> i64 {
        let stands = |moved: &&Moved| (moved.first_ms..=moved.last_ms).contains(&(time_ms - moved.by_ms));
        self.moved.iter().find(stands).map_or(time_ms, |moved| time_ms - moved.by_ms)
    }

    /// Whether files do not stand in the order of their times.
    pub fn is_reordered(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Every entity that anything is known of.
    pub(super) fn entities(&self) -> BTreeSet<&str> {
        let calls = self.calls.iter().flat_map(|(caller, callee)| [caller.as_str(), callee.as_str()]);
        let signals = self.signals.iter().map(|signal| signal.entity.as_str());
        signals.chain(calls).chain(self.changes.iter().map(|change| change.entity.as_str())).collect()
    }
}

/// Equal bins of time, so that events can be counted.
#[derive(Clone, Debug)]
pub(super) struct Bins {
    pub starts_ms: Rc<[i64]>,
    width_ms: i64,
}

impl Bins {
    /// Most bins, so that their width follows the length of the data.
    const MOST: i64 = 240;

    /// Bins of whole seconds over a stretch of time, both ends in it.
    pub(super) fn over(first_ms: i64, last_ms: i64) -> Bins {
        let seconds = (last_ms - first_ms) / 1000 / Self::MOST + 1;
        let width_ms = seconds * 1000;
        let start = first_ms.div_euclid(width_ms) * width_ms;
        let count = (last_ms - start) / width_ms + 1;
        Bins { starts_ms: (0..count).map(|bin| start + bin * width_ms).collect(), width_ms }
    }

    pub(super) fn len(&self) -> usize {
        self.starts_ms.len()
    }

    /// The bin that a time within the stretch lies in.
    pub(super) fn of(&self, time_ms: i64) -> usize {
        (((time_ms - self.starts_ms[0]) / self.width_ms).max(0) as usize).min(self.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_measures_are_read_by_words() {
        for name in ["latency-90", "lat_50", "http.server.request.duration (mean)", "errors", "Error.rate"] {
            assert!(is_trouble(name), "{name}");
        }
        for name in ["cpu", "mem", "platform.version", "relative_use", "workload", "interrupts"] {
            assert!(!is_trouble(name), "{name}");
        }
    }
}

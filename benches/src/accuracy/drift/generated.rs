//! Outcomes with known drift: how often a model errs, outcome by outcome.

/// How errors become more frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all.
    Never,
    /// From one outcome to the next.
    Sudden,
    /// Over 1,000 outcomes.
    Gradual,
    /// For 3,000 outcomes, twice.
    Recurring,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Never, Kind::Sudden, Kind::Gradual, Kind::Recurring];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Never => "never",
            Kind::Sudden => "sudden",
            Kind::Gradual => "gradual",
            Kind::Recurring => "recurring",
        }
    }

    /// Streams of the kind: nothing is where false alarms are counted.
    fn streams(self) -> u64 {
        if self == Kind::Never { 100 } else { 40 }
    }
}

/// One stream of outcomes.
pub(super) struct Outcomes {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Whether each was an error.
    pub(super) wrong: Vec<bool>,
    /// Outcomes at which a drift begins.
    pub(super) drifts: Vec<usize>,
}

/// Outcomes of a stream.
const ROWS: usize = 20_000;
/// Outcomes from the beginning of a drift within which it must be told.
pub(super) const WITHIN: usize = 2_000;

/// Shares of errors before, and what drifts add.
const BEFORE: [f64; 4] = [0.02, 0.08, 0.15, 0.3];
const MORE: [f64; 3] = [0.08, 0.15, 0.3];

pub(super) fn all() -> Vec<Outcomes> {
    let streams = Kind::ALL.into_iter().flat_map(|kind| (0..kind.streams()).map(move |seed| (kind, seed)));
    streams.map(|(kind, seed)| outcomes(kind, seed)).collect()
}

fn outcomes(kind: Kind, seed: u64) -> Outcomes {
    let before = BEFORE[seed as usize % BEFORE.len()];
    let more = MORE[seed as usize / BEFORE.len() % MORE.len()];
    let begin = 5_000 + (4_000.0 * uniform(seed, u64::MAX)) as usize;
    let share = |row: usize| {
        let part = match kind {
            Kind::Never => 0.0,
            Kind::Sudden => f64::from(u8::from(row >= begin)),
            Kind::Gradual => (row.saturating_sub(begin) as f64 / 1_000.0).min(1.0),
            Kind::Recurring => {
                f64::from(u8::from(row >= begin && (row - begin) % 6_000 < 3_000 && row < begin + 12_000))
            }
        };
        before + more * part
    };
    let salt = seed + 1_000 * (1 + kind as u64);
    let wrong = (0..ROWS).map(|row| uniform(salt, row as u64) < share(row)).collect();
    let drifts = match kind {
        Kind::Never => vec![],
        Kind::Sudden | Kind::Gradual => vec![begin],
        Kind::Recurring => vec![begin, begin + 6_000],
    };
    Outcomes { kind, name: format!("{}-{seed}", kind.name()), wrong, drifts }
}

/// Uniform in [0, 1), the same for equal numbers (splitmix64).
fn uniform(seed: u64, row: u64) -> f64 {
    let mut z = (seed << 32)
        .wrapping_add(row)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_as_frequent_as_said() {
        let rate = |wrong: &[bool]| wrong.iter().filter(|wrong| **wrong).count() as f64 / wrong.len() as f64;
        for outcomes in all().iter().filter(|outcomes| outcomes.kind == Kind::Sudden).take(12) {
            let begin = outcomes.drifts[0];
            let grown = rate(&outcomes.wrong[begin..]) - rate(&outcomes.wrong[..begin]);
            assert!(MORE.iter().any(|more| (grown - more).abs() < 0.03), "{}: {grown}", outcomes.name);
        }
    }
}

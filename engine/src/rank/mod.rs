//! Whose fault one incident is, from files: what `foreshock rank` does. No Kafka, no async, no clock.
//!
//! * `case`: what is known of an incident: signals of entities over time, calls, changes
//! * `read`, `otlp`: files into a case
//! * `logs`, `traces`: lines and spans into signals
//! * `shift`: how far a signal has moved, in its own usual spread
//! * `onset`: when the trouble began, where nobody says
//! * `suspects`: the evidence of each entity, weighed and put into words
//!
//! A part of the time is normal, the rest is not; an entity is suspect as far as its signals moved from the one to the
//! other. That is the outline of BARO (Pham, Ha & Zhang, "BARO: Robust Root Cause Analysis for Microservices via Multivariate
//! Bayesian Online Change Point Detection", FSE 2024), with three differences: the spread is the median deviation, which half of
//! the normal part may spoil, for the time that people give is late; it has a floor, for what never moves moves infinitely far by
//! itself; and a shift counts as far as it lasts, not by its highest value. `benches/record/` has both beside each other.

mod case;
mod logs;
mod onset;
mod otlp;
mod read;
mod shift;
mod suspects;
mod traces;

pub use case::{Bounds, Case};
pub use read::{ReadError, Reader};
pub use suspects::Suspect;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Where the normal part ends, unix milliseconds: as given, or as found.
    pub at_ms: i64,
    /// Every entity, the most suspect first.
    pub suspects: Vec<Suspect>,
}

/// Ranks the entities of a case; `None` where one of the two parts is empty.
pub fn rank(case: &Case, bounds: Bounds) -> Option<Ranking> {
    let [from_ms, given] = [bounds.from_ms, bounds.at_ms].map(|time| time.map(|time| case.placed(time)));
    let at_ms = given.or_else(|| onset::find(case, from_ms))?;
    let parts = case::Parts { from_ms: from_ms.unwrap_or(i64::MIN), at_ms };
    let is_split = case.signals.iter().any(|signal| {
        let (normal, after) = signal.split(parts);
        !normal.is_empty() && !after.is_empty()
    });
    is_split.then(|| Ranking { at_ms: case.recorded(at_ms), suspects: suspects::weigh(case, parts) })
}

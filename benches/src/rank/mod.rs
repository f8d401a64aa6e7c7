//! Root causes of real faults: `foreshock rank` beside the scoring of BARO and N-sigma.
//!
//! * `sockshop`: the 50 faults of the Sock Shop, and what can be done to them
//! * `peers`: robust z-scores of BARO, plain z-scores
//!
//! Avg@5 of a set is the mean, over its faults and over k = 1 to 5, of whether the cause is among the first k.

mod peers;
mod sockshop;

pub use peers::{baro, n_sigma};
pub use sockshop::{Fault, Variant, read};

use std::path::Path;

use foreshock::rank::{Bounds, Reader, rank};

/// Our ranking of a fault's files; the time of the trouble, where it is given, in unix milliseconds.
pub fn foreshock(files: &[&Path], at_ms: Option<i64>) -> Result<Vec<String>, foreshock::rank::ReadError> {
    let mut reader = Reader::default();
    files.iter().try_for_each(|file| reader.read(file))?;
    let ranking = rank(&reader.into_case(), Bounds { from_ms: None, at_ms });
    let suspects = ranking.map(|ranking| ranking.suspects).unwrap_or_default();
    Ok(suspects.into_iter().map(|suspect| suspect.entity).collect())
}

/// The mean over k = 1 to 5 of whether the cause is among the first k.
pub fn average_at_5(ranked: &[String], cause: &str) -> f64 {
    let place = ranked.iter().position(|entity| entity == cause);
    place.map_or(0.0, |place| 5_usize.saturating_sub(place) as f64 / 5.0)
}

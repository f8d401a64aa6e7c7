//! When the trouble began: the time at which most has moved between all before it and the stretch after it.

use super::{
    case::{Case, Signal},
    shift,
};

/// Times that are tried.
const TRIES: i64 = 120;
/// The stretch after a time that is compared with all before it, as a share of the whole.
const STRETCH: i64 = 20;
/// The first time that is tried: some normal part is needed.
const FIRST: i64 = 10;
/// Values of the normal part that are looked at: evenly chosen from a longer one.
const ENOUGH: usize = 200;
/// A signal counts from this many spreads on, so that many that only wobble do not outweigh few that moved, and at most as one
/// that moved e^6 spreads.
const LEAST: f64 = 3.0;
const MOST: f64 = 6.0;

/// The likeliest beginning, unix milliseconds; `None` where the data is no stretch of time.
pub(super) fn find(case: &Case, from_ms: Option<i64>) -> Option<i64> {
    let first = case.signals.iter().filter_map(|signal| signal.times_ms.first()).min()?;
    let last = *case.signals.iter().filter_map(|signal| signal.times_ms.last()).max()?;
    let first = from_ms.unwrap_or(*first).max(*first);
    let length = last - first;
    if length <= 0 {
        return None;
    }
    let stretch = length / STRETCH;
    let tries =
        (0..=TRIES).map(|k| first + length / FIRST + k * (length - length / FIRST - stretch / 2) / TRIES);
    let mut best = (f64::MIN, first);
    for at_ms in tries {
        let moved: f64 = case.signals.iter().map(|signal| moved(signal, first, at_ms, stretch)).sum();
        if moved > best.0 {
            best = (moved, at_ms);
        }
    }
    Some(best.1)
}

/// How much a signal moved at a time, as the logarithm of spreads.
fn moved(signal: &Signal, from_ms: i64, at_ms: i64, stretch: i64) -> f64 {
    let mut normal = signal.within(from_ms, at_ms);
    let mut after = signal.within(at_ms, at_ms + stretch.max(1));
    if normal.len() > 2 * ENOUGH {
        normal = normal.iter().copied().step_by(normal.len() / ENOUGH).collect();
    }
    let shift = shift::between(&mut normal, &mut after, signal.form, 0.0);
    shift.map_or(0.0, |shift| (shift.spreads.ln_1p().min(MOST) - LEAST.ln_1p()).max(0.0))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::rank::case::{Form, Source};

    #[test]
    fn few_that_move_are_found_among_many_that_wobble() {
        let times_ms: Rc<[i64]> = (0..600).map(|second| second * 1000).collect();
        let signal = |index: u64| {
            let value = |second: u64| {
                let hash = (index * 1000 + second).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
                let noise = (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 16_777_216.0;
                50.0 + 20.0 * noise + if index < 2 && second >= 400 { 90.0 } else { 0.0 }
            };
            Signal {
                entity: format!("service-{index}"),
                measure: "cpu".to_owned(),
                source: Source::Metrics,
                form: Form::Level,
                times_ms: times_ms.clone(),
                values: (0..600).map(value).collect(),
                names: None,
                example: None,
            }
        };
        let case = Case { signals: (0..200).map(signal).collect(), ..Case::default() };
        let found = find(&case, None).expect("a stretch of time");
        assert!((385_000..=410_000).contains(&found), "{found}");
    }
}

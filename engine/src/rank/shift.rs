//! How far a signal moved between two parts of its time.

use super::case::Form;

/// The median deviation of a normal distribution, over its standard deviation.
const MEDIAN_DEVIATION: f64 = 1.482_602_218_505_602;
/// A spread is at least this share of the usual level: less is within what nobody would call a change.
const FLOOR: f64 = 0.05;
/// A shift counts as far as this share of the later values reaches.
const LASTING: f64 = 0.25;

/// A signal before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shift {
    /// The usual value.
    pub usual: f64,
    /// What a quarter of the later values reach.
    pub reached: f64,
    /// Their distance in usual spreads, at least 0.
    pub spreads: f64,
}

/// The shift between two parts; `typical` is a usual level of such signals, for those that were always 0. `None`
/// where a part is empty.
pub(super) fn between(normal: &mut [f64], after: &mut [f64], form: Form, typical: f64) -> Option<Shift> {
    if normal.is_empty() || after.is_empty() {
        return None;
    }
    if form == Form::Count {
        return Some(of_counts(normal, after));
    }
    let usual = quantile(normal, 0.5);
    let mut away: Vec<f64> = normal.iter().map(|value| (value - usual).abs()).collect();
    let spread = MEDIAN_DEVIATION * quantile(&mut away, 0.5);
    let high = quantile(after, 1.0 - LASTING);
    let low = quantile(after, LASTING);
    let largest = usual.abs().max(high.abs()).max(low.abs());
    let floor = [usual.abs(), typical, largest].into_iter().find(|level| *level > 0.0).unwrap_or(1.0) * FLOOR;
    let spread = spread.max(floor);
    let (rise, fall) = ((high - usual) / spread, (usual - low) / spread);
    let falls = form == Form::Level && fall > rise;
    let (reached, spreads) = if falls { (low, fall) } else { (high, rise) };
    Some(Shift { usual, reached, spreads: spreads.max(0.0) })
}

/// Events per bin: the later mean against the former, in what chance (Poisson) or the usual spread brings to a bin.
fn of_counts(normal: &mut [f64], after: &[f64]) -> Shift {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (usual, reached) = (mean(normal), mean(after));
    // Never seen is no proof of never: half an event, as for a rate that is estimated from none.
    let chance = usual.max(0.5 / normal.len() as f64).sqrt();
    let median = quantile(normal, 0.5);
    let mut away: Vec<f64> = normal.iter().map(|value| (value - median).abs()).collect();
    let spread = (MEDIAN_DEVIATION * quantile(&mut away, 0.5)).max(chance);
    Shift { usual, reached, spreads: ((reached - usual) / spread).max(0.0) }
}

/// The value below which a share of the values lies, by the nearest rank; reorders them.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    let rank = (share * (values.len() - 1) as f64).round() as usize;
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(normal: &[f64], after: &[f64], form: Form) -> f64 {
        between(&mut normal.to_vec(), &mut after.to_vec(), form, 0.0).expect("two parts").spreads
    }

    #[test]
    fn a_shift_is_told_in_usual_spreads() {
        let noise: Vec<f64> = (0..100).map(|k| 100.0 + f64::from(k * 37 % 21) - 10.0).collect();
        let up: Vec<f64> = noise.iter().map(|value| value + 80.0).collect();
        let found = shift(&noise, &up, Form::Level);
        assert!((10.0..14.0).contains(&found), "{found}");
        assert!(shift(&noise, &noise, Form::Level) < 1.0);
        let down: Vec<f64> = noise.iter().map(|value| value - 80.0).collect();
        assert!(shift(&noise, &down, Form::Level) > 10.0);
        assert_eq!(shift(&noise, &down, Form::Rise), 0.0);
    }

    #[test]
    fn two_fifths_of_the_trouble_in_the_normal_part_do_not_hide_it() {
        let noise = |level: f64, len: i32| (0..len).map(move |k| level + f64::from(k * 37 % 21) - 10.0);
        let normal: Vec<f64> = noise(100.0, 60).chain(noise(300.0, 40)).collect();
        let after: Vec<f64> = noise(300.0, 100).collect();
        assert!(shift(&normal, &after, Form::Level) > 5.0);
    }

    #[test]
    fn a_single_spike_is_no_shift_and_what_never_moved_has_a_spread() {
        let noise: Vec<f64> = (0..100).map(|k| 100.0 + f64::from(k * 37 % 21) - 10.0).collect();
        let mut spike = noise.clone();
        spike[50] = 1e6;
        assert!(shift(&noise, &spike, Form::Level) < 1.0);
        assert!(shift(&[7.0; 50], &[7.001; 50], Form::Level) < 0.1);
        assert_eq!(shift(&[0.0; 50], &[0.0; 50], Form::Level), 0.0);
        assert!(shift(&[0.0; 50], &[3.0; 50], Form::Level) > 10.0);
    }

    #[test]
    fn new_events_count_by_how_often_they_come() {
        let one: Vec<f64> = (0..50).map(|k| f64::from(u8::from(k == 9))).collect();
        assert!(shift(&[0.0; 50], &one, Form::Count) < 1.0);
        assert!(shift(&[0.0; 50], &[2.0; 50], Form::Count) > 10.0);
        assert!(shift(&[100.0; 50], &[104.0; 50], Form::Count) < 1.0);
    }
}

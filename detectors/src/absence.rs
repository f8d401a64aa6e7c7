//! Absence: series that no longer report.
//!
//! What a frame scores here is a *missing* value: how improbable a gap of this length is for this series. Each series has its own
//! cadence (a median of the times between its values) and its own habit of gaps: how often more than 1.5 cadences pass
//! between two values, and a Pareto tail of how long that then lasts (Hill's estimator), both with a prior, so that a series that was
//! never late is doubted after some four cadences and one that sleeps every night no longer after some nights. One long
//! outage among few gaps counts by its logarithm: the next one is noticed minutes later, not hours.

use crate::bank::{Frame, Scores, SeriesBank, Speaker, score_of};
use crate::columns::{ColumnData, Columns, LoadError};
use crate::kernels::math::ln;

/// Cadences between two values from which on it is a gap.
const LATE: f64 = 1.5;
/// Values before a gap is judged.
const WARM: f32 = 30.0;
/// Values after which the past counts for a third: of how often gaps come, and of how long they last (eleven days of ten-second
/// values, so that nights are known).
const MEMORY: f32 = 2_000.0;
const LONG_MEMORY: f32 = 100_000.0;
/// A gap is taken to come at least this often.
const RAREST: f64 = 0.01;
/// Prior of the tail: mean log length of a gap in units of [`LATE`] cadences, and its weight in gaps.
const PRIOR: f64 = 0.4;
const PRIOR_WEIGHT: f64 = 5.0;
/// Largest −ln p.
const LOUDEST: f64 = 30.0;

const NAME: &str = "absence";
const VERSION: u32 = 1;

/// Absence detectors of many series, 32 bytes each. Of the scores only `nlp`, `score`, `speaker` and `warm` speak, and of
/// missing values only.
#[derive(Debug, Clone, Default)]
pub struct AbsenceBank {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Slot {
    /// Event time of the latest value, seconds.
    last: i64,
    /// Values, faded.
    seen: f32,
    /// Cadence, seconds; 0 while unknown.
    step: f32,
    /// Gaps, faded.
    gaps: f32,
    /// Gaps, faded slowly, and the sum of their log lengths.
    lasted: f32,
    lengths: f32,
}

impl Slot {
    /// A value came.
    fn hear(&mut self, time: i64) {
        let since = time.saturating_sub(self.last) as f64;
        let step = f64::from(self.step);
        if self.seen > 0.0 && since > 0.0 {
            let (keep, keep_long) = (1.0 - 1.0 / MEMORY, 1.0 - 1.0 / LONG_MEMORY);
            (self.seen, self.gaps) = (self.seen * keep, self.gaps * keep);
            (self.lasted, self.lengths) = (self.lasted * keep_long, self.lengths * keep_long);
            if step > 0.0 && since > LATE * step {
                self.gaps += 1.0;
                self.lasted += 1.0;
                self.lengths += ln(since / (LATE * step)) as f32;
            }
            self.step = paced(step, since, f64::from(self.seen)) as f32;
        }
        if self.seen == 0.0 || since > 0.0 {
            self.seen += 1.0;
            self.last = time;
        }
    }

    /// −ln p of a gap that lasts until now.
    fn doubt(&self, time: i64) -> f64 {
        let step = f64::from(self.step);
        let since = time.saturating_sub(self.last) as f64;
        if self.seen < WARM || step <= 0.0 || since <= LATE * step {
            return 0.0;
        }
        let often = f64::from(self.gaps / self.seen).clamp(RAREST, 1.0);
        let lasted = PRIOR_WEIGHT + f64::from(self.lasted);
        let length = (PRIOR * PRIOR_WEIGHT + f64::from(self.lengths)) / lasted;
        (ln(since / (LATE * step)) / length - ln(often)).min(LOUDEST)
    }

    /// Seconds since the latest value, and between two as a rule; `None` before there were two.
    fn silence(&self, time: i64) -> Option<(f64, f64)> {
        (self.step > 0.0).then(|| (time.saturating_sub(self.last) as f64, f64::from(self.step)))
    }
}

/// The cadence after one more interval: a median, tracked by factors.
fn paced(step: f64, since: f64, seen: f64) -> f64 {
    let pace = (0.5 / (seen + 1.0)).max(0.02);
    if step == 0.0 {
        since
    } else if since > step * 1.01 {
        step * (1.0 + pace)
    } else if since < step * 0.99 {
        step * (1.0 - pace)
    } else {
        step
    }
}

impl AbsenceBank {
    /// A bank of `slots` cold slots.
    pub fn new(slots: usize) -> Self {
        Self { slots: vec![Slot::default(); slots] }
    }

    /// Makes a slot what a slot of another bank is.
    pub fn adopt(&mut self, slot: usize, from: &AbsenceBank, there: usize) {
        self.slots[slot] = from.slots[there];
    }

    /// Seconds since a slot's latest value, and its cadence; `None` before it had two values.
    pub fn silence(&self, slot: usize, time: i64) -> Option<(f64, f64)> {
        self.slots[slot].silence(time)
    }
}

impl SeriesBank for AbsenceBank {
    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn grow(&mut self, slots: usize) {
        self.slots.resize(slots.max(self.slots.len()), Slot::default());
    }

    fn forget(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
    }

    fn advance(&mut self, frame: &Frame<'_>, out: &mut Scores) {
        assert_eq!(frame.values.len(), self.slots.len(), "one value per slot");
        out.resize(self.slots.len());
        for (at, (slot, value)) in self.slots.iter_mut().zip(frame.values).enumerate() {
            let nlp = if value.is_nan() { slot.doubt(frame.time) } else { 0.0 };
            if !value.is_nan() {
                slot.hear(frame.time);
            }
            out.nlp[at] = nlp;
            out.score[at] = score_of(nlp);
            out.speaker[at] = if nlp > 0.0 { Speaker::Absence } else { Speaker::None };
            out.warm[at] = slot.seen >= WARM;
        }
    }

    fn save(&self) -> Columns {
        let f32s = |of: fn(&Slot) -> f32| ColumnData::F32(self.slots.iter().map(of).collect());
        let times = self.slots.iter().map(|slot| slot.last as u64).collect();
        let columns = vec![
            ("last".to_owned(), ColumnData::U64(times)),
            ("seen".to_owned(), f32s(|slot| slot.seen)),
            ("step".to_owned(), f32s(|slot| slot.step)),
            ("gaps".to_owned(), f32s(|slot| slot.gaps)),
            ("lasted".to_owned(), f32s(|slot| slot.lasted)),
            ("lengths".to_owned(), f32s(|slot| slot.lengths)),
        ];
        Columns { name: NAME.to_owned(), version: VERSION, rows: self.slots.len(), columns }
    }

    fn load(&mut self, columns: &Columns) -> Result<(), LoadError> {
        columns.check(NAME, VERSION)?;
        let f32s = |name| columns.f32(NAME, name, columns.rows);
        let last = columns.u64(NAME, "last", columns.rows)?;
        let (seen, step, gaps) = (f32s("seen")?, f32s("step")?, f32s("gaps")?);
        let (lasted, lengths) = (f32s("lasted")?, f32s("lengths")?);
        let slot = |at: usize| Slot {
            last: last[at] as i64,
            seen: seen[at],
            step: step[at],
            gaps: gaps[at],
            lasted: lasted[at],
            lengths: lengths[at],
        };
        self.slots = (0..columns.rows).map(slot).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// −ln p at every second in which no value came, for one series.
    struct Heard {
        bank: AbsenceBank,
        out: Scores,
    }

    impl Heard {
        fn new() -> Self {
            Self { bank: AbsenceBank::new(1), out: Scores::new(1) }
        }

        fn at(&mut self, time: i64, value: f64) -> f64 {
            self.bank.advance(&Frame { time, values: &[value] }, &mut self.out);
            self.out.nlp[0]
        }

        /// Seconds of silence after `from` until −ln p reaches 6.95, of at most a day.
        fn noticed_after(&mut self, from: i64) -> Option<i64> {
            (1..8_640).map(|tick| tick * 10).find(|after| self.at(from + after, f64::NAN) >= 6.95)
        }
    }

    #[test]
    fn a_series_that_was_never_late_is_doubted_after_four_cadences() {
        for cadence in [10, 60] {
            let mut heard = Heard::new();
            for tick in 0..2_000 {
                let value = if tick * 10 % cadence == 0 { 1.0 } else { f64::NAN };
                assert_eq!(heard.at(tick * 10, value), 0.0, "cadence {cadence}");
            }
            let after = heard.noticed_after(19_990).unwrap();
            assert!((3 * cadence..6 * cadence).contains(&after), "cadence {cadence}: after {after} s");
        }
    }

    #[test]
    fn a_series_that_often_pauses_is_not_doubted_for_pausing() {
        let mut heard = Heard::new();
        let mut loud = 0;
        let mut state = 5_u64;
        for tick in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = if state >> 62 == 0 { 1.0 } else { f64::NAN };
            loud += u32::from(heard.at(tick * 10, value) >= 6.95);
        }
        // A quarter of the ticks has a value; one in e^6.95 gaps is so long.
        assert!(loud <= 20, "{loud}");
        assert!(heard.noticed_after(200_000).is_some(), "gone is gone all the same");
    }

    #[test]
    fn nights_are_learnt_and_one_outage_is_not_the_rule() {
        let mut heard = Heard::new();
        let night = |tick: i64| tick % 8_640 < 2_880;
        let mut nights = Vec::new();
        for day in 0..8 {
            let mut loudest: f64 = 0.0;
            for tick in day * 8_640..(day + 1) * 8_640 {
                loudest = loudest.max(heard.at(tick * 10, if night(tick) { f64::NAN } else { 1.0 }));
            }
            nights.push(loudest);
        }
        assert!(nights[1] >= 6.95 && nights[5..].iter().all(|nlp| *nlp < 6.95), "{nights:?}");

        let mut heard = Heard::new();
        for tick in 0..5_000 {
            heard.at(tick * 10, if (2_000..3_000).contains(&tick) { f64::NAN } else { 1.0 });
        }
        let after = heard.noticed_after(49_990).unwrap();
        assert!(after < 900, "after {after} s");
    }
}

//! Gauges and counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Frame,
    by_key::{ByKey, Reset},
};
use crate::types::{NumberPoint, Partial, StreamKind};

/// A first point of a cumulative counter counts from its start if that is at most this many ticks ago.
pub(super) const FRESH_START_TICKS: i64 = 2;

/// The latest point of each cumulative counter, and memory for a tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Numbers {
    latest: BTreeMap<u64, Latest>,
    #[serde(skip)]
    gauges: ByKey<f64>,
    #[serde(skip)]
    rates: ByKey<Sum>,
    #[serde(skip)]
    series: ByKey<Rolled>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Latest {
    time_ns: i64,
    start_ns: i64,
    value: f64,
}

/// What one stream came to in a tick.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    amount: f64,
    seconds: f64,
}

/// What the streams of one series came to, and one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Rolled {
    sum: f64,
    streams: u32,
    stream: u64,
}

impl Reset for f64 {
    fn reset(&mut self) {
        *self = 0.0;
    }
}

impl Reset for Sum {
    fn reset(&mut self) {
        *self = Sum::default();
    }
}

impl Reset for Rolled {
    fn reset(&mut self) {
        *self = Rolled::default();
    }
}

impl Numbers {
    pub(super) fn fold(&mut self, partials: &[&Partial], frame: &mut Frame<'_>) {
        self.gauges.clear();
        self.rates.clear();
        for point in partials.iter().flat_map(|partial| &partial.numbers) {
            match frame.kind(point.stream) {
                Some(StreamKind::Gauge) => *self.gauges.entry(point.stream) = point.value,
                Some(StreamKind::DeltaCounter) => {
                    let sum = self.rates.entry(point.stream);
                    sum.amount += point.value;
                    sum.seconds = frame.tick_seconds;
                }
                Some(StreamKind::CumulativeCounter) => {
                    if let Some(step) = self.step(point, frame.tick_ns) {
                        let sum = self.rates.entry(point.stream);
                        sum.amount += step.amount;
                        sum.seconds += step.seconds;
                    }
                }
                _ => {}
            }
        }
        let Numbers { gauges, rates, series, .. } = self;
        let gauges = gauges.sorted().iter().map(|(stream, value)| (*stream, *value));
        publish(gauges, true, series, frame);
        let rates = rates.sorted().iter().filter(|(_, sum)| sum.seconds > 0.0);
        publish(rates.map(|(stream, sum)| (*stream, sum.amount / sum.seconds)), false, series, frame);
    }

    /// Forgets counters whose latest point is older than this.
    pub(super) fn forget_before(&mut self, time_ns: i64) {
        self.latest.retain(|_, latest| latest.time_ns >= time_ns);
    }

    /// How far a cumulative counter came since its last point. A reset counts from its new start, where that
    /// lies after the last point; a point that is no newer than the last one says nothing.
    fn step(&mut self, point: &NumberPoint, tick_ns: i64) -> Option<Sum> {
        let NumberPoint { time_ns, start_ns, value, .. } = *point;
        let before = self.latest.insert(point.stream, Latest { time_ns, start_ns, value });
        let since = |from_ns: i64, amount: f64| Sum { amount, seconds: (time_ns - from_ns) as f64 * 1e-9 };
        match before {
            Some(before) if time_ns <= before.time_ns => {
                self.latest.insert(point.stream, before);
                None
            }
            Some(before) if start_ns == before.start_ns && value >= before.value => {
                Some(since(before.time_ns, value - before.value))
            }
            Some(before) if start_ns >= before.time_ns && start_ns < time_ns => {
                Some(since(before.time_ns, value))
            }
            Some(_) => None,
            None => {
                let is_fresh =
                    start_ns > 0 && start_ns < time_ns && time_ns - start_ns <= FRESH_START_TICKS * tick_ns;
                is_fresh.then(|| since(start_ns, value))
            }
        }
    }
}

/// Rolls streams up into their series: the mean of gauges, the sum of rates, added in the order of keys.
fn publish(
    streams: impl Iterator<Item = (u64, f64)>,
    is_mean: bool,
    series: &mut ByKey<Rolled>,
    frame: &mut Frame<'_>,
) {
    series.clear();
    for (stream, value) in streams {
        if let Some(def) = frame.defs.get(&stream) {
            let rolled = series.entry(def.series.key);
            rolled.sum += value;
            rolled.streams += 1;
            if rolled.streams == 1 {
                rolled.stream = stream;
            }
        }
    }
    for (_, rolled) in series.sorted() {
        if let Some(def) = frame.stream(rolled.stream) {
            frame.set(&def.series, if is_mean { rolled.sum / f64::from(rolled.streams) } else { rolled.sum });
        }
    }
}

//! Rates and quantiles of histograms, explicit and exponential.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Frame,
    buckets::Counts,
    by_key::{ByKey, Reset},
    drift::Drifts,
    numbers::FRESH_START_TICKS,
};
use crate::types::{EntityKind, HistogramPoint, Partial, StreamKind};

/// Observations in a tick from which its quantiles say something.
const ENOUGH: u64 = 5;

/// Parts of the series of a model's drift, after the rate and the quantiles.
const DRIFT: u64 = 4;
const DISTANCE: u64 = 5;

/// The quantiles that become series.
const QUANTILES: [(&str, f64); 2] = [(":p50", 0.5), (":p95", 0.95)];

/// The latest point of each cumulative histogram, and memory for a tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Histograms {
    latest: BTreeMap<u64, Latest>,
    drifts: Drifts,
    #[serde(skip)]
    streams: ByKey<Sum>,
    #[serde(skip)]
    series: ByKey<Rolled>,
    /// The point at hand, and what came since the one before it.
    #[serde(skip)]
    now: Counts,
    #[serde(skip)]
    step: Counts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Latest {
    time_ns: i64,
    start_ns: i64,
    counts: Counts,
}

/// What one stream came to in a tick.
#[derive(Clone, Debug, Default)]
struct Sum {
    counts: Counts,
    seconds: f64,
    points: u32,
}

/// What the streams of one series came to, and one of them.
#[derive(Clone, Debug, Default)]
struct Rolled {
    counts: Counts,
    rate: f64,
    streams: u32,
    stream: u64,
}

impl Reset for Sum {
    fn reset(&mut self) {
        self.counts.clear();
        self.seconds = 0.0;
        self.points = 0;
    }
}

impl Reset for Rolled {
    fn reset(&mut self) {
        self.counts.clear();
        self.rate = 0.0;
        self.streams = 0;
    }
}

impl Sum {
    /// Adds a step; where its buckets do not fit the earlier ones, nothing.
    fn add(&mut self, step: &Counts, seconds: f64, is_delta: bool) {
        self.points += 1;
        if self.points == 1 {
            self.counts.copy(step);
            self.seconds = seconds;
        } else if self.counts.add(step) && !is_delta {
            self.seconds += seconds;
        }
    }
}

impl Histograms {
    pub(super) fn fold(&mut self, partials: &[&Partial], frame: &mut Frame<'_>) {
        self.streams.clear();
        for partial in partials {
            for point in &partial.histograms {
                let is_delta = match frame.kind(point.stream) {
                    Some(StreamKind::DeltaHistogram) => true,
                    Some(StreamKind::CumulativeHistogram) => false,
                    _ => continue,
                };
                self.now.set(point, partial);
                if is_delta {
                    self.streams.entry(point.stream).add(&self.now, frame.tick_seconds, true);
                } else if let Some(seconds) = self.step(point, frame.tick_ns) {
                    self.streams.entry(point.stream).add(&self.step, seconds, false);
                }
            }
        }
        self.publish(frame);
    }

    /// Forgets histograms whose latest point is older than this.
    pub(super) fn forget_before(&mut self, time_ns: i64, tick_ns: i64) {
        self.drifts.forget_before(time_ns / tick_ns);
        self.latest.retain(|_, latest| latest.time_ns >= time_ns);
    }

    /// Leaves in `step` what came since the stream's last point, and gives over how many seconds. Resets are met as
    /// those of counters.
    fn step(&mut self, point: &HistogramPoint, tick_ns: i64) -> Option<f64> {
        let HistogramPoint { stream, time_ns, start_ns, .. } = *point;
        let Histograms { latest, now, step, .. } = self;
        let seconds = |from_ns: i64| (time_ns - from_ns) as f64 * 1e-9;
        step.copy(now);
        let Some(before) = latest.get_mut(&stream) else {
            latest.insert(stream, Latest { time_ns, start_ns, counts: now.clone() });
            let is_fresh =
                start_ns > 0 && start_ns < time_ns && time_ns - start_ns <= FRESH_START_TICKS * tick_ns;
            return is_fresh.then(|| seconds(start_ns));
        };
        if time_ns <= before.time_ns {
            return None;
        }
        let from_ns = before.time_ns;
        let is_known = if start_ns == before.start_ns {
            step.subtract(&before.counts)
        } else {
            start_ns >= from_ns && start_ns < time_ns
        };
        before.time_ns = time_ns;
        before.start_ns = start_ns;
        before.counts.copy(now);
        is_known.then(|| seconds(from_ns))
    }

    /// Rolls streams up into their series, in the order of keys.
    fn publish(&mut self, frame: &mut Frame<'_>) {
        let Histograms { streams, series, drifts, .. } = self;
        series.clear();
        for (stream, sum) in streams.sorted() {
            let Some(def) = frame.defs.get(stream) else { continue };
            let rolled = series.entry(def.series.key);
            rolled.streams += 1;
            if rolled.streams == 1 {
                rolled.stream = *stream;
                rolled.counts.copy(&sum.counts);
            } else {
                rolled.counts.add(&sum.counts);
            }
            if sum.seconds > 0.0 {
                rolled.rate += sum.counts.total() as f64 / sum.seconds;
            }
        }
        for (_, rolled) in series.sorted() {
            rolled.publish(drifts, frame);
        }
    }
}

impl Rolled {
    fn publish(&self, drifts: &mut Drifts, frame: &mut Frame<'_>) {
        let Some(def) = frame.stream(self.stream) else { return };
        let base = &def.series;
        let attributes = || base.attributes.clone();
        let named = |suffix: &'static str| move || format!("{}{suffix}", base.measure);
        let rates = frame.derive(base, 1, named(":rate"), attributes);
        frame.set(&rates, self.rate);
        if base.entity.kind == EntityKind::Model
            && self.counts.total() > 0
            && let Some(told) = drifts.tell(base.key, &self.counts, frame.tick)
        {
            let drift = frame.derive(base, DRIFT, named(":drift"), attributes);
            frame.set(&drift, told.psi);
            let distance = frame.derive(base, DISTANCE, named(":ks"), attributes);
            frame.set(&distance, told.ks);
        }
        if self.counts.total() < ENOUGH {
            return;
        }
        for (part, (suffix, share)) in (2..).zip(QUANTILES) {
            let quantile = frame.derive(base, part, named(suffix), attributes);
            frame.set(&quantile, self.counts.quantile(share));
        }
    }
}

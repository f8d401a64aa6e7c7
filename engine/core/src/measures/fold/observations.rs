//! What a model was seen to take in and give, one by one: rates, means, quantiles, and drift against its own past.

use serde::{Deserialize, Serialize};

use super::{
    Frame,
    by_key::{ByKey, Reset},
    drift::{Drifts, Mix},
};
use crate::types::{Partial, StreamKind};

/// Observations in a tick from which its quantiles say something.
const ENOUGH: usize = 5;

/// What is derived from a series: its place among the parts.
const RATE: u64 = 1;
const MEAN: u64 = 2;
const DRIFT: u64 = 3;
const DISTANCE: u64 = 6;
const QUANTILES: [(u64, &str, f64); 2] = [(4, ":p50", 0.5), (5, ":p95", 0.95)];

/// Detectors of drift, and memory for a tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Observations {
    drifts: Drifts,
    #[serde(skip)]
    series: ByKey<Seen>,
}

/// What was seen of one series in a tick, and one of its streams.
#[derive(Clone, Debug, Default)]
struct Seen {
    stream: u64,
    values: Vec<f64>,
}

impl Reset for Seen {
    fn reset(&mut self) {
        self.values.clear();
    }
}

impl Observations {
    pub(super) fn fold(&mut self, partials: &[&Partial], frame: &mut Frame<'_>) {
        self.series.clear();
        for point in partials.iter().flat_map(|partial| &partial.numbers) {
            let Some(def) = frame.defs.get(&point.stream) else { continue };
            if mix(&def.kind).is_some() {
                let seen = self.series.entry(def.series.key);
                seen.stream = point.stream;
                seen.values.push(point.value);
            }
        }
        let Observations { drifts, series } = self;
        for (_, seen) in series.sorted() {
            seen.publish(drifts, frame);
        }
    }

    /// Forgets what was silent since this tick.
    pub(super) fn forget_before(&mut self, tick: i64) {
        self.drifts.forget_before(tick);
    }
}

/// How the observations of a kind of stream are mixed; `None`: they are none.
fn mix(kind: &StreamKind) -> Option<Mix> {
    match kind {
        StreamKind::Observations => Some(Mix::Values),
        StreamKind::Outcomes => Some(Mix::Outcomes),
        StreamKind::Categories => Some(Mix::Categories),
        _ => None,
    }
}

impl Seen {
    fn publish(&mut self, drifts: &mut Drifts, frame: &mut Frame<'_>) {
        let Some(def) = frame.stream(self.stream) else { return };
        let Some(mix) = mix(&def.kind) else { return };
        let base = &def.series;
        let named = |suffix: &'static str| move || format!("{}{suffix}", base.measure);
        let attributes = || base.attributes.clone();
        let count = self.values.len() as f64;
        let rate = frame.derive(base, RATE, named(":rate"), attributes);
        frame.set(&rate, count / frame.tick_seconds);
        if let Some(told) = drifts.tell_values(base.key, mix, &self.values, frame.tick) {
            let drift = frame.derive(base, DRIFT, named(":drift"), attributes);
            frame.set(&drift, told.psi);
            // Only quantities have an order in which a distance says more than the index.
            if mix == Mix::Values {
                let distance = frame.derive(base, DISTANCE, named(":ks"), attributes);
                frame.set(&distance, told.ks);
            }
        }
        // A category is no quantity.
        if mix == Mix::Categories {
            return;
        }
        let mean = frame.derive(
            base,
            MEAN,
            named(if mix == Mix::Outcomes { ":ratio" } else { ":mean" }),
            attributes,
        );
        frame.set(&mean, self.values.iter().sum::<f64>() / count);
        if mix == Mix::Outcomes || self.values.len() < ENOUGH {
            return;
        }
        self.values.sort_unstable_by(f64::total_cmp);
        for (part, suffix, share) in QUANTILES {
            let quantile = frame.derive(base, part, named(suffix), attributes);
            frame.set(&quantile, self.values[(share * (count - 1.0)).round() as usize]);
        }
    }
}

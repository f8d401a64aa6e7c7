//! Forecasts: when a resource will be used up, said before it is.
//!
//! * `limit`: which series have an end, and where it is
//! * `past`: means of a series over the last hours and days
//! * `breach`: exponential smoothing, and when it meets the limit
//!
//! A series with a limit is looked at once a minute over two hours, and every ten minutes over three days. Where the limit is
//! met within the horizon, half as far ahead as is looked back, and three looks in a row agree, an anomaly of its own kind opens. It
//! ends once three looks in a row see no breach.

mod breach;
mod limit;
mod past;

use std::{collections::BTreeMap, sync::Arc};

use foreshock_detectors::score_of;
use serde::{Deserialize, Serialize};

use super::{FrameView, words};
use crate::types::{Anomaly, AnomalyKind, Id, SeriesDef};

use breach::Breach;
pub use limit::{Limit, Side};
use past::{Past, Scale};

/// Looks that must agree before it is said, and before it is taken back.
const AGREE: u32 = 3;

/// −ln p that a forecast stands for: three looks agreed, so it may open an incident by itself.
const NEG_LOG_P: f64 = 20.0;

/// Settings of the forecasts.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastConfig {
    /// Most series of a shard that are looked at, 3.5 kB each; 0: none.
    pub max_series: usize,
    /// Limits that operators gave, the first that means a series counts.
    pub limits: Vec<Limit>,
}

impl Default for ForecastConfig {
    fn default() -> ForecastConfig {
        ForecastConfig { max_series: 64, limits: Vec::new() }
    }
}

/// The series that have an end, by slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Forecasts {
    tracks: BTreeMap<u32, Track>,
    /// Whether the tracks are those of this configuration: after a restart it may be another.
    #[serde(skip)]
    are_current: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Track {
    limit: f64,
    side: Side,
    past: Past,
    /// What was seen in the far past, and when, seconds.
    far: Option<(Breach, i64)>,
    /// Looks in a row that say otherwise than what was told.
    against: u32,
    open: Option<Anomaly>,
}

impl Forecasts {
    /// Series that are looked at.
    pub(super) fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Looks at a series from now on, if it has an end and there is room.
    pub(super) fn admit(&mut self, config: &ForecastConfig, slot: u32, series: &SeriesDef) {
        if self.tracks.len() >= config.max_series {
            return;
        }
        if let Some((limit, side)) = limit::of(&config.limits, series) {
            let track = Track { limit, side, past: Past::default(), far: None, against: 0, open: None };
            self.tracks.insert(slot, track);
        }
    }

    /// The series in this slot ended: so does what was said of it.
    pub(super) fn forget(&mut self, slot: u32, time_ms: i64) -> Option<Anomaly> {
        self.tracks.remove(&slot)?.open.map(|open| closed(&open, time_ms))
    }

    /// Nothing was said of any series.
    pub(super) fn forget_anomalies(&mut self) {
        for track in self.tracks.values_mut() {
            (track.open, track.against) = (None, 0);
        }
    }

    /// Looks at what this configuration says: limits may have come, gone and moved.
    fn adapt(&mut self, config: &ForecastConfig, slots: &[Option<Arc<SeriesDef>>]) {
        self.tracks.retain(|slot, track| {
            let series = slots.get(*slot as usize).and_then(Option::as_ref);
            let limit = series.and_then(|series| limit::of(&config.limits, series));
            limit.is_some_and(|limit| {
                (track.limit, track.side) = limit;
                true
            })
        });
        for (slot, series) in (0..).zip(slots) {
            if let Some(series) = series.as_ref().filter(|_| !self.tracks.contains_key(&slot)) {
                self.admit(config, slot, series);
            }
        }
    }

    /// Takes the values of one frame, but for slots that are held.
    pub(super) fn frame(
        &mut self,
        config: &ForecastConfig,
        frame: &FrameView<'_>,
        revisions: &mut Vec<Anomaly>,
    ) {
        if !std::mem::replace(&mut self.are_current, true) {
            self.adapt(config, frame.slots);
        }
        let seconds = frame.time_ms.div_euclid(1000);
        for (slot, track) in &mut self.tracks {
            let value = frame.values[*slot as usize];
            if value.is_nan() || frame.held.binary_search(slot).is_ok() {
                continue;
            }
            let new: Vec<Scale> = track.past.add(seconds, value).collect();
            let Some(series) = frame.slots[*slot as usize].as_ref().filter(|_| !new.is_empty()) else {
                continue;
            };
            let found = track.find(&new, seconds);
            revisions.extend(track.look(series, value, found, frame.time_ms));
        }
    }
}

impl Track {
    /// The breach that is nearest, of the near and the far past. What was seen in the far one holds until it is looked at again.
    fn find(&mut self, new: &[Scale], seconds: i64) -> Option<Breach> {
        let Track { past, limit, side, .. } = self;
        let ahead = |scale| breach::ahead(past.looked(scale, seconds)?, *limit, *side);
        if new.contains(&Scale::Far) {
            self.far = ahead(Scale::Far).map(|breach| (breach, seconds));
        }
        let far = self.far.map(|(breach, seen)| breach.later(seconds - seen));
        let near = if new.contains(&Scale::Near) { ahead(Scale::Near) } else { None };
        far.into_iter().chain(near).min_by(|a, b| a.likely_s.total_cmp(&b.likely_s))
    }

    /// What a look changes.
    fn look(
        &mut self,
        series: &SeriesDef,
        value: f64,
        found: Option<Breach>,
        time_ms: i64,
    ) -> Option<Anomaly> {
        match (&mut self.open, found) {
            (Some(open), Some(breach)) => {
                self.against = 0;
                let (told_s, known) = (open.value, open.explanation.clone());
                tell(open, &breach, value, self.limit, time_ms);
                // Each minute brings the end a minute nearer: that is no news.
                let is_news = breach.likely_s < 0.7 * told_s && open.explanation != known;
                if !is_news {
                    (open.value, open.explanation) = (told_s, known);
                }
                is_news.then(|| {
                    open.revision += 1;
                    open.clone()
                })
            }
            (None, None) => {
                self.against = 0;
                None
            }
            (None, Some(breach)) => {
                self.against += 1;
                if self.against < AGREE {
                    return None;
                }
                self.against = 0;
                let mut anomaly = new(series, time_ms);
                tell(&mut anomaly, &breach, value, self.limit, time_ms);
                self.open.insert(anomaly).clone().into()
            }
            (Some(open), None) => {
                self.against += 1;
                if self.against < AGREE {
                    return None;
                }
                self.against = 0;
                let last = closed(open, time_ms);
                self.open = None;
                Some(last)
            }
        }
    }
}

fn new(series: &SeriesDef, time_ms: i64) -> Anomaly {
    Anomaly {
        id: Id::of(&["forecast", &series.name, &time_ms.to_string()]),
        revision: 1,
        kind: AnomalyKind::Forecast,
        entity: (*series.entity).clone(),
        series: series.name.clone(),
        measure: series.measure.clone(),
        role: series.role,
        active: true,
        opened_ms: time_ms,
        onset_ms: time_ms,
        updated_ms: time_ms,
        score: score_of(NEG_LOG_P),
        ticks: AGREE,
        neg_log_p: NEG_LOG_P,
        value: 0.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        detector: "forecast".to_string(),
        explanation: String::new(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    }
}

fn tell(anomaly: &mut Anomaly, breach: &Breach, value: f64, limit: f64, time_ms: i64) {
    anomaly.updated_ms = time_ms;
    (anomaly.value, anomaly.lower, anomaly.upper) = (breach.likely_s, breach.earliest_s, breach.latest_s);
    anomaly.expected = breach.horizon_s;
    anomaly.explanation =
        words::forecast(&anomaly.measure, [breach.earliest_s, breach.latest_s], value, limit);
}

fn closed(open: &Anomaly, time_ms: i64) -> Anomaly {
    Anomaly { revision: open.revision + 1, active: false, updated_ms: time_ms, ..open.clone() }
}

#[cfg(test)]
mod tests;

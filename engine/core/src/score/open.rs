//! When an anomaly opens, worsens and closes.

use std::collections::BTreeMap;

use foreshock_detectors::{AbsenceBank, Scores};
use serde::{Deserialize, Serialize};

use super::{
    FrameView, NewPattern, ScoreConfig,
    entities::Entities,
    opened::{open_entity, open_novelty, open_series, open_silence, strengthen},
};
use crate::types::{
    Anomaly, AnomalyKind, Entity,
    anomaly::template_series,
    measure_role::{is_rate, needs_requests},
};

/// −ln p that an open anomaly must gain to be worth a new revision.
const WORSE: f64 = 1.0;

/// Ticks outside from which an anomaly lasts, and up to which each tick more says something more.
const LASTS: u32 = 3;
const TELLING: u32 = 9;

/// What a tick within, between two outside, takes from the count of these. By chance one tick in three after one outside is outside too,
/// in trouble nine of ten: ln(0.9 · 3) ≈ 1 speaks for it, ln(0.1 · 3 / 2) ≈ −2 against.
const CALM: u32 = 2;

/// How long a template counts as new: ten minutes.
const NOVELTY_MS: i64 = 600_000;

/// The anomalies that are open, by slot and by entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OpenAnomalies {
    slots: BTreeMap<u32, Open>,
    entities: BTreeMap<String, Open>,
    novelties: Vec<Open>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    anomaly: Anomaly,
    calm: u32,
    /// What was expected when it opened. The models move on and may take the new for normal; this stays.
    before: Before,
    /// Number of ticks that was last told.
    told: u32,
    /// Calm ticks after which it is over, as a multiple of the configured number.
    patience: u32,
    /// When a value last said how it goes, and ticks since then.
    heard_ms: i64,
    unheard: u32,
}

/// The side on which a value left what was expected, and the end of that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Before {
    Above(f64),
    Below(f64),
    /// It stayed within: its change or spread is what is abnormal.
    Within,
}

/// Spreads from the long-run level at which a slow movement is more than wandering.
const MOVED: f64 = 3.0;

/// A slow movement is given this many times as long to show where it goes.
const SLOW_PATIENCE: u32 = 10;

impl Before {
    /// A jump leaves the band, and one of what is counted goes on while it is at least half as far from what was expected: of what hardly
    /// ever comes, one alone leaves the band. What moves slowly takes the band with it and leaves the long-run level.
    fn of(measure: &str, value: f64, slot: usize, scores: &Scores) -> Before {
        let (lower, upper) = (scores.lower[slot], scores.upper[slot]);
        let (usual, spread) = (scores.usual[slot], scores.spread[slot]);
        let least = if is_rate(measure) { 0.5 * (scores.expected[slot] + value) } else { f64::NAN };
        if value > upper {
            Before::Above(upper.max(least))
        } else if value < lower {
            Before::Below(lower.min(least))
        } else if value > usual + spread {
            Before::Above(usual + MOVED * spread)
        } else if value < usual - spread {
            Before::Below(usual - MOVED * spread)
        } else {
            Before::Within
        }
    }

    fn is_outside(self, value: f64, neg_log_p: f64, config: &ScoreConfig) -> bool {
        match self {
            Before::Above(upper) => value > upper,
            Before::Below(lower) => value < lower,
            Before::Within => neg_log_p >= config.close,
        }
    }
}

/// An anomaly of which nothing is heard for this long is over: five minutes. Failures' times, for one, end with the failures; what falls
/// silent though it never did has an anomaly of its own for that.
const UNHEARD_MS: i64 = 300_000;

/// A lasting change is accepted after this long: 30 minutes. Until then it is not taken for the new normal.
const ACCEPT_MS: i64 = 1_800_000;

impl Open {
    fn new(anomaly: Anomaly, before: Before) -> Open {
        let heard_ms = anomaly.opened_ms;
        Open { anomaly, calm: 0, before, told: 1, patience: 1, heard_ms, unheard: 0 }
    }

    /// One more tick outside; each within since the latest one speaks against [`CALM`] of them. Each of the first counts for the
    /// evidence, and is told; later ones at half as many ticks again.
    fn lasts(&mut self, time_ms: i64) -> bool {
        self.anomaly.ticks = self.anomaly.ticks.saturating_sub(CALM * self.calm) + 1;
        self.calm = 0;
        let (ticks, told) = (self.anomaly.ticks, self.told);
        let tell = match ticks {
            ..LASTS => false,
            LASTS..=TELLING => ticks > told,
            _ => ticks > told + told.div_ceil(2),
        };
        if tell {
            self.told = self.anomaly.ticks;
            self.anomaly.revision += 1;
            self.anomaly.updated_ms = time_ms;
        }
        tell
    }

    fn heard(&mut self, time_ms: i64) {
        (self.heard_ms, self.unheard) = (time_ms, 0);
    }

    /// One more tick that says nothing of it; says whether it is over.
    fn fades(&mut self, config: &ScoreConfig, time_ms: i64) -> bool {
        self.unheard += 1;
        self.unheard >= config.calm_ticks && time_ms - self.heard_ms >= UNHEARD_MS
    }

    /// One more scored tick without a new anomaly; gives the last revision once it is over.
    fn calmer(&mut self, config: &ScoreConfig, time_ms: i64) -> Option<Anomaly> {
        self.calm += 1;
        (self.calm >= self.patience * config.calm_ticks).then(|| self.closed(time_ms))
    }

    fn closed(&self, time_ms: i64) -> Anomaly {
        let revision = self.anomaly.revision + 1;
        Anomaly { revision, active: false, updated_ms: time_ms, ..self.anomaly.clone() }
    }
}

impl OpenAnomalies {
    /// The series in this slot ended: so does its anomaly.
    pub(super) fn forget(&mut self, slot: u32, time_ms: i64) -> Option<Anomaly> {
        self.slots.remove(&slot).map(|open| open.closed(time_ms))
    }

    pub(super) fn novelty(&mut self, pattern: &NewPattern<'_>, time_ms: i64) -> Anomaly {
        let anomaly = open_novelty(pattern, time_ms);
        self.novelties.push(Open::new(anomaly.clone(), Before::Within));
        anomaly
    }

    /// A new template came again in a later tick.
    pub(super) fn again(&mut self, entity: &Entity, template: &str, time_ms: i64) -> Option<Anomaly> {
        let series = template_series(entity, template);
        let open = self.novelties.iter_mut().find(|open| open.anomaly.series == series)?;
        open.lasts(time_ms).then(|| open.anomaly.clone())
    }

    /// Ends the anomalies of templates that are no longer new.
    pub(super) fn expire_novelties(&mut self, time_ms: i64, revisions: &mut Vec<Anomaly>) {
        let over = |open: &mut Open| time_ms - open.anomaly.opened_ms >= NOVELTY_MS;
        revisions.extend(self.novelties.extract_if(.., over).map(|open| open.closed(time_ms)));
    }

    /// Takes the series' scores of one frame.
    pub(super) fn series(
        &mut self,
        config: &ScoreConfig,
        frame: &FrameView<'_>,
        scores: &Scores,
        ages: &[u32],
        revisions: &mut Vec<Anomaly>,
    ) {
        for (slot, value) in frame.values.iter().enumerate() {
            if value.is_nan() || !scores.warm[slot] || ages[slot] < config.learn_ticks {
                continue;
            }
            let (key, strength) = (slot as u32, scores.nlp[slot]);
            let known = self.slots.get_mut(&key);
            match (known, &frame.slots[slot]) {
                (None, Some(series)) if strength >= config.open => {
                    let anomaly = open_series(series, slot, frame, scores);
                    revisions.push(anomaly.clone());
                    let before = Before::of(&series.measure, *value, slot, scores);
                    let jumped = *value < scores.lower[slot] || *value > scores.upper[slot];
                    let patience = if jumped { 1 } else { SLOW_PATIENCE };
                    self.slots.insert(key, Open { patience, ..Open::new(anomaly, before) });
                }
                (None, _) => {}
                (Some(open), _) => {
                    open.heard(frame.time_ms);
                    let accepted = frame.time_ms - open.anomaly.opened_ms >= ACCEPT_MS;
                    let outside = open.before.is_outside(*value, strength, config) && !accepted;
                    let tell = outside && open.lasts(frame.time_ms);
                    if strength >= open.anomaly.neg_log_p + WORSE {
                        open.anomaly.revision += u32::from(!tell);
                        strengthen(&mut open.anomaly, slot, frame, scores);
                        revisions.push(open.anomaly.clone());
                    } else if tell {
                        revisions.push(open.anomaly.clone());
                    }
                    if outside || strength >= config.open {
                        open.calm = 0;
                    } else if let Some(closed) = open.calmer(config, frame.time_ms) {
                        revisions.push(closed);
                        self.slots.remove(&key);
                    }
                }
            }
        }
        let fades = |slot: &u32, open: &mut Open| {
            let has_value = !frame.values[*slot as usize].is_nan();
            let is_silence = open.anomaly.kind == AnomalyKind::Absence;
            !has_value && !is_silence && open.fades(config, frame.time_ms)
        };
        let faded = self.slots.extract_if(.., fades);
        revisions.extend(faded.map(|(_, open)| open.closed(frame.time_ms)));
    }

    /// Takes what is said of the series that have no value in this frame. A series that is abnormal already is not told again.
    pub(super) fn silences(
        &mut self,
        config: &ScoreConfig,
        frame: &FrameView<'_>,
        absence: &AbsenceBank,
        silences: &Scores,
        ages: &[u32],
        revisions: &mut Vec<Anomaly>,
    ) {
        let seconds = frame.time_ms.div_euclid(1000);
        for (slot, strength) in silences.nlp.iter().enumerate() {
            if *strength < config.open || ages[slot] < config.learn_ticks {
                continue;
            }
            let (Some(series), Some(silence)) = (&frame.slots[slot], absence.silence(slot, seconds)) else {
                continue;
            };
            if needs_requests(&series.measure) {
                continue;
            }
            match self.slots.get_mut(&(slot as u32)) {
                None => {
                    let anomaly = open_silence(series, silence, *strength, frame.time_ms);
                    revisions.push(anomaly.clone());
                    self.slots.insert(slot as u32, Open::new(anomaly, Before::Within));
                }
                Some(open) if open.anomaly.kind == AnomalyKind::Absence => {
                    let tell = open.lasts(frame.time_ms);
                    let opened_ms = open.anomaly.opened_ms;
                    let now = open_silence(series, silence, *strength, opened_ms);
                    let Anomaly { score, neg_log_p, value, explanation, .. } = now;
                    open.anomaly = Anomaly { score, neg_log_p, value, explanation, ..open.anomaly.clone() };
                    revisions.extend(tell.then(|| open.anomaly.clone()));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes the entities' combined scores of one frame. An entity speaks for itself only where no single
    /// series of it does: the joint pattern is the news.
    pub(super) fn entities(
        &mut self,
        config: &ScoreConfig,
        frame: &FrameView<'_>,
        entities: &Entities,
        ages: &[u32],
        revisions: &mut Vec<Anomaly>,
    ) {
        let OpenAnomalies { slots, entities: known, .. } = self;
        let speaks = |entity: &Entity| slots.values().any(|open| open.anomaly.entity == *entity);
        for judged in entities.judged() {
            if let Some(open) = known.get_mut(judged.name) {
                open.heard(frame.time_ms);
            }
            match known.get_mut(judged.name) {
                None if judged.neg_log_p >= config.open
                    && judged.is_known(ages, config)
                    && !speaks(judged.entity) =>
                {
                    let anomaly = open_entity(&judged, frame.time_ms);
                    revisions.push(anomaly.clone());
                    known.insert(judged.name.to_string(), Open::new(anomaly, Before::Within));
                }
                None => {}
                Some(open) if judged.neg_log_p >= config.close => {
                    let tell = open.lasts(frame.time_ms);
                    revisions.extend(tell.then(|| open.anomaly.clone()));
                }
                Some(open) => {
                    if let Some(closed) = open.calmer(config, frame.time_ms) {
                        revisions.push(closed);
                        known.remove(judged.name);
                    }
                }
            }
        }
        let fades =
            |_: &String, open: &mut Open| open.heard_ms < frame.time_ms && open.fades(config, frame.time_ms);
        revisions.extend(known.extract_if(.., fades).map(|(_, open)| open.closed(frame.time_ms)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::{EntityKind, SeriesDef};

    #[test]
    fn an_anomaly_says_which_detectors_spoke() {
        let entity = Arc::new(Entity::new(EntityKind::Service, "cart"));
        let slots = [Some(Arc::new(SeriesDef::new(entity, "load", Vec::new())))];
        let mut scorer = super::super::Scorer::new(ScoreConfig::default());
        let frame = |tick: i64| {
            let value = (tick * 7919 % 11) as f64 / 10.0 + if tick < 500 { 10.0 } else { 50.0 };
            let admitted: &[u32] = if tick == 0 { &[0] } else { &[] };
            scorer.frame(FrameView {
                time_ms: tick * 10_000,
                values: &[value],
                slots: &slots,
                admitted,
                forgotten: &[],
                deep_room: 0,
                held: &[],
            })
        };
        let opened = (0..=500).flat_map(frame).last().expect("an anomaly");
        let Anomaly { contributions, detector, explanation, .. } = &opened;
        assert_eq!(contributions.len(), 2, "{opened:?}");
        assert_eq!(contributions[0].0, *detector);
        assert!((contributions[0].1 + contributions[1].1 - 1.0).abs() < 1e-6, "{contributions:?}");
        let [first, second] =
            [0, 1].map(|at| format!("{} {:.0} %", contributions[at].0, 100.0 * contributions[at].1));
        assert!(explanation.contains(&format!("; {first} and {second} spoke, p = ")), "{explanation}");
    }

    #[test]
    fn what_comes_and_goes_does_not_last() {
        let entity = Entity::new(EntityKind::Service, "cart");
        let pattern = NewPattern { entity: &entity, template: "", example: "", severity: 17, neg_log_p: 8.0 };
        let ticks = |outside: &str| {
            let mut open = Open::new(open_novelty(&pattern, 0), Before::Within);
            for (tick, is_outside) in outside.chars().zip(1..).map(|(mark, tick)| (tick, mark == '#')) {
                if is_outside {
                    open.lasts(tick * 10_000);
                } else {
                    open.calm += 1;
                }
            }
            open.anomaly.ticks
        };
        for (outside, expected) in [("###", 4), ("#.#.#.#.", 1), ("#####.####", 8), ("##..#", 1)] {
            assert_eq!(ticks(outside), expected, "{outside}");
        }
    }

    #[test]
    fn what_is_counted_goes_on_while_it_is_half_as_far_out() {
        let mut scores = Scores::new(1);
        (scores.lower[0], scores.expected[0], scores.upper[0]) = (-0.02, 0.0, 0.02);
        let goes_on_of = |measure: &str, first: f64, then: f64| {
            Before::of(measure, first, 0, &scores).is_outside(then, 0.0, &ScoreConfig::default())
        };
        let goes_on = |first: f64, then: f64| goes_on_of("http.server.request.errors:rate", first, then);
        // Three failures in a tick where hardly any come; one alone is no more of it.
        assert!(goes_on(0.3, 0.2) && !goes_on(0.3, 0.1) && goes_on(0.03, 0.025));
        assert!(goes_on(-0.3, -0.2) && !goes_on(-0.3, -0.1));
        assert!(goes_on_of("span.duration:p95", 0.3, 0.1));
    }

    /// The times at which an anomaly ends, of a series that has a value every `every` ticks of 10 s while `until`.
    fn ends(every: i64, until: i64) -> Vec<i64> {
        let (config, mut open, mut scores) =
            (ScoreConfig::default(), OpenAnomalies::default(), Scores::new(1));
        let series = Arc::new(SeriesDef::new(
            Arc::new(Entity::new(EntityKind::Service, "cart")),
            "latency:p95",
            Vec::new(),
        ));
        (scores.warm[0], scores.nlp[0]) = (true, 9.0);
        (scores.lower[0], scores.upper[0]) = (0.0, 1.0);
        let mut revisions = Vec::new();
        for tick in 0..120 {
            let value = if tick <= until && tick % every == 0 { 2.0 } else { f64::NAN };
            let frame = FrameView {
                time_ms: tick * 10_000,
                values: &[value],
                slots: &[Some(series.clone())],
                admitted: &[],
                forgotten: &[],
                deep_room: 0,
                held: &[],
            };
            open.series(&config, &frame, &scores, &[config.learn_ticks], &mut revisions);
        }
        revisions.iter().filter(|anomaly| !anomaly.active).map(|anomaly| anomaly.updated_ms).collect()
    }

    #[test]
    fn an_anomaly_of_which_nothing_is_heard_is_over_after_five_minutes() {
        // The last values come at 300 s; a value every 200 s is enough for it to go on.
        assert_eq!(ends(1, 30), [600_000]);
        assert_eq!(ends(10, 30), [600_000]);
        assert_eq!(ends(20, 120), [0; 0]);
    }

    #[test]
    fn a_new_template_that_keeps_coming_lasts_until_it_is_new_no_more() {
        let entity = Entity::new(EntityKind::Service, "cart");
        let pattern = NewPattern {
            entity: &entity,
            template: "no space left on <*>",
            example: "no space left on sda",
            severity: 17,
            neg_log_p: 8.0,
        };
        let mut open = OpenAnomalies::default();
        let first = open.novelty(&pattern, 0);
        assert_eq!((first.ticks, first.revision), (1, 1));
        let told: Vec<(u32, u32)> = (1..10)
            .filter_map(|tick| open.again(&entity, pattern.template, tick * 10_000))
            .map(|anomaly| (anomaly.ticks, anomaly.revision))
            .collect();
        assert_eq!(told, [(3, 2), (4, 3), (5, 4), (6, 5), (7, 6), (8, 7), (9, 8)]);
        assert_eq!(open.again(&entity, "another", 100_000), None);
        let mut revisions = Vec::new();
        open.expire_novelties(NOVELTY_MS, &mut revisions);
        assert_eq!((revisions[0].ticks, revisions[0].active, revisions[0].revision), (10, false, 9));
        assert_eq!(open.again(&entity, pattern.template, NOVELTY_MS), None);
    }
}

//! Scores: one frame of values in, what is abnormal out.
//!
//! * `history`: the past that a new series is shown
//! * `open`: when an anomaly opens, worsens and closes · `opened`: what it says
//! * `entities`: rows of residuals per entity, and the forests over them
//! * `deep`: windows and heavier models for a bounded number of series
//! * `forecast`: when a resource will be used up
//! * `held`: series that are judged and not learnt
//! * `words`: explanations for people
//! * `columns`: the banks' state as snapshot sections
//!
//! Knows slots and series; does not know where values come from nor what becomes of anomalies.

mod columns;
mod deep;
mod entities;
mod forecast;
mod held;
mod history;
mod open;
mod opened;
mod words;

use std::{borrow::Cow, sync::Arc};

use foreshock_detectors::{
    AbsenceBank, Columns, CoreBank, CoreConfig, ForestConfig, Frame, LoadError, Scores, SeriesBank,
};
use serde::{Deserialize, Serialize};

use crate::types::{Anomaly, Entity, Section, SeriesDef, section::SectionError};

pub use columns::{pack, unpack};
pub use deep::ChangePoint;
use deep::Deep;
use entities::Entities;
use forecast::Forecasts;
pub use forecast::{ForecastConfig, Limit, Side};
use held::Held;
pub use history::History;
use open::OpenAnomalies;

/// Settings of a scorer.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreConfig {
    /// −ln p at which an anomaly opens.
    pub open: f64,
    /// −ln p below which a series counts as normal again.
    pub close: f64,
    /// Scored ticks within the old band after which an anomaly ends, 1 or more. One of which nothing is heard for five minutes ends too.
    pub calm_ticks: u32,
    /// Values that a series must have had before an anomaly of it opens.
    pub learn_ticks: u32,
    /// Event time, unix milliseconds, before which everything is learnt from and nothing opens.
    pub learn_until_ms: i64,
    /// Most entities of a class whose measures are modelled jointly, in the deep tier.
    pub deep_entities: usize,
    /// Resources that will be used up.
    pub forecast: ForecastConfig,
    /// The past of series that may come.
    pub history: Arc<History>,
    /// The core tier.
    pub core: CoreConfig,
    /// The forests.
    pub forest: ForestConfig,
}

impl Default for ScoreConfig {
    /// The calibration of the core tier keeps what is no news below 6.9, so that is where anomalies open.
    fn default() -> ScoreConfig {
        ScoreConfig {
            open: 6.95,
            close: 3.0,
            calm_ticks: 3,
            learn_ticks: 120,
            learn_until_ms: i64::MIN,
            deep_entities: 2048,
            forecast: ForecastConfig::default(),
            history: Arc::default(),
            core: CoreConfig::default(),
            forest: ForestConfig { trees: 50, ..ForestConfig::default() },
        }
    }
}

/// One frame as the scorer is given it.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Event time of the frame, unix milliseconds.
    pub time_ms: i64,
    /// One value per slot; NaN is missing.
    pub values: &'a [f64],
    /// The series in each slot.
    pub slots: &'a [Option<Arc<SeriesDef>>],
    /// Slots that hold a series from this frame on.
    pub admitted: &'a [u32],
    /// Slots whose series ended before this frame.
    pub forgotten: &'a [u32],
    /// Series that may enter the deep tier in this frame.
    pub deep_room: usize,
    /// Slots whose values are judged and not learnt: somebody said that they are not what they should be.
    pub held: &'a [u32],
}

/// A log template that was never seen before.
#[derive(Clone, Copy, Debug)]
pub struct NewPattern<'a> {
    /// Who logged it.
    pub entity: &'a Entity,
    /// The template.
    pub template: &'a str,
    /// The first line of it, redacted.
    pub example: &'a str,
    /// OTLP severity number of that line.
    pub severity: u8,
    /// How rarely its entity logs something new: −ln of the probability in a tick.
    pub neg_log_p: f64,
}

/// Scores every series of a shard.
#[derive(Debug)]
pub struct Scorer {
    config: ScoreConfig,
    core: CoreBank,
    scores: Scores,
    absence: AbsenceBank,
    silences: Scores,
    deep: Deep,
    /// Values so far, per slot.
    ages: Vec<u32>,
    entities: Entities,
    held: Held,
    forecasts: Forecasts,
    open: OpenAnomalies,
    /// Series that were shown a past, since the start.
    with_history: u64,
}

/// A scorer's state that could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The section is damaged.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// A bank refused its columns.
    #[error("detector state: {0}")]
    Bank(#[from] LoadError),
}

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    #[serde(with = "columns")]
    core: Columns,
    #[serde(with = "columns")]
    absence: Columns,
    deep: deep::Saved<'a>,
    ages: Cow<'a, [u32]>,
    entities: entities::Saved<'a>,
    forecasts: Cow<'a, Forecasts>,
    open: Cow<'a, OpenAnomalies>,
}

const VERSION: u32 = 8;

impl Scorer {
    /// A scorer without series.
    pub fn new(config: ScoreConfig) -> Scorer {
        let core = CoreBank::new(config.core.clone(), 0);
        let entities = Entities::new(config.forest.clone(), config.deep_entities);
        Scorer {
            config,
            core,
            scores: Scores::new(0),
            absence: AbsenceBank::new(0),
            silences: Scores::new(0),
            deep: Deep::new(),
            ages: Vec::new(),
            entities,
            held: Held::default(),
            forecasts: Forecasts::default(),
            open: OpenAnomalies::default(),
            with_history: 0,
        }
    }

    /// Scores one frame and gives the revisions of anomalies that it causes, in slot order, entities last.
    pub fn frame(&mut self, frame: FrameView<'_>) -> Vec<Anomaly> {
        let mut revisions = Vec::new();
        let seconds = frame.time_ms.div_euclid(1000);
        for &slot in frame.forgotten {
            revisions.extend(self.open.forget(slot, frame.time_ms));
            self.core.forget(slot as usize);
            self.absence.forget(slot as usize);
            self.deep.forget(slot);
            self.ages[slot as usize] = 0;
            self.entities.forget(slot);
            revisions.extend(self.forecasts.forget(slot, frame.time_ms));
        }
        self.open.expire_novelties(frame.time_ms, &mut revisions);
        self.core.grow(frame.values.len());
        self.absence.grow(frame.values.len());
        self.scores.resize(frame.values.len());
        self.ages.resize(frame.values.len(), 0);
        for &slot in frame.admitted {
            if let Some(series) = &frame.slots[slot as usize] {
                self.entities.admit(slot, series);
                self.forecasts.admit(&self.config.forecast, slot, series);
                if let Some((core, absence, count)) =
                    self.config.history.learnt(&series.name, seconds, &self.config.core)
                {
                    self.core.adopt(slot as usize, &core, 0);
                    self.absence.adopt(slot as usize, &absence, 0);
                    self.ages[slot as usize] = count;
                    self.with_history += 1;
                }
            }
        }
        let came = Frame { time: seconds, values: frame.values };
        self.held.judge(&self.config.core, &self.core, &came, frame.held);
        let learnt = Frame { time: seconds, values: self.held.without(frame.values, frame.held) };
        self.core.advance(&learnt, &mut self.scores);
        self.absence.advance(&came, &mut self.silences);
        self.deep.advance(&learnt, frame.deep_room);
        self.deep.join(&mut self.scores);
        self.entities.advance(seconds, learnt.values, &self.scores);
        self.held.join(&mut self.scores, frame.held);
        self.open.series(&self.config, &frame, &self.scores, &self.ages, &mut revisions);
        self.open.silences(&self.config, &frame, &self.absence, &self.silences, &self.ages, &mut revisions);
        for (age, value) in self.ages.iter_mut().zip(frame.values) {
            *age = age.saturating_add(u32::from(!value.is_nan()));
        }
        self.open.entities(&self.config, &frame, &self.entities, &self.ages, &mut revisions);
        self.forecasts.frame(&self.config.forecast, &frame, &mut revisions);
        if frame.time_ms < self.config.learn_until_ms {
            // What goes on being abnormal opens once it is told of.
            self.open = OpenAnomalies::default();
            self.forecasts.forget_anomalies();
            revisions.clear();
        }
        revisions
    }

    /// Opens an anomaly for a template that was never seen before. It ends by itself after a while: the
    /// template's rate is a series of its own by then.
    pub fn novelty(&mut self, pattern: &NewPattern<'_>, time_ms: i64) -> Option<Anomaly> {
        (time_ms >= self.config.learn_until_ms).then(|| self.open.novelty(pattern, time_ms))
    }

    /// A template that was never seen before came again in a later tick: a revision where that is worth telling.
    pub fn again(&mut self, entity: &Entity, template: &str, time_ms: i64) -> Option<Anomaly> {
        self.open.again(entity, template, time_ms)
    }

    /// Number of series that are modelled well enough to be judged.
    pub fn warm(&self) -> u64 {
        self.ages.iter().filter(|age| **age >= self.config.learn_ticks).count() as u64
    }

    /// Series that are modelled in the deep tier, and that wait for room in it.
    pub fn deep(&self) -> (usize, usize) {
        (self.deep.used(), self.deep.waiting())
    }

    /// Series whose end is forecast.
    pub fn forecasts(&self) -> usize {
        self.forecasts.len()
    }

    /// Series that started with a past, since the start of the process.
    pub fn with_history(&self) -> u64 {
        self.with_history
    }

    /// Series that have been silent for longer than they ever are.
    pub fn silent(&self) -> usize {
        self.silences.nlp.iter().filter(|nlp| **nlp >= self.config.open).count()
    }

    /// What is said of a change of the series in this slot in the latest frame: by the deep tier where it has a place there.
    pub fn change(&self, slot: usize) -> ChangePoint {
        let core = || ChangePoint { probability: self.scores.change[slot], onset: self.scores.onset[slot] };
        self.deep.change(slot).unwrap_or_else(core)
    }

    /// −ln p of a missing value of the series in this slot in the latest frame; 0 for a value.
    pub fn silence(&self, slot: usize) -> f64 {
        self.silences.nlp[slot]
    }

    /// The series' scores of the latest frame, per slot.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The combined scores of the latest frame, per entity that has more than one series: name, −ln p.
    pub fn entity_scores(&self) -> impl Iterator<Item = (&str, f64)> {
        self.entities.judged().map(|judged| (judged.name, judged.neg_log_p))
    }

    /// Saves all state.
    pub fn save(&self, name: &str) -> Result<Section, SectionError> {
        let saved = Saved {
            core: self.core.save(),
            absence: self.absence.save(),
            deep: self.deep.save(),
            ages: Cow::Borrowed(&self.ages),
            entities: self.entities.save(),
            forecasts: Cow::Borrowed(&self.forecasts),
            open: Cow::Borrowed(&self.open),
        };
        Section::save_large(name, VERSION, &saved)
    }

    /// Restores what [`Scorer::save`] gave; a section of another version gives a cold scorer.
    pub fn load(config: ScoreConfig, section: &Section) -> Result<Scorer, RestoreError> {
        let mut scorer = Scorer::new(config);
        if let Some(saved) = section.load::<Saved>(VERSION)? {
            scorer.core.load(&saved.core)?;
            scorer.absence.load(&saved.absence)?;
            scorer.deep.load(saved.deep)?;
            scorer.scores.resize(scorer.core.slots());
            scorer.silences.resize(scorer.core.slots());
            scorer.entities.load(saved.entities)?;
            scorer.ages = saved.ages.into_owned();
            scorer.forecasts = saved.forecasts.into_owned();
            scorer.open = saved.open.into_owned();
        }
        Ok(scorer)
    }
}

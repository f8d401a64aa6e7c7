//! Fold: the partials of one closed tick of one shard as one value per series.
//!
//! * `slots`: which series has which slot, admission and end
//! * `by_key`: what streams come to in a tick, in memory that is used again
//! * `numbers`: gauges and counters
//! * `buckets`, `histograms`: rates and quantiles of bucket counts · `observations`: of single values
//! * `drift`: both, of models, against their own past
//! * `logs`: counts by severity and template, novelty
//! * `spans`: rate, errors and durations by operation · `calls`: of who calls whom, and self times
//!
//! Partials are folded in the order of their sources, and what is summed is summed in the order of stream keys:
//! the result does not depend on how the samples came.

mod buckets;
mod by_key;
mod calls;
mod drift;
mod histograms;
mod logs;
mod numbers;
mod observations;
mod slots;
mod spans;

use std::{borrow::Cow, sync::Arc};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::templates::TemplateConfig;
use crate::types::{
    Edge, Entity, Example, Partial, RoleRule, Section, SeriesDef, StreamDef, StreamKind, Traffic,
    section::SectionError,
};

use histograms::Histograms;
use logs::Logs;
use numbers::Numbers;
use observations::Observations;
use slots::{Admission, Slots};
use spans::Spans;

/// Settings of a fold.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldConfig {
    /// Length of a tick, nanoseconds.
    pub tick_ns: i64,
    /// Ticks without a value after which a series ends.
    pub series_ttl_ticks: i64,
    /// Most series of the shard.
    pub max_series: usize,
    /// Template mining.
    pub templates: TemplateConfig,
    /// Ticks for which an entity's templates are learnt silently.
    pub novelty_after_ticks: u32,
    /// Entities whose requests are also counted by whether they were answered in time.
    pub latencies: Vec<Latency>,
    /// Roles of measures, where they are not what their names say.
    pub roles: Vec<RoleRule>,
}

/// A longest time in which an entity is to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Who.
    pub entity: Entity,
    /// How long, nanoseconds.
    pub latency_ns: u64,
}

impl Default for FoldConfig {
    fn default() -> FoldConfig {
        FoldConfig {
            tick_ns: 10_000_000_000,
            series_ttl_ticks: 8640,
            max_series: 100_000,
            templates: TemplateConfig::default(),
            novelty_after_ticks: 60,
            latencies: Vec::new(),
            roles: Vec::new(),
        }
    }
}

/// What a tick came to. Reused from tick to tick.
#[derive(Clone, Debug, Default)]
pub struct FoldOutput {
    /// One value per slot; NaN is missing.
    pub values: Vec<f64>,
    /// Slots whose series ended before this tick.
    pub forgotten: Vec<u32>,
    /// Slots that hold a new series from this tick on.
    pub admitted: Vec<u32>,
    /// Log templates that were never seen before.
    pub novel: Vec<NewTemplate>,
    /// Log templates that were new lately and came again: who logged it, and the template as it was told.
    pub again: Vec<(Arc<Entity>, String)>,
    /// Requests that entities answered.
    pub traffic: Vec<Traffic>,
    /// Calls, sorted by (caller, callee), one per pair.
    pub edges: Vec<Edge>,
    /// Requests to look at, and the gravest line of each entity that logged an error.
    pub examples: Vec<(Entity, Example)>,
    /// Values without a slot, because the shard is full.
    pub refused_series: u64,
}

/// A log template that was never seen before.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTemplate {
    /// Who logged it.
    pub entity: Arc<Entity>,
    /// The template.
    pub template: String,
    /// The line, redacted.
    pub example: String,
    /// Its OTLP severity number.
    pub severity: u8,
    /// How rarely its entity logs something new: −ln of the probability in a tick.
    pub neg_log_p: f64,
}

/// The state behind a shard's values.
#[derive(Debug)]
pub struct Fold {
    config: FoldConfig,
    defs: HashMap<u64, Arc<StreamDef>>,
    derived: HashMap<(u64, u64), Arc<SeriesDef>>,
    slots: Slots,
    numbers: Numbers,
    histograms: Histograms,
    observations: Observations,
    logs: Logs,
    spans: Spans,
    /// The latest tick at which silent streams were forgotten.
    swept: i64,
}

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    swept: i64,
    slots: Cow<'a, Slots>,
    numbers: Cow<'a, Numbers>,
    histograms: Cow<'a, Histograms>,
    observations: Cow<'a, Observations>,
    logs: Cow<'a, Logs>,
}

const VERSION: u32 = 7;

/// A series made from a stream: the same entity, another measure.
///
/// `part` tells the derived series of one stream apart; it is 0 for a template's own attributes.
fn derive(
    cache: &mut HashMap<(u64, u64), Arc<SeriesDef>>,
    base: &SeriesDef,
    part: u64,
    measure: impl FnOnce() -> String,
    attributes: impl FnOnce() -> Vec<(String, String)>,
) -> Arc<SeriesDef> {
    let made = cache.entry((base.key, part));
    made.or_insert_with(|| Arc::new(SeriesDef::new(base.entity.clone(), measure(), attributes()))).clone()
}

impl Fold {
    /// A fold that knows no stream.
    pub fn new(config: FoldConfig) -> Fold {
        let logs = Logs::new(config.templates, config.novelty_after_ticks);
        Fold {
            config,
            defs: HashMap::new(),
            derived: HashMap::new(),
            slots: Slots::default(),
            numbers: Numbers::default(),
            histograms: Histograms::default(),
            observations: Observations::default(),
            logs,
            spans: Spans::default(),
            swept: i64::MIN,
        }
    }

    /// The series by slot.
    pub fn slots(&self) -> &[Option<Arc<SeriesDef>>] {
        self.slots.series()
    }

    /// Folds the partials of one tick, in the order of their sources; ticks rise from call to call.
    pub fn fold(&mut self, tick: i64, partials: &[&Partial], out: &mut FoldOutput) {
        for def in partials.iter().flat_map(|partial| &partial.defs) {
            self.defs.insert(def.key, Arc::clone(def));
        }
        let tick_seconds = self.config.tick_ns as f64 * 1e-9;
        out.novel.clear();
        out.again.clear();
        out.traffic.clear();
        out.edges.clear();
        out.examples.clear();
        self.slots.begin(tick, self.config.series_ttl_ticks, out);
        self.forget(tick);
        let mut frame = Frame {
            defs: &self.defs,
            derived: &mut self.derived,
            slots: &mut self.slots,
            admission: Admission { max: self.config.max_series, roles: &self.config.roles },
            tick,
            tick_seconds,
            tick_ns: self.config.tick_ns,
            out,
        };
        self.numbers.fold(partials, &mut frame);
        self.histograms.fold(partials, &mut frame);
        self.observations.fold(partials, &mut frame);
        self.logs.fold(partials, &mut frame);
        self.spans.fold(partials, &mut frame);
        calls::fold(partials, &mut frame);
        for measured in partials.iter().flat_map(|partial| &partial.values) {
            frame.set(&measured.series, measured.value);
        }
    }

    /// Forgets, now and then, the points of streams that were silent for twice as long as a series may be.
    fn forget(&mut self, tick: i64) {
        if tick < self.swept.saturating_add(self.config.series_ttl_ticks / 4) {
            return;
        }
        self.swept = tick;
        let before_ns = (tick - 2 * self.config.series_ttl_ticks).saturating_mul(self.config.tick_ns);
        self.numbers.forget_before(before_ns);
        self.histograms.forget_before(before_ns, self.config.tick_ns);
        self.observations.forget_before(tick - 2 * self.config.series_ttl_ticks);
    }

    /// Saves all state but the definitions: those come again with the records.
    pub fn save(&self, name: &str) -> Result<Section, SectionError> {
        let saved = Saved {
            swept: self.swept,
            slots: Cow::Borrowed(&self.slots),
            numbers: Cow::Borrowed(&self.numbers),
            histograms: Cow::Borrowed(&self.histograms),
            observations: Cow::Borrowed(&self.observations),
            logs: Cow::Borrowed(&self.logs),
        };
        Section::save(name, VERSION, &saved)
    }

    /// Restores what [`Fold::save`] gave; `None` for a section of another version.
    pub fn load(config: FoldConfig, section: &Section) -> Result<Option<Fold>, SectionError> {
        let Some(saved) = section.load::<Saved>(VERSION)? else { return Ok(None) };
        let mut fold = Fold::new(config);
        fold.swept = saved.swept;
        fold.slots = saved.slots.into_owned().indexed(&fold.config.roles);
        fold.numbers = saved.numbers.into_owned();
        fold.histograms = saved.histograms.into_owned();
        fold.observations = saved.observations.into_owned();
        fold.logs = saved.logs.into_owned();
        Ok(Some(fold))
    }
}

/// The tick that is being folded, as its parts see it.
struct Frame<'a> {
    defs: &'a HashMap<u64, Arc<StreamDef>>,
    derived: &'a mut HashMap<(u64, u64), Arc<SeriesDef>>,
    slots: &'a mut Slots,
    admission: Admission<'a>,
    tick: i64,
    tick_seconds: f64,
    tick_ns: i64,
    out: &'a mut FoldOutput,
}

impl Frame<'_> {
    /// Gives a series its value of this tick, and a slot where it has none yet.
    fn set(&mut self, series: &Arc<SeriesDef>, value: f64) {
        match self.slots.slot(series, self.admission, self.out) {
            Some(slot) => self.out.values[slot] = value,
            None => self.out.refused_series += 1,
        }
    }

    fn derive(
        &mut self,
        base: &SeriesDef,
        part: u64,
        measure: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<(String, String)>,
    ) -> Arc<SeriesDef> {
        derive(self.derived, base, part, measure, attributes)
    }

    fn stream(&self, key: u64) -> Option<Arc<StreamDef>> {
        self.defs.get(&key).cloned()
    }

    fn kind(&self, key: u64) -> Option<&StreamKind> {
        self.defs.get(&key).map(|def| &def.kind)
    }
}

#[cfg(test)]
mod tests;

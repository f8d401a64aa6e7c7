//! One logical shard: the samples of a closed tick become values, the values scores, the scores anomalies.

use std::sync::Arc;

use super::scores::SeriesScore;
use crate::{
    measures::{Fold, FoldConfig, FoldOutput, FrameInput},
    score::{FrameView, NewPattern, RestoreError, ScoreConfig, Scorer},
    types::{
        Anomaly, Entity, Example, ExampleKind, Id, Measured, Section, SeriesDef, Silence, StreamDef, Traffic,
        section::SectionError,
    },
};

#[derive(Debug)]
pub(super) struct Shard {
    name: String,
    fold: Fold,
    scorer: Scorer,
    output: FoldOutput,
    held: Held,
    warm: u64,
}

/// Slots of silenced series, in order, and the silences that they were found for.
#[derive(Debug, Default)]
struct Held {
    silences: Vec<Id>,
    slots: Vec<u32>,
}

impl Held {
    /// Looks again where the silences or the series are others than before.
    fn find(&mut self, silences: &[Silence], slots: &[Option<Arc<SeriesDef>>], output: &FoldOutput) {
        let are_same = self.silences.iter().eq(silences.iter().map(|silence| &silence.id));
        if are_same && (silences.is_empty() || output.admitted.is_empty() && output.forgotten.is_empty()) {
            return;
        }
        self.silences = silences.iter().map(|silence| silence.id).collect();
        let is_held = |series: &SeriesDef| silences.iter().any(|silence| silence.means_series(series));
        let held = (0..).zip(slots).filter(|(_, series)| series.as_deref().is_some_and(is_held));
        self.slots = held.map(|(slot, _)| slot).collect();
    }
}

/// What a shard's frame gave.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) anomalies: Vec<Anomaly>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) examples: Vec<(Entity, Example)>,
    pub(super) scored: u64,
    pub(super) refused: u64,
    /// What was said of every series, where that is asked for.
    pub(super) scores: Vec<SeriesScore>,
}

/// What a shard is given of a tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardTick<'a> {
    pub(super) tick: i64,
    /// Where it begins, unix milliseconds.
    pub(super) time_ms: i64,
    pub(super) inputs: &'a [FrameInput<'a>],
    /// Values that were made outside.
    pub(super) measured: &'a [Measured],
    /// Series that may enter the deep tier.
    pub(super) deep_room: usize,
    /// Silences that hold.
    pub(super) silences: &'a [Silence],
    /// Whether somebody asked for the scores.
    pub(super) shows_scores: bool,
}

impl Shard {
    pub(super) fn new(index: usize, fold: FoldConfig, score: ScoreConfig) -> Shard {
        Shard {
            name: format!("shard/{index}"),
            fold: Fold::new(fold),
            scorer: Scorer::new(score),
            output: FoldOutput::default(),
            held: Held::default(),
            warm: 0,
        }
    }

    pub(super) fn define(&mut self, def: Arc<StreamDef>) {
        self.fold.define(&[def]);
    }

    /// Number of series that are judged.
    pub(super) fn warm(&self) -> u64 {
        self.warm
    }

    /// Number of series that have a slot.
    pub(super) fn series(&self) -> usize {
        self.fold.slots().iter().flatten().count()
    }

    /// Series in the deep tier, and that wait for room in it.
    pub(super) fn deep(&self) -> (usize, usize) {
        self.scorer.deep()
    }

    /// Resources whose end is forecast.
    pub(super) fn forecasts(&self) -> usize {
        self.scorer.forecasts()
    }

    /// Series that started with a past.
    pub(super) fn with_history(&self) -> u64 {
        self.scorer.with_history()
    }

    /// Series that have been silent for longer than they ever are.
    pub(super) fn silent(&self) -> usize {
        self.scorer.silent()
    }

    /// Closes a tick.
    pub(super) fn close(&mut self, tick: &ShardTick<'_>) -> Closed {
        let ShardTick { time_ms, shows_scores, .. } = *tick;
        self.fold.fold(tick.tick, tick.inputs, tick.measured, &mut self.output);
        self.held.find(tick.silences, self.fold.slots(), &self.output);
        let output = &mut self.output;
        let frame = FrameView {
            time_ms,
            values: &output.values,
            slots: self.fold.slots(),
            admitted: &output.admitted,
            forgotten: &output.forgotten,
            deep_room: tick.deep_room,
            held: &self.held.slots,
        };
        let mut anomalies = self.scorer.frame(frame);
        for new in output.novel.drain(..) {
            let pattern = NewPattern {
                entity: &new.entity,
                template: &new.template,
                example: &new.example,
                severity: new.severity,
                neg_log_p: new.neg_log_p,
            };
            anomalies.extend(self.scorer.novelty(&pattern, time_ms));
        }
        let again = output.again.drain(..);
        anomalies
            .extend(again.filter_map(|(entity, template)| self.scorer.again(&entity, &template, time_ms)));
        self.warm = self.scorer.warm();
        let scored = output.values.iter().filter(|value| !value.is_nan()).count() as u64;
        let refused = output.refused_series;
        let scores = if shows_scores { self.scores().collect() } else { Vec::new() };
        let traffic = std::mem::take(&mut self.output.traffic);
        let line = |(entity, text): (Arc<Entity>, String)| {
            let kind = ExampleKind::LogLine;
            (Entity::clone(&entity), Example { kind, time_ms, trace_id: String::new(), text })
        };
        let examples = self.output.errors.drain(..).map(line).collect();
        Closed { anomalies, traffic, examples, scored, refused, scores }
    }

    /// The scores of the tick that was closed last, by slot.
    fn scores(&self) -> impl Iterator<Item = SeriesScore> {
        let scores = self.scorer.scores();
        let values = self.output.values.iter().zip(self.fold.slots()).enumerate();
        values.filter(|(_, (value, _))| !value.is_nan()).filter_map(|(slot, (value, series))| {
            Some(SeriesScore {
                series: series.clone()?,
                value: *value,
                expected: scores.expected[slot],
                lower: scores.lower[slot],
                upper: scores.upper[slot],
                score: scores.score[slot],
                neg_log_p: scores.nlp[slot],
                change: self.scorer.change(slot),
            })
        })
    }

    pub(super) fn save(&self) -> Result<[Section; 2], SectionError> {
        Ok([
            self.fold.save(&format!("{}/fold", self.name))?,
            self.scorer.save(&format!("{}/score", self.name))?,
        ])
    }

    pub(super) fn load(
        &mut self,
        fold: FoldConfig,
        score: ScoreConfig,
        sections: &[Section],
    ) -> Result<(), RestoreError> {
        let find = |part: &str| {
            let name = format!("{}/{part}", self.name);
            sections.iter().find(move |section| section.name == name)
        };
        let (folds, scores) = (find("fold"), find("score"));
        if let Some(section) = folds
            && let Some(restored) = Fold::load(fold, section)?
        {
            self.fold = restored;
            if let Some(section) = scores {
                self.scorer = Scorer::load(score, section)?;
                self.warm = self.scorer.warm();
            }
        }
        Ok(())
    }
}

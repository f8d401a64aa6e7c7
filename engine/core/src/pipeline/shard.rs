//! One logical shard: the partials of a closed tick become values, the values scores, the scores anomalies.

use std::sync::Arc;

use super::scores::SeriesScore;
use crate::{
    measures::{Fold, FoldConfig, FoldOutput},
    score::{FrameView, NewPattern, RestoreError, ScoreConfig, Scorer},
    types::{Id, Partial, Section, SeriesDef, ShardClosed, Silence, section::SectionError},
};

#[derive(Debug)]
pub(super) struct Shard {
    index: usize,
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

/// What a shard is given of a tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardTick<'a> {
    pub(super) tick: i64,
    /// Where it begins, unix milliseconds.
    pub(super) time_ms: i64,
    /// What every source contributes, in the order of the sources.
    pub(super) partials: &'a [&'a Partial],
    /// Most series in the deep tier.
    pub(super) deep_places: usize,
    /// Silences that hold.
    pub(super) silences: &'a [Silence],
}

impl Shard {
    pub(super) fn new(index: usize, fold: FoldConfig, score: ScoreConfig) -> Shard {
        Shard {
            index,
            fold: Fold::new(fold),
            scorer: Scorer::new(score),
            output: FoldOutput::default(),
            held: Held::default(),
            warm: 0,
        }
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
    pub(super) fn close(&mut self, tick: &ShardTick<'_>) -> ShardClosed {
        let time_ms = tick.time_ms;
        self.fold.fold(tick.tick, tick.partials, &mut self.output);
        self.held.find(tick.silences, self.fold.slots(), &self.output);
        let output = &mut self.output;
        let frame = FrameView {
            time_ms,
            values: &output.values,
            slots: self.fold.slots(),
            admitted: &output.admitted,
            forgotten: &output.forgotten,
            deep_room: tick.deep_places.saturating_sub(self.scorer.deep().0),
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
        let (deep_used, deep_waiting) = self.scorer.deep();
        ShardClosed {
            tick: tick.tick,
            shard: self.index,
            anomalies,
            edges: std::mem::take(&mut output.edges),
            traffic: std::mem::take(&mut output.traffic),
            examples: std::mem::take(&mut output.examples),
            warm_series: self.warm,
            deep_used,
            deep_waiting,
            scored: output.values.iter().filter(|value| !value.is_nan()).count() as u64,
            refused: output.refused_series,
        }
    }

    /// The scores of the tick that was closed last, by slot.
    pub(super) fn scores(&self) -> impl Iterator<Item = SeriesScore> {
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

    /// The name of a part of it in a snapshot.
    fn section(&self, part: &str) -> String {
        format!("shard/{}/{part}", self.index)
    }

    pub(super) fn save(&self) -> Result<[Section; 2], SectionError> {
        Ok([self.fold.save(&self.section("fold"))?, self.scorer.save(&self.section("score"))?])
    }

    pub(super) fn load(
        &mut self,
        fold: FoldConfig,
        score: ScoreConfig,
        sections: &[Section],
    ) -> Result<(), RestoreError> {
        let find = |part: &str| {
            let name = self.section(part);
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

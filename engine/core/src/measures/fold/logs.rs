//! Log lines as counts by severity and template, and what was never seen before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Frame, NewTemplate};
use crate::{
    measures::templates::{TemplateConfig, TemplateMiner},
    types::{Entity, Example, ExampleKind, GravestLine, Partial, stable_hash},
};

/// Ticks in which a template must have come before its rate is a series, and most such series per entity.
const TEMPLATE_TICKS: u32 = 5;
const TEMPLATE_SERIES: usize = 20;

/// Ticks for which a new template is remembered as one.
const MEMORY_TICKS: f64 = 4000.0;

/// Ticks with lines for which a template counts as new: what keeps coming is told again.
const NEW_TICKS: u32 = 60;

/// What is known of every entity that logs, by its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Logs {
    config: TemplateConfig,
    novelty_after_ticks: u32,
    entities: BTreeMap<u64, Known>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    miner: TemplateMiner,
    /// Ticks with lines.
    ticks: u32,
    /// New templates since the silent learning ended, forgotten slowly.
    novel: f64,
    /// Ticks with lines, per template.
    seen: Vec<u32>,
    /// Templates whose rate is a series, with their ids, in the order in which they became one. A template that
    /// becomes part of another brings it its series.
    series: Vec<(usize, String)>,
    new: Vec<New>,
}

/// A template that was new lately.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct New {
    index: usize,
    /// As it was told.
    template: String,
    /// Ticks with lines since.
    ticks: u32,
}

/// Lines of one entity in a tick.
#[derive(Debug, Default)]
struct Counted {
    stream: u64,
    lines: u64,
    warnings: u64,
    errors: u64,
    templates: BTreeMap<usize, u64>,
    gravest: Option<Gravest>,
}

/// The gravest line that is an error, the first of these.
#[derive(Debug)]
struct Gravest {
    severity: u8,
    /// Which partial it is of, and where in that it came.
    place: (usize, usize),
    line: String,
}

impl Counted {
    fn add_gravest(&mut self, source: usize, gravest: &GravestLine, partial: &Partial) {
        let (severity, place) = (gravest.severity, (source, gravest.place));
        let is_graver = |known: &Gravest| (severity, known.place) > (known.severity, place);
        if self.gravest.as_ref().is_none_or(is_graver) {
            let line = shown(&partial.text[gravest.line.clone()]);
            self.gravest = Some(Gravest { severity, place, line });
        }
    }
}

/// Longest line that is shown, bytes.
const LONGEST: usize = 300;

/// The line, cut where it is too long.
fn shown(line: &str) -> String {
    let end = line.floor_char_boundary(LONGEST);
    if end < line.len() { format!("{}…", &line[..end]) } else { line.to_string() }
}

impl Logs {
    pub(super) fn new(config: TemplateConfig, novelty_after_ticks: u32) -> Logs {
        Logs { config, novelty_after_ticks, entities: BTreeMap::new() }
    }

    pub(super) fn fold(&mut self, partials: &[&Partial], frame: &mut Frame<'_>) {
        let mut counted: BTreeMap<u64, Counted> = BTreeMap::new();
        for (source, partial) in partials.iter().enumerate() {
            for lines in &partial.lines {
                let Some(def) = frame.defs.get(&lines.stream) else { continue };
                let count = counted.entry(def.series.key).or_default();
                count.stream = lines.stream;
                count.lines += lines.lines;
                count.errors += lines.errors;
                count.warnings += lines.warnings;
                if let Some(gravest) = &lines.gravest {
                    count.add_gravest(source, gravest, partial);
                }
                let known = self.entities.entry(def.series.key).or_insert_with(|| Known::new(self.config));
                let line = &partial.text[lines.first.clone()];
                let Some(found) = known.miner.learn_many(line, lines.lines) else { continue };
                *count.templates.entry(found.index).or_insert(0) += lines.lines;
                if found.is_new && known.ticks >= self.novelty_after_ticks {
                    let neg_log_p = known.surprise(self.novelty_after_ticks);
                    let template = known.miner.template(found.index);
                    known.new.push(New { index: found.index, template: template.clone(), ticks: 0 });
                    frame.out.novel.push(NewTemplate {
                        entity: Arc::clone(&def.series.entity),
                        template,
                        example: line.to_string(),
                        severity: lines.severity,
                        neg_log_p,
                    });
                }
            }
        }
        let time_ms = frame.tick * frame.tick_ns / 1_000_000;
        for (key, mut count) in counted {
            if let Some(gravest) = count.gravest.take()
                && let Some(def) = frame.stream(count.stream)
            {
                let (kind, trace_id, text) = (ExampleKind::LogLine, String::new(), gravest.line);
                let example = Example { kind, time_ms, trace_id, text };
                frame.out.examples.push((Entity::clone(&def.series.entity), example));
            }
            if let Some(known) = self.entities.get_mut(&key) {
                known.publish(&count, frame);
            }
        }
    }
}

impl Known {
    fn new(config: TemplateConfig) -> Known {
        Known {
            miner: TemplateMiner::new(config),
            ticks: 0,
            novel: 0.0,
            seen: Vec::new(),
            series: Vec::new(),
            new: Vec::new(),
        }
    }

    /// −ln of the probability that a tick brings a new template, from how often it did since the learning ended.
    fn surprise(&mut self, learnt_ticks: u32) -> f64 {
        let watched = f64::from(self.ticks - learnt_ticks).min(MEMORY_TICKS);
        let p = (self.novel + 0.5) / (watched + 1.0);
        self.novel += 1.0;
        -p.min(1.0).ln()
    }

    /// Values of this tick. A rate of nothing is 0 and not missing: the entity did log.
    fn publish(&mut self, count: &Counted, frame: &mut Frame<'_>) {
        self.ticks = self.ticks.saturating_add(1);
        self.novel *= 1.0 - 1.0 / MEMORY_TICKS;
        let Some(def) = frame.stream(count.stream) else { return };
        let per_second = 1.0 / frame.tick_seconds;
        let rates = [
            ("log.lines:rate", count.lines),
            ("log.warnings:rate", count.warnings),
            ("log.errors:rate", count.errors),
        ];
        for (part, (measure, lines)) in (1..).zip(rates) {
            let series = frame.derive(&def.series, part, || measure.to_string(), Vec::new);
            frame.set(&series, lines as f64 * per_second);
        }
        self.seen.resize(self.miner.len(), 0);
        let templates = self.follow(&count.templates);
        self.tell_again(&templates, &def.series.entity, frame);
        for &index in templates.keys() {
            self.seen[index] += 1;
            let is_series = self.series.iter().any(|(known, _)| *known == index);
            if self.seen[index] == TEMPLATE_TICKS && self.series.len() < TEMPLATE_SERIES && !is_series {
                let id = format!("{:08x}", stable_hash(self.miner.template(index).as_bytes()) >> 32);
                self.series.push((index, id));
            }
        }
        for (index, id) in &self.series {
            let lines = templates.get(index).copied().unwrap_or(0);
            let attributes = || vec![("template".to_string(), id.clone())];
            let measure = || "log.template:rate".to_string();
            let series = frame.derive(&def.series, stable_hash(id.as_bytes()), measure, attributes);
            frame.set(&series, lines as f64 * per_second);
        }
    }

    /// Tells of the new templates that came in an earlier tick and come again.
    fn tell_again(&mut self, templates: &BTreeMap<usize, u64>, entity: &Arc<Entity>, frame: &mut Frame<'_>) {
        let miner = &self.miner;
        self.new.retain_mut(|new| {
            if new.ticks > 0 && templates.contains_key(&miner.current(new.index)) {
                frame.out.again.push((Arc::clone(entity), new.template.clone()));
            }
            new.ticks += 1;
            new.ticks < NEW_TICKS
        });
    }

    /// Lines by the templates that there are now; series of templates that became one become one, the oldest.
    fn follow(&mut self, counted: &BTreeMap<usize, u64>) -> BTreeMap<usize, u64> {
        let mut lines = BTreeMap::new();
        for (&index, &count) in counted {
            *lines.entry(self.miner.current(index)).or_insert(0) += count;
        }
        let mut kept = BTreeSet::new();
        self.series.retain_mut(|(index, _)| {
            *index = self.miner.current(*index);
            kept.insert(*index)
        });
        lines
    }
}

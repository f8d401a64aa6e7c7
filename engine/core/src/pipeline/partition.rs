//! One source partition: its intake, its watermark, and its samples by tick and shard.
//!
//! Lateness is judged against the partition's own records, one record at a time, so that neither batch
//! boundaries nor the other partitions change it.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::{
    intake::{self, Intake, IntakeConfig},
    measures,
    types::{
        Alert, Batch, BatchSignal, Change, Record, Reject, Samples, SeriesDef, Sighting, Source, StreamDef,
    },
};

use super::rows;

/// Tick length, allowed lateness and number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Length of a tick.
    pub tick_ns: i64,
    /// How far behind its partition's newest event a sample may be.
    pub lateness_ns: i64,
    /// Number of logical shards.
    pub shards: usize,
}

impl Clock {
    fn tick(&self, time_ns: i64) -> i64 {
        time_ns.div_euclid(self.tick_ns)
    }

    /// The shard of a series: that of its entity.
    pub(super) fn shard(&self, series: &SeriesDef) -> usize {
        (series.entity_key % self.shards as u64) as usize
    }

    /// The first tick that is still open once an event of this time was seen.
    fn first_open(&self, newest_ns: i64) -> i64 {
        self.tick(newest_ns.saturating_sub(self.lateness_ns))
    }
}

/// Where a partition resumes after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The partition.
    pub source: Source,
    /// First record to read again.
    pub offset: i64,
    /// Newest event time before that record.
    pub newest_ns: i64,
}

/// The decision that a silent partition counts as having reached an event time. It belongs to an offset, so
/// that it has the same effect when the partition is read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The partition.
    pub source: Source,
    /// The next record that was awaited.
    pub offset: i64,
    /// Newest event time of the other partitions.
    pub newest_ns: i64,
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The partition.
    pub source: &'a Source,
    /// The next record that is awaited.
    pub next_offset: i64,
    /// Newest event time; `None` before the first event.
    pub newest_ns: Option<i64>,
}

/// What a partition made of some records, besides samples.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) changes: Vec<Change>,
    pub(super) alerts: Vec<Alert>,
    pub(super) sightings: Vec<Sighting>,
    pub(super) rejects: Vec<Reject>,
    /// Streams that the shards do not know yet, with their shard.
    pub(super) defs: Vec<(usize, std::sync::Arc<StreamDef>)>,
    pub(super) samples: u64,
    pub(super) late: u64,
}

/// Samples of one tick, per shard.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) shards: Vec<Samples>,
    /// Rows of the signals that SQL measures read.
    pub(super) rows: Vec<Batch>,
    first_offset: i64,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) source: Source,
    intake: Intake,
    known: usize,
    shard_of: HashMap<u64, usize>,
    scratch: Samples,
    /// Signals whose rows are kept until their tick closes, and those of the records at hand.
    kept_signals: Vec<BatchSignal>,
    kept: Vec<Batch>,
    frames: BTreeMap<i64, Frames>,
    spare: Vec<Frames>,
    newest_ns: i64,
    next_offset: i64,
    /// (offset, newest event time from that record on), rising; enough to resume at any open tick.
    steps: VecDeque<(i64, i64)>,
    /// Newest event time before the first step.
    before_steps_ns: i64,
    /// Decisions at offsets that are not yet reached, in order.
    idles: VecDeque<Idle>,
    /// Never holds a tick open.
    pub(super) quiet: bool,
}

/// Before any event.
const NEVER: i64 = i64::MIN / 2;

impl Partition {
    pub(super) fn new(
        source: Source,
        config: IntakeConfig,
        quiet: bool,
        kept_signals: Vec<BatchSignal>,
    ) -> Partition {
        let intake = Intake::new(&source.topic, config);
        Partition {
            source,
            intake,
            known: 0,
            shard_of: HashMap::new(),
            scratch: Samples::default(),
            kept_signals,
            kept: Vec::new(),
            frames: BTreeMap::new(),
            spare: Vec::new(),
            newest_ns: NEVER,
            next_offset: 0,
            steps: VecDeque::new(),
            before_steps_ns: NEVER,
            idles: VecDeque::new(),
            quiet,
        }
    }

    pub(super) fn resume(&mut self, resume: &Resume) {
        self.newest_ns = resume.newest_ns;
        self.before_steps_ns = resume.newest_ns;
        self.next_offset = resume.offset;
    }

    /// Takes a decision, at once or when its offset is reached.
    pub(super) fn idle(&mut self, idle: &Idle) {
        let at = self.idles.partition_point(|known| known.offset <= idle.offset);
        self.idles.insert(at, idle.clone());
        self.pass_idles();
    }

    /// How many of these records come before the next decision.
    pub(super) fn until_idle(&mut self, records: &[Record]) -> usize {
        let first = records.first().map_or(i64::MAX, |record| record.offset);
        self.next_offset = self.next_offset.max(first);
        self.pass_idles();
        self.idles
            .front()
            .map_or(records.len(), |idle| records.partition_point(|record| record.offset < idle.offset))
    }

    fn pass_idles(&mut self) {
        while let Some(idle) = self.idles.pop_front_if(|idle| idle.offset <= self.next_offset) {
            if idle.newest_ns > self.newest_ns {
                self.newest_ns = idle.newest_ns;
                self.steps.push_back((idle.offset, idle.newest_ns));
            }
        }
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        let newest_ns = (self.newest_ns > NEVER).then_some(self.newest_ns);
        Progress { source: &self.source, next_offset: self.next_offset, newest_ns }
    }

    /// Decodes records (rising offsets) and sorts their samples into ticks and shards. Ticks up to `closed`
    /// were closed before: after a restart their samples have already had their effect.
    pub(super) fn take(&mut self, records: &[Record], clock: &Clock, closed: i64) -> Taken {
        let mut taken = Taken::default();
        self.scratch.clear();
        for effect in self.intake.on_event(intake::Event::Records(records)) {
            match effect {
                intake::Effect::Batch(batch) => {
                    self.extract(&batch);
                    if self.kept_signals.contains(&batch.signal) {
                        self.kept.push(batch);
                    }
                }
                intake::Effect::Change(change) => taken.changes.push(change),
                intake::Effect::Alert(alert) => taken.alerts.push(alert),
                intake::Effect::Sighting(sighting) => taken.sightings.push(sighting),
                intake::Effect::Reject(reject) => taken.rejects.push(reject),
            }
        }
        for def in self.scratch.defs.drain(..) {
            let shard = clock.shard(&def.series);
            self.shard_of.insert(def.key, shard);
            taken.defs.push((shard, def));
        }
        let steps = self.step_watermark();
        if let Some(last) = records.last() {
            self.next_offset = last.offset + 1;
            self.pass_idles();
        }
        self.route(clock, closed, &steps, &mut taken);
        taken
    }

    fn extract(&mut self, batch: &Batch) {
        if batch.streams.defs.len() < self.known {
            self.known = 0;
        }
        measures::extract(batch, &mut self.scratch, &mut self.known);
    }

    /// Advances the watermark record by record; gives the newest event time *before* each record that has
    /// samples, by offset.
    fn step_watermark(&mut self) -> Vec<(i64, i64)> {
        let mut newest: Vec<(i64, i64)> = Vec::new();
        let mut see = |offset: i64, time_ns: i64| match newest.last_mut() {
            Some((last, time)) if *last == offset => *time = (*time).max(time_ns),
            _ => newest.push((offset, time_ns)),
        };
        self.scratch.numbers.iter().for_each(|sample| see(sample.offset, sample.time_ns));
        self.scratch.histograms.iter().for_each(|sample| see(sample.offset, sample.time_ns));
        self.scratch.logs.iter().for_each(|sample| see(sample.offset, sample.time_ns));
        self.scratch.spans.iter().for_each(|sample| see(sample.offset, sample.time_ns));
        newest.sort_unstable();
        let mut before: Vec<(i64, i64)> = Vec::with_capacity(newest.len());
        for (offset, time_ns) in newest {
            if before.last().is_none_or(|(last, _)| *last != offset) {
                before.push((offset, self.newest_ns));
            }
            if time_ns > self.newest_ns {
                self.newest_ns = time_ns;
                self.steps.push_back((offset, time_ns));
            }
        }
        before
    }

    fn route(&mut self, clock: &Clock, closed: i64, before: &[(i64, i64)], taken: &mut Taken) {
        let Partition { scratch, kept, frames, spare, shard_of, .. } = self;
        let mut router = Router { clock, closed, before, frames, spare, shard_of, taken, at: 0 };
        for sample in &scratch.numbers {
            if let Some(to) = router.place(sample.stream, sample.offset, sample.time_ns) {
                to.numbers.push(*sample);
            }
        }
        router.at = 0;
        for sample in &scratch.histograms {
            if let Some(to) = router.place(sample.stream, sample.offset, sample.time_ns) {
                to.push_histogram(sample, scratch);
            }
        }
        router.at = 0;
        for sample in scratch.logs.drain(..) {
            if let Some(to) = router.place(sample.stream, sample.offset, sample.time_ns) {
                let start = to.text.len();
                to.text.push_str(&scratch.text[sample.body.clone()]);
                let body = start..to.text.len();
                to.logs.push(crate::types::LogSample { body, ..sample });
            }
        }
        router.at = 0;
        for sample in &scratch.spans {
            if let Some(to) = router.place(sample.stream, sample.offset, sample.time_ns) {
                to.spans.push(*sample);
            }
        }
        for batch in kept.drain(..) {
            router.at = 0;
            for (tick, rows) in rows::by_tick(&batch, |offset, time_ns| router.tick(offset, time_ns)) {
                let offset = rows::first_offset(&rows);
                router.frames(tick, offset).rows.push(rows);
            }
        }
    }

    /// The first tick that this partition keeps open; `None` before its first event.
    pub(super) fn first_open(&self, clock: &Clock) -> Option<i64> {
        (self.newest_ns > NEVER).then(|| clock.first_open(self.newest_ns))
    }

    /// The oldest tick with samples.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.frames.keys().next().copied()
    }

    /// The rows of a tick that SQL measures read.
    pub(super) fn rows(&self, tick: i64) -> &[Batch] {
        self.frames.get(&tick).map_or(&[], |frames| &frames.rows)
    }

    /// Takes out the samples of a tick.
    pub(super) fn close(&mut self, tick: i64) -> Option<Frames> {
        self.frames.remove(&tick)
    }

    /// Gives back the memory of a tick.
    pub(super) fn recycle(&mut self, mut frames: Frames) {
        frames.rows.clear();
        if self.spare.len() < 4 {
            frames.shards.iter_mut().for_each(Samples::clear);
            self.spare.push(frames);
        }
        let needed = self.frames.values().map(|frames| frames.first_offset).min().unwrap_or(self.next_offset);
        while let Some(&(offset, newest_ns)) = self.steps.front()
            && offset < needed
        {
            self.before_steps_ns = newest_ns;
            self.steps.pop_front();
        }
    }

    /// Where to resume so that every open tick comes out the same.
    pub(super) fn resume_point(&self) -> Resume {
        let open = self.frames.values().map(|frames| frames.first_offset).min();
        let offset = open.unwrap_or(self.next_offset);
        let before = self.steps.iter().take_while(|(step, _)| *step < offset).last();
        let newest_ns = before.map_or(self.before_steps_ns, |(_, newest_ns)| *newest_ns);
        Resume { source: self.source.clone(), offset, newest_ns }
    }
}

/// Finds the place of each sample; rows come in record order.
struct Router<'a> {
    clock: &'a Clock,
    closed: i64,
    before: &'a [(i64, i64)],
    frames: &'a mut BTreeMap<i64, Frames>,
    spare: &'a mut Vec<Frames>,
    shard_of: &'a HashMap<u64, usize>,
    taken: &'a mut Taken,
    at: usize,
}

impl Router<'_> {
    /// The samples that this one belongs to, or `None` when it is late or already had its effect.
    fn place(&mut self, stream: u64, offset: i64, time_ns: i64) -> Option<&mut Samples> {
        self.taken.samples += 1;
        let (is_late, tick) = self.judge(offset, time_ns);
        if is_late || tick <= self.closed {
            self.taken.late += u64::from(is_late);
            return None;
        }
        let shard = *self.shard_of.get(&stream)?;
        self.frames(tick, offset).shards.get_mut(shard)
    }

    /// The tick of a row, by the same judgement.
    fn tick(&mut self, offset: i64, time_ns: i64) -> Option<i64> {
        let (is_late, tick) = self.judge(offset, time_ns);
        (!is_late && tick > self.closed).then_some(tick)
    }

    fn judge(&mut self, offset: i64, time_ns: i64) -> (bool, i64) {
        while self.before[self.at].0 != offset {
            self.at += 1;
        }
        let tick = self.clock.tick(time_ns);
        (tick < self.clock.first_open(self.before[self.at].1), tick)
    }

    fn frames(&mut self, tick: i64, offset: i64) -> &mut Frames {
        let (spare, shards) = (&mut *self.spare, self.clock.shards);
        let frames = self.frames.entry(tick).or_insert_with(|| {
            let new = || Frames {
                shards: vec![Samples::default(); shards],
                rows: Vec::new(),
                first_offset: offset,
            };
            Frames { first_offset: offset, ..spare.pop().unwrap_or_else(new) }
        });
        frames.first_offset = frames.first_offset.min(offset);
        frames
    }
}

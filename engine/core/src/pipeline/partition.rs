//! One source partition: its intake, its watermark, and its partials by tick.
//!
//! Lateness is judged against the partition's own records, one record at a time, so that neither batch
//! boundaries nor the other partitions change it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    intake::{self, Intake, IntakeConfig},
    measures::{Accumulator, Columns, Routes, shard_of},
    types::{Alert, Batch, BatchSignal, Change, Record, Reject, SeriesDef, Sighting, Source},
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
        shard_of(series.entity_key, self.shards)
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
    pub(super) samples: u64,
    pub(super) late: u64,
}

/// What came of one tick.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) partials: Accumulator,
    /// Rows of the signals that SQL measures read.
    pub(super) rows: Vec<Batch>,
    first_offset: i64,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) source: Source,
    intake: Intake,
    routes: Routes,
    /// Signals whose rows are kept until their tick closes.
    kept_signals: Vec<BatchSignal>,
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
        routes: Routes,
        quiet: bool,
        kept_signals: Vec<BatchSignal>,
    ) -> Partition {
        let intake = Intake::new(&source.topic, config);
        Partition {
            source,
            intake,
            routes,
            kept_signals,
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

    /// Decodes records (rising offsets) and adds their samples to the partials of their ticks. Ticks up to `closed`
    /// were closed before: after a restart their samples have already had their effect.
    pub(super) fn take(&mut self, records: &[Record], clock: &Clock, closed: i64) -> Taken {
        let mut taken = Taken::default();
        let mut batches = Vec::new();
        for effect in self.intake.on_event(intake::Event::Records(records)) {
            match effect {
                intake::Effect::Batch(batch) => batches.push(batch),
                intake::Effect::Change(change) => taken.changes.push(change),
                intake::Effect::Alert(alert) => taken.alerts.push(alert),
                intake::Effect::Sighting(sighting) => taken.sightings.push(sighting),
                intake::Effect::Reject(reject) => taken.rejects.push(reject),
            }
        }
        let before = self.step_watermark(&batches);
        if let Some(last) = records.last() {
            self.next_offset = last.offset + 1;
            self.pass_idles();
        }
        for batch in batches {
            self.route(batch, &Judge { clock, closed, before: &before }, &mut taken);
        }
        taken
    }

    /// Advances the watermark record by record; gives the newest event time *before* each record that has
    /// samples, by offset.
    fn step_watermark(&mut self, batches: &[Batch]) -> Vec<(i64, i64)> {
        let mut newest: Vec<(i64, i64)> = Vec::new();
        for (offset, time_ns) in batches.iter().flat_map(|batch| Columns::of(batch).rows()) {
            match newest.last_mut() {
                Some((last, time)) if *last == offset => *time = (*time).max(time_ns),
                _ => newest.push((offset, time_ns)),
            }
        }
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

    /// Gives every row of a batch to its tick.
    fn route(&mut self, batch: Batch, judge: &Judge<'_>, taken: &mut Taken) {
        if self.routes.learn(&batch) {
            self.frames.values_mut().for_each(|frames| frames.partials.forget_streams());
        }
        let columns = Columns::of(&batch);
        let mut at = 0;
        for (row, (offset, time_ns)) in columns.rows().enumerate() {
            taken.samples += 1;
            match judge.tick(&mut at, offset, time_ns) {
                Ok(tick) => {
                    let Partition { frames, spare, routes, .. } = self;
                    let frames = open(frames, spare, tick, offset);
                    frames.partials.add(tick, &columns, row, routes);
                }
                Err(Gone::Late) => taken.late += 1,
                Err(Gone::Closed) => {}
            }
        }
        if self.kept_signals.contains(&batch.signal) {
            let mut at = 0;
            let ticks = rows::by_tick(&batch, |offset, time_ns| judge.tick(&mut at, offset, time_ns).ok());
            for (tick, rows) in ticks {
                let offset = rows::first_offset(&rows);
                open(&mut self.frames, &mut self.spare, tick, offset).rows.push(rows);
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
            frames.partials.clear();
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

/// The frames of a tick, which are open from now on.
fn open<'a>(
    frames: &'a mut BTreeMap<i64, Frames>,
    spare: &mut Vec<Frames>,
    tick: i64,
    offset: i64,
) -> &'a mut Frames {
    let frames = frames
        .entry(tick)
        .or_insert_with(|| Frames { first_offset: offset, ..spare.pop().unwrap_or_default() });
    frames.first_offset = frames.first_offset.min(offset);
    frames
}

/// Finds the tick of each row.
struct Judge<'a> {
    clock: &'a Clock,
    closed: i64,
    /// Newest event time before each record, by offset.
    before: &'a [(i64, i64)],
}

/// Why a row has no tick.
enum Gone {
    /// It is late.
    Late,
    /// It has already had its effect.
    Closed,
}

impl Judge<'_> {
    /// The tick of a row. Rows are asked for in record order; `at` is where the last one's record stands.
    fn tick(&self, at: &mut usize, offset: i64, time_ns: i64) -> Result<i64, Gone> {
        while self.before[*at].0 != offset {
            *at += 1;
        }
        let tick = self.clock.tick(time_ns);
        match self.clock.first_open(self.before[*at].1) {
            first if tick < first => Err(Gone::Late),
            _ if tick <= self.closed => Err(Gone::Closed),
            _ => Ok(tick),
        }
    }
}

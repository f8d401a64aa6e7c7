//! OTLP JSON lines (and CloudEvents among them) through the whole pipeline: each file is a source, and ticks close
//! once every file is past them, as with the partitions of `run`.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    input::{Input, InputError, Lines, Refused},
    output::{OutputError, Outputs},
};
use crate::{
    bus,
    pipeline::{Effect, Event, Idle, Pipeline, PipelineConfig},
    types::{Measured, Record, Source, TickRows},
};

/// What answers the queries of a tick: the operators' measures.
pub type Measure<'a> = &'a mut dyn FnMut(&TickRows) -> Vec<Measured>;

/// What a replay of records found.
#[derive(Clone, Debug, Default)]
pub struct RecordsSummary {
    /// Per file, in the order in which they were given: records taken, and lines refused.
    pub files: Vec<(u64, Refused)>,
    /// Ticks that were closed.
    pub ticks: u64,
    /// Series that have been seen and are still there.
    pub series: usize,
    /// Values that came too late for their tick.
    pub late: u64,
    /// Anomalies that opened.
    pub anomalies: usize,
    /// Incidents that opened.
    pub incidents: usize,
}

/// Files whose records cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// One cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// One holds nothing that can be read.
    #[error("{path} has no record that can be read; the first problem: {first}")]
    NoRecords {
        /// The file.
        path: String,
        /// The first problem.
        first: String,
    },
    /// The policies of the configuration do not hold together.
    #[error(transparent)]
    Config(#[from] bus::ConfigError),
    /// An output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Records that are given to the pipeline at once, and their size, bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 4 << 20;

/// Event time of a file that was read to its end: after everything that may come.
const ENDED_NS: i64 = i64::MAX / 2;

/// Reads every file to its end and writes what the pipeline finds. Nobody acts on it: signals go nowhere.
pub fn replay_records(
    inputs: Vec<(&Path, Input)>,
    config: &PipelineConfig,
    measure: Measure<'_>,
    outputs: &mut Outputs,
) -> Result<RecordsSummary, RecordsError> {
    let mut feeds: Vec<Feed> = inputs.into_iter().map(|(path, input)| Feed::new(path, input)).collect();
    let mut config = config.clone();
    let quiet = feeds.iter().filter(|feed| feed.is_quiet).map(|feed| feed.source.topic.to_string());
    config.quiet_topics.extend(quiet);
    let open = config.score.open;
    let mut pipeline = Pipeline::new(config)?;
    if outputs.wants_scores() {
        pipeline.show_scores();
    }
    for feed in &feeds {
        pipeline.on_event(Event::Assign(feed.source.clone()));
    }
    let mut summary = RecordsSummary::default();
    while let Some(at) = furthest_behind(&feeds, &pipeline) {
        let effects = pipeline.on_event_measured(feeds[at].next()?.event(), &mut *measure);
        take(effects, &mut feeds, open, &mut summary, outputs)?;
        feeds[at].check()?;
    }
    let effects = pipeline.on_event_measured(Event::Flush, &mut *measure);
    take(effects, &mut feeds, open, &mut summary, outputs)?;
    summary.ticks = pipeline.counts().ticks;
    summary.late = pipeline.counts().late;
    summary.series = pipeline.series();
    summary.files = feeds.into_iter().map(|feed| (feed.records - feed.refused.count, feed.refused)).collect();
    Ok(summary)
}

/// The open file with the oldest news, so that little has to be kept.
fn furthest_behind(feeds: &[Feed], pipeline: &Pipeline) -> Option<usize> {
    let newest = |feed: &Feed| {
        let mut progress = pipeline.progress().filter(|progress| *progress.source == feed.source);
        progress.next().and_then(|progress| progress.newest_ns)
    };
    let open = feeds.iter().enumerate().filter(|(_, feed)| !feed.has_ended);
    open.min_by_key(|(_, feed)| newest(feed)).map(|(at, _)| at)
}

fn take(
    effects: Vec<Effect>,
    feeds: &mut [Feed],
    open: f64,
    summary: &mut RecordsSummary,
    outputs: &mut Outputs,
) -> Result<(), OutputError> {
    for effect in effects {
        match effect {
            Effect::Scores { time_ms, series } => outputs.tick(time_ms, &series, open)?,
            Effect::Anomaly(anomaly) => {
                summary.anomalies += usize::from(anomaly.revision == 1);
                outputs.anomalies(std::slice::from_ref(&anomaly))?;
            }
            Effect::Incident(incident) => {
                summary.incidents += usize::from(incident.revision == 1);
                outputs.incident(&incident)?;
            }
            Effect::DeadLetter { source, reject } => {
                if let Some(feed) = feeds.iter_mut().find(|feed| feed.source == source) {
                    let place = format_args!("line {}", reject.offset);
                    feed.refused.add(
                        &feed.path,
                        place,
                        format_args!("{} ({})", reject.detail, reject.reason.name()),
                    );
                }
            }
            Effect::Suppressed { .. }
            | Effect::Change(_)
            | Effect::Bus(_)
            | Effect::Query(_)
            | Effect::TickClosed { .. } => {}
        }
    }
    Ok(())
}

/// A file that is being read.
struct Feed {
    path: String,
    source: Source,
    lines: Lines,
    /// It holds changes, which are rare: it never holds a tick open.
    is_quiet: bool,
    has_ended: bool,
    records: u64,
    last_line: i64,
    refused: Refused,
}

impl Feed {
    fn new(path: &Path, input: Input) -> Feed {
        let path = path.display().to_string();
        Feed {
            source: Source { topic: Arc::from(path.as_str()), partition: 0 },
            path,
            is_quiet: input.begins_with_change,
            lines: Lines::new(input.reader),
            has_ended: false,
            records: 0,
            last_line: 0,
            refused: Refused::default(),
        }
    }

    /// The next records, or that there are none.
    fn next(&mut self) -> Result<News<'_>, InputError> {
        let records = self.read()?;
        self.records += records.len() as u64;
        if !records.is_empty() {
            return Ok(News::Records(&self.source, records));
        }
        self.has_ended = true;
        let idle = Idle { source: self.source.clone(), offset: self.last_line + 1, newest_ns: ENDED_NS };
        Ok(News::Ended(idle))
    }

    fn read(&mut self) -> Result<Vec<Record>, InputError> {
        let mut records = Vec::new();
        let mut size = 0;
        while records.len() < BATCH && size < BATCH_BYTES {
            let next = self.lines.next();
            let Some((number, line)) =
                next.map_err(|source| InputError::Read { path: self.path.clone(), source })?
            else {
                break;
            };
            size += line.len();
            self.last_line = number as i64;
            let payload = Bytes::copy_from_slice(line);
            records.push(Record { offset: self.last_line, time_ms: -1, payload, ..Record::default() });
        }
        Ok(records)
    }

    /// Once it was read: a file whose every line was refused is none.
    fn check(&self) -> Result<(), RecordsError> {
        match self.refused.first.first() {
            Some(first) if self.has_ended && self.refused.count == self.records => {
                Err(RecordsError::NoRecords { path: self.path.clone(), first: first.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// What comes of a file next.
enum News<'a> {
    Records(&'a Source, Vec<Record>),
    Ended(Idle),
}

impl News<'_> {
    fn event(&self) -> Event<'_> {
        match self {
            News::Records(source, records) => Event::Records { source, records },
            News::Ended(idle) => Event::Idle(idle),
        }
    }
}

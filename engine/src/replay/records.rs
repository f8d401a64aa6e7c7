//! OTLP JSON lines (and CloudEvents among them), or records out of Kafka, through the whole pipeline: each file is a source, and
//! ticks close once every source is past them, as with the partitions of `run`.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use foreshock_core::{
    bus,
    pipeline::{Effect, Event, Idle, Pipeline, PipelineConfig},
    types::{Measured, Record, Source, TickRows},
};

use super::{
    input::{Input, InputError, Lines, Refused},
    output::{OutputError, Outputs},
};

/// What answers the queries of a tick: the operators' measures.
pub type Measure<'a> = &'a mut dyn FnMut(&TickRows) -> Vec<Measured>;

/// What a replay of records found.
#[derive(Clone, Debug, Default)]
pub struct RecordsSummary {
    /// The sources, in the order in which they were given.
    pub sources: Vec<SourceSummary>,
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

/// What was read of one source.
#[derive(Clone, Debug)]
pub struct SourceSummary {
    /// Its name.
    pub name: String,
    /// Records taken.
    pub records: u64,
    /// What was refused.
    pub refused: Refused,
    /// What that was: lines of a file, or records of a partition.
    pub what: &'static str,
}

/// What the number of a record counts.
const LINE: &str = "line";
const OFFSET: &str = "offset";

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
    mut feeds: Vec<Feed>,
    config: &PipelineConfig,
    measure: Measure<'_>,
    outputs: &mut Outputs,
) -> Result<RecordsSummary, RecordsError> {
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
    let told = |Feed { name, records, refused, unit, .. }| {
        let what = if unit == LINE { "lines" } else { "records" };
        SourceSummary { name, records: records - refused.count, refused, what }
    };
    summary.sources = feeds.into_iter().map(told).collect();
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
                    let place = format_args!("{} {}", feed.unit, reject.offset);
                    feed.refused.add(
                        &feed.name,
                        place,
                        format_args!("{} ({})", reject.detail, reject.reason.name()),
                    );
                }
            }
            Effect::Suppressed { .. }
            | Effect::Change(_)
            | Effect::Bus(_)
            | Effect::Query(_)
            | Effect::Told(_)
            | Effect::TickClosed { .. } => {}
        }
    }
    Ok(())
}

/// A source that is being read: a file, or a part of a partition.
pub struct Feed {
    name: String,
    source: Source,
    reader: Reader,
    /// What a record's number counts: lines, or offsets.
    unit: &'static str,
    /// It holds changes, which are rare: it never holds a tick open.
    is_quiet: bool,
    has_ended: bool,
    records: u64,
    last: i64,
    refused: Refused,
}

enum Reader {
    Lines(Lines),
    Records(std::vec::IntoIter<Record>),
}

impl Feed {
    /// A file, one record per line.
    pub fn file(path: &Path, input: Input) -> Feed {
        let name = path.display().to_string();
        let source = Source { topic: Arc::from(name.as_str()), partition: 0 };
        let reader = Reader::Lines(Lines::new(input.reader));
        Feed { is_quiet: input.begins_with_change, ..Feed::new(name, source, reader, LINE) }
    }

    /// Records of a partition; what the configuration says of its topic holds.
    pub fn partition(source: Source, records: Vec<Record>) -> Feed {
        let reader = Reader::Records(records.into_iter());
        Feed::new(source.to_string(), source, reader, OFFSET)
    }

    fn new(name: String, source: Source, reader: Reader, unit: &'static str) -> Feed {
        let refused = Refused::default();
        Feed { name, source, reader, unit, is_quiet: false, has_ended: false, records: 0, last: 0, refused }
    }

    /// The next records, or that there are none.
    fn next(&mut self) -> Result<News<'_>, InputError> {
        let records = self.read()?;
        self.records += records.len() as u64;
        if !records.is_empty() {
            return Ok(News::Records(&self.source, records));
        }
        self.has_ended = true;
        let idle = Idle { source: self.source.clone(), offset: self.last + 1, newest_ns: ENDED_NS };
        Ok(News::Ended(idle))
    }

    fn read(&mut self) -> Result<Vec<Record>, InputError> {
        let mut records = Vec::new();
        let mut size = 0;
        while records.len() < BATCH && size < BATCH_BYTES {
            let next = match &mut self.reader {
                Reader::Records(left) => left.next(),
                Reader::Lines(lines) => {
                    let line = lines.next();
                    let line = line.map_err(|source| InputError::Read { path: self.name.clone(), source })?;
                    line.map(|(number, line)| {
                        let payload = Bytes::copy_from_slice(line);
                        Record { offset: number as i64, time_ms: -1, payload, ..Record::default() }
                    })
                }
            };
            let Some(record) = next else { break };
            size += record.payload.len();
            self.last = record.offset;
            records.push(record);
        }
        Ok(records)
    }

    /// Once it was read: a file whose every line was refused is none.
    fn check(&self) -> Result<(), RecordsError> {
        match self.refused.first.first() {
            Some(first) if self.has_ended && self.refused.count == self.records => {
                Err(RecordsError::NoRecords { path: self.name.clone(), first: first.clone() })
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

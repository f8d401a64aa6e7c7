//! Time, series, detectors and incidents: what the state machines are set to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, ConfigError, Duration, SloConfig};
use crate::{
    correlator::CorrelatorConfig,
    intake::IntakeConfig,
    measures::{FoldConfig, TemplateConfig, TraceConfig},
    pipeline::{Clock, PipelineConfig, ThreadsConfig},
    score::ScoreConfig,
    types::RoleRule,
};

/// Decoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Largest record that is decoded; larger ones go to the dead-letter topic.
    pub max_record: Bytes,
    /// Streams (one pod's counter is one) that are remembered per partition.
    pub max_streams: usize,
    /// How far an event may be ahead of its record's own time.
    pub max_ahead: Duration,
    /// Whether tokens, e-mail addresses, card numbers and IP addresses are blotted out of log text.
    pub redaction: bool,
    /// Batches between the consumer and the engine; when they are full, the partitions are paused.
    pub queue_batches: usize,
    /// Records in a batch, at most.
    pub batch_records: usize,
}

/// Ticks and lateness. Event time throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeConfig {
    /// The engine's step.
    pub tick: Duration,
    /// How far behind its partition's newest event a sample may be.
    pub lateness: Duration,
    /// A partition at its end that is silent this long (by the clock) holds no tick open; the decision is written down first.
    pub idle_after: Duration,
    /// Logical shards; a snapshot belongs to a number of them.
    pub shards: usize,
}

/// Limits of series and templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesConfig {
    /// A series without values for this long ends.
    pub ttl: Duration,
    /// Most series of the engine; beyond it new ones are refused and counted.
    pub max: usize,
    /// Log templates that are kept per entity.
    pub max_templates: usize,
    /// How long an entity's templates are learnt before a new one is news.
    pub novelty_after: Duration,
    /// Memory that SQL measures may use together while they work on a tick; one that needs more has no value.
    pub sql_memory: Bytes,
    /// What measures tell of, where their names do not say it ([roles](measures.md#roles)): the first rule that fits holds.
    pub roles: Vec<RoleRule>,
}

/// The window that gathers the spans of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpansConfig {
    /// How long a span waits for its parent and its children, one tick or more. Event time.
    pub window: Duration,
    /// Most spans that wait, at least 1; beyond it the oldest leave early and are counted.
    pub max: usize,
}

/// When an anomaly opens and closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// −ln p at which an anomaly opens, above 0.
    pub open: f64,
    /// −ln p below which a series counts as normal again, 0 up to `open`.
    pub close: f64,
    /// Scored ticks within the old band after which an anomaly ends. One of which nothing is heard for five minutes ends too.
    pub calm_ticks: u32,
    /// Values that a series must have had before an anomaly of it opens.
    pub learn_ticks: u32,
    /// Most series in the deep tier: change points and shapes in a window of 4,096 values each (up to 0.3 MB). The others have the core
    /// tier alone.
    pub deep_series: usize,
    /// Most entities of a kind whose measures are modelled jointly (18 kB each).
    pub deep_entities: usize,
}

/// When incidents open, resolve and reopen. Event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IncidentsConfig {
    /// Anomalies whose onsets are this near can belong together.
    pub window: Duration,
    /// False-alarm budget: incidents per day, over all series, that chance alone may open; above 0.
    pub false_alarms_per_day: f64,
    /// Quiet time after which an incident is resolved.
    pub resolve_after: Duration,
    /// A resolved incident whose entities speak again within this time is reopened. It pages again unless it did so within this time.
    pub reopen_within: Duration,
    /// How long before an onset a change can be its cause.
    pub change_before: Duration,
    /// Most open incidents.
    pub max_open: usize,
    /// Resolved incidents that are kept.
    pub keep_resolved: usize,
}

impl Default for IngestConfig {
    fn default() -> IngestConfig {
        let IntakeConfig { max_record, max_streams, redaction, max_ahead_ms, .. } = IntakeConfig::default();
        IngestConfig {
            max_record: Bytes(max_record as u64),
            max_streams,
            max_ahead: Duration::from_secs(max_ahead_ms as u64 / 1000),
            redaction,
            queue_batches: 64,
            batch_records: 500,
        }
    }
}

impl Default for TimeConfig {
    fn default() -> TimeConfig {
        let clock = PipelineConfig::default().clock;
        let seconds = |nanos: i64| Duration::from_secs(nanos as u64 / 1_000_000_000);
        TimeConfig {
            tick: seconds(clock.tick_ns),
            lateness: seconds(clock.lateness_ns),
            idle_after: Duration::from_secs(60),
            shards: clock.shards,
        }
    }
}

impl Default for SeriesConfig {
    fn default() -> SeriesConfig {
        SeriesConfig {
            ttl: Duration::from_secs(86_400),
            max: 1_000_000,
            max_templates: TemplateConfig::default().max_templates,
            novelty_after: Duration::from_secs(600),
            sql_memory: Bytes(256 << 20),
            roles: Vec::new(),
        }
    }
}

impl Default for SpansConfig {
    fn default() -> SpansConfig {
        let TraceConfig { tick_ns, window_ticks, max_spans, .. } = TraceConfig::default();
        let window = Duration::from_secs((tick_ns * window_ticks) as u64 / 1_000_000_000);
        SpansConfig { window, max: max_spans }
    }
}

impl Default for DetectConfig {
    fn default() -> DetectConfig {
        let PipelineConfig { score, deep_series, .. } = PipelineConfig::default();
        let ScoreConfig { open, close, calm_ticks, learn_ticks, deep_entities, .. } = score;
        DetectConfig { open, close, calm_ticks, learn_ticks, deep_series, deep_entities }
    }
}

impl Default for IncidentsConfig {
    fn default() -> IncidentsConfig {
        let own = CorrelatorConfig::default();
        let seconds = |millis: i64| Duration::from_secs(millis as u64 / 1000);
        IncidentsConfig {
            window: seconds(own.window_ms),
            false_alarms_per_day: own.false_alarms_per_day,
            resolve_after: seconds(own.resolve_after_ms),
            reopen_within: seconds(own.reopen_within_ms),
            change_before: seconds(own.change_before_ms),
            max_open: own.max_open,
            keep_resolved: own.keep_resolved,
        }
    }
}

pub(super) fn refuse_unless(holds: bool, field: &'static str, problem: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Value { field, problem: problem.to_string() }) }
}

impl IngestConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.max_record.0 > 0, "ingest.max_record", "is 0: nothing could be read")?;
        refuse_unless(self.max_streams > 0, "ingest.max_streams", "is 0: nothing could be read")?;
        refuse_unless(self.queue_batches > 0, "ingest.queue_batches", "is 0: give at least 1")?;
        refuse_unless(self.batch_records > 0, "ingest.batch_records", "is 0: give at least 1")
    }
}

impl TimeConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        refuse_unless(self.tick >= second, "time.tick", "is below 1s")?;
        refuse_unless(self.tick.millis() % 1000 == 0, "time.tick", "is no whole number of seconds")?;
        refuse_unless((1..=4096).contains(&self.shards), "time.shards", "is not within 1..=4096")
    }
}

impl SeriesConfig {
    /// `sql_memory` as a number of bytes.
    pub fn sql_memory(&self) -> usize {
        usize::try_from(self.sql_memory.0).unwrap_or(usize::MAX)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.max > 0, "series.max", "is 0: nothing could be watched")?;
        refuse_unless(self.max_templates > 0, "series.max_templates", "is 0: give at least 1")
    }
}

impl SpansConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.max > 0, "spans.max", "is 0: no call could be seen")
    }
}

impl DetectConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        refuse_unless(self.open > 0.0 && self.open.is_finite(), "detect.open", "is not above 0")?;
        refuse_unless(
            (0.0..=self.open).contains(&self.close),
            "detect.close",
            "is not within 0..=detect.open",
        )?;
        refuse_unless(self.calm_ticks > 0, "detect.calm_ticks", "is 0: give at least 1")
    }
}

impl IncidentsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let budget = self.false_alarms_per_day;
        let field = "incidents.false_alarms_per_day";
        refuse_unless(budget > 0.0 && budget.is_finite(), field, "is not above 0")?;
        refuse_unless(self.max_open > 0, "incidents.max_open", "is 0: nothing could be told")
    }
}

impl Config {
    /// The settings of the state machines.
    pub fn pipeline(&self) -> PipelineConfig {
        let Config { ingest, time, series, spans, detect, incidents, .. } = self;
        let ticks = |length: Duration| length.nanos() / time.tick.nanos();
        let intake = IntakeConfig {
            max_record: usize::try_from(ingest.max_record.0).unwrap_or(usize::MAX),
            max_streams: ingest.max_streams,
            redaction: ingest.redaction,
            max_ahead_ms: ingest.max_ahead.millis(),
            ..IntakeConfig::default()
        };
        let templates = TemplateConfig { max_templates: series.max_templates, ..TemplateConfig::default() };
        PipelineConfig {
            clock: Clock {
                tick_ns: time.tick.nanos(),
                lateness_ns: time.lateness.nanos(),
                shards: time.shards,
            },
            threads: ThreadsConfig { count: self.threads(), ..ThreadsConfig::default() },
            intake,
            encodings: self.topics.iter().map(|topic| (topic.name.clone(), topic.encoding)).collect(),
            quiet_topics: self
                .topics
                .iter()
                .filter(|topic| topic.quiet)
                .map(|topic| topic.name.clone())
                .collect(),
            // The shell knows what its measures read.
            queried: Vec::new(),
            fold: FoldConfig {
                tick_ns: time.tick.nanos(),
                series_ttl_ticks: ticks(series.ttl).max(1),
                max_series: series.max.div_ceil(time.shards),
                templates,
                novelty_after_ticks: u32::try_from(ticks(series.novelty_after)).unwrap_or(u32::MAX),
                roles: series.roles.clone(),
                latencies: self.slos.iter().filter_map(SloConfig::latency).collect(),
            },
            traces: TraceConfig {
                tick_ns: time.tick.nanos(),
                window_ticks: ticks(spans.window).max(1),
                max_spans: spans.max,
                ..TraceConfig::default()
            },
            score: ScoreConfig {
                open: detect.open,
                close: detect.close,
                calm_ticks: detect.calm_ticks,
                learn_ticks: detect.learn_ticks,
                learn_until_ms: self.history.learn_until_ms(),
                deep_entities: detect.deep_entities.div_ceil(time.shards),
                forecast: self.forecasts.settings(time.shards),
                ..ScoreConfig::default()
            },
            deep_series: detect.deep_series,
            correlator: CorrelatorConfig {
                window_ms: incidents.window.millis(),
                resolve_after_ms: incidents.resolve_after.millis(),
                reopen_within_ms: incidents.reopen_within.millis(),
                change_before_ms: incidents.change_before.millis(),
                false_alarms_per_day: incidents.false_alarms_per_day,
                open: detect.open,
                max_open: incidents.max_open,
                keep_resolved: incidents.keep_resolved,
                // What cannot be read was refused when the file was; so with the silences.
                depends: self.depends.iter().filter_map(|depends| depends.dependence().ok()).collect(),
                objectives: self.slos.iter().filter_map(|slo| slo.objective().ok()).collect(),
                ..CorrelatorConfig::default()
            },
            silences: self.silences.iter().filter_map(|silence| silence.schedule("silences").ok()).collect(),
            bus: self.remediation.bus(),
        }
    }

    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.threads == 0 { cores().min(self.time.shards) } else { self.threads }
    }
}

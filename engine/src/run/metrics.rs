//! Our own metrics: every name, in one place. Bumped once per batch or tick, never per record.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{serve::Tally, sinks::LaneMetrics};

/// Labels of [`Metrics::rejected`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reason {
    /// As in `RejectReason::name`.
    pub(super) reason: &'static str,
}

/// Labels of the metrics per topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Topic {
    /// The topic.
    pub(super) topic: String,
}

/// Labels of [`Metrics::signals`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct State {
    /// As in `SignalState`.
    pub(super) state: &'static str,
}

/// Labels of the metrics per SQL measure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MeasureName {
    /// Its name.
    pub(super) measure: String,
}

impl MeasureName {
    pub(super) fn of(name: &str) -> MeasureName {
        MeasureName { measure: name.to_string() }
    }
}

/// Labels of [`Metrics::blocked`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stage {
    /// `input`: waiting for records. `output`: waiting for Kafka to take ours. `snapshot`: writing one.
    pub(super) stage: &'static str,
}

/// Labels of [`Metrics::connections`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Server {
    /// `grpc` or `http`.
    pub(super) server: &'static str,
}

/// Labels of [`Metrics::closed_connections`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Closed {
    /// `grpc` or `http`.
    pub(super) server: &'static str,
    /// `displaced`: it made room for a newcomer. `timed_out`: its client sent or took nothing in time.
    pub(super) reason: &'static str,
}

/// Labels of the metrics per sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SinkName {
    /// Its name.
    pub(super) sink: String,
}

pub(super) type Count<L> = Family<L, Counter<u64, AtomicU64>>;

/// Every metric.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub(super) records: Count<Topic>,
    pub(super) bytes: Count<Topic>,
    pub(super) rejected: Count<Reason>,
    pub(super) samples: Counter,
    pub(super) late: Counter,
    pub(super) refused: Counter,
    pub(super) scored: Counter,
    pub(super) evicted_spans: Counter,
    pub(super) repeated_spans: Counter,
    pub(super) cut_spans: Counter,
    pub(super) ticks: Counter,
    pub(super) measure_failures: Count<MeasureName>,
    pub(super) measure_dropped: Count<MeasureName>,
    pub(super) measuring: Counter<f64, AtomicU64>,
    pub(super) anomalies: Counter,
    pub(super) suppressed: Counter,
    pub(super) incidents: Counter,
    pub(super) pages: Counter,
    pub(super) signals: Count<State>,
    pub(super) snapshots: Counter,
    pub(super) snapshot_failures: Counter,
    pub(super) snapshot_bytes: Gauge<i64, AtomicI64>,
    pub(super) snapshot_timestamp: Gauge<f64, AtomicU64>,
    pub(super) tick_timestamp: Gauge<f64, AtomicU64>,
    pub(super) lag: Gauge<i64, AtomicI64>,
    pub(super) catching_up: Gauge<i64, AtomicI64>,
    pub(super) waiting_spans: Gauge<i64, AtomicI64>,
    pub(super) series: Gauge<i64, AtomicI64>,
    pub(super) warm_series: Gauge<i64, AtomicI64>,
    pub(super) deep_series: Gauge<i64, AtomicI64>,
    pub(super) shallow_series: Gauge<i64, AtomicI64>,
    pub(super) silent_series: Gauge<i64, AtomicI64>,
    pub(super) history_series: Gauge<i64, AtomicI64>,
    pub(super) history_problems: Counter,
    pub(super) forecast_series: Gauge<i64, AtomicI64>,
    pub(super) silences: Gauge<i64, AtomicI64>,
    pub(super) open_incidents: Gauge<i64, AtomicI64>,
    pub(super) controllers: Gauge<i64, AtomicI64>,
    pub(super) partitions: Gauge<i64, AtomicI64>,
    pub(super) standing: Gauge<i64, AtomicI64>,
    pub(super) cut: Count<Topic>,
    pub(super) kafka_away: Gauge<i64, AtomicI64>,
    pub(super) connections: Family<Server, Gauge<i64, AtomicI64>>,
    pub(super) refused_connections: Count<Server>,
    pub(super) closed_connections: Count<Closed>,
    pub(super) denied_requests: Count<Server>,
    pub(super) reload_failures: Counter,
    pub(super) audit_failures: Counter,
    pub(super) sink_told: Count<SinkName>,
    pub(super) sink_failures: Count<SinkName>,
    pub(super) sink_refused: Count<SinkName>,
    pub(super) sink_waiting: Family<SinkName, Gauge<i64, AtomicI64>>,
    pub(super) sink_failing: Family<SinkName, Gauge<i64, AtomicI64>>,
    pub(super) busy: Counter<f64, AtomicU64>,
    pub(super) blocked: Family<Stage, Counter<f64, AtomicU64>>,
}

impl Metrics {
    /// The requests that a server refused.
    pub(super) fn denied(&self, server: &'static str) -> Counter {
        self.denied_requests.get_or_create(&Server { server }).clone()
    }

    /// The connections of a server.
    pub(super) fn tally(&self, server: &'static str) -> Tally {
        let label = Server { server };
        let closed = |reason| self.closed_connections.get_or_create(&Closed { server, reason }).clone();
        Tally {
            open: self.connections.get_or_create(&label).clone(),
            refused: self.refused_connections.get_or_create(&label).clone(),
            displaced: closed("displaced"),
            timed_out: closed("timed_out"),
        }
    }

    /// The metrics of one sink, at zero.
    pub(super) fn sink(&self, name: &str) -> LaneMetrics {
        let sink = SinkName { sink: name.to_string() };
        LaneMetrics {
            told: self.sink_told.get_or_create(&sink).clone(),
            failures: self.sink_failures.get_or_create(&sink).clone(),
            refused: self.sink_refused.get_or_create(&sink).clone(),
            waiting: self.sink_waiting.get_or_create(&sink).clone(),
            failing: self.sink_failing.get_or_create(&sink).clone(),
        }
    }

    /// Every metric with its name and help, under the prefix `foreshock`.
    pub(super) fn register(&self) -> Registry {
        let mut root = Registry::default();
        let r = root.sub_registry_with_prefix("foreshock");
        r.register("records", "Records taken from Kafka", self.records.clone());
        r.register("record_bytes", "Bytes of their values", self.bytes.clone());
        r.register("rejected_records", "Records sent to the dead-letter topic", self.rejected.clone());
        r.register("samples", "Samples found in records", self.samples.clone());
        r.register("late_samples", "Samples behind the allowed lateness, left out", self.late.clone());
        r.register("refused_values", "Values of series that had no room (series.max)", self.refused.clone());
        r.register("scored_values", "Values that were scored", self.scored.clone());
        r.register(
            "evicted_spans",
            "Spans that stopped waiting for the rest of their trace early, because too many wait (spans.max)",
            self.evicted_spans.clone(),
        );
        r.register(
            "repeated_spans",
            "Spans whose id came a second time, left out of calls and self times",
            self.repeated_spans.clone(),
        );
        r.register(
            "cut_spans",
            "Spans without a self time, because they began before the window (spans.window) or after spans were evicted",
            self.cut_spans.clone(),
        );
        r.register("ticks", "Ticks closed", self.ticks.clone());
        r.register(
            "measure_failures",
            "Ticks in which an SQL measure failed and had no value",
            self.measure_failures.clone(),
        );
        r.register(
            "measure_dropped_rows",
            "Rows of SQL results that were left out: repeats of their labels, or more than max_series",
            self.measure_dropped.clone(),
        );
        r.register_with_unit(
            "measuring",
            "Time spent in SQL measures, in the engine's thread",
            Unit::Seconds,
            self.measuring.clone(),
        );
        r.register("anomalies", "Anomalies opened", self.anomalies.clone());
        r.register("suppressed_anomalies", "Anomalies that opened no incident", self.suppressed.clone());
        r.register("incidents", "Incidents opened", self.incidents.clone());
        r.register("pages", "Revisions of incidents that notify people", self.pages.clone());
        r.register("signals", "Revisions of remediation signals, by state", self.signals.clone());
        r.register("snapshots", "Snapshots written", self.snapshots.clone());
        r.register(
            "snapshot_failures",
            "Snapshots that could not be written",
            self.snapshot_failures.clone(),
        );
        r.register("snapshot_size", "Size of the latest snapshot, bytes", self.snapshot_bytes.clone());
        r.register(
            "snapshot_timestamp_seconds",
            "When the latest snapshot was written",
            self.snapshot_timestamp.clone(),
        );
        r.register(
            "tick_timestamp_seconds",
            "Event time of the latest closed tick",
            self.tick_timestamp.clone(),
        );
        r.register("lag_records", "Records behind the ends of the partitions", self.lag.clone());
        r.register(
            "catching_up",
            "1 while the engine works through a backlog and only observes",
            self.catching_up.clone(),
        );
        r.register(
            "waiting_spans",
            "Spans that wait for the rest of their trace, at most spans.max",
            self.waiting_spans.clone(),
        );
        r.register("series", "Series that have a slot", self.series.clone());
        r.register("warm_series", "Series seen for long enough to be judged", self.warm_series.clone());
        r.register(
            "deep_series",
            "Series that are modelled in the deep tier too (detect.deep_series)",
            self.deep_series.clone(),
        );
        r.register(
            "shallow_series",
            "Series that vary and have the core tier alone, because the deep tier is full",
            self.shallow_series.clone(),
        );
        r.register(
            "silent_series",
            "Series that have not reported for longer than they ever do",
            self.silent_series.clone(),
        );
        r.register(
            "history_series",
            "Series that started with a past (history), since the start",
            self.history_series.clone(),
        );
        r.register(
            "history_problems",
            "Sources of history that could not be had, or in part: see the log",
            self.history_problems.clone(),
        );
        r.register(
            "forecast_series",
            "Resources whose end is forecast (forecasts.max_series)",
            self.forecast_series.clone(),
        );
        r.register(
            "silences",
            "Silences that hold: nothing of theirs opens an incident",
            self.silences.clone(),
        );
        r.register("open_incidents", "Incidents that are open", self.open_incidents.clone());
        r.register("controllers", "Controllers that are connected", self.controllers.clone());
        r.register("assigned_partitions", "Partitions that this engine reads", self.partitions.clone());
        r.register(
            "standing_partitions",
            "Partitions that have records and have given none for time.idle_after",
            self.standing.clone(),
        );
        r.register(
            "cut_records",
            "Records of ours that were made shorter, or left out, because they were larger than outputs.max_record or than their topic takes",
            self.cut.clone(),
        );
        r.register("kafka_away", "1 while no broker answers", self.kafka_away.clone());
        r.register(
            "connections",
            "Connections that are open (grpc.max_connections, http.max_connections)",
            self.connections.clone(),
        );
        r.register(
            "refused_connections",
            "Connections that were closed at once, for want of room or because they did not become secure",
            self.refused_connections.clone(),
        );
        r.register(
            "closed_connections",
            "Connections that we closed: `displaced` by a newcomer when there were too many, or `timed_out` since the client sent or took nothing in time (idle ones too)",
            self.closed_connections.clone(),
        );
        r.register(
            "denied_requests",
            "Requests of clients that are not known, or may not do what they asked for (access)",
            self.denied_requests.clone(),
        );
        r.register(
            "audit_failures",
            "Entries of the audit log that could not be written to its file; the topic has them",
            self.audit_failures.clone(),
        );
        r.register(
            "reload_failures",
            "Times that a changed certificate, key or token could not be taken; the old ones stay",
            self.reload_failures.clone(),
        );
        r.register("sink_told", "Revisions of incidents that a sink was told", self.sink_told.clone());
        r.register(
            "sink_failures",
            "Attempts at a sink that failed and are made again",
            self.sink_failures.clone(),
        );
        r.register(
            "sink_refused",
            "Revisions of incidents that a sink refused for good: see the log",
            self.sink_refused.clone(),
        );
        r.register(
            "sink_waiting",
            "Revisions of incidents that a sink has still to be told",
            self.sink_waiting.clone(),
        );
        r.register("sink_failing", "1 while the latest attempt at a sink failed", self.sink_failing.clone());
        r.register_with_unit(
            "busy",
            "Time spent working in the engine's thread",
            Unit::Seconds,
            self.busy.clone(),
        );
        r.register_with_unit(
            "blocked",
            "Time spent waiting, by what for",
            Unit::Seconds,
            self.blocked.clone(),
        );
        root
    }
}

const HEAD: &str = "# Metrics

<!-- Made by `foreshock schema --metrics` from engine/src/run/metrics.rs: edit that. -->

What `/metrics` (HTTP, OpenMetrics) gives. Counters count since the start of the process. A counter with a label is
there from its first event on. Times of data are event time; `snapshot_timestamp` is the clock's.

| metric | type | labels | meaning |
|---|---|---|---|
";

/// The reference of every metric. `docs/metrics.md` is this text.
pub fn markdown() -> Result<String, std::fmt::Error> {
    let metrics = Metrics::default();
    // A family without a member is not encoded.
    let (topic, state) = (Topic { topic: String::new() }, State { state: "" });
    drop(metrics.records.get_or_create(&topic));
    drop(metrics.bytes.get_or_create(&topic));
    drop(metrics.cut.get_or_create(&topic));
    drop(metrics.rejected.get_or_create(&Reason { reason: "" }));
    let measure = MeasureName::of("");
    drop(metrics.measure_failures.get_or_create(&measure));
    drop(metrics.measure_dropped.get_or_create(&measure));
    drop(metrics.signals.get_or_create(&state));
    drop(metrics.sink(""));
    drop(metrics.connections.get_or_create(&Server { server: "" }));
    drop(metrics.refused_connections.get_or_create(&Server { server: "" }));
    drop(metrics.closed_connections.get_or_create(&Closed { server: "", reason: "" }));
    drop(metrics.denied_requests.get_or_create(&Server { server: "" }));
    drop(metrics.blocked.get_or_create(&Stage { stage: "" }));
    let mut encoded = String::new();
    prometheus_client::encoding::text::encode(&mut encoded, &metrics.register())?;
    let mut text = HEAD.to_string();
    let (mut kind, mut help) = ("", "");
    for line in encoded.lines() {
        match line.strip_prefix("# ").map(|comment| comment.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some(["HELP", _, words]) => help = words,
            Some(["TYPE", _, word]) => kind = word,
            Some(_) => {}
            None => {
                let sample = line.split_whitespace().next().unwrap_or_default();
                let (name, label) = sample.split_once('{').unwrap_or((sample, ""));
                let label = label.split_once('=').map_or(String::new(), |(label, _)| format!("`{label}`"));
                text.push_str(&format!("| `{name}` | {kind} | {label} | {help} |\n"));
            }
        }
    }
    Ok(text)
}

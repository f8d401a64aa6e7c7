//! What the engine shows of itself: a new [`View`] when something has changed, before anybody is told of it or answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foreshock_core::types::{Entity, Incident, IncidentState, RemediationSignal, Suppressed};

use super::core::Core;
use crate::api::{Call, PartitionStatus, Publisher, Status, Topology, Tracked, View, shared};

/// How old a view may become while only counts change.
const OLDEST: Duration = Duration::from_millis(100);

/// What is to be shown and told.
pub(super) struct Publishing {
    publisher: Publisher,
    incidents: Vec<Incident>,
    signals: Vec<RemediationSignal>,
    /// Since when the view is not what the engine is; `None`: it is.
    stale: Option<Instant>,
    /// Whether what changes with ticks and with what people say has changed.
    stages: bool,
    /// Whether somebody waits for an answer.
    urgent: bool,
}

impl Publishing {
    /// Nothing was shown yet.
    pub(super) fn new(publisher: Publisher) -> Publishing {
        let (incidents, signals) = (Vec::new(), Vec::new());
        Publishing { publisher, incidents, signals, stale: None, stages: true, urgent: true }
    }

    /// A revision of an incident, to be told.
    pub(super) fn incident(&mut self, incident: Incident) {
        self.incidents.push(incident);
        self.stages_changed();
    }

    /// A revision of a signal, to be told.
    pub(super) fn signal(&mut self, signal: RemediationSignal) {
        self.signals.push(signal);
        self.changed();
    }

    /// Something has changed.
    pub(super) fn changed(&mut self) {
        self.stale.get_or_insert_with(Instant::now);
    }

    /// A tick was closed, or somebody said something.
    pub(super) fn stages_changed(&mut self) {
        self.stages = true;
        self.changed();
    }

    /// Somebody waits for an answer.
    pub(super) fn hurry(&mut self) {
        self.urgent = true;
        self.changed();
    }

    /// When the view must be made anew.
    pub(super) fn due(&self) -> Option<Instant> {
        let now = self.urgent || !self.incidents.is_empty() || !self.signals.is_empty();
        self.stale.map(|since| if now { since } else { since + OLDEST })
    }
}

impl Core {
    /// Shows what has changed, when it is time.
    pub(super) fn publish_due(&mut self) {
        if self.publishing.due().is_some_and(|due| due <= Instant::now()) {
            self.publish();
        }
    }

    /// Shows the engine as it is, then tells those who watch.
    pub(super) fn publish(&mut self) {
        let view = self.view(&self.publishing.publisher.view());
        let publishing = &mut self.publishing;
        (publishing.stale, publishing.stages, publishing.urgent) = (None, false, false);
        publishing.publisher.publish(view, publishing.incidents.drain(..), publishing.signals.drain(..));
    }

    fn view(&self, before: &View) -> View {
        let (bus, stages) = (self.pipeline.bus(), self.publishing.stages);
        let status = Arc::new(self.status(&before.status));
        let mut view = View { status, ..before.clone() };
        if stages {
            self.view_stages(&mut view);
        }
        if stages || !self.publishing.signals.is_empty() {
            self.view_signals(&mut view);
            view.policies = bus.policies().into();
            view.halted = bus.halted().cloned();
            view.bus_ms = bus.now_ms();
        }
        view
    }

    /// A signal changes by revisions alone, and each is told of.
    fn view_signals(&self, view: &mut View) {
        let bus = self.pipeline.bus();
        let tracked = |signal: &RemediationSignal| {
            let history = bus.history(signal.id);
            (signal.id, Arc::new(Tracked { signal: signal.clone(), history }))
        };
        for signal in self.publishing.signals.iter().filter_map(|revised| bus.signal(revised.id)) {
            let (id, tracked) = tracked(signal);
            view.signals.insert_mut(id, tracked);
        }
        // Some were forgotten, or it is the first view.
        if view.signals.size() != bus.signal_count() {
            let known = view.signals.clone();
            let shared = |signal: &RemediationSignal| match known.get(&signal.id) {
                Some(same) if same.signal.revision == signal.revision => (signal.id, Arc::clone(same)),
                _ => tracked(signal),
            };
            view.signals = bus.signals().into_iter().map(shared).collect();
        }
    }

    fn view_stages(&self, view: &mut View) {
        let correlator = self.pipeline.correlator();
        // A resolved incident changes by revisions alone.
        let is_same = |old: &Incident, new: &Incident| {
            (old.revision, old.state) == (new.revision, new.state)
                && (new.state != IncidentState::Open || old == new)
        };
        view.incidents =
            shared(&view.incidents, correlator.list().into_iter(), |incident| incident.id, is_same);
        let key = |suppressed: &Suppressed| (suppressed.anomaly.id, suppressed.time_ms);
        view.suppressed = shared(&view.suppressed, correlator.suppressed(), key, PartialEq::eq);
        if *view.adjustments != *correlator.adjustments() {
            view.adjustments = correlator.adjustments().into();
        }
        let now_ms = self.pipeline.closed_ms().unwrap_or(i64::MIN);
        view.silences = self.pipeline.silences().list(now_ms).into();
        view.topology = Arc::new(self.topology());
        if *view.freezes != *self.pipeline.bus().freezes() {
            view.freezes = self.pipeline.bus().freezes().into();
        }
    }

    /// The status. What only ticks change is as before, unless one was closed.
    fn status(&self, before: &Status) -> Status {
        let counts = self.pipeline.counts();
        let partitions = self.pipeline.progress().map(|progress| PartitionStatus {
            topic: progress.source.topic.to_string(),
            partition: progress.source.partition,
            next_offset: progress.next_offset,
            newest_ms: progress.newest_ns.map(|newest_ns| newest_ns / 1_000_000),
            stands_still: self.standing.iter().any(|(source, _)| source == progress.source),
        });
        let series = match self.publishing.stages {
            false => before.clone(),
            true => Status {
                tick_ms: self.pipeline.closed_ms(),
                learns_until_ms: self.pipeline.learns_until_ms(),
                series: self.pipeline.series() as u64,
                warm_series: self.pipeline.warm_series(),
                deep_series: self.pipeline.deep_series().0 as u64,
                shallow_series: self.pipeline.deep_series().1 as u64,
                history: self.history.clone(),
                with_history: self.pipeline.with_history(),
                silent_series: self.pipeline.silent_series() as u64,
                open_incidents: self.open_incidents(),
                ..Status::default()
            },
        };
        Status {
            lag_records: self.lag.records,
            catching_up: self.catching_up,
            controllers: self.pipeline.bus().controllers().count() as u64,
            halted: self.pipeline.bus().halted().map(ToString::to_string).unwrap_or_default(),
            records: counts.records,
            rejected: self.rejected,
            late: counts.late,
            partitions: partitions.collect(),
            ..series
        }
    }

    fn topology(&self) -> Topology {
        let call = |(caller, callee, calls): (&Entity, &Entity, f64)| Call {
            caller: caller.to_string(),
            callee: callee.to_string(),
            calls,
        };
        let pair = |(from, to): (&Entity, &Entity)| (from.to_string(), to.to_string());
        let correlator = self.pipeline.correlator();
        Topology {
            calls: correlator.topology().map(call).collect(),
            runs_on: correlator.placements().map(pair).collect(),
            together: correlator.companions().map(pair).collect(),
            declared: correlator.declared().map(pair).collect(),
        }
    }

    pub(super) fn open_incidents(&self) -> u64 {
        let incidents = self.pipeline.correlator().list();
        incidents.iter().filter(|incident| incident.state == IncidentState::Open).count() as u64
    }
}

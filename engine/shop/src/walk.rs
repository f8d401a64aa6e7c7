//! One request's way through the shop. Every request is walked, not only the traced ones: counters,
//! histograms, logs and spans all tell of the same requests, and a slow or failing callee slows or
//! fails its callers because they wait for it.

use super::fleet::Fleet;
use super::logs::{Line, Lines};
use super::noise::Noise;
use super::topology::{Operation, Query, SERVICES, Severity, Step, TIMEOUT_MS};

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// Where something ran: the service's index and its pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) service: usize,
    pub(super) pod: usize,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// By itself.
    Own,
    /// Because this service answered with an error.
    Upstream(usize),
    /// Because this service did not answer in time.
    Timeout(usize),
}

impl Failure {
    /// The HTTP status that the caller sees.
    pub(super) fn status(failure: Option<Failure>) -> u16 {
        match failure {
            None => 200,
            Some(Failure::Own) => 500,
            Some(Failure::Upstream(_)) => 502,
            Some(Failure::Timeout(_)) => 504,
        }
    }
}

/// What a span stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Serve(&'static Operation),
    Call(&'static Operation),
    Query(&'static Query),
    Publish,
}

/// A finished span; times are milliseconds from the start of the tick.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) place: Place,
    pub(super) work: Work,
    pub(super) start_ms: f64,
    pub(super) end_ms: f64,
    pub(super) failure: Option<Failure>,
}

/// What the database and the queue did in a tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerLoad {
    pub(super) queries: u64,
    pub(super) query_ms: f64,
    pub(super) published: u64,
}

/// Walks requests and keeps what they leave behind.
pub(super) struct Walk<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) noise: &'a mut Noise,
    pub(super) lines: &'a mut Lines,
    pub(super) spans: &'a mut Vec<Span>,
    pub(super) peers: &'a mut PeerLoad,
    trace: Option<TraceId>,
    latest_ms: f64,
}

struct Reply {
    took_ms: f64,
    failure: Option<Failure>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        fleet: &'a mut Fleet,
        noise: &'a mut Noise,
        lines: &'a mut Lines,
        spans: &'a mut Vec<Span>,
        peers: &'a mut PeerLoad,
    ) -> Walk<'a> {
        Walk { fleet, noise, lines, spans, peers, trace: None, latest_ms: 0.0 }
    }

    /// Walks one customer's request; it starts somewhere in the tick and, unless it takes longer than
    /// the tick, ends in it.
    pub(super) fn customer(&mut self, operation: &'static Operation, traced: bool, tick_ms: f64) {
        let (first_span, first_line) = (self.spans.len(), self.lines.len());
        self.trace = traced.then(|| self.noise.bytes());
        self.latest_ms = 0.0;
        self.serve(operation, 0.0, None);
        let room_ms = (tick_ms - self.latest_ms - 1.0).max(0.0);
        let start_ms = self.noise.unit() * room_ms;
        for span in &mut self.spans[first_span..] {
            span.start_ms += start_ms;
            span.end_ms += start_ms;
        }
        self.lines.delay(first_line, start_ms);
    }

    fn serve(&mut self, operation: &'static Operation, at_ms: f64, parent: Option<SpanId>) -> Reply {
        let service = &SERVICES[operation.service];
        let place = Place { service: operation.service, pod: self.noise.below(service.pods) };
        let health = self.fleet.pods[place.service][place.pod].health;
        let span = self.open(place, Work::Serve(operation), at_ms, parent);
        let tail = if self.noise.chance(0.01) { 3.0 } else { 1.0 };
        let work_ms = operation.work_ms * health.slow * tail * self.noise.factor(0.3);
        let mut now_ms = at_ms + 0.6 * work_ms;
        let complains = health.failing > 0.0 && self.noise.chance(health.failing);
        let mut failure = (complains || self.noise.chance(operation.failing)).then_some(Failure::Own);
        for step in operation.steps {
            if failure.is_some() {
                break;
            }
            failure = self.step(place, step, &mut now_ms, span.map(|index| self.spans[index].id));
        }
        now_ms += 0.4 * work_ms;
        let took_ms = now_ms - at_ms;
        let pod = &mut self.fleet.pods[place.service][place.pod];
        pod.counters[operation.slot].count(took_ms, failure.is_some());
        pod.tick.requests += 1;
        pod.tick.busy_ms += work_ms;
        self.close(span, now_ms, failure);
        let complaint = if complains { health.complaint } else { "" };
        self.tell(operation, place, (now_ms, took_ms), failure, complaint, span);
        Reply { took_ms, failure }
    }

    /// Does one step and moves `now_ms` past it. Gives why the request cannot go on, if it cannot.
    fn step(
        &mut self,
        place: Place,
        step: &Step,
        now_ms: &mut f64,
        parent: Option<SpanId>,
    ) -> Option<Failure> {
        match step {
            Step::Needs(callee) => self.call(place, callee, now_ms, parent),
            Step::Likes(callee) => {
                self.call(place, callee, now_ms, parent);
                None
            }
            Step::Query(query) => {
                self.query(place, query, now_ms, parent);
                None
            }
            Step::Publish(consumer) => {
                self.publish(place, consumer, now_ms, parent);
                None
            }
        }
    }

    fn call(
        &mut self,
        place: Place,
        callee: &'static Operation,
        now_ms: &mut f64,
        parent: Option<SpanId>,
    ) -> Option<Failure> {
        let network_ms = 0.3 + 0.5 * self.noise.unit();
        let span = self.open(place, Work::Call(callee), *now_ms, parent);
        let parent = span.map(|index| self.spans[index].id);
        let reply = self.serve(callee, *now_ms + network_ms, parent);
        let waited_ms = reply.took_ms + 2.0 * network_ms;
        let failure = if waited_ms > TIMEOUT_MS {
            Some(Failure::Timeout(callee.service))
        } else {
            reply.failure.map(|_| Failure::Upstream(callee.service))
        };
        *now_ms += waited_ms.min(TIMEOUT_MS);
        let seen = if waited_ms > TIMEOUT_MS { failure } else { reply.failure };
        self.close(span, *now_ms, seen);
        failure
    }

    fn query(&mut self, place: Place, query: &'static Query, now_ms: &mut f64, parent: Option<SpanId>) {
        let took_ms = query.work_ms * self.noise.factor(0.35);
        let span = self.open(place, Work::Query(query), *now_ms, parent);
        *now_ms += took_ms;
        self.close(span, *now_ms, None);
        self.fleet.pods[place.service][place.pod].tick.query_ms += took_ms;
        self.peers.queries += 1;
        self.peers.query_ms += took_ms;
    }

    /// Hands a message to the queue; its consumer takes it a little later and nobody waits for that.
    fn publish(
        &mut self,
        place: Place,
        consumer: &'static Operation,
        now_ms: &mut f64,
        parent: Option<SpanId>,
    ) {
        let span = self.open(place, Work::Publish, *now_ms, parent);
        *now_ms += 0.8 * self.noise.factor(0.2);
        self.close(span, *now_ms, None);
        self.peers.published += 1;
        let rest_ms = 15.0 * self.noise.factor(0.4);
        let parent = span.map(|index| self.spans[index].id);
        self.serve(consumer, *now_ms + rest_ms, parent);
    }

    fn open(&mut self, place: Place, work: Work, at_ms: f64, parent: Option<SpanId>) -> Option<usize> {
        let trace = self.trace?;
        let id = self.noise.bytes();
        self.spans.push(Span {
            trace,
            id,
            parent,
            place,
            work,
            start_ms: at_ms,
            end_ms: at_ms,
            failure: None,
        });
        Some(self.spans.len() - 1)
    }

    fn close(&mut self, span: Option<usize>, now_ms: f64, failure: Option<Failure>) {
        self.latest_ms = self.latest_ms.max(now_ms);
        if let Some(index) = span {
            self.spans[index].end_ms = now_ms;
            self.spans[index].failure = failure;
        }
    }

    /// Writes what a request leaves in its service's log.
    fn tell(
        &mut self,
        operation: &'static Operation,
        place: Place,
        (now_ms, took_ms): (f64, f64),
        failure: Option<Failure>,
        complaint: &'static str,
        span: Option<usize>,
    ) {
        let trace = span.map(|index| (self.spans[index].trace, self.spans[index].id));
        let (severity, template, peer) = match failure {
            None if self.noise.chance(operation.done_share * self.lines.share()) => {
                (Severity::Info, operation.done, None)
            }
            None => return,
            Some(Failure::Own) if complaint.is_empty() => (Severity::Error, operation.failed, None),
            Some(Failure::Own) => (Severity::Error, complaint, None),
            Some(Failure::Upstream(peer)) => {
                (Severity::Error, "call to {peer} failed after {ms} ms: server error", Some(peer))
            }
            Some(Failure::Timeout(peer)) => {
                (Severity::Error, "call to {peer} timed out after {ms} ms", Some(peer))
            }
        };
        let body = super::logs::fill(template, took_ms, peer, self.noise);
        self.lines.push(Line { place, at_ms: now_ms, severity, body, trace });
    }
}

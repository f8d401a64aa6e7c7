//! How an estate does in a tick: requests go down along the calls, times and failures come back up.

use super::{
    estate::{Call, Estate, Role},
    story::{Trouble, USUAL_HITS},
};
use crate::generated::random::Random;

/// A caller gives up after this long, milliseconds.
pub(super) const PATIENCE_MS: f64 = 3_000.0;

/// A service during a tick, in the mean.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Requests per second.
    pub rate: f64,
    /// Its own work on one, milliseconds.
    pub work_ms: f64,
    /// What a caller waits for it, milliseconds.
    pub wait_ms: f64,
    /// Share of requests that fail, by itself or by others.
    pub failing: f64,
    /// The one whose failures it passes on most.
    pub failed_by: Option<usize>,
    pub busy: f64,
    /// Messages that wait in a queue.
    pub depth: f64,
}

/// Calls of each request, as a cache's misses have it.
pub(super) fn per_request(estate: &Estate, from: usize, call: &Call, troubles: &[Trouble]) -> f64 {
    if estate.services[call.to].role != Role::Database {
        return call.per_request;
    }
    // What a cache has not is asked of the database.
    let caches =
        estate.services[from].calls.iter().filter(|other| estate.services[other.to].role == Role::Cache);
    let hits = caches.map(|cache| if troubles[cache.to].is_gone { 0.0 } else { troubles[cache.to].hits });
    call.per_request * hits.map(|hits| 1.0 + 4.0 * (USUAL_HITS - hits)).fold(1.0, f64::max)
}

/// The tick's states; `depths` are the queues' and go on.
pub(super) fn flow(
    estate: &Estate,
    troubles: &[Trouble],
    customers: f64,
    depths: &mut [f64],
    tick_s: f64,
    random: &mut Random,
) -> Vec<State> {
    let services = &estate.services;
    let mut rates = vec![0.0; services.len()];
    let gateways = estate.of_role(Role::Gateway).count() as f64;
    for (at, service) in services.iter().enumerate() {
        match service.role {
            Role::Gateway => rates[at] = customers / gateways,
            Role::Worker => {
                let arriving = rates[at - 1];
                let able = troubles[at].pace * estate.usual[at];
                let wanted = arriving + depths[at - 1] / tick_s;
                rates[at] = wanted.min(able);
                depths[at - 1] = (wanted - rates[at]) * tick_s;
            }
            _ => {}
        }
        let gets_through = if troubles[at].is_gone { 0.0 } else { 1.0 };
        for call in &service.calls {
            rates[call.to] += rates[at] * gets_through * per_request(estate, at, call, troubles);
        }
    }
    let mut states: Vec<State> = Vec::with_capacity(services.len());
    for (at, service) in services.iter().enumerate() {
        let load = rates[at] / estate.usual[at].max(0.1);
        let busy = service.busy * load + troubles[at].busy + 0.01 * random.normal();
        let crowd = 1.0 + 1.5 * (busy - 0.5).max(0.0).powi(2);
        states.push(State {
            rate: rates[at],
            work_ms: service.work_ms * troubles[at].slow * crowd * (0.02 * random.normal()).exp(),
            wait_ms: 0.0,
            failing: 0.0,
            failed_by: None,
            busy: busy.clamp(0.01, 1.0),
            depth: depths[at],
        });
    }
    for at in (0..services.len()).rev() {
        let (mut wait_ms, mut fine) = (states[at].work_ms, 1.0 - troubles[at].failing);
        let mut worst = (0.0, None);
        for call in &services[at].calls {
            let times = per_request(estate, at, call, troubles);
            if services[call.to].role == Role::Queue {
                wait_ms += times * states[call.to].work_ms;
                continue;
            }
            wait_ms += times * (states[call.to].wait_ms + troubles[call.to].way_ms);
            let failing = (times.min(1.0) * states[call.to].failing).min(1.0);
            if call.required {
                fine *= 1.0 - failing;
                if failing > worst.0 {
                    worst = (failing, Some(call.to));
                }
            }
        }
        let (share, factor) = troubles[at].tail;
        wait_ms *= 1.0 + share * (factor - 1.0);
        let state = &mut states[at];
        (state.wait_ms, state.failing, state.failed_by) = (wait_ms.min(PATIENCE_MS), 1.0 - fine, worst.1);
        if wait_ms > PATIENCE_MS {
            state.failing = state.failing.max(0.5);
        }
        if troubles[at].is_gone {
            // Refused at once.
            (state.wait_ms, state.failing) = (1.0, 1.0);
        }
    }
    states
}

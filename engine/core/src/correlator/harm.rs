//! What an incident does to those who use the system: how many of their requests it touches, and how fast it spends error
//! budgets. That, and no score, says how severe it is.
//!
//! Burn rates are those of several windows at once (Beyer et al., *The Site Reliability Workbook*, 2018, chapter 5): a budget
//! is spent fast when both a long and a short window say so. Windows forget exponentially, so that each costs two numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Objective, graph::Graph, symptom};
use crate::types::{Edge, Entity, Harm, Incident, Traffic};

/// A long and a short window, seconds; the burn rate that both must reach; how severe that is.
const WINDOWS: [(f64, f64, f64, f64); 4] = [
    (3_600.0, 300.0, 14.4, 0.95),
    (21_600.0, 1_800.0, 6.0, 0.9),
    (86_400.0, 7_200.0, 3.0, 0.7),
    (259_200.0, 21_600.0, 1.0, 0.5),
];

/// Share of user-facing requests that is touched, and how severe that is.
const TOUCHED: [(f64, f64); 3] = [(0.25, 0.9), (0.05, 0.7), (0.0, 0.5)];

/// Severity of what touches nobody.
const UNSEEN: f64 = 0.3;

/// Share of requests that is to succeed where no objective says otherwise.
const USUAL: f64 = 0.999;

/// Requests below which a window says nothing.
const ENOUGH: f64 = 10.0;

/// Failed calls that are as good as none.
const FORGOTTEN: f64 = 0.01;

/// Requests of entities, by window: all of them, and by whether they were answered in time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Users {
    time_ms: i64,
    /// Seconds from the tick before to the latest one.
    tick_s: f64,
    /// Failed calls of the last five minutes, by who was called.
    failed_calls: BTreeMap<Entity, f64>,
    seen: BTreeMap<(Entity, Option<u64>), [Counted; 2 * WINDOWS.len()]>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counted {
    requests: f64,
    errors: f64,
}

/// The windows of [`WINDOWS`], long and short in turn, seconds.
fn lengths() -> impl Iterator<Item = f64> {
    WINDOWS.into_iter().flat_map(|(long, short, ..)| [long, short])
}

impl Users {
    pub(super) fn tick(&mut self, time_ms: i64, traffic: &[Traffic], edges: &[Edge]) {
        let seconds = (time_ms - std::mem::replace(&mut self.time_ms, time_ms)).max(0) as f64 / 1000.0;
        self.tick_s = seconds;
        let lasts = (-seconds / WINDOWS[0].1).exp();
        self.failed_calls.retain(|_, failed| {
            *failed *= lasts;
            *failed > FORGOTTEN
        });
        for edge in edges.iter().filter(|edge| edge.errors > 0) {
            *self.failed_calls.entry(edge.callee.clone()).or_default() += edge.errors as f64;
        }
        let mut kept = [0.0; 2 * WINDOWS.len()];
        kept.iter_mut().zip(lengths()).for_each(|(kept, length)| *kept = (-seconds / length).exp());
        self.seen.retain(|_, windows| {
            for (counted, kept) in windows.iter_mut().zip(kept) {
                counted.requests *= kept;
                counted.errors *= kept;
            }
            windows[2 * WINDOWS.len() - 2].requests >= 0.5
        });
        for answered in traffic {
            for counted in self.seen.entry((answered.entity.clone(), answered.latency_ns)).or_default() {
                counted.requests += answered.requests as f64;
                counted.errors += answered.errors as f64;
            }
        }
    }

    /// Seconds of a tick.
    pub(super) fn tick_s(&self) -> f64 {
        self.tick_s
    }

    /// Failed requests of an entity in the last five minutes: what its spans tell, or those of its callers where that is more; `None`
    /// where no spans tell of it.
    pub(super) fn failures(&self, entity: &Entity) -> Option<f64> {
        let own = self.seen.get(&(entity.clone(), None)).map(|windows| windows[1].errors);
        let calls = self.failed_calls.get(entity).copied();
        own.into_iter().chain(calls).reduce(f64::max)
    }

    /// Who faces users, and its requests of the last five minutes.
    pub(super) fn facing(&self, graph: &Graph) -> Facing<'_> {
        let called = graph.called();
        let all = self.seen.iter().filter(|((_, latency_ns), _)| latency_ns.is_none());
        let all = all.map(|((entity, _), windows)| (entity, windows[1].requests));
        let requests = all.filter(|(entity, _)| !called.contains(entity.name.as_str())).collect();
        Facing { users: self, requests }
    }

    /// How fast an entity spends the budget of this objective, and how severe that is.
    fn burn(&self, entity: &Entity, latency_ns: Option<u64>, objective: f64) -> (f64, f64) {
        let seen = self.seen.iter().filter(|((of, within), _)| *within == latency_ns && of.is(entity));
        let own: Vec<_> = seen.map(|(_, windows)| windows).collect();
        let rate = |at: usize| {
            let requests: f64 = own.iter().map(|windows| windows[at].requests).sum();
            let errors: f64 = own.iter().map(|windows| windows[at].errors).sum();
            if requests < ENOUGH { 0.0 } else { errors / requests / (1.0 - objective) }
        };
        let both = |pair: usize| rate(2 * pair).min(rate(2 * pair + 1));
        let reached = (0..WINDOWS.len()).find(|pair| both(*pair) >= WINDOWS[*pair].2);
        reached.map_or((both(0), 0.0), |pair| (both(pair), WINDOWS[pair].3))
    }
}

/// Who faces users in this tick.
pub(super) struct Facing<'a> {
    users: &'a Users,
    requests: BTreeMap<&'a Entity, f64>,
}

impl Facing<'_> {
    /// What an incident does, and how severe that is; `None` where nobody's requests are seen.
    pub(super) fn harm(&self, incident: &Incident, objectives: &[Objective]) -> Option<(f64, Harm)> {
        let all: f64 = self.requests.values().sum();
        if all <= 0.0 {
            return None;
        }
        let suffers = |entity: &Entity| {
            incident.members.iter().any(|member| {
                let anomaly = &member.anomaly;
                anomaly.entity.is(entity) && symptom::of(anomaly).is_felt()
            })
        };
        let touched = self.requests.iter().filter(|(entity, _)| suffers(entity));
        let mut harm = Harm {
            user_traffic: touched.clone().map(|(_, requests)| requests).sum::<f64>() / all,
            ..Harm::default()
        };
        let named =
            objectives.iter().map(|own| (&own.entity, own.latency_ns, own.objective, own.name.clone()));
        let has_own = |entity: &Entity| objectives.iter().any(|own| own.entity.is(entity));
        let usual = touched.filter(|(entity, _)| !has_own(entity));
        let usual = usual.map(|(entity, _)| (*entity, None, USUAL, entity.to_string()));
        let mut severity: f64 = UNSEEN;
        if harm.user_traffic > 0.0 {
            let reached = TOUCHED.iter().find(|(share, _)| harm.user_traffic > *share);
            severity = severity.max(reached.map_or(UNSEEN, |(_, severity)| *severity));
        }
        for (entity, latency_ns, objective, name) in named.filter(|(entity, ..)| suffers(entity)).chain(usual)
        {
            let (rate, severe) = self.users.burn(entity, latency_ns, objective);
            severity = severity.max(severe);
            if rate > harm.burn_rate {
                (harm.burn_rate, harm.objective) = (rate, name);
            }
        }
        harm.why = words(&harm);
        Some((severity, harm))
    }
}

fn words(harm: &Harm) -> String {
    let mut why = match harm.user_traffic {
        0.0 => "no user-facing request is touched".to_string(),
        share => format!("{:.0} % of the user-facing requests are touched", (100.0 * share).max(1.0)),
    };
    if harm.burn_rate >= 1.0 {
        why.push_str(&format!(
            ", {} spends its error budget {:.0} times too fast",
            harm.objective, harm.burn_rate
        ));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EntityKind;

    fn service(name: &str) -> Entity {
        Entity::new(EntityKind::Service, name)
    }

    /// Ten seconds a tick; both are asked 100 times in it, and the web fails so often.
    fn after(ticks: i64, errors: u64) -> (Users, Graph) {
        let (mut users, mut graph) = (Users::default(), Graph::default());
        graph.tick(&[Edge { caller: service("web"), callee: service("cart"), calls: 100, errors: 0 }]);
        let traffic =
            |name: &str, errors| Traffic { entity: service(name), latency_ns: None, requests: 100, errors };
        for tick in 1..=ticks {
            users.tick(tick * 10_000, &[traffic("cart", 0), traffic("web", errors), traffic("api", 0)], &[]);
        }
        (users, graph)
    }

    fn incident(name: &str) -> Incident {
        let anomaly = super::super::tests::anomaly(&format!("10 {name} http.server.request.errors:rate 9 5"));
        super::super::tests::incident(vec![anomaly])
    }

    #[test]
    fn users_are_those_whom_nobody_calls() {
        let (users, graph) = after(60, 0);
        let facing = users.facing(&graph);
        let (severity, harm) = facing.harm(&incident("cart"), &[]).unwrap();
        assert_eq!((severity, harm.user_traffic, harm.burn_rate), (0.3, 0.0, 0.0), "{harm:?}");
        let (severity, harm) = facing.harm(&incident("web"), &[]).unwrap();
        assert_eq!((severity, harm.user_traffic), (0.9, 0.5), "{harm:?}");
        assert!(Users::default().facing(&graph).harm(&incident("web"), &[]).is_none());
    }

    #[test]
    fn a_budget_that_is_spent_fast_is_severe_and_an_objective_says_what_is_fast() {
        for (errors, objective, severity, rate) in
            [(2, 0.999, 0.95, 20.0), (1, 0.999, 0.9, 10.0), (1, 0.9999, 0.95, 100.0), (1, 0.9, 0.9, 0.0)]
        {
            let (users, graph) = after(4_000, errors);
            let own = Objective {
                name: "web-availability".to_string(),
                entity: service("web"),
                latency_ns: None,
                objective,
            };
            let (found, harm) = users.facing(&graph).harm(&incident("web"), &[own]).unwrap();
            assert_eq!(found, severity, "{errors} of 100 at {objective}: {harm:?}");
            assert!((harm.burn_rate - rate).abs() <= 0.11 * rate.max(1.0), "{harm:?}");
        }
    }

    #[test]
    fn a_promise_of_latency_is_broken_by_what_is_slow() {
        let (mut users, graph) = after(4_000, 0);
        let latency_ns = Some(300_000_000);
        let late = Traffic { entity: service("web"), latency_ns, requests: 100, errors: 20 };
        (4_001..8_000).for_each(|tick| users.tick(tick * 10_000, std::slice::from_ref(&late), &[]));
        let name = |name: &str| name.to_string();
        let fast = Objective { name: name("web-fast"), entity: service("web"), latency_ns, objective: 0.99 };
        let works = Objective { name: name("web-works"), latency_ns: None, ..fast.clone() };
        let (severity, harm) = users.facing(&graph).harm(&incident("web"), &[works.clone(), fast]).unwrap();
        assert_eq!((severity, harm.objective.as_str()), (0.95, "web-fast"), "{harm:?}");
        assert!((harm.burn_rate - 20.0).abs() < 0.1, "{harm:?}");
        let (_, harm) = users.facing(&graph).harm(&incident("web"), &[works]).unwrap();
        assert_eq!(harm.burn_rate, 0.0, "{harm:?}");
    }

    #[test]
    fn one_bad_minute_after_a_good_day_is_no_page() {
        let (mut users, _) = after(8_640, 0);
        let bad = Traffic { entity: service("web"), latency_ns: None, requests: 100, errors: 5 };
        (0..6).for_each(|tick| users.tick(86_410_000 + tick * 10_000, std::slice::from_ref(&bad), &[]));
        let (rate, severe) = users.burn(&service("web"), None, USUAL);
        assert!(rate < 14.4 && severe < 0.9, "{rate} {severe}");
    }
}

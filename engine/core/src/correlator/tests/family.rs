//! Incidents that turn out to be one, or two; hosts.

use super::*;
use crate::types::Placement;

#[test]
fn two_that_blame_one_entity_become_one() {
    // Frontend and user complain of what they call; the caller of payment is drawn in later and ties all together.
    let told = tell(
        &[],
        &[
            "110 payment http.server.request.errors:rate 20 50",
            "120 user http.server.request.errors:rate 20 50",
            "200 frontend http.server.request.errors:rate 20 50",
            "200 checkout http.server.request.errors:rate 20 50",
        ],
        400,
    );
    let ids: BTreeSet<Id> = told.iter().map(|incident| incident.id).collect();
    assert_eq!(ids.len(), 2);
    let merged = told.iter().find(|incident| incident.event == IncidentEvent::Merged);
    if let Some(merged) = merged {
        let into = merged.merged_into.unwrap();
        let last = told.iter().rfind(|incident| incident.id == into).unwrap();
        assert_eq!(merged.state, IncidentState::Resolved);
        assert!(
            merged
                .members
                .iter()
                .all(|member| last.members.iter().any(|other| other.anomaly.id == member.anomaly.id))
        );
    }
}

#[test]
fn what_tied_two_together_is_over_and_they_are_two() {
    // Frontend calls both, and is well again; user and payment are not, and began ten minutes apart. Somebody is called for user when
    // there is news of it.
    for (well, page) in [(800, true), (1000, false)] {
        let told = tell(
            &[],
            &[
                "110 payment http.server.request.errors:rate 20 50",
                "130 checkout http.server.request.errors:rate 20 50",
                "330 frontend http.server.request.errors:rate 20 50",
                "600 user http.server.request.errors:rate 20 50",
                &format!("{well} frontend http.server.request.errors:rate 0 1"),
            ],
            well + 100,
        );
        let split = told.iter().find(|incident| incident.split_from.is_some());
        let split = split.unwrap_or_else(|| panic!("{told:#?}"));
        assert_eq!(split.members.len(), 1);
        assert_eq!(split.members[0].anomaly.entity, service("user"));
        assert_eq!((split.event, split.page), (IncidentEvent::Opened, page), "well at {well}");
        let main = told.iter().rfind(|incident| Some(incident.id) == split.split_from).unwrap();
        assert!(main.members.iter().all(|member| member.anomaly.entity != service("user")));
        assert!(split.why.contains(&main.id.to_string()), "{}", split.why);
    }
}

#[test]
fn a_host_in_trouble_explains_what_runs_on_it() {
    let host = Entity::new(EntityKind::Host, "n1");
    let place = |name: &str| Placement { entity: service(name), host: host.clone() };
    let on_host = |line: &str| {
        let mut anomaly = anomaly(line);
        anomaly.series = format!("{host} {}", anomaly.measure);
        anomaly.entity = host.clone();
        anomaly
    };
    let run = |measure: &str| {
        let mut correlator = Correlator::new(CorrelatorConfig::default());
        let placements = vec![place("user"), place("payment")];
        correlator.on_event(Event::Tick(TickClosed {
            time_ms: 100_000,
            placements,
            warm_series: 100,
            ..TickClosed::default()
        }));
        let anomalies = vec![
            on_host(&format!("110 n1 {measure} 20 50")),
            anomaly("110 payment http.server.request.duration:p95 20 50"),
            anomaly("110 user http.server.request.duration:p95 20 50"),
        ];
        let tick = TickClosed { time_ms: 110_000, anomalies, warm_series: 100, ..TickClosed::default() };
        let effects = correlator.on_event(Event::Tick(tick));
        let incidents = effects
            .into_iter()
            .filter_map(|effect| if let Effect::Incident(incident) = effect { Some(incident) } else { None });
        incidents.collect::<Vec<Incident>>()
    };
    let [incident] = &run("system.memory.utilization")[..] else { panic!("not one") };
    assert_eq!(incident.suspects[0].entity, host, "{:#?}", incident.suspects);
    assert!(
        incident.members.iter().any(|member| member.because.contains("runs on host/n1")),
        "{incident:#?}"
    );
    assert!(run("system.network.io:rate").len() >= 2, "traffic of a host ties nothing");
}

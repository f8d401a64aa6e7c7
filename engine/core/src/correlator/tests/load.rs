//! A storm, and a week.

use super::*;

/// An anomaly of one of a hundred services in a line of callers.
fn of_fleet(at: usize, time_ms: i64, active: bool) -> Anomaly {
    let name = format!("s{}", at % 100);
    let mut anomaly = anomaly(&format!("0 {name} http.server.request.errors:rate 20 50"));
    anomaly.series = format!("service/{name} http.server.request.errors:rate{{n={at}}}");
    anomaly.id = Id::of(&["load", &at.to_string()]);
    (anomaly.opened_ms, anomaly.onset_ms, anomaly.updated_ms) = (time_ms, time_ms, time_ms);
    (anomaly.active, anomaly.revision) = (active, if active { 1 } else { 2 });
    anomaly
}

fn line() -> Vec<Edge> {
    let edge = |at: usize| Edge {
        caller: service(&format!("s{at}")),
        callee: service(&format!("s{}", at + 1)),
        calls: 10,
        errors: 0,
    };
    (0..99).map(edge).collect()
}

#[test]
fn a_hundred_thousand_anomalies_in_a_minute_are_a_handful_of_incidents() {
    let mut correlator = Correlator::new(CorrelatorConfig::default());
    let (mut incidents, mut left_out) = (BTreeSet::new(), 0);
    for tick in 0..6 {
        let time_ms = 1_000_000 + tick * 10_000;
        let from = tick as usize * 17_000;
        let mut anomalies: Vec<Anomaly> =
            (from..from + 17_000).map(|at| of_fleet(at, time_ms, true)).collect();
        anomalies.sort_by(|a, b| a.series.cmp(&b.series));
        let tick =
            TickClosed { time_ms, anomalies, edges: line(), warm_series: 200_000, ..TickClosed::default() };
        for effect in correlator.on_event(Event::Tick(tick)) {
            match effect {
                Effect::Incident(incident) => drop(incidents.insert(incident.id)),
                Effect::Suppressed(_) => left_out += 1,
            }
        }
    }
    assert!((1..=5).contains(&incidents.len()), "{} incidents", incidents.len());
    let members: usize = correlator.list().iter().map(|incident| incident.members.len()).sum();
    assert_eq!(members + left_out, 102_000, "each is told of, or it is said why not");
    assert!(correlator.suppressed().count() <= CorrelatorConfig::default().keep_resolved);
}

#[test]
fn a_week_takes_no_more_room_than_two_days() {
    let mut correlator =
        Correlator::new(CorrelatorConfig { keep_resolved: 50, ..CorrelatorConfig::default() });
    let mut sizes = Vec::new();
    // A minute a tick: every hour a service fails for ten minutes, every five minutes something passes by itself.
    for minute in 0..7 * 1440_i64 {
        let time_ms = 1_000_000_000 + minute * 60_000;
        let (hour, of_hour) = (minute / 60, minute % 60);
        let mut anomalies = Vec::new();
        if of_hour == 10 || of_hour == 20 {
            anomalies.push(of_fleet(usize::try_from(hour).unwrap(), time_ms, of_hour == 10));
        }
        if minute % 5 < 2 {
            let mut brief =
                of_fleet(1_000_000 + usize::try_from(minute / 5).unwrap(), time_ms, minute % 5 == 0);
            brief.ticks = 1;
            brief.neg_log_p = 7.0;
            anomalies.push(brief);
        }
        let tick =
            TickClosed { time_ms, anomalies, edges: line(), warm_series: 1_000, ..TickClosed::default() };
        correlator.on_event(Event::Tick(tick));
        if (minute + 1) % 1440 == 0 {
            sizes.push(correlator.save("c").unwrap().bytes.len());
        }
    }
    assert!(correlator.list().len() > 40, "{} incidents", correlator.list().len());
    let (second, last) = (sizes[1] as f64, sizes[6] as f64);
    assert!((last / second - 1.0).abs() < 0.05, "{sizes:?} bytes at the end of each day");
}

//! What people say: silences, judgements, objectives, and what they declare.

use super::*;
use crate::types::{Feedback, Lesson, Silence, Traffic, Verdict};

/// A correlator that is told one thing after another, in ticks of ten seconds.
struct Tale {
    correlator: Correlator,
    second: i64,
    silences: Vec<Silence>,
    traffic: Vec<Traffic>,
}

impl Tale {
    fn new(config: CorrelatorConfig) -> Tale {
        Tale { correlator: Correlator::new(config), second: 0, silences: Vec::new(), traffic: Vec::new() }
    }

    /// Goes on up to this second; lines are those of [`anomaly`]. Saved and restored at every tick.
    fn until(&mut self, end: i64, lines: &[&str]) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.second <= end {
            let now_ms = self.second * 1000;
            let anomalies =
                lines.iter().map(|line| anomaly(line)).filter(|anomaly| anomaly.opened_ms == now_ms);
            effects.extend(self.correlator.on_event(Event::Tick(TickClosed {
                time_ms: now_ms,
                anomalies: anomalies.collect(),
                edges: edges(),
                traffic: self.traffic.clone(),
                warm_series: 100,
                silences: self.silences.iter().filter(|silence| silence.holds(now_ms)).cloned().collect(),
                ..TickClosed::default()
            })));
            let config = self.correlator.config.clone();
            self.correlator = Correlator::load(config, &self.correlator.save("c").unwrap()).unwrap();
            self.second += 10;
        }
        effects
    }

    fn judge(&mut self, incident: Option<Id>, verdict: Verdict, entity: Option<&str>, of: Option<Id>) {
        let feedback = Feedback {
            incident,
            by: "ann".to_string(),
            verdict,
            entity: entity.map(service),
            duplicate_of: of,
            comment: String::new(),
        };
        self.correlator.on_event(Event::Word(Word::Feedback(feedback)));
    }
}

fn incidents(effects: &[Effect]) -> Vec<&Incident> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Incident(incident) = effect { Some(incident) } else { None })
        .collect()
}

fn opened(effects: &[Effect]) -> Vec<&Incident> {
    incidents(effects).into_iter().filter(|incident| incident.revision == 1).collect()
}

const BROKEN: &str = "110 payment http.server.request.errors:rate 20 50";

#[test]
fn what_is_silenced_opens_nothing_until_the_silence_is_over() {
    let mut tale = Tale::new(CorrelatorConfig::default());
    let matchers = vec!["entity=service/payment".parse().unwrap()];
    tale.silences.push(Silence::new(matchers, 100_000, 300_000, "ann".to_string(), "new disks".to_string()));
    let effects = tale.until(290, &[BROKEN]);
    let [Effect::Suppressed(left_out)] = &effects[..] else { panic!("{effects:#?}") };
    assert_eq!(left_out.why, "silenced by ann: new disks");
    assert_eq!(tale.correlator.suppressed().count(), 1);
    let effects = tale.until(310, &[]);
    let [incident] = opened(&effects)[..] else { panic!("{effects:#?}") };
    assert_eq!(incident.opened_ms, 300_000, "it still goes on");
}

#[test]
fn what_ends_while_it_is_silenced_was_nothing() {
    let mut tale = Tale::new(CorrelatorConfig::default());
    let matchers = vec!["measure=~.*errors.*".parse().unwrap()];
    tale.silences.push(Silence::new(matchers, 0, 300_000, "ann".to_string(), String::new()));
    let effects = tale.until(400, &[BROKEN, "200 payment http.server.request.errors:rate 0 1"]);
    assert_eq!((opened(&effects).len(), effects.len()), (0, 1), "{effects:#?}");
}

#[test]
fn what_waits_when_a_silence_begins_is_silenced_too() {
    let mut tale = Tale::new(CorrelatorConfig::default());
    tale.until(100, &[]);
    let mut line = anomaly("110 payment http.server.request.errors:rate 7 50");
    line.ticks = 1;
    let tick =
        TickClosed { time_ms: 110_000, anomalies: vec![line], warm_series: 100, ..TickClosed::default() };
    assert_eq!(tale.correlator.on_event(Event::Tick(tick)), []);
    tale.second = 120;
    tale.silences.push(Silence::new(Vec::new(), 120_000, 900_000, "ann".to_string(), String::new()));
    let effects = tale.until(130, &[]);
    assert!(matches!(&effects[..], [Effect::Suppressed(_)]), "{effects:#?}");
}

#[test]
fn false_alarms_raise_the_bar_for_their_like_alone_and_that_can_be_undone() {
    let opens = |judged: usize, undone: bool, name: &str| {
        let mut tale = Tale::new(CorrelatorConfig::default());
        for _ in 0..judged {
            tale.second = 0;
            let effects = tale.until(110, &["110 payment http.server.request.errors:rate 20 5"]);
            let id = opened(&effects).first().map(|incident| incident.id);
            tale.judge(id, Verdict::False, None, None);
        }
        for adjustment in tale.correlator.adjustments().to_vec().iter().filter(|_| undone) {
            let word = Word::Undo { adjustment: adjustment.id, by: "ann".to_string() };
            tale.correlator.on_event(Event::Word(word));
        }
        // What was open is over by then.
        tale.until(9_990, &["200 payment http.server.request.errors:rate 0 1"]);
        let weak = format!("10000 {name} http.server.request.errors:rate 6.95 5");
        opened(&tale.until(10_000, &[&weak])).len()
    };
    assert_eq!(opens(0, false, "payment"), 1);
    assert_eq!(opens(1, false, "payment"), 0);
    assert_eq!(opens(1, true, "payment"), 1);
    assert_eq!(opens(1, false, "user"), 1, "another one is not concerned");
}

#[test]
fn what_was_missed_is_found_the_next_time() {
    let weak = "110 payment http.server.request.errors:rate 6.95 2";
    let run = |missed: bool| {
        let mut tale =
            Tale::new(CorrelatorConfig { false_alarms_per_day: 0.1, ..CorrelatorConfig::default() });
        tale.until(0, &[]);
        for _ in 0..if missed { 9 } else { 0 } {
            tale.judge(None, Verdict::Missed, Some("payment"), None);
            tale.until(tale.second, &[]);
        }
        let bars = tale.correlator.adjustments().len();
        let sign = (service("payment"), symptom::Symptom::Failing);
        (bars, tale.correlator.state.lessons.evidence(&sign), opened(&tale.until(200, &[weak])).len())
    };
    let ((_, before, _), (bars, after, _)) = (run(false), run(true));
    assert_eq!((before, bars, after), (0.0, 9, -3.0), "bounded, however often it is said");
}

#[test]
fn a_known_cause_is_blamed_the_next_time() {
    let story = |start: i64| {
        [
            format!("{start} checkout http.server.request.errors:rate 9 40"),
            format!("{start} payment http.server.request.errors:rate 9 50"),
        ]
    };
    let mut tale = Tale::new(CorrelatorConfig::default());
    let first = story(110);
    let effects = tale.until(110, &[&first[0], &first[1]]);
    let incident = opened(&effects)[0].clone();
    assert_eq!(incident.suspects[0].entity, service("payment"));
    let weight = |incident: &Incident, name: &str| {
        incident
            .suspects
            .iter()
            .find(|suspect| suspect.entity == service(name))
            .map_or(0.0, |suspect| suspect.weight)
    };
    let before = weight(&incident, "checkout");
    for second in [120, 130] {
        tale.judge(Some(incident.id), Verdict::Useful, Some("checkout"), None);
        tale.until(second, &[]);
    }
    let ends = [
        "200 checkout http.server.request.errors:rate 0 1",
        "200 payment http.server.request.errors:rate 0 1",
    ];
    tale.until(9_990, &ends);
    let again = story(10_000);
    let effects = tale.until(10_000, &[&again[0], &again[1]]);
    let incident = opened(&effects)[0];
    assert!(weight(incident, "checkout") > 2.0 * before, "{:#?}", incident.suspects);
    let reasons =
        &incident.suspects.iter().find(|suspect| suspect.entity == service("checkout")).unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("was the cause of 2 incidents")), "{reasons:?}");
}

#[test]
fn duplicates_are_one_the_next_time() {
    let story = |start: i64| {
        [
            format!("{start} user http.server.request.errors:rate 20 50"),
            format!("{start} payment http.server.request.errors:rate 20 50"),
        ]
    };
    let mut tale = Tale::new(CorrelatorConfig::default());
    let first = story(110);
    let effects = tale.until(110, &[&first[0], &first[1]]);
    let [one, other] = opened(&effects)[..] else { panic!("{effects:#?}") };
    tale.judge(Some(other.id), Verdict::Duplicate, None, Some(one.id));
    assert!(matches!(tale.correlator.adjustments()[0].lesson, Lesson::Together { .. }));
    let merged = tale.until(120, &["120 user http.server.request.duration:p95 20 50"]);
    assert!(incidents(&merged).iter().any(|incident| incident.event == IncidentEvent::Merged), "{merged:#?}");
    let ends = [
        "200 user http.server.request.errors:rate 0 1",
        "200 user http.server.request.duration:p95 0 1",
        "200 payment http.server.request.errors:rate 0 1",
    ];
    tale.until(9_990, &ends);
    let again = story(10_000);
    assert_eq!(opened(&tale.until(10_000, &[&again[0], &again[1]])).len(), 1);
}

#[test]
fn harm_says_how_severe_it_is_and_worse_is_told() {
    let mut tale = Tale::new(CorrelatorConfig::default());
    let asked =
        |name: &str, errors| Traffic { entity: service(name), latency_ns: None, requests: 100, errors };
    tale.traffic = vec![asked("frontend", 0), asked("payment", 0)];
    tale.until(1_000, &[]);
    tale.traffic = vec![asked("frontend", 0), asked("payment", 50)];
    let payment = "1010 payment http.server.request.errors:rate 20 50";
    let effects = tale.until(1_010, &[payment]);
    let incident = opened(&effects)[0];
    assert_eq!(
        (incident.severity, incident.harm.as_ref().unwrap().user_traffic),
        (0.3, 0.0),
        "{incident:#?}"
    );
    tale.traffic = vec![asked("frontend", 50), asked("payment", 50)];
    let effects = tale.until(1_200, &["1020 frontend http.server.request.errors:rate 20 50"]);
    let last = incidents(&effects).into_iter().next_back().unwrap();
    let harm = last.harm.as_ref().unwrap();
    assert_eq!(
        (last.severity, harm.user_traffic, harm.objective.as_str()),
        (0.95, 1.0, "service/frontend"),
        "{last:#?}"
    );
    assert!(
        harm.why.contains("100 % of the user-facing requests are touched, service/frontend spends"),
        "{}",
        harm.why
    );
}

#[test]
fn what_is_declared_ties_together() {
    let lines = [
        "110 user http.server.request.errors:rate 20 50",
        "110 payment http.server.request.errors:rate 20 50",
    ];
    let depends = vec![Dependence { from: service("user"), on: service("payment") }];
    for (depends, count) in [(Vec::new(), 2), (depends, 1)] {
        let mut tale = Tale::new(CorrelatorConfig { depends, ..CorrelatorConfig::default() });
        assert_eq!(opened(&tale.until(110, &lines)).len(), count);
    }
}

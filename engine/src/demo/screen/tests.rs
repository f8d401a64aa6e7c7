//! What the demo says, as people see it at both widths: pieces of a run with seed 1.

use foreshock_core::types::{
    Action, Anomaly, AnomalyKind, Entity, EntityKind, Id, MeasureRole, Member, Suspect,
};
use foreshock_shop::FaultKind;

use super::*;

/// When the scenario began, unix seconds.
const ZERO: i64 = 1_772_420_400;

fn service(name: &str) -> Entity {
    Entity::new(EntityKind::Service, name)
}

fn ms(minutes: i64, seconds: i64) -> i64 {
    (ZERO + 60 * minutes + seconds) * 1000
}

fn change() -> Change {
    Change {
        time_ms: ms(12, 0),
        id: "deploy-2".to_string(),
        kind: "service.upgraded".to_string(),
        entity: service("payment"),
        version: "2.0.0".to_string(),
        source: "ci".to_string(),
    }
}

fn page() -> Incident {
    let frontend = service("frontend");
    let anomaly = Anomaly {
        id: Id(7),
        revision: 1,
        kind: AnomalyKind::Series,
        series: format!("{frontend} http.server.request.duration:p95"),
        entity: frontend,
        measure: "http.server.request.duration:p95".to_string(),
        role: MeasureRole::Latency,
        active: true,
        opened_ms: ms(12, 20),
        onset_ms: ms(12, 10),
        updated_ms: ms(12, 20),
        score: 0.8,
        ticks: 1,
        neg_log_p: 12.6,
        value: 0.465,
        expected: 0.2416,
        lower: 0.2396,
        upper: 0.2436,
        detector: "residual".to_string(),
        explanation: "http.server.request.duration:p95 rose to 0.4650, expected 0.2416 (0.2396 to 0.2436); residual spoke, p = 3.2e-6".to_string(),
        contributions: Vec::new(),
        attribution: Vec::new(),
    };
    let reasons =
        ["service/payment is failing", "called by checkout, frontend", "service.upgraded 2.0.0 as it began"];
    Incident {
        id: Id(9),
        revision: 1,
        event: foreshock_core::types::IncidentEvent::Opened,
        state: IncidentState::Open,
        title: "payment: failing, after service.upgraded 2.0.0 (checkout, frontend affected)".to_string(),
        started_ms: ms(12, 10),
        opened_ms: ms(12, 20),
        updated_ms: ms(12, 20),
        resolved_ms: None,
        severity: 0.8,
        members: vec![Member { anomaly, because: String::new() }],
        suspects: vec![Suspect {
            entity: service("payment"),
            weight: 0.91,
            reasons: reasons.map(str::to_string).to_vec(),
            change: Some(change()),
            examples: Vec::new(),
        }],
        changes: vec![change()],
        reopened: 0,
        acknowledged_by: None,
        remediation: None,
        page: true,
        why: "evidence 23.2, opens at 7.8: 304 series, 1 false alarms per day".to_string(),
        ..Incident::default()
    }
}

fn signal(state: SignalState, note: &str, updated_ms: i64) -> RemediationSignal {
    RemediationSignal {
        state,
        attributes: [("version".to_string(), "2.0.0".to_string())].into(),
        policy: "undo-bad-deploys".to_string(),
        note: note.to_string(),
        updated_ms,
        ..RemediationSignal::new(Id(3), Id(9), Action::Rollback, service("payment"), ms(12, 30))
    }
}

fn verdict(kind: FaultKind, start: i64, paged_after: Option<i64>, suspect: &str, repair: &str) -> Verdict {
    let said = |text: &str| (!text.is_empty()).then(|| text.to_string());
    Verdict {
        kind,
        service: kind.service(),
        start: ZERO + 60 * start,
        should_page: kind.should_page(),
        paged_after,
        suspect: said(suspect),
        remediation: said(repair),
    }
}

fn told(colour: bool, width: usize) -> io::Result<String> {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, colour, width, ZERO);
    screen.opening(1)?;
    screen.learnt(ZERO, 304, 0)?;
    screen.change(&change())?;
    screen.incident(&page(), 10_000)?;
    screen.signal(&signal(SignalState::Ready, "", ms(12, 30)))?;
    screen.signal(&signal(SignalState::Leased, "", ms(12, 30)))?;
    screen.signal(&signal(SignalState::Succeeded, "demo/deploy: took effect in the shop", ms(13, 0)))?;
    let title = format!("{}, resolved", page().title);
    let resolved =
        Incident { state: IncidentState::Resolved, page: false, title, updated_ms: ms(23, 50), ..page() };
    screen.incident(&resolved, 10_000)?;
    screen.signal(&signal(SignalState::Verified, "the incident resolved after it", ms(24, 0)))?;
    screen.incident(&Incident { remediation: Some("verified".to_string()), ..resolved }, 10_000)?;
    screen.signal(&signal(SignalState::NotRecovered, "it is as \u{1b}[31mbad as before", ms(90, 0)))?;
    let verdicts = [
        verdict(FaultKind::HarmlessDeploy, 10, None, "", ""),
        verdict(FaultKind::BadDeploy, 12, Some(20), "payment", "verified"),
        verdict(FaultKind::MemoryLeak, 40, Some(210), "frontend", "not recovered"),
        verdict(FaultKind::LogFailure, 125, None, "", ""),
    ];
    screen.table(&verdicts, &[page()])?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn screens() {
    for width in [80, 120] {
        let screen = told(false, width).unwrap();
        assert!(screen.lines().all(|line| line.chars().count() <= width && line.trim_end() == line));
        insta::assert_snapshot!(format!("demo_{width}"), screen);
    }
}

#[test]
fn colours_change_no_letter_and_no_terminal_is_too_narrow_or_too_wide() {
    for (width, used) in [(40, 80), (80, 80), (120, 120), (300, 120)] {
        let coloured = told(true, width).unwrap();
        assert!(coloured.contains("\u{1b}[1;31mPAGE"), "{coloured}");
        assert_eq!(console::strip_ansi_codes(&coloured), told(false, used).unwrap());
    }
}

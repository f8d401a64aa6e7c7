//! What the engine wrote itself, and somebody else may have touched.

use std::sync::LazyLock;

use foreshock::audit::{self, Entry};
use foreshock_core::{
    bus::{self, Bus, BusConfig},
    types::{Action, Entity, Incident, RemediationSignal, Suspect},
};
use serde::{Serialize, de::DeserializeOwned};

/// What a journal gives back is what is written to it again.
pub(crate) fn journal(bytes: &[u8]) {
    same_again::<RemediationSignal>(bytes);
    same_again::<Incident>(bytes);
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let again: T = serde_json::from_slice(&serde_json::to_vec(&value).expect("JSON")).expect("was written");
    assert_eq!(again, value);
}

/// An incident, and the signal that somebody proposes for it.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    let (incident, signal) = proposed();
    vec![serde_json::to_vec(&incident).expect("JSON"), serde_json::to_vec(&signal).expect("JSON")]
}

pub(crate) fn proposed() -> (Incident, RemediationSignal) {
    let reasons = vec!["first at 14:00".to_string()];
    let entity = Entity::parse("service/shop/cart");
    let suspect = Suspect { entity, weight: 0.7, reasons, change: None, examples: Vec::new() };
    let incident =
        Incident { title: "latency: \u{7}slow".to_string(), suspects: vec![suspect], ..Incident::default() };
    let proposal = bus::Proposal {
        incident: incident.id,
        action: Action::Scale,
        target: Entity::parse("service/shop/cart"),
        parameters: [("replicas".to_string(), "+2".to_string())].into(),
        dry_run: false,
        round: 0,
        by: "ann".to_string(),
        comment: "it hangs".to_string(),
    };
    let mut bus = Bus::new(BusConfig::default()).expect("defaults");
    bus.on_event(bus::Event::Incident(incident.clone()));
    bus.on_event(bus::Event::Propose(proposal));
    let signal = bus.signals().first().copied().cloned().expect("a signal");
    (incident, signal)
}

/// What was done to an audit log is found. Cut off at the beginning or the end between two entries, nothing is wrong with what is left.
pub(crate) fn audit_log(bytes: &[u8]) {
    let found = audit::verify([("bent".to_string(), bytes)]).expect("readable");
    let whole: Vec<&[u8]> = entries(&AUDIT);
    let left = entries(bytes);
    let is_part = left.is_empty() || whole.windows(left.len()).any(|part| part == left);
    assert!(!found.problems.is_empty() || is_part, "{found:?}");
}

fn entries(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

pub(crate) fn audit_logs() -> Vec<Vec<u8>> {
    vec![AUDIT.clone()]
}

/// A log as the engine writes it.
static AUDIT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("folder");
    let mut log = audit::Log::open(folder.path()).expect("a log");
    for what in ["halt", "approve", "reject"] {
        let entry = Entry { what: what.to_string(), who: "ann".to_string(), ..Entry::default() };
        log.write(entry).expect("written").1.expect("on disk");
    }
    std::fs::read(folder.path().join("audit.ndjson")).expect("the log")
});

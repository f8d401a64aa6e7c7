//! What was found beside what was wrong.

use std::collections::BTreeMap;

use foreshock_core::types::{Id, Incident};
use foreshock_shop::{Fault, FaultKind, MODEL};

/// An incident from its first revision to its last.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) first: Incident,
    pub(super) last: Incident,
}

/// Every incident, by id.
pub(super) type Incidents = BTreeMap<Id, Found>;

/// What came of one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The fault.
    pub kind: FaultKind,
    /// Where it was.
    pub service: Option<&'static str>,
    /// Unix seconds at which it began.
    pub start: i64,
    /// Whether people should have been called.
    pub should_page: bool,
    /// Seconds from its start to the page; `None`: nobody was called.
    pub paged_after: Option<i64>,
    /// The first suspect of the last revision.
    pub suspect: Option<String>,
    /// What came of remediation.
    pub remediation: Option<String>,
}

impl Verdict {
    /// Whether the engine did what it should.
    pub fn is_right(&self) -> bool {
        match (self.should_page, self.paged_after) {
            (false, paged) => paged.is_none(),
            (true, None) => false,
            (true, Some(_)) => {
                self.suspect.as_deref().is_some_and(|suspect| blames(self.kind, self.service, suspect))
            }
        }
    }
}

/// A model is blamed under its own name or that of its service.
fn blames(kind: FaultKind, service: Option<&str>, suspect: &str) -> bool {
    service.is_none_or(|service| suspect == service) || kind == FaultKind::ModelDrift && suspect == MODEL
}

/// How long after its start a fault may be found, seconds.
const WITHIN: i64 = 1200;

/// What came of each fault, and the incidents that called people for nothing.
pub(super) fn judge(truth: &[Fault], incidents: &Incidents) -> (Vec<Verdict>, Vec<Incident>) {
    let mut paging: Vec<&Found> = incidents.values().filter(|found| found.first.page).collect();
    paging.sort_by_key(|found| (found.first.opened_ms, found.first.id));
    let mut verdicts: Vec<Verdict> = truth.iter().map(verdict).collect();
    let mut false_alarms = Vec::new();
    for found in paging {
        let opened = found.first.opened_ms / 1000;
        let suspect = found.last.suspects.first().map(|suspect| suspect.entity.name.clone());
        let fits = |verdict: &&mut Verdict| {
            let near = (0..=WITHIN).contains(&(opened - verdict.start));
            let blamed =
                suspect.as_deref().is_some_and(|suspect| blames(verdict.kind, verdict.service, suspect));
            near && verdict.paged_after.is_none() && (blamed || !verdict.should_page)
        };
        match verdicts.iter_mut().filter(fits).max_by_key(|verdict| (verdict.should_page, verdict.start)) {
            Some(verdict) => {
                verdict.paged_after = Some(opened - verdict.start);
                verdict.suspect = suspect;
                verdict.remediation = found.last.remediation.clone();
            }
            None => false_alarms.push(found.first.clone()),
        }
    }
    (verdicts, false_alarms)
}

fn verdict(fault: &Fault) -> Verdict {
    Verdict {
        kind: fault.kind,
        service: fault.service,
        start: fault.start,
        should_page: fault.should_page,
        paged_after: None,
        suspect: None,
        remediation: None,
    }
}

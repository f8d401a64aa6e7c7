//! The same data under two configurations: which incidents appear, vanish and move.
//!
//! Two incidents are the same story when they share most of what they hold: of all pairs that overlap in time and have members or
//! suspects in common, those that have most are matched first, one with one.

use std::collections::BTreeSet;

use foreshock_core::types::{Entity, Incident};
use serde::Serialize;

/// What became of an incident under another configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What.
    pub kind: Kind,
    /// The incident under the first configuration.
    pub before: Option<Incident>,
    /// The incident under the second configuration.
    pub after: Option<Incident>,
    /// What is otherwise, in words; empty where nothing is.
    pub changes: Vec<String>,
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The second configuration alone opens it.
    Appears,
    /// The first configuration alone opens it.
    Vanishes,
    /// Both open it, and it is not the same.
    Moves,
    /// Both open it, and it is the same in all that is looked at.
    Stays,
}

impl Kind {
    /// The kind as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Appears => "appears",
            Kind::Vanishes => "vanishes",
            Kind::Moves => "moves",
            Kind::Stays => "stays",
        }
    }
}

/// Share of what two incidents hold together from which they can be one story.
const ALIKE: f64 = 0.1;

/// Compares incidents, each at its latest revision; by their opening.
pub fn compare(before: &[Incident], after: &[Incident]) -> Vec<Difference> {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (at, one) in before.iter().enumerate() {
        for (to, other) in after.iter().enumerate().filter(|(_, other)| overlap(one, other)) {
            let alike = alike(one, other);
            if alike >= ALIKE {
                pairs.push((alike, at, to));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut taken, mut given) = (BTreeSet::new(), BTreeSet::new());
    let mut differences = Vec::new();
    for (_, at, to) in pairs {
        if !taken.contains(&at) && !given.contains(&to) {
            taken.insert(at);
            given.insert(to);
            differences.push(moved(&before[at], &after[to]));
        }
    }
    let alone = |kind, before: Option<&Incident>, after: Option<&Incident>| {
        let (before, after) = (before.cloned(), after.cloned());
        Difference { kind, before, after, changes: Vec::new() }
    };
    let gone = before.iter().enumerate().filter(|(at, _)| !taken.contains(at));
    differences.extend(gone.map(|(_, incident)| alone(Kind::Vanishes, Some(incident), None)));
    let new = after.iter().enumerate().filter(|(to, _)| !given.contains(to));
    differences.extend(new.map(|(_, incident)| alone(Kind::Appears, None, Some(incident))));
    differences.sort_by_key(|difference| {
        let shown = difference.shown();
        (shown.opened_ms, shown.id, difference.kind)
    });
    differences
}

impl Difference {
    /// The incident to show: the later one where there are both.
    pub fn shown(&self) -> &Incident {
        self.after.as_ref().or(self.before.as_ref()).expect("a difference is of one incident at least")
    }
}

fn overlap(one: &Incident, other: &Incident) -> bool {
    let end = |incident: &Incident| incident.resolved_ms.unwrap_or(i64::MAX);
    one.started_ms <= end(other) && other.started_ms <= end(one)
}

/// Share of series and suspects that both have.
fn alike(one: &Incident, other: &Incident) -> f64 {
    let (one, other) = (held(one), held(other));
    let shared = one.intersection(&other).count();
    shared as f64 / (one.len() + other.len() - shared).max(1) as f64
}

fn held(incident: &Incident) -> BTreeSet<String> {
    let series = incident.members.iter().map(|member| member.anomaly.series.clone());
    series.chain(blamed(incident).map(ToString::to_string)).collect()
}

fn blamed(incident: &Incident) -> Option<&Entity> {
    incident.suspects.first().map(|suspect| &suspect.entity)
}

fn moved(before: &Incident, after: &Incident) -> Difference {
    let mut changes = Vec::new();
    let seconds = (after.opened_ms - before.opened_ms) / 1000;
    match seconds {
        0 => {}
        1.. => changes.push(format!("opens {seconds} s later")),
        _ => changes.push(format!("opens {} s earlier", -seconds)),
    }
    let names = (blamed(before), blamed(after));
    if names.0 != names.1 {
        let name = |entity: Option<&Entity>| entity.map_or("nobody".to_string(), ToString::to_string);
        changes.push(format!("blames {} instead of {}", name(names.1), name(names.0)));
    }
    if (before.severity - after.severity).abs() >= 0.05 {
        changes.push(format!("severity {:.2} instead of {:.2}", after.severity, before.severity));
    }
    let (had, has) = (held(before), held(after));
    let (lost, won) = (had.difference(&has).count(), has.difference(&had).count());
    if lost + won > 0 {
        changes.push(format!("{won} members more and {lost} fewer"));
    }
    let last = |incident: &Incident| incident.resolved_ms.map(|resolved_ms| resolved_ms / 1000);
    match (last(before), last(after)) {
        (Some(was), Some(is)) if was != is => changes.push(format!("resolved {:+} s", is - was)),
        (Some(_), None) => changes.push("is not resolved any more".to_string()),
        (None, Some(_)) => changes.push("is resolved".to_string()),
        _ => {}
    }
    let kind = if changes.is_empty() { Kind::Stays } else { Kind::Moves };
    Difference { kind, before: Some(before.clone()), after: Some(after.clone()), changes }
}

#[cfg(test)]
mod tests {
    use foreshock_core::types::{Anomaly, AnomalyKind, EntityKind, Id, MeasureRole, Member, Suspect};

    use super::*;

    /// An incident of these services, the first of which is blamed, between two seconds.
    fn incident(id: u64, names: &[&str], from: i64, until: i64) -> Incident {
        let entity = |name: &str| Entity::new(EntityKind::Service, name);
        let member = |name: &&str| {
            let anomaly = Anomaly {
                id: Id(id),
                revision: 1,
                kind: AnomalyKind::Series,
                entity: entity(name),
                series: format!("service/{name} cpu"),
                measure: "cpu".to_string(),
                role: MeasureRole::Cpu,
                active: false,
                opened_ms: from * 1000,
                onset_ms: from * 1000,
                updated_ms: from * 1000,
                score: 0.5,
                ticks: 3,
                neg_log_p: 10.0,
                value: 1.0,
                expected: 0.0,
                lower: 0.0,
                upper: 0.0,
                detector: String::new(),
                explanation: String::new(),
                contributions: Vec::new(),
                attribution: Vec::new(),
            };
            Member { anomaly, because: String::new() }
        };
        let suspect = |name: &&str| Suspect {
            entity: entity(name),
            weight: 1.0,
            reasons: Vec::new(),
            change: None,
            examples: Vec::new(),
        };
        Incident {
            id: Id(id),
            started_ms: from * 1000,
            opened_ms: from * 1000,
            resolved_ms: Some(until * 1000),
            members: names.iter().map(member).collect(),
            suspects: names.first().map(suspect).into_iter().collect(),
            ..Incident::default()
        }
    }

    fn kinds(before: &[Incident], after: &[Incident]) -> Vec<(Kind, u64)> {
        compare(before, after).iter().map(|found| (found.kind, found.shown().id.0)).collect()
    }

    #[test]
    fn incidents_appear_vanish_move_and_stay() {
        let before = [
            incident(1, &["cart", "web"], 100, 200),
            incident(2, &["stock"], 100, 200),
            incident(3, &["user", "web"], 900, 1000),
        ];
        let after = [
            incident(1, &["cart", "web"], 100, 200),
            incident(4, &["user", "web", "mail"], 930, 1000),
            incident(5, &["stock"], 500, 600),
        ];
        assert_eq!(kinds(&before, &before), [(Kind::Stays, 1), (Kind::Stays, 2), (Kind::Stays, 3)]);
        assert_eq!(
            kinds(&before, &after),
            [(Kind::Stays, 1), (Kind::Vanishes, 2), (Kind::Appears, 5), (Kind::Moves, 4)]
        );
        let moved = &compare(&before, &after)[3];
        assert_eq!(moved.changes, ["opens 30 s later", "1 members more and 0 fewer"]);
    }

    #[test]
    fn another_suspect_is_said() {
        let (before, after) = (incident(1, &["cart", "web"], 0, 9), incident(1, &["web", "cart"], 0, 9));
        let found = compare(&[before], &[after]);
        assert_eq!(found[0].changes[0], "blames service/web instead of service/cart");
    }

    #[test]
    fn nothing_differs_from_nothing() {
        assert!(compare(&[], &[]).is_empty());
    }
}

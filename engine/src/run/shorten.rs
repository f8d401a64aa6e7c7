//! What is too large for its topic is made shorter: Kafka refuses a record that is larger than it takes, and people can do with less.

use foreshock_core::types::{Anomaly, Incident};
use serde::Serialize;

/// Something of which parts can be left out.
pub(super) trait Shorten: Clone + Serialize {
    /// Leaves out about half of the largest part, the weakest first; `false` when nothing is left that could be spared.
    fn shorten(&mut self) -> bool;

    /// Says what was left out, compared with the whole.
    fn mark(&mut self, _whole: &Self) {}
}

/// JSON of a value, or of as much of it as fits into so many bytes; `None` when nothing of it does. Also whether something was left out.
pub(super) fn fitting<T: Shorten>(value: &T, most: usize) -> serde_json::Result<Option<(Vec<u8>, bool)>> {
    let whole = serde_json::to_vec(value)?;
    if whole.len() <= most {
        return Ok(Some((whole, false)));
    }
    let mut part = value.clone();
    while part.shorten() {
        let mut marked = part.clone();
        marked.mark(value);
        let text = serde_json::to_vec(&marked)?;
        if text.len() <= most {
            return Ok(Some((text, true)));
        }
    }
    Ok(None)
}

/// Bytes of a list that could be halved.
fn bytes_of<T: Serialize>(list: &[T]) -> usize {
    if list.len() < 2 { 0 } else { serde_json::to_vec(list).map_or(0, |text| text.len()) }
}

impl Shorten for Incident {
    fn shorten(&mut self) -> bool {
        let sizes = [bytes_of(&self.members), bytes_of(&self.changes), bytes_of(&self.suspects)];
        let largest = sizes.into_iter().enumerate().max_by_key(|(_, size)| *size);
        match largest.filter(|(_, size)| *size > 0) {
            Some((0, _)) => self.members.truncate(self.members.len() / 2),
            // The latest are the nearest.
            Some((1, _)) => drop(self.changes.drain(..self.changes.len() / 2)),
            Some(_) => self.suspects.truncate(self.suspects.len() / 2),
            None => {
                return self
                    .suspects
                    .iter_mut()
                    .any(|suspect| !std::mem::take(&mut suspect.examples).is_empty());
            }
        }
        true
    }

    fn mark(&mut self, whole: &Incident) {
        let left_out = [
            ("members", whole.members.len() - self.members.len()),
            ("changes", whole.changes.len() - self.changes.len()),
            ("suspects", whole.suspects.len() - self.suspects.len()),
        ];
        let left_out = left_out.iter().filter(|(_, count)| *count > 0);
        let left_out: Vec<String> = left_out.map(|(what, count)| format!("{count} {what}")).collect();
        if !left_out.is_empty() {
            self.why =
                format!("{}; left out, as the record was too large: {}", self.why, left_out.join(", "));
        }
    }
}

impl Shorten for Anomaly {
    fn shorten(&mut self) -> bool {
        let before = self.attribution.len();
        self.attribution.truncate(before / 2);
        before > 0
    }
}

#[cfg(test)]
mod tests {
    use foreshock_core::types::{Change, Entity, EntityKind, Member};

    use super::*;

    fn incident(members: usize, changes: usize, length: usize) -> Incident {
        let name = |i: usize| format!("{i}{}", "0".repeat(length));
        let anomaly = |i: usize| -> Anomaly {
            let entity = Entity::new(EntityKind::Service, name(i));
            serde_json::from_value(serde_json::json!({
                "id": "00000000000000aa", "revision": 1, "kind": "series", "entity": entity, "series": name(i), "measure": "cpu",
                "active": true, "opened_ms": 0, "onset_ms": 0, "updated_ms": 0, "score": 0.9, "ticks": 3, "neg_log_p": 9.0,
                "value": 1.0, "expected": 0.0, "lower": 0.0, "upper": 0.5, "detector": "band", "explanation": "",
            }))
            .expect("an anomaly")
        };
        let change = |i: usize| Change {
            time_ms: i as i64,
            id: name(i),
            kind: "service.deployed".to_string(),
            entity: Entity::new(EntityKind::Service, "cart"),
            version: name(i),
            source: "test".to_string(),
        };
        Incident {
            why: "alone".to_string(),
            members: (0..members).map(|i| Member { anomaly: anomaly(i), because: String::new() }).collect(),
            changes: (0..changes).map(change).collect(),
            ..Incident::default()
        }
    }

    #[test]
    fn the_strongest_members_and_the_latest_changes_stay() {
        for (members, changes, length) in
            [(200, 0, 5000), (3, 20_000, 20), (200, 20_000, 100), (1, 50, 100_000)]
        {
            let whole = incident(members, changes, length);
            let (text, is_short) = fitting(&whole, 900 << 10).expect("JSON").expect("it fits");
            let part: Incident = serde_json::from_slice(&text).expect("an incident");
            assert!(is_short && text.len() <= 900 << 10);
            assert_eq!(part.members, whole.members[..part.members.len()]);
            assert_eq!(part.changes, whole.changes[changes - part.changes.len()..]);
            assert!(part.why.starts_with("alone; left out, as the record was too large: "), "{}", part.why);
        }
    }

    #[test]
    fn what_fits_stays_as_it_is_and_what_cannot_fit_is_refused() {
        let whole = incident(3, 3, 10);
        let (text, is_short) = fitting(&whole, 900 << 10).expect("JSON").expect("it fits");
        assert!(!is_short && serde_json::from_slice::<Incident>(&text).expect("an incident") == whole);
        assert_eq!(fitting(&whole, 100).expect("JSON"), None);
    }
}

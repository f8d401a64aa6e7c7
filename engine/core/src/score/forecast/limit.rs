//! Which series have an end, and where it is.

use serde::{Deserialize, Serialize};

use crate::types::{Matcher, SeriesDef};

/// A limit that an operator gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Which series: all of them must match.
    pub matchers: Vec<Matcher>,
    /// Where it is.
    pub limit: f64,
    /// From which side it is met.
    pub side: Side,
}

/// From which side a limit is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// What is used grows up to it.
    Below,
    /// What is left falls down to it.
    Above,
}

/// Words of what is used up, and does not come back by itself: a busy processor does.
const RESOURCES: &[&str] = &[
    "memory",
    "heap",
    "disk",
    "filesystem",
    "volume",
    "storage",
    "swap",
    "inode",
    "quota",
    "descriptor",
    "tablespace",
];

/// Limit of a series, where it has one: what its operator says, or what the semantic conventions mean by its name. A
/// utilization is a share of 1, and what is free is used up at 0.
pub(super) fn of(limits: &[Limit], series: &SeriesDef) -> Option<(f64, Side)> {
    if let Some(given) = limits.iter().find(|given| Matcher::all_mean(&given.matchers, series)) {
        return Some((given.limit, given.side));
    }
    let measure = series.measure.as_str();
    let is_resource = RESOURCES.iter().any(|word| measure.contains(word));
    // Of a share only what is used: the shares of a memory that is free, cached and used add up to 1.
    let state =
        series.attributes.iter().find(|(key, _)| key.ends_with("state")).map(|(_, state)| state.as_str());
    if !is_resource || measure.contains(':') {
        return None;
    }
    match state {
        _ if measure.contains("utilization") => {
            matches!(state, None | Some("used")).then_some((1.0, Side::Below))
        }
        Some("free") => Some((0.0, Side::Above)),
        None if ["free", "available"].iter().any(|word| measure.contains(word)) => Some((0.0, Side::Above)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::{Entity, EntityKind};

    fn series(measure: &str, state: Option<&str>) -> SeriesDef {
        let entity = Arc::new(Entity::new(EntityKind::Host, "n1"));
        let attributes = state.map(|state| ("system.filesystem.state".to_string(), state.to_string()));
        SeriesDef::new(entity, measure, attributes.into_iter().collect())
    }

    #[test]
    fn the_conventions_say_what_has_an_end() {
        for (measure, state, limit) in [
            ("system.filesystem.utilization", None, Some((1.0, Side::Below))),
            ("system.filesystem.utilization", Some("used"), Some((1.0, Side::Below))),
            ("system.memory.utilization", Some("cached"), None),
            ("system.filesystem.usage", Some("free"), Some((0.0, Side::Above))),
            ("system.filesystem.usage", Some("used"), None),
            ("k8s.volume.available", None, Some((0.0, Side::Above))),
            ("process.cpu.utilization", None, None),
            ("system.disk.io:rate", None, None),
        ] {
            assert_eq!(of(&[], &series(measure, state)), limit, "{measure} {state:?}");
        }
    }

    #[test]
    fn an_operator_knows_better() {
        let matchers = vec!["measure=process.memory.usage".parse().unwrap()];
        let given = Limit { matchers, limit: 2e9, side: Side::Below };
        let found = of(std::slice::from_ref(&given), &series("process.memory.usage", None));
        assert_eq!(found, Some((2e9, Side::Below)));
        assert_eq!(of(&[given], &series("jvm.memory.used", None)), None);
    }
}

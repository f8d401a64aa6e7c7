//! Log templates that say about the same: MinHash with bands (Broder 1997; Leskovec, Rajaraman, Ullman: *Mining of Massive Datasets*,
//! chapter 3). Two are alike when one of [`BANDS`] bands of [`ROWS`] minima agrees: with a probability of 0.99 where nine of ten words
//! are shared, of one in two near [`BANDS`]^(-1/[`ROWS`]), two thirds, and of 0.01 where three of ten are. Equal texts always are.

use std::collections::BTreeSet;

use crate::types::{Anomaly, stable_hash};

const BANDS: usize = 12;
const ROWS: usize = 6;

/// Fewest different words that a template is known by, and the shortest word.
const WORDS: usize = 3;
const LETTERS: usize = 3;

/// The bands of a new template; `None` for anything else, and for a template of too few words.
pub(super) fn bands(anomaly: &Anomaly) -> Option<[u64; BANDS]> {
    let words: BTreeSet<u64> = anomaly
        .template()?
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| word.chars().count() >= LETTERS)
        .map(|word| stable_hash(word.to_lowercase().as_bytes()))
        .collect();
    if words.len() < WORDS {
        return None;
    }
    let minimum = |row: usize| words.iter().map(|word| shuffled(*word, row as u64)).min().unwrap_or(0);
    Some(std::array::from_fn(|band| {
        (band * ROWS..(band + 1) * ROWS).fold(band as u64, |hash, row| shuffled(hash ^ minimum(row), 0))
    }))
}

/// Whether two new templates say about the same.
pub(super) fn are_alike(a: &Anomaly, b: &Anomaly) -> bool {
    match (bands(a), bands(b)) {
        (Some(a), Some(b)) => a.iter().zip(&b).any(|(a, b)| a == b),
        _ => false,
    }
}

/// The hash of a word in the order of this row: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn shuffled(hash: u64, row: u64) -> u64 {
    let mut mixed = hash.wrapping_add((row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{super::tests, *};
    use crate::types::{AnomalyKind, Entity, EntityKind, anomaly::template_series};

    fn new_template(service: &str, template: &str) -> Anomaly {
        let series = template_series(&Entity::new(EntityKind::Service, service), template);
        Anomaly { kind: AnomalyKind::NewTemplate, series, ..tests::anomaly("0 e log 10 1") }
    }

    #[test]
    fn templates_of_about_the_same_words_are_alike() {
        let told = |text: &str| new_template("a", text);
        let line = "TLS handshake with <*> failed: certificate has expired, <*> days ago";
        let cases = [
            (line, true),
            ("tls handshake with <*> failed: certificate has expired", true),
            ("request <*> failed: internal error", false),
            ("connection pool exhausted after <*> ms", false),
        ];
        for (other, alike) in cases {
            assert_eq!(are_alike(&told(line), &new_template("b", other)), alike, "{other}");
        }
        assert!(!are_alike(&told("failed"), &told("failed")), "one word says nothing");
        assert!(!are_alike(&tests::anomaly("0 e log 10 1"), &told(line)), "no template");
    }
}

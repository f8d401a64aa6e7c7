//! Which templates a new line is kin to: whether they are one statement whose variable part has varied.
//!
//! Two lines that differ in a word may be one statement or two; the words alone do not tell. What tells is how many
//! values a place has taken, and whether new ones keep coming: a place with few values that all repeat is a choice
//! between statements (`paused`, `resumed`), a place with ever new ones is variable. Names and addresses need fewer
//! values than words of a language; keys never vary.

use super::{
    known::Known,
    words::{Look, Words},
};

/// Values that a place takes before it is variable: names and addresses, words, and whatever repeats.
const NAMES: usize = 3;
const WORDS: usize = 5;
const MANY: usize = 10;

/// Least share of new values among the lines that do not have the commonest one.
const OPEN: f64 = 0.1;

/// Most sets of places that are looked at.
const SETS: usize = 64;

/// Templates of one shape that share a word, from which on they are free text behind that word.
const CROWD: usize = 64;

/// The templates of `bucket` that the words belong to, to be made one; empty if they are a statement of their own.
pub(super) fn find(templates: &[Known], bucket: &[usize], words: &Words) -> Vec<usize> {
    let differences = bucket.iter().map(|&index| (index, Difference::of(&templates[index], words)));
    let alike: Vec<(usize, Difference)> = differences.filter(|(_, found)| found.is_alike()).collect();
    let of_names = || alike.iter().filter(|(_, found)| found.words == 0);

    let masked = of_names().filter(|(_, found)| found.names == 0);
    if let Some((index, _)) = masked.min_by_key(|(index, found)| (found.masked, *index)) {
        return vec![*index];
    }
    let named: Vec<usize> = of_names().map(|(index, _)| *index).collect();
    if named.len() + 1 >= NAMES && is_open(templates, &named) {
        return named;
    }
    let mut sets: Vec<u128> = alike.iter().map(|(_, found)| found.places).collect();
    sets.sort_unstable_by_key(|set| (set.count_ones(), *set));
    sets.dedup();
    for set in sets.into_iter().take(SETS) {
        let inside = alike.iter().filter(|(_, found)| found.places & !set == 0);
        let members: Vec<usize> = inside.map(|(index, _)| *index).collect();
        if is_variable(set, members.len() + 1, || is_open(templates, &members)) {
            return members;
        }
    }
    Vec::new()
}

/// The templates that share a word with the line, where a shape has so many templates that the rest must be free text:
/// those with the word that most of them share; empty if it is shared by few.
pub(super) fn crowd(templates: &[Known], bucket: &[usize], words: &Words) -> Vec<usize> {
    let is_free = |index: &&usize| Difference::of(&templates[**index], words).keys == 0;
    let free: Vec<usize> = bucket.iter().filter(is_free).copied().collect();
    let sharing = |place: usize| {
        let hash = words.words[place].hash;
        let members =
            free.iter().filter(move |index| hash != 0 && templates[**index].words[place].hash == hash);
        members.copied().collect::<Vec<_>>()
    };
    let largest = (0..words.words.len()).map(sharing).max_by_key(Vec::len).unwrap_or_default();
    if largest.len() >= CROWD { largest } else { Vec::new() }
}

/// Whether a set of places that has taken so many values is variable. The first word of a line is seldom so.
fn is_variable(places: u128, values: usize, is_open: impl Fn() -> bool) -> bool {
    match (places.count_ones(), places & 1) {
        (1, 0) => values >= MANY || (values >= WORDS && is_open()),
        (1, _) => values >= MANY,
        (_, 0) => values >= MANY && is_open(),
        _ => false,
    }
}

/// Whether new values keep coming: lines with the commonest value do not count.
fn is_open(templates: &[Known], members: &[usize]) -> bool {
    let lines = members.iter().map(|index| templates[*index].lines);
    let commonest = lines.clone().max().unwrap_or(0);
    members.len() as f64 >= OPEN * (lines.sum::<u64>() + 1 - commonest) as f64
}

/// How a line differs from a template of its shape, in numbers of words.
#[derive(Default)]
struct Difference {
    /// Equal, and not masked.
    equal: usize,
    /// Masked in the line alone.
    masked: usize,
    /// Two names.
    names: usize,
    /// Otherwise.
    words: usize,
    /// Of these the keys.
    keys: usize,
    /// The places where they differ, a bit each.
    places: u128,
}

impl Difference {
    fn of(template: &Known, words: &Words) -> Difference {
        let mut found = Difference::default();
        for (place, (known, word)) in template.words.iter().zip(&words.words).enumerate() {
            if known.hash == 0 {
                continue;
            }
            if known.hash == word.hash {
                found.equal += 1;
                continue;
            }
            found.places |= 1 << place;
            match (known.look, word.look) {
                (Look::Key, _) | (_, Look::Key) => found.keys += 1,
                (_, Look::Masked) => found.masked += 1,
                (Look::Name, Look::Name) => found.names += 1,
                _ => found.words += 1,
            }
        }
        found
    }

    /// Whether the line may be of the template's statement: what is equal is no less than what differs.
    fn is_alike(&self) -> bool {
        self.keys == 0 && self.equal > 0 && self.masked + self.names + self.words <= self.equal
    }
}

//! Log lines as templates, online: a line is read once, and what was learnt from it is kept.
//!
//! * `scan`: the walk over a line's bytes, masks for what is certainly variable
//! * `words`: a line as words, its shape and its pattern
//! * `known`: a template
//! * `kin`: whether templates are one statement whose variable part has varied
//!
//! A line's pattern is what masks leave of it. Lines of one pattern have one template. A new pattern fits a template
//! (Drain's wildcards: He, Zhu, Zheng, Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS
//! 2017), or joins its kin (how many values a place has taken is the evidence, as in Yu et al., "Brain: Log Parsing With
//! Bidirectional Parallel Tree", IEEE TSC 2023), or is a template of its own. Templates that turn out to be one are made
//! one; an index that was given before stays valid, see [`TemplateMiner::current`]. Not for structured fields: give
//! those as attributes.

mod kin;
mod known;
mod scan;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use known::Known;
use words::Words;

/// Settings of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateConfig {
    /// Most templates at a time; a line that would need one more joins the most similar one of its shape.
    pub max_templates: usize,
    /// Words that are looked at, at most 128; the rest of a longer line is left out.
    pub max_words: usize,
}

impl Default for TemplateConfig {
    fn default() -> TemplateConfig {
        TemplateConfig { max_templates: 1000, max_words: 128 }
    }
}

/// Most words of a line: the places where lines differ are kept as bits.
const MAX_WORDS: usize = 128;

/// Templates ever made, as a multiple of the most at a time: what became part of another keeps its index.
const EVER: usize = 4;

/// No shape has more than a fourth of the templates, or this many: lines that are all variable do not keep others out.
const SHAPES: usize = 4;
const SHAPE: usize = 64;

/// Words that a line must share with a template into whose variable part a piece of it goes.
const ANCHORS: usize = 2;

/// Pieces of a line that are tried for that.
const PIECES: usize = 16;

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateRef {
    /// Index of its template.
    pub index: usize,
    /// Whether the line made the template.
    pub is_new: bool,
}

/// Learns templates line by line.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Saved")]
pub struct TemplateMiner {
    config: TemplateConfig,
    /// All templates that were ever made.
    templates: Vec<Known>,
    /// Those that are not part of another, rising, by shape.
    shapes: BTreeMap<u64, Vec<usize>>,
    live: usize,
    recent: Recent,
    words: Words,
}

/// What is saved; the rest follows from it.
#[derive(Deserialize)]
struct Saved {
    config: TemplateConfig,
    templates: Vec<Known>,
}

/// Tells lines apart by what is not certainly variable in them, without memory.
#[derive(Debug)]
pub struct Patterns {
    words: Words,
    max_words: usize,
}

impl Patterns {
    /// The patterns that a miner of these settings knows lines by.
    pub fn new(config: TemplateConfig) -> Patterns {
        Patterns { words: Words::default(), max_words: config.max_words.min(MAX_WORDS) }
    }

    /// The pattern of a line.
    pub fn of(&mut self, line: &str) -> u64 {
        self.words.read(line, self.max_words);
        self.words.pattern
    }
}

impl TemplateMiner {
    /// A miner that has seen nothing.
    pub fn new(config: TemplateConfig) -> TemplateMiner {
        Saved { config, templates: Vec::new() }.into()
    }

    /// The template of a line; learns it where it is new. `None` for a line without words, and for one that would
    /// need a template too many. Does not allocate for a pattern that it has met since the last change.
    pub fn learn(&mut self, line: &str) -> Option<TemplateRef> {
        self.learn_many(line, 1)
    }

    /// As [`TemplateMiner::learn`], of so many lines with one pattern, of which this is the first.
    pub fn learn_many(&mut self, line: &str, lines: u64) -> Option<TemplateRef> {
        let mut words = std::mem::take(&mut self.words);
        words.read(line, self.config.max_words.min(MAX_WORDS));
        let found = match self.recent.get(words.pattern) {
            _ if words.words.is_empty() => None,
            Some(index) => Some(TemplateRef { index, is_new: false }),
            None => self.place(line, &words),
        };
        self.words = words;
        if let Some(found) = found {
            self.templates[found.index].lines += lines;
        }
        found
    }

    /// The template that an index stands for now: itself, or the one that it has become a part of.
    pub fn current(&self, index: usize) -> usize {
        let mut index = index;
        while let Some(into) = self.templates.get(index).and_then(|template| template.into) {
            index = into;
        }
        index
    }

    /// The text of a template as it stands now, with the spacing and punctuation of its first line.
    pub fn template(&self, index: usize) -> String {
        self.templates.get(self.current(index)).map_or_else(String::new, Known::render)
    }

    /// Number of indices that were given out: templates, and what became part of them.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Number of templates.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Whether nothing was learnt yet.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    fn place(&mut self, line: &str, words: &Words) -> Option<TemplateRef> {
        let index = match self.fitting(words) {
            Some(index) => {
                self.templates[index].join_line(words);
                index
            }
            None => match self.fitting_in_part(line) {
                Some(index) => index,
                None => return self.place_new(line, words),
            },
        };
        self.recent.put(words.pattern, index);
        Some(TemplateRef { index, is_new: false })
    }

    /// The place of a line that fits no template.
    fn place_new(&mut self, line: &str, words: &Words) -> Option<TemplateRef> {
        let bucket = self.shapes.get(&words.shape).map_or(&[][..], Vec::as_slice);
        let is_full = self.is_full(bucket.len());
        let mut kin = kin::find(&self.templates, bucket, words);
        if kin.is_empty() && is_full {
            kin = kin::crowd(&self.templates, bucket, words);
        }
        let index = match kin.first() {
            Some(&first) => self.unite(first, &kin, words),
            None if is_full => self.most_similar(words)?,
            None => return Some(self.create(line, words)),
        };
        self.recent.put(words.pattern, index);
        Some(TemplateRef { index, is_new: false })
    }

    /// The template that differs from the line only where it is variable; of several the one with most words.
    fn fitting(&self, words: &Words) -> Option<usize> {
        self.best_fit(words).map(|(_, index)| index)
    }

    fn best_fit(&self, words: &Words) -> Option<(usize, usize)> {
        let bucket = self.shapes.get(&words.shape)?;
        let fits = bucket.iter().filter_map(|&index| Some((self.templates[index].fit(words)?, index)));
        fits.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
    }

    /// The same where one piece of the line, blank to blank, is more than a word: `LOCAL(0)` for an address.
    fn fitting_in_part(&self, line: &str) -> Option<usize> {
        let line = &line[..line.floor_char_boundary(words::MAX_BYTES)];
        let mut words = Words::default();
        let pieces = line.split_ascii_whitespace().map(|piece| piece.trim_end_matches([',', ';', ':', '.']));
        let best = pieces.filter(|piece| is_compound(piece)).take(PIECES).filter_map(|piece| {
            let start = piece.as_ptr() as usize - line.as_ptr() as usize;
            let other = [&line[..start], "0", &line[start + piece.len()..]].concat();
            words.read(&other, self.config.max_words.min(MAX_WORDS));
            let is_word =
                words.words.iter().any(|word| word.start as usize == start && word.end as usize == start + 1);
            self.best_fit(&words).filter(|(equal, _)| is_word && *equal >= ANCHORS)
        });
        best.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, index)| index)
    }

    /// Makes kin and a line one template; gives its index.
    fn unite(&mut self, index: usize, kin: &[usize], words: &Words) -> usize {
        self.recent.clear();
        let mut united = self.templates[index].clone();
        for other in kin {
            united.join(&self.templates[*other]);
        }
        united.join_line(words);
        let Some(bucket) = self.shapes.get_mut(&united.shape) else { return index };
        bucket.retain(|&other| {
            let absorbed = other != index && united.covers(&self.templates[other]);
            if absorbed {
                self.templates[other].into = Some(index);
                united.lines += self.templates[other].lines;
                self.live -= 1;
            }
            !absorbed
        });
        self.templates[index] = united;
        index
    }

    fn create(&mut self, line: &str, words: &Words) -> TemplateRef {
        let index = self.templates.len();
        self.templates.push(Known::new(line, words));
        self.shapes.entry(words.shape).or_default().push(index);
        self.live += 1;
        self.recent.fit(self.live);
        self.recent.put(words.pattern, index);
        TemplateRef { index, is_new: true }
    }

    /// Whether there is no room for one more, at all or for a shape that has so many.
    fn is_full(&self, of_shape: usize) -> bool {
        let most = self.config.max_templates;
        self.live >= most || self.templates.len() >= most * EVER || of_shape >= (most / SHAPES).max(SHAPE)
    }

    /// The template of this shape with the most words of the line. It stays as it is: the line is there for want of room.
    fn most_similar(&self, words: &Words) -> Option<usize> {
        let bucket = self.shapes.get(&words.shape)?;
        let shared = |index: usize| {
            let pairs = self.templates[index].words.iter().zip(&words.words);
            pairs.filter(|(known, word)| known.hash == word.hash).count()
        };
        bucket.iter().copied().max_by_key(|&index| (shared(index), std::cmp::Reverse(index)))
    }
}

/// Whether a piece of a line is of several words, and not a key with its value.
fn is_compound(piece: &str) -> bool {
    let parts = |byte: u8| byte.is_ascii_punctuation() && !matches!(byte, b'.' | b'-' | b'_' | b'/');
    let begins = piece.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins && piece.bytes().any(parts) && !piece.contains('=')
}

impl From<Saved> for TemplateMiner {
    fn from(saved: Saved) -> TemplateMiner {
        let mut shapes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut live = 0;
        for (index, template) in saved.templates.iter().enumerate().filter(|(_, one)| one.into.is_none()) {
            shapes.entry(template.shape).or_default().push(index);
            live += 1;
        }
        let mut recent = Recent::default();
        recent.fit(live);
        let (config, templates) = (saved.config, saved.templates);
        TemplateMiner { config, templates, shapes, live, recent, words: Words::default() }
    }
}

impl Serialize for TemplateMiner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut saved = serializer.serialize_struct("Saved", 2)?;
        saved.serialize_field("config", &self.config)?;
        saved.serialize_field("templates", &self.templates)?;
        saved.end()
    }
}

/// Where the patterns of the last lines belong: a shortcut to what a search would find, emptied when that changes.
#[derive(Clone, Debug, Default)]
struct Recent {
    /// Pattern and index; the pattern's low bits are the place. A power of two.
    entries: Vec<Option<(u64, usize)>>,
}

impl Recent {
    fn get(&self, pattern: u64) -> Option<usize> {
        let (known, index) = (*self.entries.get(self.place(pattern))?)?;
        (known == pattern).then_some(index)
    }

    fn put(&mut self, pattern: u64, index: usize) {
        let place = self.place(pattern);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Some((pattern, index));
        }
    }

    fn place(&self, pattern: u64) -> usize {
        pattern as usize & self.entries.len().wrapping_sub(1)
    }

    fn clear(&mut self) {
        self.entries.fill(None);
    }

    /// Empties it, with room for the patterns of so many templates.
    fn fit(&mut self, templates: usize) {
        self.entries.clear();
        self.entries.resize((templates * 4).next_power_of_two().max(64), None);
    }
}

#[cfg(test)]
mod tests;

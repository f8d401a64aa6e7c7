//! A template: the words of its first line, those masked that were found to be variable.

use serde::{Deserialize, Serialize};

use super::words::{Look, Words};

/// What stands for a variable part.
const WILDCARD: &str = "<*>";

/// A template that was learnt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its first line, as far as it was looked at.
    text: String,
    /// Hash of the punctuation and the number of words.
    pub shape: u64,
    /// Its words.
    pub words: Vec<KnownWord>,
    /// Lines that it has had.
    pub lines: u64,
    /// The template that it has become a part of.
    pub into: Option<usize>,
}

/// A word of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownWord {
    /// Hash of its bytes; 0 if it is variable.
    pub hash: u64,
    /// Hash of the unit behind it; 0 for none, or several.
    unit: u64,
    start: u32,
    end: u32,
    unit_end: u32,
    /// What it looks like.
    pub look: Look,
}

impl Known {
    /// The template of a line that is the first of its kind.
    pub(super) fn new(line: &str, words: &Words) -> Known {
        let known = words.words.iter().map(|word| KnownWord {
            hash: word.hash,
            unit: word.unit,
            start: word.start,
            end: word.end,
            unit_end: word.unit_end,
            look: word.look,
        });
        Known {
            text: line[..words.length].to_string(),
            shape: words.shape,
            words: known.collect(),
            lines: 0,
            into: None,
        }
    }

    /// Number of words that a line of the same shape shares with it, if it differs only where the template is variable.
    pub(super) fn fit(&self, words: &Words) -> Option<usize> {
        let mut equal = 0;
        for (known, word) in self.words.iter().zip(&words.words) {
            if known.hash == 0 {
                continue;
            }
            if known.hash != word.hash {
                return None;
            }
            equal += 1;
        }
        Some(equal)
    }

    /// Whether every line that fits `other`, of the same shape, fits this too.
    pub(super) fn covers(&self, other: &Known) -> bool {
        self.words.iter().zip(&other.words).all(|(own, other)| own.hash == 0 || own.hash == other.hash)
    }

    /// Words that differ become variable; units that differ are units no more.
    pub(super) fn join_line(&mut self, words: &Words) {
        for (known, word) in self.words.iter_mut().zip(&words.words) {
            known.join(word.hash, word.unit);
        }
    }

    /// The same for another template of the same shape.
    pub(super) fn join(&mut self, other: &Known) {
        for (known, word) in self.words.iter_mut().zip(&other.words) {
            known.join(word.hash, word.unit);
        }
    }

    /// The template for people: its spacing and punctuation are those of its first line.
    pub(super) fn render(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for word in &self.words {
            let (start, end) = (word.start as usize, word.end as usize);
            out.push_str(&self.text[at..start]);
            if word.hash == 0 {
                out.push_str(WILDCARD);
                at = if word.unit == 0 { word.unit_end as usize } else { end };
            } else {
                out.push_str(&self.text[start..end]);
                at = end;
            }
        }
        out.push_str(&self.text[at..]);
        out
    }
}

impl KnownWord {
    fn join(&mut self, hash: u64, unit: u64) {
        if self.hash != hash {
            self.hash = 0;
        }
        if self.unit != unit {
            self.unit = 0;
        }
    }
}

//! A line as words. What is certainly variable is masked; what stands between the words is the line's shape.
//!
//! Knows no other line: what is variable because it varies is found in `kin.rs`.

use super::scan::Scan;

/// Most bytes of a line that are looked at.
pub(super) const MAX_BYTES: usize = 4096;

/// A word of a line, with its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Hash of its bytes; 0 for a masked word.
    pub hash: u64,
    /// Hash of the unit behind a masked quantity; 0 for none.
    pub unit: u64,
    /// First byte.
    pub start: u32,
    /// End without the unit.
    pub end: u32,
    /// End with the unit.
    pub unit_end: u32,
    /// What it looks like.
    pub look: Look,
    /// Hash of the punctuation before it; 0 for none.
    pub gap: u64,
}

/// What a word looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Look {
    /// It is masked.
    Masked,
    /// A word of a language.
    Plain,
    /// Dots, slashes or an at sign: the name or address of something.
    Name,
    /// The key of a value.
    Key,
}

/// The words of one line, reused from line to line.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// The words in order; a list of masked words is one.
    pub words: Vec<Word>,
    /// Hash of the number of words and of the punctuation between them.
    pub shape: u64,
    /// Hash of the shape and of all that is not masked.
    pub pattern: u64,
    /// Bytes of the line that were looked at.
    pub length: usize,
}

impl Words {
    /// Reads a line; at most `most` words of it.
    pub(super) fn read(&mut self, line: &str, most: usize) {
        self.words.clear();
        let bytes = &line.as_bytes()[..line.floor_char_boundary(MAX_BYTES)];
        let mut scan = Scan::new(bytes, &mut self.words);
        let tail = scan.run(most);
        self.length = match (tail, self.words.last()) {
            (None, Some(last)) => last.unit_end as usize,
            _ => bytes.len(),
        };
        mask_dates(bytes, &mut self.words);
        mask_lists(&mut self.words);
        join_lists(&mut self.words);
        self.shape = mixed(tail.unwrap_or(0), self.words.len() as u64);
        self.pattern = 0;
        for word in &self.words {
            self.shape = mixed(self.shape, word.gap);
            self.pattern = mixed(mixed(self.pattern, word.hash), word.unit);
        }
        self.pattern = mixed(self.pattern, self.shape);
    }
}

/// Masks the names of days and months before a number.
fn mask_dates(bytes: &[u8], words: &mut [Word]) {
    let mut before_masked = false;
    for word in words.iter_mut().rev() {
        if before_masked && word.hash != 0 && is_calendar(&bytes[word.start as usize..word.end as usize]) {
            (word.hash, word.look) = (0, Look::Masked);
        }
        before_masked = word.hash == 0;
    }
}

fn is_calendar(text: &[u8]) -> bool {
    const NAMES: &[u8] = b"MonTueWedThuFriSatSunJanFebMarAprMayJunJulAugSepOctNovDec";
    text.len() == 3 && NAMES.chunks_exact(3).any(|name| name == text)
}

/// Words from which on those that only commas part are a list.
const LISTED: usize = 3;

/// Masks words that are parted by commas and by nothing else: a list, which may have another length.
fn mask_lists(words: &mut [Word]) {
    let mut first = 0;
    for at in 1..=words.len() {
        let goes_on = words.get(at).is_some_and(|word| word.gap == COMMA && word.look != Look::Key);
        if !goes_on {
            if at - first >= LISTED {
                words[first..at].iter_mut().for_each(|word| (word.hash, word.look) = (0, Look::Masked));
            }
            first = at;
        }
    }
}

/// Punctuation of one comma, and of one quote.
const COMMA: u64 = mixed(0, b',' as u64);
const QUOTE: u64 = mixed(0, b'"' as u64);

/// Joins masked words that blanks, commas or one repeated piece of punctuation part.
fn join_lists(words: &mut Vec<Word>) {
    let mut kept = 0;
    for at in 0..words.len() {
        let word = words[at];
        if kept > 0 && word.hash == 0 {
            let last = &mut words[kept - 1];
            let listed = word.gap == 0 || word.gap == COMMA || (word.gap == last.gap && word.gap != QUOTE);
            if listed && last.hash == 0 && last.unit == 0 {
                (last.end, last.unit, last.unit_end) = (word.end, word.unit, word.unit_end);
                continue;
            }
        }
        words[kept] = word;
        kept += 1;
    }
    words.truncate(kept);
}

/// One step of a hash over numbers.
pub(super) const fn mixed(hash: u64, value: u64) -> u64 {
    let hash = (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

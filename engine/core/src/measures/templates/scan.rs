//! The walk over a line's bytes: where words begin and end, and which are certainly variable.
//!
//! Masked are words with digits, long hexadecimal words, paths, URLs, addresses with ports, values of `key=`, names of users, literals
//! such as `true`, empty brackets, and `<words>` that redaction left. Cuts only at ASCII bytes, so every piece is valid UTF-8.

use super::words::{Look, Word, mixed};

const DIGIT: u8 = 1;
const LETTER: u8 = 2;
const DOT: u8 = 4;
const SLASH: u8 = 8;
const AT: u8 = 16;
const SYMBOL: u8 = 32;
const HEX: u8 = 64;
const SEPARATOR: u8 = 128;

/// What each byte is. Bytes of characters beyond ASCII count as letters.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [LETTER; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            0..=b' ' | 127 => SEPARATOR,
            b'0'..=b'9' => DIGIT | HEX,
            b'a'..=b'f' | b'A'..=b'F' => LETTER | HEX,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            b'.' => DOT,
            b'/' | b'\\' => SLASH,
            b'@' => AT,
            b'=' | b':' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => SEPARATOR,
            b'"' | b'\'' | b'`' | b'|' | b'<' | b'>' | b'!' | b'?' => SEPARATOR,
            _ => SYMBOL,
        };
        byte += 1;
    }
    class
}

/// Start of a word's hash, and its step per byte: FNV-1a.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Longest quoted value and longest placeholder, in bytes.
const QUOTED: usize = 256;
const PLACEHOLDER: usize = 24;

/// From this length on a word of nothing but hexadecimal letters is a number.
const HEX_LENGTH: usize = 8;

/// A walk over a line.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Hash of the punctuation since the last word.
    gap: u64,
    /// Whether the next word is the value of a key.
    value: bool,
    words: &'a mut Vec<Word>,
}

impl<'a> Scan<'a> {
    /// A walk that appends to `words`.
    pub(super) fn new(bytes: &'a [u8], words: &'a mut Vec<Word>) -> Scan<'a> {
        Scan { bytes, at: 0, gap: 0, value: false, words }
    }

    /// Reads at most `most` words. Gives the hash of the punctuation behind the last one; `None` if words were left out.
    pub(super) fn run(&mut self, most: usize) -> Option<u64> {
        while self.words.len() < most {
            if !self.step() {
                return Some(self.gap);
            }
        }
        None
    }

    /// Reads punctuation and one word; `false` at the end of the line.
    fn step(&mut self) -> bool {
        while let Some(&byte) = self.bytes.get(self.at) {
            if CLASS[usize::from(byte)] & SEPARATOR == 0 {
                if !self.is_loose(byte) {
                    self.word();
                    return true;
                }
                self.mix(byte);
            } else if byte <= b' ' || byte == 127 {
                self.at += 1;
            } else if self.punctuation(byte) {
                return true;
            }
        }
        false
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b' ')
    }

    fn class(&self, at: usize) -> u8 {
        CLASS[usize::from(self.byte(at))]
    }

    /// Whether the byte here is punctuation though words may hold it: the dot that ends a sentence or is one of
    /// several, and the shaft of an arrow.
    fn is_loose(&self, byte: u8) -> bool {
        match byte {
            b'.' => self.class(self.at + 1) & (SEPARATOR | DOT) != 0,
            b'-' => self.byte(self.at + 1) == b'>',
            _ => false,
        }
    }

    fn mix(&mut self, byte: u8) {
        self.gap = mixed(self.gap, u64::from(byte));
        self.at += 1;
    }

    fn push(&mut self, start: usize, end: usize, hash: u64, look: Look) {
        let gap = std::mem::take(&mut self.gap);
        self.value = false;
        self.at = self.at.max(end);
        let (start, end) = (start as u32, end as u32);
        self.words.push(Word { hash, unit: 0, start, end, unit_end: end, look, gap });
    }

    fn mask(&mut self, start: usize, end: usize) {
        self.push(start, end, 0, Look::Masked);
    }

    /// Takes one byte of punctuation, or a masked word that begins with it (then `true`).
    fn punctuation(&mut self, byte: u8) -> bool {
        let (start, next) = (self.at, self.byte(self.at + 1));
        let standing = start == 0 || self.bytes[start - 1] <= b' ';
        match byte {
            b'"' | b'\'' if self.value => {
                let inner = &self.bytes[start + 1..];
                let length = inner.iter().take(QUOTED).position(|other| *other == byte);
                self.value = false;
                self.mix(byte);
                if let Some(length) = length {
                    self.mask(start + 1, start + 1 + length);
                }
                return length.is_some();
            }
            b'<' => {
                if let Some(end) = self.placeholder() {
                    self.mask(start, end);
                    self.join_parts();
                    return true;
                }
                if standing && next.is_ascii_digit() {
                    self.at += 1;
                    self.word();
                    if let Some(word) = self.words.last_mut() {
                        word.start = start as u32;
                    }
                    return true;
                }
            }
            b'(' | b'[' | b'"' if standing && next == closing(byte) => {
                self.mix(byte);
                self.mask(self.at, self.at);
                return true;
            }
            _ => {}
        }
        self.mix(byte);
        if byte == b'=' {
            self.assign(start, next);
        } else {
            self.value &= matches!(byte, b'(' | b'[' | b'{' | b'<');
        }
        false
    }

    /// After an equals sign: what came is a key, what comes is its value. Comparisons are neither.
    fn assign(&mut self, equals: usize, next: u8) {
        let before = if equals == 0 { b' ' } else { self.bytes[equals - 1] };
        let compares = matches!(before, b'=' | b'<' | b'>' | b'!' | b'~') || matches!(next, b'=' | b'>');
        self.value = !compares && !self.words.is_empty();
        if let Some(last) = self.words.last_mut()
            && self.value
            && last.hash != 0
        {
            last.look = Look::Key;
        }
    }

    /// The end of a `<word>`, if it is one.
    fn placeholder(&self) -> Option<usize> {
        let inner = &self.bytes[self.at + 1..];
        let length = inner.iter().take(PLACEHOLDER).position(|byte| *byte == b'>')?;
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'*' | b'_' | b'-');
        (length > 0 && inner[..length].iter().all(is_plain)).then_some(self.at + length + 2)
    }

    /// Reads the word that begins here.
    fn word(&mut self) {
        if self.value && self.simple_value() {
            return;
        }
        self.value = false;
        let start = self.at;
        let (mut any, mut all, mut hash) = (0, 0xff, BASIS);
        while let Some(&byte) = self.bytes.get(self.at) {
            let class = CLASS[usize::from(byte)];
            if class & SEPARATOR != 0 || self.is_loose(byte) {
                break;
            }
            any |= class;
            all &= class;
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            self.at += 1;
        }
        let end = self.at;
        let text = &self.bytes[start..end];
        let lettered = any & LETTER != 0;
        if self.is_path(start, end) {
            self.skip_path();
            self.mask(start, self.at);
        } else if any & DIGIT != 0
            || (all & HEX != 0 && text.len() >= HEX_LENGTH)
            || (any & SLASH != 0 && lettered && is_nested(text))
            || is_literal(text)
        {
            self.mask(start, end);
            self.join_parts();
        } else {
            let hash = (hash ^ (hash >> 32)) | 1;
            if self.gap == 0 && (self.unit(text, hash) || self.user(start, end)) {
                return;
            }
            let named = lettered && any & (DOT | SLASH | AT) != 0;
            self.push(start, end, hash, if named { Look::Name } else { Look::Plain });
            if any & DOT != 0 || (all & HEX != 0 && matches!(text.len(), 2 | 4)) {
                self.join_parts();
            }
        }
    }

    /// Whether a path or a URL begins with the word from `start` to `end`.
    fn is_path(&self, start: usize, end: usize) -> bool {
        let standing = start == 0 || self.class(start - 1) & SEPARATOR != 0;
        let rooted = standing && self.class(start) & SLASH != 0 && end - start > 1;
        let rest = &self.bytes[end..];
        let drive = end - start == 1 && self.class(start) & LETTER != 0 && rest.starts_with(b":\\");
        rooted || drive || rest.starts_with(b"://")
    }

    /// Goes on to the next blank or quote, without the punctuation before it.
    fn skip_path(&mut self) {
        let start = self.at;
        let ends = |byte: &u8| matches!(byte, 0..=b' ' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|');
        let rest = &self.bytes[start..];
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        let loose = |byte| matches!(byte, b',' | b';' | b':' | b')' | b']' | b'}' | b'.' | b'!' | b'?');
        while self.at > start && loose(self.bytes[self.at - 1]) {
            self.at -= 1;
        }
    }

    /// Masks the value of a key; `false` if it is more than one word.
    fn simple_value(&mut self) -> bool {
        let start = self.at;
        let (mut depth, mut at) = (0_u32, start);
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'=' => return false,
                b'(' | b'{' | b'[' => depth += 1,
                b')' | b'}' | b']' if depth == 0 => break,
                b')' | b'}' | b']' => depth -= 1,
                0..=b' ' | b',' | b';' | b'|' | b'&' if depth > 0 => return false,
                0..=b' ' | b',' | b';' | b'|' | b'&' => break,
                _ => {}
            }
            at += 1;
        }
        if depth > 0 {
            return false;
        }
        let loose = |byte| matches!(byte, b':' | b'.' | b'"' | b'\'' | b'!' | b'?' | b'>');
        while at > start + 1 && loose(self.bytes[at - 1]) {
            at -= 1;
        }
        self.mask(start, at);
        true
    }

    /// Joins what belongs to a masked word or a host: `host:port`, `10:20:30`, `fe80::1`.
    fn join_parts(&mut self) {
        let mut joined = false;
        while self.byte(self.at) == b':' {
            let from = self.at + 1 + usize::from(self.byte(self.at + 1) == b':');
            let (mut any, mut all, mut at) = (0, 0xff, from);
            while self.class(at) & SEPARATOR == 0 {
                any |= self.class(at);
                all &= self.class(at);
                at += 1;
            }
            let hex = all & HEX != 0 && (at - from == 2 || (joined && at - from <= 4));
            if at == from || (any & DIGIT == 0 && !hex) {
                return;
            }
            while self.bytes[at - 1] == b'.' {
                at -= 1;
            }
            joined = true;
            self.at = at;
            if let Some(last) = self.words.last_mut() {
                (last.hash, last.look) = (0, Look::Masked);
                (last.end, last.unit_end) = (at as u32, at as u32);
            }
        }
    }

    /// Joins a unit to the quantity before it.
    fn unit(&mut self, text: &[u8], hash: u64) -> bool {
        let Some(last) = self.words.last_mut() else { return false };
        let counts = last.hash == 0 && last.unit == 0 && last.end > last.start;
        if !counts || !self.bytes[last.end as usize - 1].is_ascii_digit() || !is_unit(text) {
            return false;
        }
        (last.unit, last.unit_end) = (hash, self.at as u32);
        self.restated();
        true
    }

    /// A quantity in parentheses behind a quantity says the same again: `1190 bytes (1.16 KB)`.
    fn restated(&mut self) {
        let &[.., before, last] = self.words.as_slice() else { return };
        let between = &self.bytes[before.unit_end as usize..last.start as usize];
        if before.unit == 0 || between.trim_ascii() != b"(" || self.byte(self.at) != b')' {
            return;
        }
        self.at += 1;
        self.words.pop();
        if let Some(before) = self.words.last_mut() {
            (before.unit, before.unit_end) = (mixed(before.unit, last.unit) | 1, self.at as u32);
        }
    }

    /// Masks the name behind the word `user`, also an empty one between two blanks.
    fn user(&mut self, start: usize, end: usize) -> bool {
        let Some(last) = self.words.last() else { return false };
        if last.hash == 0 || &self.bytes[last.start as usize..last.end as usize] != b"user" {
            return false;
        }
        let name = last.end as usize + 1;
        if start > name {
            self.mask(name, name);
            self.at = name;
        } else {
            self.mask(start, end);
        }
        true
    }
}

fn closing(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        other => other,
    }
}

/// Whether a word is a path though it begins with a letter.
fn is_nested(text: &[u8]) -> bool {
    text.contains(&b'\\') || text.iter().filter(|byte| **byte == b'/').count() > 1
}

fn is_literal(text: &[u8]) -> bool {
    match text.len() {
        3 => text == b"nil",
        4 => text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"null") || text == b"None",
        5 => text.eq_ignore_ascii_case(b"false"),
        _ => false,
    }
}

/// Units of size and of time.
fn is_unit(text: &[u8]) -> bool {
    const UNITS: [&[u8]; 28] = [
        b"b", b"kb", b"mb", b"gb", b"tb", b"kib", b"mib", b"gib", b"tib", b"byte", b"bytes", b"ns", b"us",
        b"ms", b"msec", b"s", b"sec", b"secs", b"second", b"seconds", b"min", b"mins", b"minute", b"minutes",
        b"hour", b"hours", b"day", b"days",
    ];
    text.len() <= 7 && UNITS.iter().any(|unit| text.eq_ignore_ascii_case(unit))
}

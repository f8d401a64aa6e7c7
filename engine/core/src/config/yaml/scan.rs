//! How deep a YAML text nests, found in one pass and without a stack. The rules are those of libyaml's scanner, token by token:
//! which column opens a block, what a quoted or a block text covers, where a plain text of several lines ends.
//!
//! It makes no tokens. Where libyaml would find a fault, the pass ends, and the parser says it.

mod texts;

use std::str::Chars;

use super::{DEEPEST, LONGEST, Refused};

/// Characters after which a key can no longer be one.
const LONGEST_KEY: usize = 1024;
/// Characters that begin no plain text.
const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`";

/// Refuses a text that is too long or nests too deep. Says whether it has aliases.
pub(super) fn scan(text: &str) -> Result<bool, Refused> {
    let mut scan = Scan::new(text);
    if text.len() > LONGEST {
        return Err(scan.refused(format!("is {} bytes long: at most {LONGEST} are read", text.len())));
    }
    while scan.token()? {}
    Ok(scan.has_aliases)
}

/// A text that may turn out to be the key of a map.
#[derive(Clone, Copy)]
struct Key {
    line: usize,
    column: usize,
    index: usize,
    /// Nothing else can stand in its column.
    is_required: bool,
}

struct Scan<'a> {
    rest: Chars<'a>,
    line: usize,
    column: usize,
    index: usize,
    /// Open brackets, each with the possible key in it; the first is the text outside of all.
    keys: Vec<Option<Key>>,
    /// Columns of the open blocks.
    blocks: Vec<usize>,
    /// A key may begin here.
    may_be_key: bool,
    has_aliases: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Scan<'a> {
        Scan {
            rest: text.chars(),
            line: 0,
            column: 0,
            index: 0,
            keys: vec![None],
            blocks: Vec::new(),
            may_be_key: true,
            has_aliases: false,
        }
    }

    /// Reads one token. `false`: there is none, or none that the parser would take.
    fn token(&mut self) -> Result<bool, Refused> {
        self.skip_between();
        if !self.forget_stale_keys() {
            return Ok(false);
        }
        if !self.is_in_brackets() {
            let column = self.column;
            self.close_blocks(|block| block > column);
        }
        let (first, second) = (self.peek(0), self.peek(1));
        let in_brackets = self.is_in_brackets();
        match first {
            '\0' => Ok(false),
            '%' if self.column == 0 => {
                Err(self.refused("begins with %: directives are not read, leave them out".to_string()))
            }
            '-' | '.' if self.column == 0 && self.is_document_mark() => {
                self.close_blocks(|_| true);
                self.may_be_key = false;
                Ok(self.forget_key() && self.skip(3))
            }
            '[' | '{' => self.open_bracket(),
            ']' | '}' => Ok(self.close_bracket()),
            ',' => {
                self.may_be_key = true;
                Ok(self.forget_key() && self.skip(1))
            }
            '-' if is_blank_or_end(second) => self.entry(),
            '?' if in_brackets || is_blank_or_end(second) => self.entry(),
            ':' if in_brackets || is_blank_or_end(second) => self.value(),
            '*' | '&' => {
                self.has_aliases |= first == '*';
                Ok(self.remember_key() && self.skip(1) && self.name())
            }
            '!' => Ok(self.remember_key() && self.tag()),
            '|' | '>' if !in_brackets => {
                self.may_be_key = true;
                Ok(self.forget_key() && self.block_text())
            }
            '\'' | '"' => Ok(self.remember_key() && self.quoted(first)),
            _ if begins_plain(first, second, in_brackets) => Ok(self.remember_key() && self.plain()),
            _ => Ok(false),
        }
    }

    /// Goes over blanks, comments and line breaks.
    fn skip_between(&mut self) {
        loop {
            if self.column == 0 && self.peek(0) == '\u{feff}' {
                self.skip(1);
            }
            while self.peek(0) == ' ' || self.peek(0) == '\t' && (self.is_in_brackets() || !self.may_be_key) {
                self.skip(1);
            }
            if self.peek(0) == '#' {
                self.skip_while(|c| !is_break_or_end(c));
            }
            if !is_break(self.peek(0)) {
                return;
            }
            self.line_break();
            self.may_be_key |= !self.is_in_brackets();
        }
    }

    fn open_bracket(&mut self) -> Result<bool, Refused> {
        let may_go_on = self.remember_key();
        self.keys.push(None);
        self.check_depth()?;
        self.may_be_key = true;
        Ok(may_go_on && self.skip(1))
    }

    fn close_bracket(&mut self) -> bool {
        let may_go_on = self.forget_key();
        if self.is_in_brackets() {
            self.keys.pop();
        }
        self.may_be_key = false;
        may_go_on && self.skip(1)
    }

    /// `- ` and `? `.
    fn entry(&mut self) -> Result<bool, Refused> {
        if !self.is_in_brackets() {
            if !self.may_be_key {
                return Ok(false);
            }
            self.open_block(self.column)?;
        }
        let is_item = self.peek(0) == '-';
        self.may_be_key = is_item || !self.is_in_brackets();
        Ok(self.forget_key() && self.skip(1))
    }

    /// `: `.
    fn value(&mut self) -> Result<bool, Refused> {
        let in_brackets = self.is_in_brackets();
        match self.keys.last_mut().and_then(Option::take) {
            Some(key) => {
                self.open_block(key.column)?;
                self.may_be_key = false;
            }
            None if in_brackets => self.may_be_key = false,
            None if !self.may_be_key => return Ok(false),
            None => self.open_block(self.column)?,
        }
        Ok(self.skip(1))
    }

    /// A key begins here, perhaps.
    fn remember_key(&mut self) -> bool {
        if !self.may_be_key {
            return true;
        }
        let is_required = !self.is_in_brackets() && self.blocks.last() == Some(&self.column);
        let may_go_on = self.forget_key();
        let key = Key { line: self.line, column: self.column, index: self.index, is_required };
        if let Some(place) = self.keys.last_mut() {
            *place = Some(key);
        }
        may_go_on
    }

    /// `false` if it had to be one.
    fn forget_key(&mut self) -> bool {
        !self.keys.last_mut().and_then(Option::take).is_some_and(|key| key.is_required)
    }

    fn forget_stale_keys(&mut self) -> bool {
        let (line, index) = (self.line, self.index);
        let is_stale = |key: &Key| key.line < line || key.index + LONGEST_KEY < index;
        let mut may_go_on = true;
        for place in &mut self.keys {
            if let Some(key) = place.take_if(|key| is_stale(key)) {
                may_go_on &= !key.is_required;
            }
        }
        may_go_on
    }

    fn open_block(&mut self, column: usize) -> Result<(), Refused> {
        if self.is_in_brackets() || self.blocks.last().is_some_and(|block| *block >= column) {
            return Ok(());
        }
        self.blocks.push(column);
        self.check_depth()
    }

    fn close_blocks(&mut self, is_closed: impl Fn(usize) -> bool) {
        if !self.is_in_brackets() {
            while self.blocks.pop_if(|block| is_closed(*block)).is_some() {}
        }
    }

    fn check_depth(&self) -> Result<(), Refused> {
        if self.keys.len() - 1 + self.blocks.len() <= DEEPEST {
            return Ok(());
        }
        Err(self.refused(format!(
            "nests more than {DEEPEST} lists and maps: put a text that holds brackets in quotes"
        )))
    }

    fn is_in_brackets(&self) -> bool {
        self.keys.len() > 1
    }

    fn is_document_mark(&self) -> bool {
        let mut ahead = self.rest.clone();
        let mark = [(); 3].map(|()| ahead.next());
        matches!(mark, [Some('-'), Some('-'), Some('-')] | [Some('.'), Some('.'), Some('.')])
            && is_blank_or_end(ahead.next().unwrap_or('\0'))
    }

    fn refused(&self, problem: String) -> Refused {
        Refused { line: self.line + 1, column: self.column + 1, problem }
    }

    fn peek(&self, ahead: usize) -> char {
        self.rest.clone().nth(ahead).unwrap_or('\0')
    }

    /// Goes over characters that are no line breaks.
    fn skip(&mut self, count: usize) -> bool {
        for _ in 0..count {
            if self.rest.next().is_some() {
                self.column += 1;
                self.index += 1;
            }
        }
        true
    }

    fn skip_while(&mut self, is_part: impl Fn(char) -> bool) {
        while self.peek(0) != '\0' && is_part(self.peek(0)) {
            self.skip(1);
        }
    }

    fn step(&mut self) {
        if is_break(self.peek(0)) {
            self.line_break();
        } else {
            self.skip(1);
        }
    }

    fn line_break(&mut self) {
        if !is_break(self.peek(0)) {
            return;
        }
        if self.rest.next() == Some('\r') && self.peek(0) == '\n' {
            self.rest.next();
            self.index += 1;
        }
        self.index += 1;
        self.line += 1;
        self.column = 0;
    }
}

fn begins_plain(first: char, second: char, in_brackets: bool) -> bool {
    !(is_blank_or_end(first) || INDICATORS.contains(first))
        || first == '-' && !is_blank(second)
        || !in_brackets && matches!(first, '?' | ':') && !is_blank_or_end(second)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_break_or_end(c: char) -> bool {
    is_break(c) || c == '\0'
}

fn is_blank_or_end(c: char) -> bool {
    is_blank(c) || is_break_or_end(c)
}

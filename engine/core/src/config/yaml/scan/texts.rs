//! What a text covers, whatever stands in it: plain, in quotes, or a block of lines; and names and tags.

use super::{Scan, is_blank, is_blank_or_end, is_break, is_break_or_end};

impl Scan<'_> {
    /// The name of an anchor or alias.
    pub(super) fn name(&mut self) -> bool {
        self.may_be_key = false;
        let before = self.index;
        self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let end = self.peek(0);
        self.index > before && (is_blank_or_end(end) || "?:,]}%@`".contains(end))
    }

    /// A tag goes to the next blank; in brackets also to the next comma at which libyaml ends it, where what follows stands for itself.
    pub(super) fn tag(&mut self) -> bool {
        self.may_be_key = false;
        if self.peek(1) == '<' {
            self.skip_while(|c| c != '>' && !is_blank_or_end(c));
            return self.peek(0) == '>' && self.skip(1) && is_blank_or_end(self.peek(0));
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_;/?:@&=+$.!~*'()%".contains(c);
        self.skip_while(is_part);
        is_blank_or_end(self.peek(0)) || self.peek(0) == ','
    }

    /// A text after `|` or `>`: all lines that stand further right than the block.
    pub(super) fn block_text(&mut self) -> bool {
        self.skip(1);
        let mut increment = 0;
        while let sign @ ('+' | '-' | '1'..='9') = self.peek(0) {
            increment = sign.to_digit(10).map_or(increment, |digit| digit as usize);
            self.skip(1);
        }
        self.skip_while(is_blank);
        if self.peek(0) == '#' {
            self.skip_while(|c| !is_break_or_end(c));
        }
        if !is_break_or_end(self.peek(0)) {
            return false;
        }
        self.line_break();
        let outer = self.blocks.last().copied();
        let mut indent = if increment > 0 { outer.unwrap_or(0) + increment } else { 0 };
        let least = outer.map_or(1, |column| (column + 1).max(1));
        loop {
            indent = self.blank_lines(indent, least);
            if self.column != indent || self.peek(0) == '\0' {
                return true;
            }
            self.skip_while(|c| !is_break_or_end(c));
            self.line_break();
        }
    }

    /// Goes over empty lines and the indentation. Without an indentation the longest that is seen is taken.
    fn blank_lines(&mut self, indent: usize, least: usize) -> usize {
        let mut longest = 0;
        loop {
            while (indent == 0 || self.column < indent) && self.peek(0) == ' ' {
                self.skip(1);
            }
            longest = longest.max(self.column);
            if !is_break(self.peek(0)) {
                return if indent > 0 { indent } else { longest.max(least) };
            }
            self.line_break();
        }
    }

    pub(super) fn quoted(&mut self, quote: char) -> bool {
        self.may_be_key = false;
        self.skip(1);
        loop {
            match self.peek(0) {
                '\0' => return false,
                '-' | '.' if self.column == 0 && self.is_document_mark() => return false,
                '\\' if quote == '"' => {
                    self.skip(1);
                    self.step();
                }
                '\'' if quote == '\'' && self.peek(1) == '\'' => {
                    self.skip(2);
                }
                end if end == quote => return self.skip(1),
                _ => self.step(),
            }
        }
    }

    /// A text without quotes, over as many lines as are further right than the block.
    pub(super) fn plain(&mut self) -> bool {
        self.may_be_key = false;
        let indent = self.blocks.last().map_or(0, |column| column + 1);
        let in_brackets = self.is_in_brackets();
        loop {
            if self.column == 0 && self.is_document_mark() || self.peek(0) == '#' {
                return true;
            }
            while !is_blank_or_end(self.peek(0)) {
                let (first, second) = (self.peek(0), self.peek(1));
                if in_brackets && first == ':' && matches!(second, ',' | '?' | '[' | ']' | '{' | '}') {
                    return false;
                }
                if first == ':' && is_blank_or_end(second) || in_brackets && ",[]{}".contains(first) {
                    break;
                }
                self.skip(1);
            }
            if !is_blank(self.peek(0)) && !is_break(self.peek(0)) {
                return true;
            }
            self.blanks_in_plain();
            if !in_brackets && self.column < indent {
                return true;
            }
        }
    }

    fn blanks_in_plain(&mut self) {
        // After a line break a key may begin, unless more of the text follows.
        self.may_be_key = false;
        loop {
            match self.peek(0) {
                c if is_blank(c) => {
                    self.skip(1);
                }
                c if is_break(c) => {
                    self.line_break();
                    self.may_be_key = true;
                }
                _ => break,
            }
        }
    }
}

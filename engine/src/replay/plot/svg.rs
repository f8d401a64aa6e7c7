//! SVG as text: paths with few digits, and text that is safe in XML.

use std::fmt::Write as _;

/// The `d` of a path, one decimal per coordinate.
#[derive(Default)]
pub(super) struct Path {
    d: String,
    /// The last point as written, so that nothing is written twice.
    last: (String, String),
}

impl Path {
    pub(super) fn start(&mut self, x: f64, y: f64) {
        self.last = (tenths(x), tenths(y));
        let _ = write!(self.d, "M{} {}", self.last.0, self.last.1);
    }

    pub(super) fn to(&mut self, x: f64, y: f64) {
        let point = (tenths(x), tenths(y));
        // Writing to a string cannot fail.
        let _ = match (point.0 == self.last.0, point.1 == self.last.1) {
            (true, true) => Ok(()),
            (true, false) => write!(self.d, "V{}", point.1),
            (false, true) => write!(self.d, "H{}", point.0),
            (false, false) => write!(self.d, "L{} {}", point.0, point.1),
        };
        self.last = point;
    }

    pub(super) fn close(&mut self) {
        self.d.push('Z');
    }

    /// The element; nothing for a path without points.
    pub(super) fn element(&self, class: &str) -> String {
        match self.d.is_empty() {
            true => String::new(),
            false => format!("<path class=\"{class}\" d=\"{}\"/>\n", self.d),
        }
    }
}

pub(super) fn tenths(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_string(),
        Some(whole) => whole.to_string(),
        None => text,
    }
}

/// Text as XML can hold it: what XML has no form for is shown as the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_short() {
        let mut path = Path::default();
        path.start(1.0, 2.04);
        for (x, y) in [(1.0, 2.0), (1.0, 3.26), (5.55, 3.3), (-0.01, 7.0)] {
            path.to(x, y);
        }
        path.close();
        assert_eq!(path.element("a"), "<path class=\"a\" d=\"M1 2V3.3H5.5L0 7Z\"/>\n");
        assert_eq!(Path::default().element("a"), "");
    }

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(escape("a<b & \"c\"\u{1b}"), "a&lt;b &amp; &quot;c&quot;\u{fffd}");
    }
}

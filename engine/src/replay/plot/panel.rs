//! One series of the picture. What is collected is as wide as the picture, however long the series is.

use foreshock_detectors::{Scores, score_of};

use super::{
    axis,
    svg::{Path, escape, tenths},
};

/// What came within one column of the picture.
struct Bin {
    x: f64,
    /// First, least, greatest and last value; NaN where all are missing.
    first: f64,
    low: f64,
    high: f64,
    last: f64,
    /// Widest band; NaN where there is none.
    lower: f64,
    upper: f64,
    expected: f64,
    score: f64,
    is_alarm: bool,
}

/// Rows that are anomalies, one after the other or nearly so.
#[derive(Default)]
struct Run {
    from: f64,
    to: f64,
    rows: usize,
    /// −ln p of its strongest row, and what came there.
    strength: f64,
    words: String,
}

/// A row of one series as it is drawn.
pub(super) struct Row<'a> {
    pub(super) x: f64,
    pub(super) stamp: &'a str,
    pub(super) value: f64,
    pub(super) slot: usize,
    pub(super) scores: &'a Scores,
    pub(super) is_alarm: bool,
}

/// Where a panel lies, pixels.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    /// Height of the values; the scores are below.
    pub(super) height: f64,
}

/// Pixels between the values and their scores, and the height of the scores.
const GAP: f64 = 16.0;
const SCORES: f64 = 44.0;

/// Most changes that have a line, and most that have a flag.
const LINES: usize = 12;
const FLAGS: usize = 60;

/// Anomalies that are nearer than this, in pixels, are drawn as one.
const NEAR: f64 = 3.0;

#[derive(Default)]
pub(super) struct Panel {
    bins: Vec<Bin>,
    runs: Vec<Run>,
    /// Where changes began, and what is known of them.
    changes: Vec<(f64, String)>,
    /// Values so far.
    pub(super) age: u32,
}

impl Panel {
    /// Height of a panel whose values have this height, pixels.
    pub(super) fn height(values: f64) -> f64 {
        values + GAP + SCORES
    }

    /// Takes the next row; rows within `step` pixels are drawn as one.
    pub(super) fn row(&mut self, row: &Row<'_>, step: f64) {
        let (scores, slot) = (row.scores, row.slot);
        match self.bins.last_mut() {
            Some(bin) if (bin.x / step).floor() == (row.x / step).floor() => bin.add(row),
            _ => self.bins.push(Bin::new(row)),
        }
        if !row.is_alarm {
            return;
        }
        let strength = scores.nlp[slot];
        let run = match self.runs.last_mut() {
            Some(run) if row.x - run.to < NEAR => run,
            _ => self.runs.push_mut(Run { from: row.x, ..Run::default() }),
        };
        run.to = row.x;
        run.rows += 1;
        if strength > run.strength {
            let [value, lower, upper] = [row.value, scores.lower[slot], scores.upper[slot]].map(short);
            run.strength = strength;
            run.words = format!("{}: {value}, expected {lower} to {upper}", row.stamp);
        }
    }

    pub(super) fn change(&mut self, x: f64, words: String) {
        self.changes.push((x, words));
    }

    /// The panel as SVG, the labels of its axis included; `limit` is the −ln p from which anomalies open.
    pub(super) fn draw(&self, name: &str, place: Place, limit: f64) -> String {
        let (low, high) = self.range();
        let y = |value: f64| place.top + place.height * (high - value) / (high - low);
        let mut svg = format!(
            "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>\n",
            place.left,
            place.top - 9.0,
            escape(name)
        );
        for (value, label) in axis::values(low, high, (place.height / 40.0) as usize) {
            svg.push_str(&grid_line(place, y(value), &label));
        }
        svg.push_str(&self.runs(place));
        svg.push_str(&format!("<g clip-path=\"url(#clip{})\">\n", place.top));
        svg.push_str(&self.band(&y).element("band"));
        svg.push_str(&self.expected(&y).element("expected"));
        svg.push_str(&self.values(&y).element("value"));
        for bin in self.bins.iter().filter(|bin| bin.is_alarm) {
            let far = if bin.high - bin.expected >= bin.expected - bin.low { bin.high } else { bin.low };
            svg.push_str(&format!(
                "<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"3\"/>\n",
                tenths(bin.x),
                tenths(y(far))
            ));
        }
        svg.push_str("</g>\n");
        svg.push_str(&self.scores(place, limit));
        svg.push_str(&self.changes(place));
        svg
    }

    fn range(&self) -> (f64, f64) {
        let finite = self.bins.iter().filter(|bin| bin.low.is_finite() && bin.high.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), bin| {
            (low.min(bin.low), high.max(bin.high))
        });
        if low > high {
            return (0.0, 1.0);
        }
        let margin = if high > low { (high - low) * 0.12 } else { (high.abs() * 0.1).max(1e-9) };
        (low - margin, high + margin)
    }

    fn values(&self, y: &impl Fn(f64) -> f64) -> Path {
        let mut path = Path::default();
        let mut is_open = false;
        for bin in &self.bins {
            if !bin.first.is_finite() {
                is_open = false;
                continue;
            }
            match is_open {
                true => path.to(bin.x, y(bin.first)),
                false => path.start(bin.x, y(bin.first)),
            }
            is_open = true;
            for value in [bin.low, bin.high, bin.last] {
                path.to(bin.x, y(value));
            }
        }
        path
    }

    fn expected(&self, y: &impl Fn(f64) -> f64) -> Path {
        let mut path = Path::default();
        for stretch in self.bins.chunk_by(|a, b| a.expected.is_finite() == b.expected.is_finite()) {
            let known = stretch.iter().filter(|bin| bin.expected.is_finite());
            for (index, bin) in known.enumerate() {
                match index {
                    0 => path.start(bin.x, y(bin.expected)),
                    _ => path.to(bin.x, y(bin.expected)),
                }
            }
        }
        path
    }

    /// The unbroken stretches of the band, each as a polygon.
    fn band(&self, y: &impl Fn(f64) -> f64) -> Path {
        let mut path = Path::default();
        for stretch in self.bins.chunk_by(|a, b| a.has_band() == b.has_band()) {
            let Some(first) = stretch.first().filter(|bin| bin.has_band()) else { continue };
            path.start(first.x, y(first.upper));
            stretch.iter().skip(1).for_each(|bin| path.to(bin.x, y(bin.upper)));
            stretch.iter().rev().for_each(|bin| path.to(bin.x, y(bin.lower)));
            path.close();
        }
        path
    }

    fn runs(&self, place: Place) -> String {
        let run = |run: &Run| {
            let more = if run.rows > 1 { format!("; {} rows", run.rows) } else { String::new() };
            format!(
                "<rect class=\"alarm\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}{more}</title></rect>\n",
                tenths(run.from - 2.0),
                place.top,
                tenths(run.to - run.from + 4.0),
                Panel::height(place.height),
                escape(&run.words)
            )
        };
        self.runs.iter().map(run).collect()
    }

    /// A few changes have a line each, more a flag, many a tick: the series is what is looked at.
    fn changes(&self, place: Place) -> String {
        let (top, bottom) = (place.top, place.top + Panel::height(place.height));
        let mut ticks = Path::default();
        let mut svg = String::new();
        for (x, words) in &self.changes {
            let x = x.clamp(place.left, place.right);
            if self.changes.len() > FLAGS {
                ticks.start(x, top);
                ticks.to(x, top + 6.0);
                continue;
            }
            svg.push_str(&format!("<g><title>{}</title>", escape(words)));
            if self.changes.len() <= LINES {
                svg.push_str(&format!("<path class=\"change\" d=\"M{x:.1} {top}V{bottom}\"/>"));
            }
            svg.push_str(&format!("<path class=\"flag\" d=\"M{x:.1} {}l-4 -7h8Z\"/></g>\n", top + 7.0));
        }
        svg + &ticks.element("change")
    }

    /// The scores as an area from 0 to 1, with the score from which anomalies open.
    fn scores(&self, place: Place, limit: f64) -> String {
        let bottom = place.top + Panel::height(place.height);
        let y = |score: f64| bottom - SCORES * score;
        let mut path = Path::default();
        if let Some(first) = self.bins.first() {
            path.start(first.x, bottom);
        }
        for bin in &self.bins {
            path.to(bin.x, y(bin.score));
        }
        if let Some(last) = self.bins.last() {
            path.to(last.x, bottom);
            path.close();
        }
        let limit = y(score_of(limit));
        let lines = [(bottom, "0"), (y(1.0), "1")].map(|(y, label)| grid_line(place, y, label)).concat();
        format!(
            "{lines}{}<path class=\"limit\" d=\"M{} {limit:.1}H{}\"/>\n",
            path.element("score"),
            place.left,
            place.right
        )
    }
}

fn grid_line(place: Place, y: f64, label: &str) -> String {
    format!(
        "<path class=\"grid\" d=\"M{} {y:.1}H{}\"/><text class=\"left\" x=\"{}\" y=\"{:.1}\">{label}</text>\n",
        place.left,
        place.right,
        place.left - 8.0,
        y + 4.5
    )
}

impl Bin {
    fn new(row: &Row<'_>) -> Bin {
        let (scores, slot, value) = (row.scores, row.slot, row.value);
        Bin {
            x: row.x,
            first: value,
            low: value,
            high: value,
            last: value,
            lower: scores.lower[slot],
            upper: scores.upper[slot],
            expected: scores.expected[slot],
            score: if value.is_nan() { 0.0 } else { scores.score[slot] },
            is_alarm: row.is_alarm,
        }
    }

    /// `min` and `max` leave out what is missing.
    fn add(&mut self, row: &Row<'_>) {
        let next = Bin::new(row);
        if self.first.is_nan() {
            self.first = next.first;
        }
        if !next.last.is_nan() {
            self.last = next.last;
        }
        self.low = self.low.min(next.low);
        self.high = self.high.max(next.high);
        self.lower = self.lower.min(next.lower);
        self.upper = self.upper.max(next.upper);
        self.score = self.score.max(next.score);
        self.is_alarm |= next.is_alarm;
    }

    fn has_band(&self) -> bool {
        self.lower.is_finite() && self.upper.is_finite()
    }
}

/// A number for people: four digits.
fn short(value: f64) -> String {
    let places = (3.0 - value.abs().max(1e-6).log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

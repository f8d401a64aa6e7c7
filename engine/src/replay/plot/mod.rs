//! The picture of a replay as SVG: each series with its band, its scores, its anomalies and its changes. Light or
//! dark as its reader's screen is.
//!
//! * `panel`: one series · `axis`: round numbers and times · `svg`: paths and text

mod axis;
mod panel;
mod svg;

use std::io::Write;

use foreshock_core::score::{ChangePoint, ScoreConfig};
use foreshock_detectors::Scores;

use super::{Table, output::OutputError};
use panel::{Panel, Place, Row};
use svg::{escape, tenths};

/// Most series that are drawn.
const PANELS: usize = 8;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 20.0;
/// Where the first panel's values begin, what lies between panels, and what below the last.
const HEAD: f64 = 84.0;
const BETWEEN: f64 = 40.0;
const FOOT: f64 = 36.0;

const STYLE: &str = include_str!("style.css");

/// Collects what is drawn at the end.
pub(super) struct Picture {
    out: Box<dyn Write>,
    config: ScoreConfig,
    panels: Vec<Panel>,
    scale: Scale,
}

/// Where a row stands from left to right: by its time, or by its number where times do not rise.
#[derive(Clone, Copy, Default)]
struct Scale {
    from: i64,
    to: i64,
    is_time: bool,
}

impl Scale {
    fn of(table: &Table) -> Scale {
        let rows = || Scale { from: 0, to: table.rows() as i64 - 1, is_time: false };
        match (table.times_ms.first(), table.times_ms.last()) {
            (Some(&from), Some(&to)) if table.is_timed && to > from && table.times_ms.is_sorted() => {
                Scale { from, to, is_time: true }
            }
            _ => rows(),
        }
    }

    fn x(self, at: i64) -> f64 {
        let span = (self.to - self.from).max(1) as f64;
        LEFT + (RIGHT - LEFT) * (at - self.from) as f64 / span
    }

    fn row(self, table: &Table, row: usize) -> f64 {
        self.x(if self.is_time { table.times_ms[row] } else { row as i64 })
    }

    /// Labels of the axis: round times, or the timestamps of round rows.
    fn ticks(self, table: &Table) -> Vec<(f64, String)> {
        let at = |(at, label): (i64, String)| (self.x(at), label);
        match self.is_time {
            true => axis::times(self.from, self.to, 9).into_iter().map(at).collect(),
            false => {
                let ticks = axis::values(self.from as f64, self.to as f64, 6).into_iter();
                let label = |(row, label)| match table.is_timed {
                    true => (self.x(row as i64), escape(table.stamp(row as usize))),
                    false => (self.x(row as i64), label),
                };
                ticks.map(label).collect()
            }
        }
    }
}

impl Picture {
    pub(super) fn new(out: Box<dyn Write>) -> Picture {
        Picture { out, config: ScoreConfig::default(), panels: Vec::new(), scale: Scale::default() }
    }

    pub(super) fn row(&mut self, table: &Table, row: usize, scores: &Scores, config: &ScoreConfig) {
        if row == 0 {
            self.scale = Scale::of(table);
            self.config = config.clone();
            self.panels.resize_with(table.series.len().min(PANELS), Panel::default);
        }
        let x = self.scale.row(table, row);
        // The more panels, the coarser: the picture stays small.
        let step = (self.panels.len() as f64 * 0.6).ceil();
        for (slot, panel) in self.panels.iter_mut().enumerate() {
            let value = table.row(row)[slot];
            // What is still being learnt opens no anomaly.
            let is_known = !value.is_nan() && panel.age >= config.learn_ticks;
            let is_alarm = is_known && scores.nlp[slot] >= config.open;
            panel.age = panel.age.saturating_add(u32::from(!value.is_nan()));
            panel.row(&Row { x, stamp: table.stamp(row), value, slot, scores, is_alarm }, step);
        }
    }

    /// A change point that was found at this row.
    pub(super) fn change(&mut self, table: &Table, row: usize, slot: usize, found: ChangePoint) {
        let scale = self.scale;
        let (onset, probability) = (found.onset, found.probability * 100.0);
        if let Some(panel) = self.panels.get_mut(slot) {
            let x = if scale.is_time { scale.x((onset * 1000.0) as i64) } else { scale.row(table, row) };
            panel.change(x, format!("change, {probability:.0} % sure at {}", table.stamp(row)));
        }
    }

    pub(super) fn draw(&mut self, table: &Table) -> Result<(), OutputError> {
        let picture = self.svg(table);
        let written = self.out.write_all(picture.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|source| OutputError { what: "picture", source })
    }

    fn svg(&self, table: &Table) -> String {
        let values = if self.panels.len() == 1 { 260.0 } else { 130.0 };
        let place = |index: usize| {
            let top = HEAD + index as f64 * (Panel::height(values) + BETWEEN);
            Place { left: LEFT, right: RIGHT, top, height: values }
        };
        let bottom = place(self.panels.len()).top - BETWEEN;
        let height = bottom + FOOT;
        let name = escape(&table.name);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{name}</title>\n<style>\n{STYLE}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
        );
        svg.push_str(&self.head(table));
        for (x, label) in self.scale.ticks(table) {
            // Half a label's width stays within the picture.
            let half = 4.0 * label.chars().count() as f64;
            svg.push_str(&format!(
                "<path class=\"grid\" d=\"M{} {HEAD}V{bottom}\"/><text class=\"middle\" x=\"{}\" y=\"{}\">{label}</text>\n",
                tenths(x),
                tenths(x.clamp(half, WIDTH - half)),
                bottom + 20.0
            ));
        }
        for (index, (panel, series)) in self.panels.iter().zip(&table.series).enumerate() {
            let place = place(index);
            svg.push_str(&format!(
                "<clipPath id=\"clip{}\"><rect x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{values}\"/></clipPath>\n",
                place.top,
                place.top,
                RIGHT - LEFT
            ));
            svg.push_str(&panel.draw(series, place, self.config.open));
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Name, period, and what the colours mean.
    fn head(&self, table: &Table) -> String {
        let period = match table.rows() {
            0 => String::new(),
            rows => format!(", {} to {}", escape(table.stamp(0)), escape(table.stamp(rows - 1))),
        };
        let undrawn = table.series.len() - self.panels.len();
        let more = if undrawn > 0 { format!("; {undrawn} series more are not drawn") } else { String::new() };
        let mut svg = format!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"28\">{}</text>\n<text x=\"{LEFT}\" y=\"49\">{} rows{period}{more}</text>\n",
            escape(&table.name),
            table.rows()
        );
        svg.push_str(KEY);
        svg
    }
}

/// What the colours mean, in the upper right corner.
const KEY: &str = r#"<g transform="translate(752 24)">
<path class="value" d="M0 0h18"/><text x="24" y="4.5">value</text>
<path class="band" d="M76 -6h18v12h-18Z"/><path class="expected" d="M76 0h18"/><text x="100" y="4.5">expected</text>
<path class="alarm" d="M176 -8h14v16h-14Z"/><circle class="dot" cx="183" cy="0" r="3"/><text x="196" y="4.5">anomaly</text>
<path class="change" d="M270 -8v16"/><path class="flag" d="M270 -1l-4 -7h8Z"/><text x="281" y="4.5">change</text>
<path class="score" d="M346 6v-4l6 -3 6 -6 6 9v4Z"/><text x="370" y="4.5">score</text>
</g>
"#;

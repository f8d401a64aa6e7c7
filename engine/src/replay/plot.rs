//! The picture of a replay: each series with its band and its anomalies.

use std::path::PathBuf;

use foreshock_detectors::Scores;
use plotters::prelude::*;

use super::{OutputError, Table};

/// Most series that are drawn, and the height of each.
const PANELS: usize = 8;
const PANEL_HEIGHT: u32 = 240;
const WIDTH: u32 = 1200;

const INK: RGBColor = RGBColor(31, 41, 55);
const BAND: RGBColor = RGBColor(147, 197, 253);
const ALARM: RGBColor = RGBColor(220, 38, 38);

/// Collects what is drawn at the end.
pub(super) struct Picture {
    path: PathBuf,
    panels: Vec<Panel>,
}

#[derive(Clone, Default)]
struct Panel {
    values: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    alarms: Vec<usize>,
}

impl Picture {
    pub(super) fn new(path: PathBuf) -> Picture {
        Picture { path, panels: Vec::new() }
    }

    pub(super) fn row(&mut self, scores: &Scores, values: &[f64], open: f64) {
        self.panels.resize(values.len().min(PANELS), Panel::default());
        for (slot, panel) in self.panels.iter_mut().enumerate() {
            if values[slot].is_finite() && scores.nlp[slot] >= open {
                panel.alarms.push(panel.values.len());
            }
            panel.values.push(values[slot]);
            panel.lower.push(scores.lower[slot]);
            panel.upper.push(scores.upper[slot]);
        }
    }

    pub(super) fn draw(&mut self, table: &Table) -> Result<(), OutputError> {
        let failed = |detail: String| OutputError::Plot { path: self.path.display().to_string(), detail };
        if self.panels.is_empty() {
            return Ok(());
        }
        let size = (WIDTH, PANEL_HEIGHT * self.panels.len() as u32);
        let root = SVGBackend::new(&self.path, size).into_drawing_area();
        root.fill(&WHITE).map_err(|error| failed(error.to_string()))?;
        let areas = root.split_evenly((self.panels.len(), 1));
        for ((panel, area), name) in self.panels.iter().zip(&areas).zip(&table.series) {
            panel.draw(area, name, &table.stamps).map_err(|error| failed(error.to_string()))?;
        }
        root.present().map_err(|error| failed(error.to_string()))
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

impl Panel {
    fn draw(&self, area: &Area<'_>, name: &str, stamps: &[String]) -> Result<(), Box<dyn std::error::Error>> {
        let (low, high) = self.range();
        let mut chart = ChartBuilder::on(area)
            .caption(name, ("sans-serif", 16).into_font().color(&INK))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(56)
            .build_cartesian_2d(0..self.values.len(), low..high)?;
        let stamp = |row: &usize| stamps.get(*row).cloned().unwrap_or_default();
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(229, 231, 235))
            .x_labels(6)
            .x_label_formatter(&stamp)
            .draw()?;
        for block in self.bands() {
            chart.draw_series(std::iter::once(Polygon::new(block, BAND.mix(0.35))))?;
        }
        let points = self.values.iter().copied().enumerate().filter(|(_, value)| value.is_finite());
        chart.draw_series(LineSeries::new(points, INK.stroke_width(1)))?;
        let alarms = self.alarms.iter().map(|&row| Circle::new((row, self.values[row]), 4, ALARM.filled()));
        chart.draw_series(alarms)?;
        Ok(())
    }

    /// The unbroken stretches of the band, each as a polygon.
    fn bands(&self) -> Vec<Vec<(usize, f64)>> {
        let known: Vec<usize> = (0..self.values.len()).filter(|&row| self.lower[row].is_finite()).collect();
        known
            .chunk_by(|a, b| a + 1 == *b)
            .map(|rows| {
                let upper = rows.iter().map(|&row| (row, self.upper[row]));
                let lower = rows.iter().rev().map(|&row| (row, self.lower[row]));
                upper.chain(lower).collect()
            })
            .collect()
    }

    fn range(&self) -> (f64, f64) {
        let finite = self.values.iter().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        if low > high {
            return (0.0, 1.0);
        }
        let margin = ((high - low) * 0.08).max(1e-9 * (1.0 + high.abs()));
        (low - margin, high + margin)
    }
}

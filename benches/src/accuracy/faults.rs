//! Generated series with known faults: precision, recall and delay per kind.

use std::fmt::Write as _;

use foreshock::replay::Table;
use foreshock_core::pipeline::PipelineConfig;
use rayon::prelude::*;

use super::{
    AccuracyError, Context, Figure, Section, Tier,
    replay::{ReplayError, Wanted, replay, timed, write_csv},
};
use crate::generated::{
    faults::{KINDS, Series, series},
    report::{Report, robust_speaks},
};

/// Series of each kind.
const SERIES: u64 = 20;

/// Where the engine's column `anomaly` speaks on a series.
///
/// # Errors
/// When it cannot be replayed.
pub fn speaks(series: &Series) -> Result<Vec<bool>, ReplayError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("series.csv");
    let rows = series.values.chunks(1).enumerate().map(|(tick, value)| (Some(Series::time(tick)), value));
    write_csv(&path, &["value".to_string()], rows)?;
    let wanted = Wanted { scores: true, ..Wanted::default() };
    let table = Table::read(&path, None, &timed())?;
    let mut heard = replay(&table, &PipelineConfig::default(), wanted)?;
    let speaks = heard.scores.remove("value").unwrap_or_default().anomaly;
    if speaks.len() == series.values.len() {
        return Ok(speaks);
    }
    let problem = format!("{} rows, {} scores", series.values.len(), speaks.len());
    Err(ReplayError::Contract { what: "scores", problem })
}

pub(super) fn score(_: &Context) -> Result<Section, AccuracyError> {
    let mut details = format!(
        "{SERIES} series per kind, five-minute ticks, four weeks, faults in the last two (`generated/faults.rs` says what each kind is). Reported \
         where the column `anomaly` of `--scores` is 1. Delay in ticks, median; false reports per series and week. Peer: robust z-score of 4 \
         over the last week.\n\n| kind | detector | faults hit | recall | precision | false per week | delay |\n|---|---|---:|---:|---:|---:|---:|\n"
    );
    let mut totals = [Report::default(), Report::default()];
    for kind in KINDS {
        let all: Vec<Series> = (0..SERIES).map(|seed| series(kind, seed)).collect();
        let ours: Vec<Vec<bool>> = all.par_iter().map(speaks).collect::<Result<_, _>>()?;
        let robust: Vec<Vec<bool>> = all.par_iter().map(robust_speaks).collect();
        let mut reports = [Report::default(), Report::default()];
        for (at, told) in [ours, robust].iter().enumerate() {
            for (series, told) in all.iter().zip(told) {
                reports[at].add(series, told);
                totals[at].add(series, told);
            }
        }
        lines(&mut details, &format!("{kind:?}"), &reports);
    }
    lines(&mut details, "all", &totals);
    let [ours, robust] = totals;
    let delay = ours.delay().map_or(f64::NAN, |ticks| ticks as f64);
    let figures = vec![
        Figure::new("recall, all kinds", Tier::Core, ours.recall(), 2)
            .peers(format!("robust z {:.2}", robust.recall())),
        Figure::new("precision, all kinds", Tier::Core, ours.precision(), 2)
            .peers(format!("robust z {:.2}", robust.precision())),
        Figure::new("false reports per series and week", Tier::Core, ours.false_per_week(), 2)
            .peers(format!("robust z {:.2}", robust.false_per_week())),
        Figure::new("delay in ticks, median", Tier::Core, delay, 0),
    ];
    Ok(Section::new(figures, details))
}

fn lines(text: &mut String, kind: &str, reports: &[Report; 2]) {
    for (detector, report) in ["foreshock", "robust z"].iter().zip(reports) {
        let share = |value: f64| if value.is_nan() { "-".to_string() } else { format!("{value:.2}") };
        let delay = report.delay().map_or("-".to_string(), |ticks| ticks.to_string());
        let _ = writeln!(
            text,
            "| {kind} | {detector} | {} of {} | {} | {} | {:.2} | {delay} |",
            report.hit,
            report.faults,
            share(report.recall()),
            share(report.precision()),
            report.false_per_week()
        );
    }
}

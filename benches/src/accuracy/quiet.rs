//! Quiet when all is well: incidents that open on clean data, against the false-alarm budget.
//!
//! What the budget is spent on is an incident: the engine's correlator takes `false_alarms_per_day` as the number of incidents that
//! chance alone may open per day over the whole fleet. So incidents are counted, by their first revision; one that is
//! reopened is not a new one.

use std::fmt::Write as _;

use foreshock::replay::{Outputs, Sinks, Table, TableOptions, score_table};
use foreshock_core::{
    correlator::{Correlator, CorrelatorConfig, Effect, Event},
    pipeline::PipelineConfig,
};
use rayon::prelude::*;

use super::{
    AccuracyError, Bound, Context, Figure, Section, Tier,
    replay::{ReplayError, timed, write_csv},
};
use crate::{
    asd,
    generated::fleet::{DAY, Fleet, Weekends},
    nab,
};

/// What episodes on clean data may come to, as a share of the budget.
const ALLOWED: Bound = Bound::Within(0.3, 1.5);
/// Days that are not counted: after two weeks every season speaks.
const LEARN: usize = 14;
/// Days that are counted.
const DAYS: usize = 30;
/// Series of a fleet, and measures of each of its services.
const SERIES: usize = 1_000;
const MEASURES: usize = 4;
/// Budgets of the fleets, and fleets: 30 days of four of them expect 120 incidents of the smallest budget.
const BUDGETS: [f64; 5] = [1.0, 3.0, 10.0, 30.0, 100.0];
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Budgets per file of NAB (one series) and per server of ASD (19), each a fleet of its own.
const OF_NAB: [f64; 6] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
const OF_ASD: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// A clean generated fleet as the table that a user would have: services of a few measures, values to three decimals.
///
/// # Errors
/// When it cannot be written or read.
pub fn fleet(series: usize, seed: u64, weekends: Weekends, days: usize) -> Result<Table, ReplayError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleet.csv");
    let mut fleet = Fleet::new(series, seed, weekends);
    let (mut times, mut all, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..days * DAY {
        times.push(Some(fleet.next(&mut values)));
        all.extend(values.iter().map(|value| (value * 1e3).round() / 1e3));
    }
    let name = |index: usize| format!("service-{:03}/m{}", index / MEASURES, index % MEASURES);
    let names: Vec<String> = (0..series).map(name).collect();
    write_csv(&path, &names, times.into_iter().zip(all.chunks(series)))?;
    drop(all);
    let options = TableOptions { entity_separator: Some("/".to_string()), ..timed() };
    Ok(Table::read(&path, None, &options)?)
}

/// Times at which incidents opened, unix milliseconds, for each budget: one replay, to which a correlator per budget listens.
///
/// The deep tier's change points open nothing and cost most of the time, so no series has a place for them here; a test
/// holds that incidents are the same with them.
///
/// # Errors
/// When the table cannot be replayed.
pub fn incidents(table: &Table, budgets: &[f64]) -> Result<Vec<Vec<i64>>, ReplayError> {
    let config = PipelineConfig { deep_series: 0, ..PipelineConfig::default() };
    let listen = |budget: &f64| {
        let settings = CorrelatorConfig { false_alarms_per_day: *budget, ..config.correlator.clone() };
        (Correlator::new(settings), Vec::new())
    };
    let mut listeners: Vec<(Correlator, Vec<i64>)> = budgets.iter().map(listen).collect();
    score_table(table, None, &config, &mut Outputs::new(Sinks::default(), None)?, |tick, _| {
        for (correlator, opened) in &mut listeners {
            let effects = correlator.on_event(Event::Tick(tick.clone()));
            opened.extend(effects.iter().filter_map(|effect| match effect {
                Effect::Incident(incident) if incident.revision == 1 => Some(incident.opened_ms),
                _ => None,
            }));
        }
        Ok(())
    })?;
    Ok(listeners.into_iter().map(|(_, opened)| opened).collect())
}

/// Incidents per day over each budget after the days to learn from, of a fleet that is clean.
///
/// # Errors
/// When the table cannot be replayed.
pub fn ratios(table: &Table, budgets: &[f64], learn: usize) -> Result<Vec<f64>, ReplayError> {
    let first = table.times_ms.get(learn * DAY).copied().unwrap_or(i64::MAX);
    let days = table.rows().saturating_sub(learn * DAY) as f64 / DAY as f64;
    let opened = incidents(table, budgets)?;
    let ratio = |(opened, budget): (&Vec<i64>, &f64)| {
        opened.iter().filter(|opened| **opened >= first).count() as f64 / (days * budget)
    };
    Ok(opened.iter().zip(budgets).map(ratio).collect())
}

pub(super) fn score_generated(_: &Context) -> Result<Section, AccuracyError> {
    let mut details = format!(
        "Clean fleets of {SERIES} series (services of {MEASURES} measures, six kinds of noise), {LEARN} days to learn from, {DAYS} days counted. \
         Incidents opened per day over the budget, by fleet; the figures of the table are the mean of the fleets whose weekends come \
         gradually. With *abrupt* weekends all series jump in the same tick.\n\n| budget | {} | gradual, mean | abrupt |\n|---:|{}---:|---:|\n",
        SEEDS.map(|seed| format!("gradual {seed}")).join(" | "),
        "---:|".repeat(SEEDS.len()),
    );
    let mut ratios = vec![Vec::new(); BUDGETS.len()];
    let kinds = SEEDS.map(|seed| (Weekends::Gradual, seed)).into_iter().chain([(Weekends::Abrupt, SEEDS[0])]);
    let kinds: Vec<(Weekends, u64)> = kinds.collect();
    let of = |&(weekends, seed): &(Weekends, u64)| {
        self::ratios(&fleet(SERIES, seed, weekends, LEARN + DAYS)?, &BUDGETS, LEARN)
    };
    let found: Vec<Vec<f64>> = kinds.par_iter().map(of).collect::<Result<_, ReplayError>>()?;
    for one in found {
        ratios.iter_mut().zip(one).for_each(|(all, one)| all.push(one));
    }
    let mut figures = Vec::new();
    for (budget, ratios) in BUDGETS.iter().zip(&ratios) {
        let gradual = super::mean(ratios[..SEEDS.len()].iter().copied());
        let cells: Vec<String> = ratios[..SEEDS.len()].iter().map(|ratio| format!("{ratio:.2}")).collect();
        let abrupt = ratios[SEEDS.len()];
        let _ = writeln!(details, "| {budget} | {} | {gradual:.2} | {abrupt:.2} |", cells.join(" | "));
        let what = format!("incidents over budget, {budget} a day");
        figures.push(Figure::new(what, Tier::Both, gradual, 2).floor(ALLOWED));
    }
    Ok(Section::new(figures, details))
}

/// A file whose clean rows are known.
struct Clean {
    table: Table,
    /// Rows that count.
    clean: Vec<bool>,
}

impl Clean {
    /// Days of the rows that count, a row lasting as long as rows do in the middle.
    fn days(&self) -> f64 {
        let mut steps: Vec<i64> = self.table.times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(0);
        self.clean.iter().filter(|clean| **clean).count() as f64 * step as f64 / 86_400_000.0
    }

    /// Incidents that opened in rows that count, for each budget.
    fn incidents(&self, budgets: &[f64]) -> Result<Vec<usize>, ReplayError> {
        let times = &self.table.times_ms;
        let row = |opened: &i64| times.partition_point(|time| time < opened).min(times.len() - 1);
        let counted = |opened: Vec<i64>| opened.iter().filter(|opened| self.clean[row(opened)]).count();
        Ok(incidents(&self.table, budgets)?.into_iter().map(counted).collect())
    }
}

/// NAB's files: what lies behind the rows that the benchmark skips, and outside windows.
fn clean_nab(context: &Context) -> Result<Vec<Clean>, AccuracyError> {
    let folder = context.folder("nab")?;
    let of = |series: &nab::Series| -> Result<Clean, AccuracyError> {
        let table = Table::read(&folder.join("data").join(&series.name), None, &timed())
            .map_err(ReplayError::from)?;
        let skipped = (table.rows() * 15 / 100).min(750);
        let inside = |row: usize| series.windows.iter().any(|(first, last)| (*first..=*last).contains(&row));
        let clean = (0..table.rows()).map(|row| row >= skipped && !inside(row)).collect();
        Ok(Clean { table, clean })
    };
    nab::read(&folder)?.iter().map(of).collect()
}

/// ASD's test parts: rows without a label, and an hour away from any.
fn clean_asd(context: &Context) -> Result<Vec<Clean>, AccuracyError> {
    const AWAY: usize = 12;
    let of = |server: &asd::Server| -> Result<Clean, AccuracyError> {
        let near = |row: usize| {
            let (from, to) = (row.saturating_sub(AWAY), (row + AWAY + 1).min(server.labels.len()));
            server.labels[from..to].contains(&true)
        };
        let test = (0..server.labels.len()).map(|row| !near(row));
        let clean = std::iter::repeat_n(false, server.train).chain(test).collect();
        Ok(Clean { table: super::asd::table(server)?, clean })
    };
    asd::read(&context.folder("asd")?)?.iter().map(of).collect()
}

pub(super) fn score_real(context: &Context) -> Result<Section, AccuracyError> {
    let mut details = String::from(
        "Each file of NAB (behind the rows that the benchmark skips, outside windows) and each server of ASD (test part, an hour away from \
         labels) is a fleet of its own with this budget per day; incidents that opened in the clean parts of all, over what the budget allows \
         there. The labels of neither set are complete: some of what opens is news that nobody labelled. A budget for more than lasts at all \
         on one series cannot be spent.\n\n\
         | set | budget | clean days | allowed | opened | ratio |\n|---|---:|---:|---:|---:|---:|\n",
    );
    let mut figures = Vec::new();
    for (name, budgets, files) in [("NAB", OF_NAB, clean_nab(context)?), ("ASD", OF_ASD, clean_asd(context)?)]
    {
        let days: f64 = files.iter().map(Clean::days).sum();
        let by_file: Vec<Vec<usize>> =
            files.par_iter().map(|file| file.incidents(&budgets)).collect::<Result<_, _>>()?;
        for (place, budget) in budgets.into_iter().enumerate() {
            let opened: usize = by_file.iter().map(|opened| opened[place]).sum();
            let allowed = budget * days;
            let ratio = opened as f64 / allowed;
            let _ =
                writeln!(details, "| {name} | {budget} | {days:.0} | {allowed:.0} | {opened} | {ratio:.2} |");
            let what = format!("{name}: incidents over budget, {budget} a day");
            figures.push(Figure::new(what, Tier::Both, ratio, 2).floor(ALLOWED));
        }
    }
    Ok(Section::new(figures, details))
}

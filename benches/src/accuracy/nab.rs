//! The Numenta Anomaly Benchmark: each of its files replayed, scored by the benchmark's rules.

use std::{fmt::Write as _, path::Path};

use foreshock::replay::Table;
use foreshock_core::pipeline::PipelineConfig;
use rayon::prelude::*;

use super::{
    AccuracyError, Bound, Context, Figure, Section, Tier,
    replay::{ReplayError, Wanted, replay, timed},
};
use crate::nab::{self, CorpusError, PROFILES, Profile, Series};

/// Floors and targets of the profiles, and what is published for them.
const BOUNDS: [(Option<f64>, f64, &str); 3] = [
    (Some(62.0), 75.0, "ARTime 74.9, Numenta HTM 70.1, CAD OSE 69.9, random cut forest 51.7"),
    (None, 67.0, "ARTime 65.1, Numenta HTM 63.1, CAD OSE 67.0, random cut forest 38.4"),
    (None, 81.0, "ARTime 80.4, Numenta HTM 74.3, CAD OSE 73.2, random cut forest 59.7"),
];

/// Peers that `benches/peers/nab_river.py` runs.
const PEERS: [(&str, &str); 2] = [("halfspace", "river's half-space trees"), ("robust", "a robust z-score")];

/// The engine's score of every row of these series.
///
/// # Errors
/// When a file cannot be replayed.
pub fn scores(nab: &Path, series: &[Series]) -> Result<Vec<Vec<f64>>, ReplayError> {
    let of = |series: &Series| {
        let table = Table::read(&nab.join("data").join(&series.name), None, &timed())?;
        let wanted = Wanted { scores: true, ..Wanted::default() };
        let mut heard = replay(&table, &PipelineConfig::default(), wanted)?;
        let score = heard.scores.remove("value").unwrap_or_default().score;
        if score.len() == series.values.len() {
            return Ok(score);
        }
        let problem = format!("{} rows of {}, {} scores", series.values.len(), series.name, score.len());
        Err(ReplayError::Contract { what: "scores", problem })
    };
    series.par_iter().map(of).collect()
}

pub(super) fn score(context: &Context) -> Result<Section, AccuracyError> {
    let folder = context.folder("nab")?;
    let series = nab::read(&folder)?;
    let ours = scores(&folder, &series)?;
    let mut rows = vec![("foreshock".to_string(), ours)];
    if let Some(written) = context.peers("nab_river.py", "nab")? {
        for (peer, name) in PEERS {
            let scores: Result<_, CorpusError> =
                series.iter().map(|one| nab::scores_of_peer(written.path(), peer, one)).collect();
            rows.push((name.to_string(), scores?));
        }
    }
    let mut details = String::from(
        "58 files, 116 windows, each file a replay of its own. *Fitted*: one threshold for all files, fitted to all labels, as every \
         published figure. *Fixed beforehand*: fitted on three groups and used on the other four, and the other way round.\n\n\
         | detector | profile | fitted | fixed beforehand | threshold | windows hit | alarms outside |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
    );
    for (name, scores) in &rows {
        let all = scored(&series, scores);
        for profile in PROFILES {
            let (fitted, crossed) = (nab::fit(&all, profile), nab::crossed(&series, scores, profile));
            let _ = writeln!(
                details,
                "| {name} | {} | {:.2} | {crossed:.2} | {:.4} | {} | {} |",
                profile.name, fitted.percent, fitted.threshold, fitted.hits, fitted.alarms
            );
        }
    }
    let ours = &rows[0].1;
    let threshold = nab::fit(&scored(&series, ours), PROFILES[0]).threshold;
    let files = series.iter().zip(ours).map(|(series, scores)| line(series, scores, threshold)).collect();
    Ok(Section { files, ..Section::new(figures(&series, ours), details) })
}

fn scored(series: &[Series], scores: &[Vec<f64>]) -> nab::Rows {
    let parts: Vec<&Series> = series.iter().collect();
    let marks: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
    nab::rows(&parts, &marks)
}

fn figures(series: &[Series], scores: &[Vec<f64>]) -> Vec<Figure> {
    let all = scored(series, scores);
    let of = |(profile, (floor, target, published)): (Profile, (Option<f64>, f64, &str))| {
        let figure = |how: &str, value| {
            Figure::new(format!("{}, threshold {how}", profile.name), Tier::Core, value, 1)
        };
        let fitted = figure("fitted", nab::fit(&all, profile).percent).peers(published);
        let fitted = Figure { floor: floor.map(Bound::AtLeast), ..fitted.target(Bound::Above(target)) };
        [fitted, figure("fixed beforehand", nab::crossed(series, scores, profile))]
    };
    PROFILES.into_iter().zip(BOUNDS).flat_map(of).collect()
}

/// One file at the threshold fitted to the standard profile: alarms outside windows, then for each window how far into it the first
/// alarm came, or the loudest miss.
fn line(series: &Series, scores: &[f64], threshold: f64) -> String {
    let skipped = (scores.len() * 15 / 100).min(750);
    let spoken: Vec<usize> = (skipped..scores.len()).filter(|row| scores[*row] >= threshold).collect();
    let inside = |row: usize| series.windows.iter().any(|(first, last)| (*first..=*last).contains(&row));
    let alarms = spoken.iter().filter(|row| !inside(**row)).count();
    let window = |&(first, last): &(usize, usize)| {
        let loudest = scores[first..=last].iter().copied().fold(0.0, f64::max);
        match spoken.iter().find(|row| (first..=last).contains(row)) {
            Some(row) => format!("{:.2}", (row - first) as f64 / (last - first + 1) as f64),
            None => format!("miss({loudest:.3})"),
        }
    };
    let windows: Vec<String> = series.windows.iter().map(window).collect();
    format!("{:<58} {:>6} rows {alarms:>4} alarms  {}", series.name, scores.len(), windows.join(" "))
}

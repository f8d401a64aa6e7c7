//! Application servers: train and test part of each replayed as one wide file, the row of the entity scored.

use std::fmt::Write as _;

use foreshock::replay::Table;
use foreshock_core::pipeline::PipelineConfig;
use rayon::prelude::*;

use super::{
    AccuracyError, Bound, Context, Figure, Section, Tier, mean,
    replay::{ReplayError, Scored, Wanted, replay, timed, write_csv},
};
use crate::asd::{self, Server, best_threshold, tally};

/// Longest buffer of the volume, in rows.
const BUFFER: usize = 100;

/// A server as the table that a user would have.
///
/// # Errors
/// When it cannot be written or read.
pub fn table(server: &Server) -> Result<Table, ReplayError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("{}.csv", server.name));
    let metrics = server.rows.first().map_or(0, |(_, values)| values.len());
    let names: Vec<String> = (0..metrics).map(|metric| format!("m{metric:02}")).collect();
    write_csv(&path, &names, server.rows.iter().map(|(time, values)| (Some(*time), values.as_slice())))?;
    Ok(Table::read(&path, None, &timed())?)
}

/// The engine's combined score of every labelled row.
///
/// # Errors
/// When the server cannot be replayed.
pub fn scores(server: &Server) -> Result<Scored, ReplayError> {
    let wanted = Wanted { scores: true, ..Wanted::default() };
    let mut heard = replay(&table(server)?, &PipelineConfig::default(), wanted)?;
    let mut entity = heard.scores.remove("entity").unwrap_or_default();
    if entity.score.len() != server.rows.len() {
        let problem = format!("{} rows of the entity, {} read", entity.score.len(), server.rows.len());
        return Err(ReplayError::Contract { what: "scores", problem });
    }
    entity.score.drain(..server.train);
    entity.anomaly.drain(..server.train);
    Ok(entity)
}

/// What some scores come to on all servers.
#[derive(Debug, Clone, Copy)]
pub struct Summed {
    /// Volume under the precision-recall surface, mean over servers.
    pub volume: f64,
    /// Area under it row by row.
    pub area: f64,
    /// Events with the threshold that fits all labels best.
    pub best: f64,
    /// Events with the threshold fitted on every other server and used on the rest.
    pub crossed: asd::Tally,
}

impl Summed {
    /// Scores some servers: one score per labelled row of each.
    pub fn of(servers: &[Server], scores: &[Vec<f64>]) -> Summed {
        let all: Vec<(&[bool], &[f64])> = servers
            .iter()
            .zip(scores)
            .map(|(server, scores)| (server.labels.as_slice(), scores.as_slice()))
            .collect();
        let half = |odd: usize| all.iter().copied().skip(odd).step_by(2).collect::<Vec<_>>();
        let (first, second) = (half(0), half(1));
        let crossed = tally(&second, best_threshold(&first)).plus(&tally(&first, best_threshold(&second)));
        let volumes: Vec<f64> =
            all.par_iter().map(|(labels, scores)| asd::vus_pr(labels, scores, BUFFER)).collect();
        Summed {
            volume: mean(volumes),
            area: mean(all.iter().map(|(labels, scores)| asd::auc_pr(labels, scores))),
            best: tally(&all, best_threshold(&all)).f1(),
            crossed,
        }
    }

    fn line(&self, name: &str) -> String {
        let Summed { volume, area, best, crossed } = self;
        format!(
            "| {name} | {volume:.3} | {area:.3} | {best:.3} | {:.3} | {} of {} | {} | {:.2} |",
            crossed.f1(),
            crossed.hit,
            crossed.events,
            crossed.reported,
            crossed.alarms_per_day()
        )
    }
}

/// Events with the engine's own threshold: its column `anomaly`.
fn shipped(servers: &[Server], scores: &[Scored]) -> asd::Tally {
    let told: Vec<Vec<f64>> =
        scores.iter().map(|one| one.anomaly.iter().map(|on| f64::from(u8::from(*on))).collect()).collect();
    let marks = servers.iter().zip(&told).map(|(server, told)| (server.labels.as_slice(), told.as_slice()));
    tally(&marks.collect::<Vec<_>>(), 0.5)
}

pub(super) fn score(context: &Context) -> Result<Section, AccuracyError> {
    let servers = asd::read(&context.folder("asd")?)?;
    let ours: Vec<Scored> = servers.par_iter().map(scores).collect::<Result<_, _>>()?;
    let summed = Summed::of(&servers, &ours.iter().map(|one| one.score.clone()).collect::<Vec<_>>());
    let shipped = shipped(&servers, &ours);
    let mut details = String::from(
        "12 servers of 19 metrics, 30 days to learn from, 15 days scored; the `entity` row of `--scores`. VUS-PR with buffers of 0 to 100 \
         rows, AUC-PR row by row, means over servers. Events are not point-adjusted: a report is a run of rows less than an hour apart, right \
         when half of its rows lie within an hour of a labelled event. *Crossed*: threshold fitted on six servers, used on the other six, \
         and the other way round; the columns behind it belong to it. Peers: scikit-learn, fitted on the training part, same scorer.\n\n\
         | score | VUS-PR | AUC-PR | best F1 | crossed F1 | events hit | reported | alarms per server and day |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let _ = writeln!(details, "{}", summed.line("foreshock"));
    let _ = writeln!(
        details,
        "| foreshock, column `anomaly` | | | | {:.3} | {} of {} | {} | {:.2} |",
        shipped.f1(),
        shipped.hit,
        shipped.events,
        shipped.reported,
        shipped.alarms_per_day()
    );
    // What the record of 2026-11-25 has, for runs without a Python.
    let (mut best, mut peers) = ((0.350, 0.290), "as recorded 2026-11-25".to_string());
    if let Some(written) = context.peers("asd_scikit.py", "asd")? {
        best = (0.0, 0.0);
        peers = "same run".to_string();
        for (peer, name) in [("iforest", "scikit-learn isolation forest"), ("pca", "scikit-learn PCA")] {
            let scores = servers.iter().map(|server| asd::peer(written.path(), peer, server));
            let theirs = Summed::of(&servers, &scores.collect::<Result<Vec<_>, _>>()?);
            best = (f64::max(best.0, theirs.crossed.f1()), f64::max(best.1, theirs.volume));
            let _ = writeln!(details, "{}", theirs.line(name));
        }
    }
    let constant: Vec<Vec<f64>> = servers.iter().map(|server| vec![0.0; server.labels.len()]).collect();
    let _ = writeln!(details, "{}", Summed::of(&servers, &constant).line("constant"));
    let better = |value: f64| format!("scikit-learn's better {value:.3} ({peers})");
    let figures = vec![
        Figure::new("event F1, threshold crossed", Tier::Both, summed.crossed.f1(), 3)
            .floor(Bound::Above(best.0))
            .peers(better(best.0)),
        Figure::new("VUS-PR", Tier::Both, summed.volume, 3).floor(Bound::Above(best.1)).peers(better(best.1)),
        Figure::new("alarms per server and day, crossed", Tier::Both, summed.crossed.alarms_per_day(), 2),
        Figure::new("event F1, shipped threshold", Tier::Both, shipped.f1(), 3),
        Figure::new("alarms per server and day, shipped", Tier::Both, shipped.alarms_per_day(), 2),
    ];
    Ok(Section::new(figures, details))
}

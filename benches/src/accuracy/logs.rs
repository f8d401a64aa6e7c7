//! Logs: lines to templates by `replay --templates`; sessions by the session bank.

use std::fmt::Write as _;

use rayon::prelude::*;

use super::{
    AccuracyError, Bound, Context, Figure, Section, Tier, mean,
    replay::{ReplayError, templates},
};
use crate::logs::{self, Judged, System, grouping_accuracy};

/// Grouping accuracy of the engine on a system's lines.
///
/// # Errors
/// When they cannot be replayed.
pub fn accuracy(system: &System) -> Result<f64, ReplayError> {
    let found = templates(&system.lines)?;
    if found.len() != system.lines.len() {
        let problem = format!("{} rows, {} lines of {}", found.len(), system.lines.len(), system.name);
        return Err(ReplayError::Contract { what: "templates", problem });
    }
    Ok(grouping_accuracy(&found, &system.truth))
}

pub(super) fn score_templates(context: &Context) -> Result<Section, AccuracyError> {
    let systems = logs::read_systems(&context.folder("loghub2k")?)?;
    let ours: Vec<f64> = systems.par_iter().map(accuracy).collect::<Result<_, _>>()?;
    let plain: Vec<f64> = systems.par_iter().map(|system| logs::mine_with_drain(system).accuracy).collect();
    let mut columns = vec![("foreshock", ours), ("plain Drain", plain)];
    if let Some(python) = &context.python {
        let drain3 = logs::drain3(python, &systems)?;
        columns.push(("drain3", drain3.iter().map(|mined| mined.accuracy).collect()));
    }
    let mut details = String::from(
        "16 systems of 2,000 lines, the message alone, one configuration. Grouping accuracy of what `--templates` gives: each line's \
         template as it is at the end of the file. `cargo run --release -p foreshock-benches --bin logs` has what a line got at once.\n\n| system |",
    );
    columns.iter().for_each(|(name, _)| {
        let _ = write!(details, " {name} |");
    });
    let _ = writeln!(details, "\n|---|{}", "---:|".repeat(columns.len()));
    for (row, system) in systems.iter().enumerate() {
        let cells: String = columns.iter().map(|(_, column)| format!(" {:.4} |", column[row])).collect();
        let _ = writeln!(details, "| {} |{cells}", system.name);
    }
    let means: Vec<f64> = columns.iter().map(|(_, column)| mean(column.iter().copied())).collect();
    let cells: String = means.iter().map(|mean| format!(" {mean:.4} |")).collect();
    let _ = writeln!(details, "| mean |{cells}");
    let beside = columns.iter().zip(&means).skip(1).map(|((name, _), mean)| format!("{name} {mean:.3} here"));
    let peers = format!("drain3 0.738, with masks 0.773; {}", beside.collect::<Vec<_>>().join(", "));
    let figure = Figure::new("grouping accuracy", Tier::Core, means[0], 3).peers(peers);
    Ok(Section::new(vec![figure.floor(Bound::AtLeast(0.8)).target(Bound::Above(0.9))], details))
}

pub(super) fn score_sessions(context: &Context) -> Result<Section, AccuracyError> {
    let folder = context.folder("hdfs100k")?;
    let [train, test] = logs::numbered([
        &logs::read_sessions(&folder.join("train.ndjson"))?,
        &logs::read_sessions(&folder.join("test.ndjson"))?,
    ]);
    let ours = logs::by_session_bank(&train, &test, true);
    let most = logs::ceiling(&test);
    let rows = [
        ("session bank, learning on while it judges", ours),
        ("session bank, taught by the training part alone", logs::by_session_bank(&train, &test, false)),
        ("peer: counts of no normal session", logs::by_counts(&train, &test)),
        ("the most that event sequences allow, labels known", most),
    ];
    let mut details = String::from(
        "Adapter: the set has sequences of templates per session, no telemetry, so the session bank is asked directly. About half of the \
         abnormal sessions have the very events of normal ones (their trouble lies beyond these 100,000 lines), so that no detector that sees \
         a session's events alone can have more than the last line; 0.95 and more is published for the whole of HDFS.\n\n\
         | | precision | recall | F1 | hits | false alarms | missed |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, judged) in &rows {
        let Judged { hits, false_alarms, missed } = judged;
        let (precision, recall, f1) = (judged.precision(), judged.recall(), judged.f1());
        let _ = writeln!(
            details,
            "| {name} | {precision:.3} | {recall:.3} | {f1:.3} | {hits} | {false_alarms} | {missed} |"
        );
    }
    let peers = format!(
        "attainable here {:.3}; on the whole of HDFS count vector 0.988, LogAnomaly 0.976, DeepLog 0.945",
        most.f1()
    );
    let figure = Figure::new("F1 per session (adapter)", Tier::Core, ours.f1(), 3).peers(peers);
    let share = Figure::new("share of the attainable F1", Tier::Core, ours.f1() / most.f1(), 3);
    let figure = figure.floor(Bound::AtLeast(0.95)).target(Bound::Above(0.98));
    Ok(Section::new(vec![figure, share], details))
}

//! Replay: detectors and correlator over files, one frame per input row. No Kafka, no async.
//!
//! * `table`: CSV into columns of values
//! * `lines`: text logs into templates
//! * `output`: scores, change points and anomalies as text
//! * `plot`: the picture

mod lines;
mod output;
mod plot;
mod table;

use std::sync::Arc;

use crate::{
    correlator::{self, Correlator, CorrelatorConfig},
    score::{FrameView, ScoreConfig, Scorer},
    types::{Anomaly, Entity, EntityKind, SeriesDef, TickClosed},
};

pub use lines::{LinesError, replay_lines};
pub use output::{Outputs, Sinks};
pub use table::{Table, TableError, TableOptions};

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Input rows, each scored.
    pub rows: usize,
    /// Anomalies that opened.
    pub anomalies: usize,
    /// Incidents that opened.
    pub incidents: usize,
}

/// An output that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The disk or pipe behind it refused.
    #[error("cannot write the {what}: {source}")]
    Write {
        /// Which output.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The picture could not be drawn.
    #[error("cannot draw {path}: {detail}")]
    Plot {
        /// Where to.
        path: String,
        /// What the drawing library said.
        detail: String,
    },
}

/// Settings of a replay: those of the engine that would read the same from Kafka.
#[derive(Clone, Debug, Default)]
pub struct ReplayConfig {
    /// Detectors.
    pub score: ScoreConfig,
    /// Incidents.
    pub correlator: CorrelatorConfig,
}

/// Scores every row of the table, in order; row *t*'s output depends on rows up to *t* alone. The table is a service
/// that is named like its file, as `produce` has it.
pub fn replay_table(
    table: &Table,
    config: &ReplayConfig,
    outputs: &mut Outputs,
) -> Result<Summary, OutputError> {
    let entity = Arc::new(Entity::new(EntityKind::Service, table.name.clone()));
    let slots: Vec<Option<Arc<SeriesDef>>> = table
        .series
        .iter()
        .map(|name| Some(Arc::new(SeriesDef::new(entity.clone(), name.clone(), Vec::new()))))
        .collect();
    let admitted: Vec<u32> = (0..slots.len() as u32).collect();
    let open = config.score.open;
    let mut scorer = Scorer::new(config.score.clone());
    let mut correlator = Correlator::new(config.correlator.clone());
    let mut summary = Summary::default();
    for row in 0..table.rows() {
        let view = FrameView {
            time_ms: table.times_ms[row],
            values: table.row(row),
            slots: &slots,
            admitted: if row == 0 { &admitted } else { &[] },
            forgotten: &[],
        };
        let revisions = scorer.frame(view);
        summary.rows += 1;
        summary.anomalies += revisions.iter().filter(|anomaly| anomaly.revision == 1).count();
        outputs.row(table, row, &scorer, open)?;
        outputs.anomalies(&revisions)?;
        let told = closed(table.times_ms[row], scorer.warm(), revisions);
        for effect in correlator.on_event(correlator::Event::Tick(told)) {
            if let correlator::Effect::Incident(incident) = effect {
                summary.incidents += usize::from(incident.revision == 1);
                outputs.incident(&incident)?;
            }
        }
    }
    outputs.draw(table)?;
    Ok(summary)
}

/// A row as the correlator is told it; in the order of series, like the pipeline does.
fn closed(time_ms: i64, warm_series: u64, mut anomalies: Vec<Anomaly>) -> TickClosed {
    anomalies.sort_by(|a, b| a.series.cmp(&b.series).then(a.id.cmp(&b.id)));
    TickClosed { time_ms, anomalies, edges: Vec::new(), warm_series }
}

//! Replay: the scorer over files, one frame per input row. No Kafka, no async.
//!
//! * `table`: CSV into columns of values
//! * `output`: scores, change points and anomalies as text
//! * `plot`: the picture

mod output;
mod plot;
mod table;

use std::sync::Arc;

use crate::{
    score::{FrameView, ScoreConfig, Scorer},
    types::{Entity, EntityKind, SeriesDef},
};

pub use output::Outputs;
pub use table::{Table, TableError, TableOptions};

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Input rows, each scored.
    pub rows: usize,
    /// Anomalies that opened.
    pub anomalies: usize,
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

/// Scores every row of the table, in order; row *t*'s output depends on rows up to *t* alone.
pub fn replay_table(table: &Table, outputs: &mut Outputs) -> Result<Summary, OutputError> {
    let entity = Arc::new(Entity::new(EntityKind::Other, table.name.clone()));
    let slots: Vec<Option<Arc<SeriesDef>>> = table
        .series
        .iter()
        .map(|name| Some(Arc::new(SeriesDef::new(entity.clone(), name.clone(), Vec::new()))))
        .collect();
    let admitted: Vec<u32> = (0..slots.len() as u32).collect();
    let config = ScoreConfig::default();
    let open = config.open;
    let mut scorer = Scorer::new(config);
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
    }
    outputs.draw(table)?;
    Ok(summary)
}

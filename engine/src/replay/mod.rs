//! Replay: the engine over files. No Kafka, no async.
//!
//! * `input`: what a file holds, unpacked
//! * `table`: CSV, NDJSON and Parquet as one table of values; one frame per row
//! * `records`: OTLP JSON lines through the whole pipeline, as `run` has it
//! * `range`: records out of Kafka, between two times
//! * `lines`: text logs into templates
//! * `output`: scores, change points, anomalies and incidents as text
//! * `plot`: the picture

mod input;
mod lines;
mod output;
mod plot;
mod range;
mod records;
mod table;

use std::{collections::BTreeMap, sync::Arc};

use foreshock_core::{
    correlator::{self, Correlator},
    pipeline::PipelineConfig,
    score::{FrameView, Scorer},
    types::{Anomaly, Entity, EntityKind, SeriesDef, TickClosed},
};

pub(crate) use input::Lines;
pub use input::{Format, Input, InputError, Refused};
pub use lines::{LinesError, replay_lines};
pub use output::{OutputError, Outputs, Sinks};
pub use range::{Range, RangeError, read_range};
pub use records::{Feed, Measure, RecordsError, RecordsSummary, SourceSummary, replay_records};
pub use table::{Table, TableError, TableOptions};

/// What a replay of a table found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Input rows, each scored.
    pub rows: usize,
    /// Anomalies that opened.
    pub anomalies: usize,
    /// Incidents that opened.
    pub incidents: usize,
}

/// Scores every row of the table, in order, with the detectors and incidents of this configuration; row *t*'s output
/// depends on rows up to *t* alone. The table is a service that is named like its file, as `produce` has it, or a fleet of
/// the services that its columns name.
/// `past` is shown to the detectors before: its rows are scored like all others, and nothing is said of them.
pub fn replay_table(
    table: &Table,
    past: Option<&Table>,
    config: &PipelineConfig,
    outputs: &mut Outputs,
) -> Result<Summary, OutputError> {
    let mut correlator = Correlator::new(config.correlator.clone());
    let mut incidents = 0;
    let summary = score_table(table, past, config, outputs, |tick, outputs| {
        for effect in correlator.on_event(correlator::Event::Tick(tick)) {
            if let correlator::Effect::Incident(incident) = effect {
                incidents += usize::from(incident.revision == 1);
                outputs.incident(&incident)?;
            }
        }
        Ok(())
    })?;
    Ok(Summary { incidents, ..summary })
}

/// The part of [`replay_table`] before incidents: gives each row to `closed` as a correlator is told it, so that several can
/// listen to one replay.
pub fn score_table(
    table: &Table,
    past: Option<&Table>,
    config: &PipelineConfig,
    outputs: &mut Outputs,
    mut closed: impl FnMut(TickClosed, &mut Outputs) -> Result<(), OutputError>,
) -> Result<Summary, OutputError> {
    let slots = slots(table);
    let admitted: Vec<u32> = (0..slots.len() as u32).collect();
    let mut scorer = Scorer::new(config.score.clone());
    let mut summary = Summary::default();
    let learnt =
        past.map_or(0, |past| learn(&mut scorer, past, table, &slots, &admitted, config.deep_series));
    for row in 0..table.rows() {
        let view = FrameView {
            time_ms: table.times_ms[row],
            values: table.row(row),
            slots: &slots,
            admitted: if row == 0 && learnt == 0 { &admitted } else { &[] },
            forgotten: &[],
            deep_room: room(&scorer, config.deep_series),
            held: &[],
        };
        let revisions = scorer.frame(view);
        summary.rows += 1;
        summary.anomalies += revisions.iter().filter(|anomaly| anomaly.revision == 1).count();
        outputs.row(table, row, &scorer, &config.score)?;
        outputs.anomalies(&revisions)?;
        closed(tick(table.times_ms[row], scorer.warm(), revisions), outputs)?;
    }
    outputs.draw(table)?;
    Ok(summary)
}

/// How many of those who wait may enter the deep tier, as the pipeline has it.
fn room(scorer: &Scorer, deep_series: usize) -> usize {
    let (used, waiting) = scorer.deep();
    waiting.min(deep_series.saturating_sub(used))
}

/// Shows the rows of a past that lie before the table's first to the scorer, by the names of the columns; gives their number.
fn learn(
    scorer: &mut Scorer,
    past: &Table,
    table: &Table,
    slots: &[Option<Arc<SeriesDef>>],
    admitted: &[u32],
    deep_series: usize,
) -> usize {
    let places: Vec<Option<usize>> =
        table.series.iter().map(|name| past.series.iter().position(|known| known == name)).collect();
    let Some(&first) = table.times_ms.first() else { return 0 };
    let earlier = (0..past.rows()).filter(|row| past.times_ms[*row] < first);
    let mut values = vec![f64::NAN; slots.len()];
    let mut learnt = 0;
    for row in earlier {
        let there = past.row(row);
        for (value, place) in values.iter_mut().zip(&places) {
            *value = place.map_or(f64::NAN, |place| there[place]);
        }
        scorer.frame(FrameView {
            time_ms: past.times_ms[row],
            values: &values,
            slots,
            admitted: if learnt == 0 { admitted } else { &[] },
            forgotten: &[],
            deep_room: room(scorer, deep_series),
            held: &[],
        });
        learnt += 1;
    }
    learnt
}

/// The series of a table, in the order of its columns.
fn slots(table: &Table) -> Vec<Option<Arc<SeriesDef>>> {
    let mut entities: BTreeMap<&str, Arc<Entity>> = BTreeMap::new();
    let series = table.series.iter().map(|name| {
        let (entity, measure) = table.entity_and_measure(name);
        let entity = entities
            .entry(entity)
            .or_insert_with(|| Arc::new(Entity::new(EntityKind::Service, entity.to_string())));
        Some(Arc::new(SeriesDef::new(entity.clone(), measure.to_string(), Vec::new())))
    });
    series.collect()
}

/// A row as the correlator is told it; in the order of series, like the pipeline does.
fn tick(time_ms: i64, warm_series: u64, mut anomalies: Vec<Anomaly>) -> TickClosed {
    anomalies.sort_by(|a, b| a.series.cmp(&b.series).then(a.id.cmp(&b.id)));
    TickClosed { time_ms, anomalies, warm_series, ..TickClosed::default() }
}

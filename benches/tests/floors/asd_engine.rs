//! The bench's entity score is the engine's own: the same rows through the engine's scorer.

use std::sync::Arc;

use foreshock_benches::{asd, paths};
use foreshock_core::score::{FrameView, ScoreConfig, Scorer};
use foreshock_core::types::{Entity, EntityKind, SeriesDef};

#[test]
fn entity_scores_are_those_of_the_engine() {
    let Some(data) = paths::data() else { return };
    let mut server = asd::read(&data.join("asd")).unwrap().swap_remove(0);
    server.rows.truncate(2_000);
    server.train = 0;
    let ours = asd::scores(&server).entity;

    let entity = Arc::new(Entity::new(EntityKind::Service, server.name.clone()));
    let metrics = server.rows[0].1.len();
    let slots: Vec<_> = (0..metrics)
        .map(|metric| Some(Arc::new(SeriesDef::new(entity.clone(), format!("m{metric:02}"), Vec::new()))))
        .collect();
    let all: Vec<u32> = (0..metrics as u32).collect();
    let mut scorer = Scorer::new(ScoreConfig::default());
    for (row, (time, values)) in server.rows.iter().enumerate() {
        let admitted = if row == 0 { &all[..] } else { &[] };
        let time_ms = time * 1_000;
        scorer.frame(FrameView {
            time_ms,
            values,
            slots: &slots,
            admitted,
            forgotten: &[],
            deep_room: 0,
            held: &[],
        });
        let (_, theirs) = scorer.entity_scores().next().unwrap();
        assert_eq!(ours[row].to_bits(), theirs.to_bits(), "row {row}: {} not {theirs}", ours[row]);
    }
}

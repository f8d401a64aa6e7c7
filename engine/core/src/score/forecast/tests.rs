use std::sync::Arc;

use super::*;
use crate::types::{Entity, EntityKind};

/// A disk of which so much is used at each minute, looked at every ten seconds; gives the revisions.
fn watch(minutes: i64, used: impl Fn(f64) -> f64) -> Vec<Anomaly> {
    let entity = Arc::new(Entity::new(EntityKind::Host, "n1"));
    let series = Arc::new(SeriesDef::new(entity, "system.filesystem.utilization", Vec::new()));
    let mut forecasts = Forecasts::default();
    forecasts.admit(&ForecastConfig::default(), 0, &series);
    assert_eq!(forecasts.len(), 1);
    let slots = [Some(series)];
    let (mut revisions, mut noise) = (Vec::new(), 1_u64);
    for at in 0..minutes * 6 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jitter = ((noise >> 33) as f64 / f64::from(1_u32 << 31) - 0.5) * 0.004;
        let values = [used(at as f64 / 6.0) + jitter];
        let frame = FrameView {
            time_ms: at * 10_000,
            values: &values,
            slots: &slots,
            admitted: &[],
            forgotten: &[],
            deep_room: 0,
            held: &[],
        };
        forecasts.frame(&ForecastConfig::default(), &frame, &mut revisions);
    }
    revisions
}

#[test]
fn a_disk_that_fills_is_told_of_hours_before() {
    // One percent in ten minutes from 40 % on: full after 600 minutes.
    let told = watch(590, |minute| 0.4 + 0.001 * minute);
    let first = &told[0];
    assert_eq!((first.kind, first.revision, first.active), (AnomalyKind::Forecast, 1, true));
    let left_s = 60.0 * (600.0 - first.opened_ms as f64 / 60_000.0);
    assert!(left_s > 5_400.0, "only {left_s} s before the end");
    assert!((first.value - left_s).abs() < 0.15 * left_s, "likely {} s, were {left_s}", first.value);
    assert!(first.lower <= first.value && first.value <= first.upper, "{first:?}");
    assert!(
        (first.lower..=first.upper).contains(&left_s),
        "{} to {}, were {left_s}",
        first.lower,
        first.upper
    );
    assert!(first.explanation.contains("limit 1"), "{}", first.explanation);
    assert!(told.iter().all(|anomaly| anomaly.id == first.id), "one story");
    assert!(told.len() < 20, "{} revisions", told.len());
}

#[test]
fn what_is_cleaned_up_in_time_is_taken_back() {
    let told = watch(900, |minute| if minute < 400.0 { 0.5 + 0.001 * minute } else { 0.5 });
    let last = told.last().unwrap();
    assert!(!last.active && last.opened_ms < 400 * 60_000, "{last:?}");
}

#[test]
fn what_has_no_end_in_sight_is_not_told_of() {
    type Course = fn(f64) -> f64;
    let courses: [(&str, Course); 5] = [
        ("flat", |_| 0.97),
        ("a daily wave", |minute| 0.75 + 0.2 * (minute / 1440.0 * std::f64::consts::TAU).sin()),
        ("a cache that fills up to its bound", |minute| 0.9 - 0.5 * (-minute / 60.0).exp()),
        ("a heap with collections", |minute| 0.5 + 0.4 * (minute / 20.0).fract()),
        ("slow", |minute| 0.3 + 0.000_01 * minute),
    ];
    for (name, course) in courses {
        let told = watch(4_320, course);
        assert!(told.is_empty(), "{name}: {:#?}", told[0]);
    }
}

#[test]
fn a_trend_below_a_daily_wave_is_seen() {
    // Grows by a tenth a day below a wave of the same size.
    let told = watch(6 * 1440, |minute| {
        0.3 + 0.1 * minute / 1440.0 + 0.05 * (minute / 1440.0 * std::f64::consts::TAU).sin()
    });
    let first = told.first().expect("told");
    let left_s = 60.0 * (6.5 * 1440.0 - first.opened_ms as f64 / 60_000.0);
    assert!(left_s > 43_200.0 && first.opened_ms > 2 * 86_400_000, "{first:?}");
}

#[test]
fn another_configuration_after_a_restart_is_heeded() {
    let entity = Arc::new(Entity::new(EntityKind::Service, "cart"));
    let slots = ["system.filesystem.utilization", "process.memory.usage"]
        .map(|measure| Some(Arc::new(SeriesDef::new(entity.clone(), measure, Vec::new()))));
    let frame = FrameView {
        time_ms: 0,
        values: &[0.5, 1e9],
        slots: &slots,
        admitted: &[],
        forgotten: &[],
        deep_room: 0,
        held: &[],
    };
    let mut forecasts = Forecasts::default();
    let limits = |forecasts: &mut Forecasts, config: &ForecastConfig| -> Vec<(u32, f64)> {
        forecasts.frame(config, &frame, &mut Vec::new());
        forecasts.tracks.iter().map(|(slot, track)| (*slot, track.limit)).collect()
    };
    let given = |text: &str, limit| Limit { matchers: vec![text.parse().unwrap()], limit, side: Side::Below };
    assert_eq!(limits(&mut forecasts, &ForecastConfig::default()), [(0, 1.0)]);
    let with_memory = ForecastConfig {
        limits: vec![given("measure=process.memory.usage", 2e9), given("kind=service", 0.9)],
        ..ForecastConfig::default()
    };
    assert_eq!(limits(&mut forecasts, &with_memory), [(0, 1.0)], "not before a restart");
    let without_room = ForecastConfig { max_series: 0, ..with_memory.clone() };
    let restored = |forecasts: &Forecasts, config| {
        let bytes = postcard::to_stdvec(forecasts).unwrap();
        limits(&mut postcard::from_bytes(&bytes).unwrap(), config)
    };
    assert_eq!(restored(&forecasts, &with_memory), [(0, 0.9), (1, 2e9)]);
    assert_eq!(restored(&forecasts, &without_room), [(0, 0.9)]);
}

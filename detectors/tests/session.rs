//! What the session bank promises. Says nothing about accuracy on real sessions: that is measured in `benches/`.

use foreshock_detectors::{SessionBank, SessionConfig, SessionScore, SessionSpeaker};

/// A job: accepted (1), a few steps (2 then 3), done (4); numbers and order vary as the seed says.
fn normal(seed: u64) -> Vec<u32> {
    let mut events = vec![1];
    for turn in 0..2 + seed % 3 {
        events.extend(if (seed >> turn) & 1 == 0 { [2, 3] } else { [3, 2] });
    }
    events.push(4);
    events
}

fn taught() -> SessionBank {
    let mut bank = SessionBank::new(SessionConfig::default());
    for seed in 0..2000 {
        bank.learn(&normal(seed));
    }
    bank
}

fn bits(score: SessionScore) -> (u64, u64, SessionSpeaker, Option<u32>, bool, bool) {
    (score.nlp.to_bits(), score.score.to_bits(), score.speaker, score.event, score.alarm, score.warm)
}

#[test]
fn each_kind_of_oddity_is_found_and_named() {
    let bank = taught();
    let cases: [(&[u32], SessionSpeaker, u32); 4] = [
        (&[1, 2, 3, 9, 2, 3, 4], SessionSpeaker::Event, 9),
        (&[1, 2, 3, 2, 3, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4], SessionSpeaker::Count, 2),
        (&[1, 4, 2, 3, 2, 3], SessionSpeaker::Order, 4),
        (&[1], SessionSpeaker::Count, 2),
    ];
    for (events, speaker, event) in cases {
        let found = bank.score(events);
        assert!(found.alarm, "{events:?}: {found:?}");
        assert_eq!((found.speaker, found.event), (speaker, Some(event)), "{events:?}");
    }
}

#[test]
fn normal_sessions_keep_to_the_false_alarm_rate() {
    let mut bank = taught();
    let alarms = (2000..6000).filter(|seed| bank.advance(&normal(*seed)).alarm).count();
    assert!(alarms <= 8, "{alarms} of 4000, 8 are allowed");
}

#[test]
fn a_question_that_normal_sessions_answer_badly_falls_silent() {
    let mut bank = SessionBank::new(SessionConfig::default());
    let session = |seed: u32| [1, 2, 1000 + seed, 3];
    for seed in 0..2000 {
        bank.learn(&session(seed));
    }
    let found = bank.score(&session(5000));
    assert!(!found.alarm, "every session brings an event of its own: {found:?}");
    assert!(bank.score(&[1, 2, 3, 3, 2, 1, 2, 3, 1, 1, 1]).alarm, "the other questions still speak");
}

#[test]
fn what_alarms_is_not_learnt_until_it_has_become_usual() {
    let config = SessionConfig { adopt: 10, ..SessionConfig::default() };
    let mut bank = SessionBank::new(config);
    for seed in 0..2000 {
        bank.learn(&normal(seed));
    }
    let odd = [1, 9, 9, 4];
    let alarms: Vec<bool> = (0..12).map(|_| bank.advance(&odd).alarm).collect();
    assert_eq!(alarms, [vec![true; 10], vec![false; 2]].concat());
}

#[test]
fn saving_and_loading_is_invisible_at_every_cut() {
    let config = SessionConfig {
        max_vectors: 6,
        max_events: 20,
        max_steps: 30,
        warmup: 20,
        adopt: 3,
        ..SessionConfig::default()
    };
    let mut straight = SessionBank::new(config);
    let mut restored = SessionBank::new(config);
    for seed in 0..300_u64 {
        let mut events = normal(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40);
        if seed % 17 == 0 {
            events.push(seed as u32 % 40);
        }
        let saved = restored.save();
        restored = SessionBank::new(config);
        restored.load(&saved).unwrap();
        assert_eq!(restored.save(), saved);
        let step =
            |bank: &mut SessionBank| if seed < 100 { bank.learn(&events) } else { bank.advance(&events) };
        assert_eq!(bits(step(&mut straight)), bits(step(&mut restored)), "session {seed}");
    }
}

#[test]
fn columns_of_another_bank_or_damaged_ones_are_refused_and_change_nothing() {
    let mut bank = taught();
    let saved = bank.save();
    let mut other = saved.clone();
    other.name = "forest".to_owned();
    assert!(bank.load(&other).is_err());
    for column in 0..saved.columns.len() {
        let mut damaged = saved.clone();
        damaged.columns.remove(column);
        assert!(bank.load(&damaged).is_err(), "without {}", saved.columns[column].0);
    }
    assert_eq!(bank.save(), saved);
}

#[test]
fn any_session_gives_a_finite_score_and_memory_is_bounded() {
    let config =
        SessionConfig { max_vectors: 50, max_events: 100, max_steps: 200, ..SessionConfig::default() };
    let mut bank = SessionBank::new(config);
    assert_eq!(bank.score(&[]), SessionScore::default());
    for seed in 0..3000_u32 {
        let length = (seed % 97) as usize;
        let events: Vec<u32> =
            (0..length as u32).map(|at| seed.wrapping_mul(2_654_435_761).rotate_left(at)).collect();
        let found = bank.advance(&events);
        assert!(found.nlp.is_finite() && found.nlp >= 0.0 && (0.0..1.0).contains(&found.score), "{found:?}");
    }
    let size =
        |name: &str| bank.save().columns.into_iter().find(|column| column.0 == name).map(|column| column.1);
    let foreshock_detectors::ColumnData::U64(sizes) = size("sizes").unwrap() else {
        panic!("sizes are integers")
    };
    assert!(sizes[0] <= 100 && sizes[1] <= 200 && sizes[2] <= 50, "{sizes:?}");
}

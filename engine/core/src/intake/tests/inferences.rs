//! Answers of models as observations.

use serde_json::{Value, json};

use super::*;

/// What an answer comes to: series, kind and value.
fn observed(answer: &Value) -> Vec<(String, &'static str, f64)> {
    let (batches, rejects) = take("answers", &[record(0, answer.to_string())]);
    assert!(rejects.is_empty(), "{rejects:?}");
    let mut observed = Vec::new();
    for batch in batches {
        let streams = batch.rows.column(2).as_primitive::<arrow::datatypes::UInt32Type>().values();
        let values = batch.rows.column(4).as_primitive::<arrow::datatypes::Float64Type>().values();
        for (stream, value) in streams.iter().zip(values) {
            let def = &batch.streams.defs[*stream as usize];
            observed.push((def.series.name.clone(), def.kind.name(), *value));
        }
    }
    observed
}

#[test]
fn every_value_is_an_observation() {
    let answer = json!({
        "time": "2023-11-14T22:13:20Z", "model": "ranker", "version": 3,
        "inputs": {"age": 37, "member": true, "country": "de", "tags": ["a"], "gone": null},
        "prediction": "yes", "score": 0.75, "label": "no", "group": {"gender": "f"},
    });
    let found = observed(&answer);
    let of = |measure: &str, group: &str| {
        format!("model/ranker {measure}{{{group}model.name=ranker,model.version=3}}")
    };
    let find =
        |series: &str| found.iter().find(|(name, ..)| name == series).map(|(_, kind, value)| (*kind, *value));
    assert_eq!(find(&of("model.input.age", "")), Some(("observations", 37.0)), "{found:?}");
    assert_eq!(find(&of("model.input.member", "")), Some(("outcomes", 1.0)));
    let (kind, category) = find(&of("model.input.country", "")).unwrap();
    assert!(kind == "categories" && (0.0..9.0).contains(&category) && category.fract() == 0.0, "{category}");
    assert_eq!(find(&of("model.score", "")), Some(("observations", 0.75)));
    for group in ["", "model.group.gender=f,"] {
        assert_eq!(find(&of("model.error", group)), Some(("outcomes", 1.0)), "{found:?}");
        assert_eq!(find(&of("model.prediction", group)).unwrap().0, "categories");
    }
    // Age, member, country, score; prediction and error, twice.
    assert_eq!(found.len(), 8, "{found:?}");
}

#[test]
fn truths_give_errors_and_calibration() {
    for (more, measure, expected) in [
        (json!({"prediction": 7.0, "label": 9.5}), "model.error.absolute", Some(2.5)),
        (json!({"prediction": true, "label": true}), "model.error", Some(0.0)),
        (json!({"prediction": "a", "label": 1}), "model.error", None),
        (json!({"score": 0.25, "label": 1}), "model.calibration", Some(0.75)),
        (json!({"score": 0.25, "label": false}), "model.calibration", Some(-0.25)),
        (json!({"score": 3.0, "label": 1}), "model.calibration", None),
        (json!({"score": 0.25, "label": 0.5}), "model.calibration", None),
    ] {
        let mut answer = more.clone();
        answer["model"] = json!("ranker");
        let found = observed(&answer);
        let value = found
            .iter()
            .find(|(series, ..)| series.contains(&format!("{measure}{{")))
            .map(|(.., value)| *value);
        assert_eq!(value, expected, "{more} {found:?}");
    }
}

#[test]
fn what_is_no_answer_is_refused_by_name() {
    for (text, reason) in [
        (r#"{"model": "ranker", "label": 1, "time": "soon"}"#, RejectReason::BadTime),
        (r#"{"model": "ranker"}"#, RejectReason::UnknownEncoding),
        (r#"{"model": 7, "label": 1}"#, RejectReason::UnknownEncoding),
    ] {
        let (batches, rejects) = take("answers", &[record(0, text)]);
        assert_eq!((batches.len(), rejects[0].reason), (0, reason), "{text}");
    }
    let config = IntakeConfig { encoding: Encoding::Inferences, ..IntakeConfig::default() };
    let (_, rejects) = take_by(config, "answers", &[record(0, "{}")]);
    assert_eq!((rejects[0].reason, rejects[0].detail.as_str()), (RejectReason::Malformed, "no model"));
}

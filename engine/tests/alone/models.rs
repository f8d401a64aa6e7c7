//! Models as their telemetry shows them: inputs whose histograms spread otherwise are an incident of the model; so are answers that are
//! wrong more often, and categories that come otherwise.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

const BEGIN_S: i64 = 1_772_000_000;
const TICKS: i64 = 1_440;
/// The tick at which the inputs change.
const CHANGED: i64 = 1_100;

/// Uniform in [0, 1).
fn uniform(tick: i64, at: i64) -> f64 {
    let mut z = ((tick as u64) << 32 | at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Eighty inputs around 10, as a histogram; from the change on half of those in the middle have moved outwards: the mean stays.
fn counts(tick: i64, is_drifting: bool) -> Vec<u64> {
    let mut counts = vec![0; 20];
    for at in 0..80 {
        let sum: f64 = (0..4).map(|part| uniform(tick, 8 * at + part) - 0.5).sum();
        let mut value = 10.0 + 5.0 * sum;
        if is_drifting && tick >= CHANGED && (value - 10.0).abs() < 2.0 {
            value += if uniform(tick, 8 * at + 5) < 0.5 { 2.5 } else { -2.5 };
        }
        counts[(value.clamp(0.0, 19.0)) as usize] += 1;
    }
    counts
}

fn message(tick: i64, is_drifting: bool) -> Value {
    let counts = counts(tick, is_drifting);
    let end_ns = (BEGIN_S + 10 * tick + 9) * 1_000_000_000;
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceMetrics": [{
        "resource": {"attributes": [text("service.name", "ranking")]},
        "scopeMetrics": [{"metrics": [{"name": "model.input.age", "histogram": {
            "aggregationTemporality": 1,
            "dataPoints": [{
                "attributes": [text("model.name", "ranker"), text("model.version", "3")],
                "startTimeUnixNano": (end_ns - 10_000_000_000_i64).to_string(),
                "timeUnixNano": end_ns.to_string(),
                "count": counts.iter().sum::<u64>().to_string(),
                "bucketCounts": counts.iter().map(u64::to_string).collect::<Vec<_>>(),
                "explicitBounds": (1..20).map(f64::from).collect::<Vec<_>>(),
            }],
        }}]}],
    }]})
}

/// The incidents of a model whose inputs drift, or do not.
fn incidents(folder: &Path, is_drifting: bool) -> Vec<Value> {
    let lines: String = (0..TICKS).map(|tick| message(tick, is_drifting).to_string() + "\n").collect();
    replayed(folder, &lines)
}

fn replayed(folder: &Path, lines: &str) -> Vec<Value> {
    let (input, output) = (folder.join("telemetry.jsonl"), folder.join("incidents.ndjson"));
    fs::write(&input, lines).expect("written");
    let ran = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .arg("replay")
        .arg(&input)
        .arg("--incidents")
        .arg(&output)
        .output()
        .expect("the binary starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = fs::read_to_string(output).expect("incidents");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn inputs_that_spread_otherwise_are_told_soon_although_their_mean_stays() {
    let folder = tempfile::tempdir().expect("folder");
    assert_eq!(incidents(folder.path(), false), Vec::<Value>::new(), "nothing changed");
    let told = incidents(folder.path(), true);
    let first = told.first().expect("an incident");
    assert_eq!(first["title"], "ranker: drifting");
    let after_s = first["opened_ms"].as_i64().expect("a time") / 1000 - (BEGIN_S + 10 * CHANGED);
    assert!((0..=60).contains(&after_s), "{after_s} s after the change");
    let anomaly = first["members"]
        .as_array()
        .and_then(|members| {
            members
                .iter()
                .map(|member| &member["anomaly"])
                .find(|it| it["measure"] == "model.input.age:drift")
        })
        .expect("the drift is a member");
    let index = anomaly["value"].as_f64().expect("a number");
    assert!((0.1..2.0).contains(&index) && anomaly["expected"] == 0.0, "{anomaly}");
    assert_eq!(first["suspects"][0]["entity"]["name"], "ranker", "{first}");
}

/// What changes in the answers of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Nothing,
    /// Who asks comes from elsewhere.
    Categories,
    /// One group's answers are wrong more often.
    Errors,
    /// What is called likely comes about less often.
    Calibration,
}

/// Twenty answers of a tick.
fn answers(tick: i64, change: Change) -> String {
    let is = |wanted: Change| change == wanted && tick >= CHANGED;
    let answer = |at: i64| {
        let draw = |part: i64| uniform(tick, 8 * at + part);
        let home = if is(Change::Categories) { 0.3 } else { 0.7 };
        let country = if draw(0) < home { "de" } else { "fr" };
        let group = if draw(1) < 0.5 { "a" } else { "b" };
        let score = (draw(2) * 100.0).round() / 100.0;
        let happens = if is(Change::Calibration) { 0.6 * score } else { score };
        let label = draw(3) < happens;
        let wrong = if is(Change::Errors) && group == "b" { 0.35 } else { 0.05 };
        let prediction = if draw(4) < wrong { !label } else { label };
        let time_ms = (BEGIN_S + 10 * tick) * 1000 + 400 * at;
        let answer = json!({
            "time": time_ms, "model": "ranker", "version": "3", "inputs": {"age": 20.0 + 40.0 * draw(5), "country": country},
            "prediction": prediction, "score": score, "label": label, "group": group,
        });
        answer.to_string() + "\n"
    };
    (0..20).map(answer).collect()
}

#[test]
fn answers_that_change_are_an_incident_of_the_model_that_says_which_slice() {
    let folder = tempfile::tempdir().expect("folder");
    for (change, title, series) in [
        (Change::Nothing, "", ""),
        (
            Change::Categories,
            "ranker: drifting",
            "model.input.country:drift{model.name=ranker,model.version=3}",
        ),
        (Change::Errors, "ranker: failing", "{model.group.group=b,model.name=ranker,model.version=3}"),
        (Change::Calibration, "ranker: drifting", "model.calibration"),
    ] {
        let lines: String = (0..TICKS).map(|tick| answers(tick, change)).collect();
        let told = replayed(folder.path(), &lines);
        let Some(first) = told.first() else {
            assert_eq!(change, Change::Nothing, "nothing is told");
            continue;
        };
        assert_eq!(first["title"], title, "{change:?}");
        let after_s = first["opened_ms"].as_i64().expect("a time") / 1000 - (BEGIN_S + 10 * CHANGED);
        assert!((0..=300).contains(&after_s), "{change:?}: {after_s} s after the change");
        let last = told.last().expect("it goes on");
        let members = last["members"].as_array().expect("members").iter();
        let named: Vec<&str> = members.filter_map(|member| member["anomaly"]["series"].as_str()).collect();
        assert!(named.iter().any(|name| name.contains(series)), "{change:?}: {named:?}");
    }
}

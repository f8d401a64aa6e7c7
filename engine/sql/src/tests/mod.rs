mod bounds;

use std::fmt::Write as _;

use foreshock_core::{
    config::Measure,
    intake::{Effect, Encoding, Event, Intake, IntakeConfig},
    types::{Batch, Record, RowMeasures as _, TickRows},
};

use super::SqlMeasures;

const METRICS: &str = r#"{"resourceMetrics":[
  {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
   "scopeMetrics":[{"metrics":[{"name":"queue.depth","gauge":{"dataPoints":[
     {"timeUnixNano":"1000000000","asDouble":4,"attributes":[{"key":"queue.name","value":{"stringValue":"mail"}}]},
     {"timeUnixNano":"2000000000","asDouble":6,"attributes":[{"key":"queue.name","value":{"stringValue":"mail"}}]},
     {"timeUnixNano":"1000000000","asDouble":1,"attributes":[{"key":"queue.name","value":{"stringValue":"sms"}}]}]}}]}]},
  {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pay"}}]},
   "scopeMetrics":[{"metrics":[
     {"name":"queue.depth","gauge":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":10}]}},
     {"name":"jobs","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
       {"timeUnixNano":"1000000000","asInt":"70"}]}}]}]}]}"#;

const SPANS: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
  "scopeSpans":[{"spans":[
   {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"add","kind":2,
    "startTimeUnixNano":"1000000000","endTimeUnixNano":"1500000000","status":{"code":2}},
   {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060709","name":"add","kind":2,
    "startTimeUnixNano":"1000000000","endTimeUnixNano":"3000000000"},
   {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"010203040506070a","name":"get","kind":3,
    "startTimeUnixNano":"1000000000","endTimeUnixNano":"1250000000",
    "attributes":[{"key":"peer.service","value":{"stringValue":"stock"}}]}]}]}]}"#;

/// The batches of OTLP JSON messages, one record each.
fn batches(messages: &[&str]) -> Vec<Batch> {
    let config = IntakeConfig { encoding: Encoding::OtlpJson, ..IntakeConfig::default() };
    let mut intake = Intake::new("test", config);
    let mut found = Vec::new();
    for (offset, message) in (0..).zip(messages) {
        let payload = bytes::Bytes::from(message.to_string());
        let record = Record { offset, time_ms: -1, payload, ..Record::default() };
        for effect in intake.on_event(Event::Records(&[record])) {
            match effect {
                Effect::Batch(batch) => found.push(batch),
                other => panic!("{other:?}"),
            }
        }
    }
    found
}

fn measure(sql: &str, by: &[&str]) -> Measure {
    let by = by.iter().map(|name| name.to_string()).collect();
    let (value, entity) = ("value".to_string(), "other/everything".to_string());
    Measure { name: "m".to_string(), sql: sql.to_string(), by, value, entity, max_series: 3 }
}

fn planned(measure: Measure) -> Result<SqlMeasures, String> {
    SqlMeasures::new(&[measure], 64 << 20).map_err(|error| error.to_string())
}

/// What a measure makes of the messages: one line per series, and words about what it left out.
fn answer(measure: Measure, messages: &[&str]) -> String {
    let mut sql = planned(measure).expect("a plan");
    let answer = sql.measure(&TickRows { tick: 0, batches: batches(messages) });
    let mut text = String::new();
    for measured in answer.values {
        writeln!(text, "{} = {}", measured.series.name, measured.value).expect("text");
    }
    for (_, dropped) in answer.dropped {
        writeln!(text, "{dropped} left out").expect("text");
    }
    for (name, _) in answer.failures {
        writeln!(text, "{name} failed").expect("text");
    }
    text
}

fn check(sql: &str, by: &[&str], messages: &[&str], expected: &str) {
    assert_eq!(answer(measure(sql, by), messages), expected, "{sql}");
}

#[test]
fn rows_become_values_of_series() {
    check(
        "SELECT entity, avg(value) AS value FROM metrics WHERE metric = 'queue.depth' GROUP BY entity",
        &["entity"],
        &[METRICS],
        "service/cart m = 3.6666666666666665\nservice/pay m = 10\n",
    );
    check(
        r#"SELECT "queue.name" AS queue, max(value) AS value FROM metrics WHERE metric = 'queue.depth' GROUP BY 1"#,
        &["queue"],
        &[METRICS],
        "other/everything m = 10\nother/everything m{queue=mail} = 6\nother/everything m{queue=sms} = 1\n",
    );
    check(
        "SELECT sum(value) AS value FROM metrics WHERE metric = 'jobs'",
        &[],
        &[METRICS],
        "other/everything m = 70\n",
    );
    check(
        "SELECT operation, avg(CASE WHEN error THEN 1.0 ELSE 0.0 END) AS value FROM spans WHERE inbound GROUP BY operation",
        &["operation"],
        &[SPANS],
        "other/everything m{operation=add} = 0.5\n",
    );
    check(
        "SELECT peer AS entity, max(duration_seconds) AS value FROM spans WHERE peer IS NOT NULL GROUP BY peer",
        &["entity"],
        &[SPANS],
        "service/stock m = 0.25\n",
    );
    check("SELECT count(*) AS value FROM spans", &[], &[METRICS], "");
    check("SELECT max(value) AS value FROM metrics WHERE metric = 'none'", &[], &[METRICS], "");
}

#[test]
fn every_tick_begins_anew() {
    let mut sql = planned(measure("SELECT count(*) AS value FROM metrics", &[])).expect("a plan");
    for (messages, expected) in [(&[METRICS][..], 5.0), (&[METRICS, METRICS], 10.0), (&[METRICS], 5.0)] {
        let answer = sql.measure(&TickRows { tick: 0, batches: batches(messages) });
        assert_eq!(answer.values[0].value, expected);
    }
}

#[test]
fn the_cut_of_batches_changes_nothing() {
    let sql = r#"SELECT entity, sum(value / 3) AS value, stddev(value) AS s FROM metrics GROUP BY entity"#;
    let whole = batches(&[METRICS, METRICS, METRICS]);
    let cut: Vec<Batch> = whole
        .iter()
        .flat_map(|batch| {
            (0..batch.rows.num_rows()).map(|row| Batch { rows: batch.rows.slice(row, 1), ..batch.clone() })
        })
        .collect();
    assert!(cut.len() > whole.len());
    for value in ["value", "s"] {
        let measure = Measure { value: value.to_string(), ..measure(sql, &["entity"]) };
        let mut sql = planned(measure).expect("a plan");
        let answers =
            [&whole, &cut].map(|batches| sql.measure(&TickRows { tick: 0, batches: batches.clone() }).values);
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].len(), 2);
    }
}

#[test]
fn too_many_rows_and_repeats_are_left_out_and_counted() {
    let sql = "SELECT time, count(*) AS value FROM spans GROUP BY time";
    check(sql, &[], &[SPANS], "other/everything m = 1\n2 left out\n");
    let few = Measure {
        max_series: 1,
        ..measure("SELECT entity, count(*) AS value FROM metrics GROUP BY entity", &["entity"])
    };
    assert_eq!(answer(few, &[METRICS]), "service/cart m = 3\n1 left out\n");
}

#[test]
fn a_failure_while_it_works_leaves_the_tick_without_a_value() {
    let sql = "SELECT sum(CAST(metric AS BIGINT)) AS value FROM metrics";
    check(sql, &[], &[METRICS], "m failed\n");
}

#[test]
fn what_cannot_be_is_refused_with_words() {
    let cases = [
        ("SELEKT 1", "Expected"),
        ("SELECT count(*) AS value FROM nothing", "select from one table: metrics"),
        ("SELECT count(*) AS value FROM metrics, logs", "select from one table"),
        ("SELECT value FROM metrics", "it aggregates nothing"),
        ("SELECT count(*) AS value FROM metrics LIMIT 1", "LIMIT is not possible here"),
        ("SELECT median(value) AS value FROM metrics", "median cannot be put together"),
        ("SELECT count(DISTINCT value) AS value FROM metrics", "use approx_distinct"),
        ("SELECT sum(value * random()) AS value FROM metrics", "random() depends on more"),
        ("SELECT count(*) AS value FROM metrics WHERE time > now()", "now() depends on more"),
        ("SELECT count(*) AS n FROM metrics", "value names \"value\", but the result has n"),
        ("SELECT max(entity) AS value FROM metrics", "value is no number"),
        ("SELECT count(*) AS value FROM metrics WHERE valeu > 1", "valeu"),
        ("DELETE FROM metrics", "not possible here"),
        (
            "SELECT count(*) AS value FROM metrics WHERE value > (SELECT avg(value) FROM metrics)",
            "within the query",
        ),
    ];
    for (sql, expected) in cases {
        let problem = planned(measure(sql, &[])).err().unwrap_or_else(|| panic!("{sql} is let through"));
        assert!(problem.contains(expected) && problem.starts_with("measures: \"m\": "), "{sql}: {problem}");
    }
    let problem = planned(measure("SELECT count(*) AS value FROM logs", &["host"])).err();
    assert!(problem.is_some_and(|problem| problem.contains("by names \"host\", but the result has value")));
}

#[test]
fn memory_is_bounded() {
    let many: Vec<String> =
        (0..2000).map(|index| SPANS.replace("\"add\"", &format!("\"op{index}\""))).collect();
    let messages: Vec<&str> = many.iter().map(String::as_str).collect();
    let sql = "SELECT operation, time, count(*) AS value FROM spans GROUP BY operation, time";
    let mut sql = SqlMeasures::new(&[measure(sql, &["operation"])], 1 << 10).expect("a plan");
    let answer = sql.measure(&TickRows { tick: 0, batches: batches(&messages) });
    assert_eq!(answer.failures.len(), 1, "{answer:?}");
}

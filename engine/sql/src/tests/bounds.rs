//! No measure takes the stack, memory or time, whatever somebody writes.

use std::time::{Duration, Instant};

use foreshock_core::types::{RowMeasures as _, TickRows};

use super::{METRICS, batches, measure, planned};
use crate::bounds::{REFUSED, is_even};
use crate::{chance::Chance, stack::measured};

/// Nobody waits so long to be told; a debug build is ten times slower than what is shipped.
const SOON: Duration = Duration::from_secs(10);
/// Bytes for the plan of a measure and what it works with.
const ROOM: u64 = 64 << 20;

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
  "scopeLogs":[{"logRecords":[{"timeUnixNano":"1000000000","severityNumber":17,"body":{"stringValue":"LINE"}}]}]}]}"#;

/// Plans a measure and runs it; soon, and with little memory. Why it is refused, if it is.
fn told(sql: &str) -> Result<(), String> {
    let logs: Vec<String> = (0..100)
        .map(|n| LOGS.replace("LINE", &format!("request {n} timed out {}", "x".repeat(200))))
        .collect();
    let mut messages: Vec<&str> = logs.iter().map(String::as_str).collect();
    messages.push(METRICS);
    let rows = TickRows { tick: 0, batches: batches(&messages) };
    let mut told = Ok(());
    let began = Instant::now();
    let used = allocation_counter::measure(|| {
        told = planned(measure(sql, &[])).map(|mut sql| drop(sql.measure(&rows)));
    });
    assert!(began.elapsed() < SOON, "{:?} for {sql:.200}", began.elapsed());
    // What plans and runs it is a thread of its own.
    let most = used.bytes_max.max(measured::most());
    assert!(most < ROOM, "{most} bytes for {sql:.200}");
    told
}

fn refused(sql: &str, expected: &str) {
    let error = told(sql).expect_err(&format!("{sql:.200} is let through"));
    assert!(error.starts_with("measures: \"m\": ") && error.contains(expected), "{sql:.200}: {error:.400}");
}

#[test]
fn twenty_thousand_operators_are_refused() {
    let chain = |count: usize| format!("SELECT sum(value{}) AS value\nFROM metrics", "+1".repeat(count));
    refused(&chain(20_000), "bytes long: at most 16384 are read");
    refused(&chain(8_000), "line 1 column 12: nests deeper than 250 levels");
}

/// A measure with an expression that nests as often as this.
fn nested(chance: &mut Chance, levels: usize) -> String {
    let forms: [(&str, &str, &str); 17] = [
        ("", "value", " + 1"),
        ("", "value", " - value"),
        ("(", "value", ")"),
        ("- ", "value", ""),
        ("upper(", "metric", ")"),
        ("CASE WHEN value > 1 THEN 1 ELSE ", "value", " END"),
        ("CASE WHEN ", "value > 1", " THEN true ELSE false END"),
        ("CAST(", "value", " AS DOUBLE)"),
        ("", "value", "::BIGINT::DOUBLE"),
        ("", "metric", " || 'a'"),
        ("", "value > 0", " AND value > 1"),
        ("", "value > 0", " OR value = 3"),
        ("NOT ", "value > 0", ""),
        ("coalesce(", "value", ", 1)"),
        ("", "value > 0", " IS NULL"),
        ("", "value", " * 2 % 7"),
        ("abs2(", "value", ")"),
    ];
    let (open, middle, close) = forms[chance.below(forms.len())];
    let expression = format!("{}{middle}{}", open.repeat(levels), close.repeat(levels));
    match chance.below(4) {
        0 => format!("SELECT count({expression}) AS value FROM metrics"),
        1 => format!("SELECT count(*) AS value FROM metrics WHERE ({expression}) IS NOT NULL"),
        2 => format!("SELECT count(*) AS value FROM metrics GROUP BY {expression}"),
        _ => format!("SELECT count(*) AS value FROM metrics HAVING max({expression}) IS NOT NULL"),
    }
}

#[test]
fn whatever_nests_too_deep_is_refused() {
    for seed in 1..=50 {
        let mut chance = Chance::new(seed);
        let levels = 300 + chance.below(800);
        let sql = nested(&mut chance, levels);
        let error = told(&sql).expect_err(&format!("seed {seed}: {sql:.200} is let through"));
        assert!(
            error.contains("nests deeper") || error.contains("bytes long"),
            "seed {seed}: {sql:.100}: {error:.300}"
        );
    }
}

#[test]
fn what_nests_less_is_planned_soon() {
    for seed in 1..=50 {
        let mut chance = Chance::new(seed);
        let levels = 1 + chance.below(14);
        let sql = nested(&mut chance, levels);
        if let Err(error) = told(&sql) {
            assert!(
                sql.contains("abs2") || !error.contains("nests"),
                "seed {seed}: {sql:.200}: {error:.300}"
            );
        }
        // The same with a fault within, after which the parser tries everything else.
        let faulty = sql
            .replace("metric", "metric metric metric")
            .replace("value > 0", "value value > value")
            .replace("value +", "value value +");
        let _ = told(&faulty);
    }
}

#[test]
fn a_fault_within_brackets_is_found_soon() {
    for (open, middle, close) in [
        ("CAST(", "value value", " AS DOUBLE)"),
        ("TRY_CAST(", "1 1", " AS DOUBLE)"),
        ("(", "1 1", ")"),
        ("upper(", "1 1", ")"),
        ("EXTRACT(YEAR FROM ", "1 1", ")"),
        ("SUBSTRING(", "1 1", " FROM 1)"),
        ("POSITION('a' IN ", "1 1", ")"),
        ("TRIM(", "1 1", ")"),
        ("CEIL(", "1 1", ")"),
        ("OVERLAY(", "1 1", " PLACING 'a' FROM 1)"),
        ("CASE WHEN ", "1 1", " THEN 1 END"),
        ("CASE ", "1 1", " WHEN 1 THEN 1 END"),
        ("INTERVAL ", "1 1", ""),
        ("NOT ", "1 1", ""),
        ("- ", "1 1", ""),
        ("ARRAY[", "1 1", "]"),
        ("STRUCT(", "1 1", ")"),
        ("(1, ", "1 1", ")"),
        ("a IN (", "1 1", ")"),
        ("x -> (", "1 1", ")"),
        ("{'a': ", "1 1", "}"),
    ] {
        for levels in [15, 49, 400] {
            let expression = format!("{}{middle}{}", open.repeat(levels), close.repeat(levels));
            told(&format!("SELECT max({expression}) AS value FROM metrics")).expect_err("is let through");
        }
    }
}

#[test]
fn long_flat_lists_work() {
    let join = |count: usize, between: &str, term: fn(usize) -> String| {
        (0..count).map(term).collect::<Vec<String>>().join(between)
    };
    for condition in [
        format!("value IN ({})", join(500, ", ", |n| n.to_string())),
        format!("metric IN ({})", join(500, ", ", |n| format!("'metric.{n}'"))),
        join(200, " AND ", |n| format!("value <> {n}")),
        join(200, " OR ", |n| format!("value = {n}")),
        format!("CASE {} ELSE false END", join(100, " ", |n| format!("WHEN value = {n} THEN true"))),
        format!("(value{} > 0)", "+1".repeat(200)),
    ] {
        let sql = format!("SELECT count(*) AS value FROM metrics WHERE {condition}");
        told(&sql).unwrap_or_else(|error| panic!("{sql:.100}: {error:.300}"));
    }
    told("SELECT count(*) AS value FROM logs WHERE body LIKE '%timed out%' AND body ~ '(fail|time).{0,20}out' AND lower(body) <> 'a'")
        .expect("a plan");
}

#[test]
fn two_billion_times_a_text_is_refused() {
    refused(
        "SELECT max(character_length(repeat('x', 2000000000))) AS value FROM metrics",
        "repeat() is not possible here: its result can be",
    );
}

/// A measure that would become large or slow.
fn growing(chance: &mut Chance) -> String {
    let many = 1_000_000 + chance.below(2_000_000_000);
    let kind = chance.below(22);
    let text = chance.of(&["'x'", "body", "upper(body)", "body || body", "entity"]);
    // A text that is literal makes no more than the measure is long.
    let text = if [7, 8, 17].contains(&kind) && text == "'x'" { "body" } else { text };
    let expression = match kind {
        0 => format!("repeat({text}, {many})"),
        1 => format!("lpad({text}, {many}, 'ab')"),
        2 => format!("rpad({text}, {many})"),
        3 => format!("replace({text}, '', repeat('y', {many}))"),
        4 => format!("replace(replace({text}, 'x', '{0}'), 'y', '{0}')", "y".repeat(2_000)),
        5 => format!("regexp_replace({text}, '.', '{}', 'g')", "y".repeat(2_000)),
        6 => format!("arrow_cast({text}, 'FixedSizeBinary({many})')"),
        7 => format!("concat({})", vec![text; 300].join(", ")),
        8 => vec![text; 200].join(" || "),
        9 => format!("levenshtein({text}, body)"),
        10 => format!("CASE WHEN body ~ '(a{{1000}}){{1000}}' THEN {text} END"),
        11 => format!("CASE WHEN body ~ '(\\w{{1,500}}\\d){{500}}' THEN {text} END"),
        12 => format!("CASE WHEN body ~ entity THEN {text} END"),
        13 => format!("CASE WHEN body LIKE entity THEN {text} END"),
        14 => format!("CASE WHEN body LIKE '{}' THEN {text} END", "%a".repeat(400)),
        15 => format!("CASE WHEN body SIMILAR TO '(a{{900}}){{900}}' THEN {text} END"),
        16 => format!("regexp_match({text}, '((b{{50}}){{50}}){{50}}')"),
        17 => format!("coalesce({})", vec![format!("nullif(upper({text}), '')"); 150].join(", ")),
        18 => format!("CAST({text} AS BYTEA[])"),
        19 => format!("arrow_cast(NULL, 'FixedSizeList({many}, Int64)')"),
        20 => format!("repeat(repeat(repeat({text}, 40000), 40000), 40000)"),
        _ => {
            let regexes: Vec<String> = (0..60).map(|n| format!("body ~ 'a{{{}}}'", 500 + n)).collect();
            format!("CASE WHEN {} THEN {text} END", regexes.join(" OR "))
        }
    };
    match chance.below(4) {
        0 => format!("SELECT count({expression}) AS value FROM logs"),
        1 => format!("SELECT count(*) AS value FROM logs WHERE {expression} IS NULL"),
        2 => format!("SELECT count(*) AS value FROM logs GROUP BY {expression}"),
        _ => format!("SELECT count(*) AS value FROM logs HAVING max({expression}) IS NULL"),
    }
}

#[test]
fn whatever_grows_is_refused_with_words() {
    for seed in 1..=60 {
        let sql = growing(&mut Chance::new(seed));
        let error = told(&sql).expect_err(&format!("seed {seed}: {sql:.200} is let through"));
        assert!(error.len() < 10_000, "seed {seed}: {sql:.200}: {error:.300}");
    }
}

#[test]
fn what_would_be_much_at_once_is_refused() {
    refused("SELECT approx_percentile_cont(value, 0.5, 2000000000) AS value FROM metrics", "at most 1000");
    let attributes: Vec<String> = (0..30).map(|n| format!("\"a{n}\"")).collect();
    let by = attributes.join(", ");
    refused(
        &format!("SELECT count(*) AS value FROM metrics GROUP BY CUBE ({by})"),
        "CUBE, ROLLUP and GROUPING SETS",
    );
    refused(
        &format!("SELECT count(*) AS value FROM metrics GROUP BY ROLLUP ({by})"),
        "CUBE, ROLLUP and GROUPING SETS",
    );
    refused(
        &format!("SELECT count(*) AS value FROM metrics GROUP BY {by} WITH CUBE"),
        "is not possible here",
    );
    refused(&format!("SELECT count(*) AS value FROM metrics {}", "UNION SELECT 1 ".repeat(500)), "UNION");
    refused(
        &format!("SELECT count(*) AS value FROM metrics {}", "CROSS JOIN metrics ".repeat(500)),
        "without JOIN",
    );
    refused("SELECT count(*) AS value FROM metrics; SELECT 1", "line 1 column 40: one statement is enough");
}

/// A function that comes with a new DataFusion is looked at before anybody can use it.
#[test]
fn every_function_was_looked_at() {
    let known = |name: &str| is_even(name) || REFUSED.iter().any(|(refused, _)| *refused == name);
    let context = datafusion::prelude::SessionContext::new();
    let state = context.state();
    let mut new: Vec<&str> = state.scalar_functions().values().map(|function| function.name()).collect();
    new.retain(|name| !known(name) && !UNKNOWN.contains(name));
    new.sort_unstable();
    new.dedup();
    assert!(new.is_empty(), "say in sql/bounds.rs what bounds {new:?}");
}

/// Functions that nobody needs in a measure: they are refused as unknown.
const UNKNOWN: [&str; 15] = [
    "arrow_field",
    "arrow_metadata",
    "cast_to_type",
    "file_row_index",
    "input_file_name",
    "named_struct",
    "struct",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "with_metadata",
    "now",
    "random",
    "current_date",
    "current_time",
];

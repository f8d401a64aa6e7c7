//! A series that is new starts with what is already known of it: from a table, from the files and from the Prometheus that the
//! configuration names. A past that cannot be had is said, and the series starts cold.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Minutes, a daily season, a little noise.
const STEP: i64 = 60;
const BEGIN: i64 = 1_767_225_600;

fn value(minute: i64) -> f64 {
    let noise = ((minute as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1_u64 << 24) as f64;
    let day = (minute % 1440) as f64 / 1440.0;
    100.0 + 40.0 * (std::f64::consts::TAU * day).sin() + 3.0 * noise
}

fn csv(column: &str, minutes: impl Iterator<Item = i64>) -> String {
    let mut text = format!("timestamp,\"{column}\"\n");
    for minute in minutes {
        writeln!(text, "{},{}", BEGIN + minute * STEP, value(minute)).expect("text");
    }
    text
}

/// OTLP JSON lines of a gauge of the service `cart`, one per minute.
fn otlp(minutes: std::ops::Range<i64>) -> String {
    let mut text = String::new();
    for minute in minutes {
        let time = (BEGIN + minute * STEP) * 1_000_000_000;
        let point = serde_json::json!({"timeUnixNano": time.to_string(), "asDouble": value(minute)});
        let metric =
            serde_json::json!({"name": "queue.depth", "unit": "1", "gauge": {"dataPoints": [point]}});
        let service = serde_json::json!({"key": "service.name", "value": {"stringValue": "cart"}});
        let request = serde_json::json!({"resourceMetrics": [{
            "resource": {"attributes": [service]},
            "scopeMetrics": [{"metrics": [metric]}]
        }]});
        writeln!(text, "{request}").expect("text");
    }
    text
}

/// Scores as rows of (value, expected, lower, upper), NaN where a cell is empty; and what was said on stderr.
fn replay(folder: &Path, arguments: &[&str]) -> (Vec<[f64; 4]>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .current_dir(folder)
        .args(["replay", "--scores", "-"])
        .args(arguments)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).expect("text");
    let row = |line: &str| {
        let mut cells = line.rsplit(',').skip(2).map(|cell| cell.parse().unwrap_or(f64::NAN));
        let mut next = || cells.next().expect("a cell");
        let (upper, lower, expected, value) = (next(), next(), next(), next());
        [value, expected, lower, upper]
    };
    (text.lines().skip(1).map(row).collect(), text, said)
}

/// Mean absolute error of what was expected; a value of which nothing was expected counts as wrong by itself.
fn error(rows: &[[f64; 4]]) -> f64 {
    let errors = rows.iter().map(
        |[value, expected, ..]| {
            if expected.is_nan() { value.abs() } else { (value - expected).abs() }
        },
    );
    errors.sum::<f64>() / rows.len() as f64
}

#[test]
fn a_table_of_the_past_is_as_good_as_having_watched() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("file");
    // Ten days at half-hour steps, the last two of which are asked about.
    let (now, end) = (8 * 1440, 10 * 1440);
    let halves = |from: i64, to: i64| (from..to).step_by(30);
    // Rows of the past that are not past are left out.
    write("past.csv", csv("depth", halves(0, now + 100)));
    write("now.csv", csv("depth", halves(now, end)));
    write("all.csv", csv("depth", halves(0, end)));
    let (cold, _, _) = replay(folder.path(), &["now.csv"]);
    let (warm, text, _) = replay(folder.path(), &["now.csv", "--history", "past.csv"]);
    let (_, watched, _) = replay(folder.path(), &["all.csv"]);
    let tail: Vec<&str> = watched.lines().skip(1 + now as usize / 30).collect();
    assert!(text.lines().skip(1).eq(tail), "the same as one that has watched it all, to the bit");
    let (cold, warm) = (error(&cold), error(&warm));
    assert!(warm < 0.5 * cold, "mean absolute error in the first two days: warm {warm:.3}, cold {cold:.3}");

    write("other.csv", csv("other", halves(0, now)));
    let (_, _, said) = replay(folder.path(), &["now.csv", "--history", "other.csv"]);
    assert!(said.contains("the history has no column depth: cold"), "{said}");
}

#[test]
fn files_of_the_configuration_are_the_past_of_series_that_come() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("file");
    let (now, end) = (4 * 1440, 4 * 1440 + 600);
    write("past.csv", &csv("service/cart queue.depth", 0..now));
    write("now.jsonl", &otlp(now..end));
    let time = "time: {tick: 1m, lateness: 0s}\n";
    write("cold.yaml", time);
    write("warm.yaml", &format!("{time}history: {{files: [past.csv]}}\n"));
    write("wrong.yaml", &format!("{time}history: {{files: [nowhere.csv]}}\n"));
    let (cold, _, _) = replay(folder.path(), &["now.jsonl", "--config", "cold.yaml"]);
    let (warm, _, said) = replay(folder.path(), &["now.jsonl", "--config", "warm.yaml"]);
    assert_eq!(cold.len(), warm.len());
    assert!(!said.contains("history"), "{said}");
    let first = warm[0];
    assert!((first[1] - first[0]).abs() < 10.0 && first[2] <= first[0] && first[0] <= first[3], "{first:?}");
    assert!(cold[0][1].is_nan() || (cold[0][3] - cold[0][2]).is_nan(), "nothing is known: {:?}", cold[0]);
    assert!(error(&warm) < 0.9 * error(&cold), "warm {}, cold {}", error(&warm), error(&cold));
    let (wrong, _, said) = replay(folder.path(), &["now.jsonl", "--config", "wrong.yaml"]);
    assert!(said.contains("history.files: ") && said.contains("nowhere.csv"), "{said}");
    assert_eq!(error(&wrong).to_bits(), error(&cold).to_bits(), "cold, not broken");
}

/// A Prometheus with this past, on a free port; it ends with the test.
struct Prometheus {
    child: Child,
    url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn prometheus(folder: &Path, minutes: std::ops::Range<i64>) -> Prometheus {
    let mut metrics = "# TYPE queue_depth gauge\n".to_string();
    for minute in minutes {
        writeln!(metrics, "queue_depth{{job=\"cart\"}} {} {}", value(minute), BEGIN + minute * STEP)
            .expect("text");
    }
    metrics.push_str("# EOF\n");
    fs::write(folder.join("past.txt"), metrics).expect("file");
    fs::write(folder.join("prometheus.yml"), "global: {}\n").expect("file");
    let made = Command::new("promtool")
        .current_dir(folder)
        .args(["tsdb", "create-blocks-from", "openmetrics", "past.txt", "data"])
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("promtool starts").success());
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let child = Command::new("prometheus")
        .current_dir(folder)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .args(["--storage.tsdb.retention.time=100y", &format!("--web.listen-address=127.0.0.1:{port}")])
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let prometheus = Prometheus { child, url: format!("http://127.0.0.1:{port}") };
    let began = Instant::now();
    while ureq::get(format!("{}/-/ready", prometheus.url)).call().is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "Prometheus is not ready after a minute");
        std::thread::sleep(Duration::from_millis(200));
    }
    prometheus
}

#[test]
fn a_range_query_is_the_past_of_series_that_come() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let required = std::env::var("FORESHOCK_REQUIRE_PROMETHEUS").is_ok_and(|value| value == "1");
        assert!(!required, "FORESHOCK_REQUIRE_PROMETHEUS=1, but there is no promtool");
        eprintln!("skipped: no prometheus and promtool on the path");
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let (now, end) = (4 * 1440, 4 * 1440 + 300);
    let server = prometheus(folder.path(), 0..now);
    let config = |url: &str, series: &str| {
        format!(
            "time: {{tick: 1m, lateness: 0s}}\nhistory:\n  prometheus:\n  - url: {url}\n    query: queue_depth\n    \
             from: 2026-01-01T00:00:00Z\n    to: 2026-01-05T00:00:00Z\n    step: 1m\n    series: '{series}'\n"
        )
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("file");
    write("now.jsonl", &otlp(now..end));
    write("warm.yaml", &config(&server.url, "service/{job} queue.depth"));
    write("nameless.yaml", &config(&server.url, "service/{pod} queue.depth"));
    write("away.yaml", &config("http://127.0.0.1:9", "service/{job} queue.depth"));
    let run = |name: &str| replay(folder.path(), &["now.jsonl", "--config", name]);
    let (warm, _, said) = run("warm.yaml");
    assert!(!said.contains("history"), "{said}");
    assert!((warm[0][1] - warm[0][0]).abs() < 10.0, "{:?}", warm[0]);
    // Ten seconds: 34,561 steps, more than one answer holds.
    write("fine.yaml", &config(&server.url, "service/{job} queue.depth").replace("step: 1m", "step: 10s"));
    let (fine, _, said) = run("fine.yaml");
    assert!(!said.contains("Prometheus refuses") && !said.contains("it answered"), "{said}");
    assert!((fine[0][1] - fine[0][0]).abs() < 10.0, "{:?}", fine[0]);
    write("empty.yaml", &config(&server.url, "x").replace("query: queue_depth", "query: nothing_here"));
    let (_, _, said) = run("empty.yaml");
    assert!(said.contains("has no value in this range"), "{said}");
    let (_, _, said) = run("nameless.yaml");
    assert!(said.contains("1 series lack a label of"), "{said}");
    let (away, _, said) = run("away.yaml");
    assert!(said.contains("history.prometheus http://127.0.0.1:9: "), "{said}");
    assert!(error(&warm) < error(&away), "warm {}, cold {}", error(&warm), error(&away));
}

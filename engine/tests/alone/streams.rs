//! Stdout and stderr that take nothing more: exit code 2, no panic, and words only where somebody may read them.
//!
//! Commands that need an engine are in `grpc/commands.rs`.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Read,
    /// A pipe that nobody reads any more.
    Closed,
    /// A full disk.
    Full,
}

impl Stream {
    fn stdio(self) -> Stdio {
        match self {
            Stream::Read => Stdio::piped(),
            Stream::Closed => std::io::pipe().expect("pipe").1.into(),
            Stream::Full => fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full").into(),
        }
    }
}

fn run(folder: &Path, words: &[&str], stdout: Stream, stderr: Stream) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .current_dir(folder)
        .args(words)
        .stdin(Stdio::null())
        .stdout(stdout.stdio())
        .stderr(stderr.stdio())
        .output()
        .expect("it starts")
}

/// Files for every command that needs no engine.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let stamp = |row: i64| 1_767_225_600 + 10 * row;
    // An incident near the end.
    let latency = |row: i64| {
        let noise = (row * 7919 % 101) as f64 / 25.0;
        let fault = if (1300..1340).contains(&row) { 300.0 } else { 0.0 };
        120.0 + 20.0 * (row as f64 / 60.0).sin() + noise + fault
    };
    let rows: String = (0..1500).map(|row| format!("{},{:.2}\n", stamp(row), latency(row))).collect();
    fs::write(at("x.csv"), format!("timestamp,checkout_latency\n{rows}")).expect("file");
    let cpu = |row: i64| if row < 380 { 10 + row % 7 } else { 900 };
    let rows: String =
        (0..400).map(|row| format!("{},{},{}\n", stamp(row), cpu(row), 20 + row % 5)).collect();
    fs::create_dir(at("case")).expect("folder");
    fs::write(at("case/metrics.csv"), format!("timestamp,cart_cpu,mail_cpu\n{rows}")).expect("file");
    fs::write(at("app.log"), "it began\nit ended\n").expect("file");
    fs::write(at("c.yaml"), "kafka: {brokers: [localhost:9092]}\n").expect("file");
    fs::write(at("d.yaml"), "kafka: {brokers: [localhost:9092]}\n").expect("file");
    fs::write(at("policies.yaml"), POLICIES).expect("file");
    fs::write(at("audit.ndjson"), "{\"seq\":1}\nno entry\n").expect("file");
    let output = run(folder.path(), &["replay", "x.csv", "--incidents", "-"], Stream::Read, Stream::Read);
    let incident = output.stdout.split_inclusive(|byte| *byte == b'\n').next().expect("an incident");
    fs::write(at("incident.json"), incident).expect("file");
    folder
}

/// Everything that writes to stdout without an engine; those that say nothing of their own on stderr first.
const QUIET: [&str; 20] = [
    "--help",
    "--version",
    "help",
    "help incidents",
    "replay --help",
    "incidents show --help",
    "signals --help",
    "policy --help",
    "schema",
    "schema --defaults",
    "schema --markdown",
    "schema --controller",
    "schema --controller-markdown",
    "schema --metrics",
    "schema --topic anomalies",
    "schema --topic incidents",
    "schema --topic signals",
    "check --config c.yaml",
    "policy test incident.json --config policies.yaml",
    "audit verify audit.ndjson",
];

/// Those that also talk.
const TALKING: [&str; 8] = [
    "replay x.csv --scores -",
    "replay x.csv --scores /dev/stdout",
    "replay x.csv --anomalies - --scores kept.csv",
    "replay x.csv --incidents -",
    "replay x.csv --plot -",
    "replay app.log --templates -",
    "rank case --at 2026-01-01T01:03:20Z",
    "diff --config c.yaml --config d.yaml x.csv --all",
];

const POLICIES: &str = "kafka: {brokers: [localhost:9092]}
remediation: {policies: [{name: a, action: notify}]}
";

fn check(folder: &Path, words: &str, stdout: Stream, stderr: Stream) {
    let split: Vec<&str> = words.split(' ').collect();
    let output = run(folder, &split, stdout, stderr);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{words}: {talk}");
    if stdout == Stream::Read {
        let undisturbed = run(folder, &split, Stream::Read, Stream::Read);
        assert_eq!(
            output.status,
            undisturbed.status,
            "{words}: {}",
            String::from_utf8_lossy(&undisturbed.stderr)
        );
        assert_eq!(output.stdout, undisturbed.stdout, "{words}");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{words} with stdout {stdout:?}: {talk}");
    let ours: Vec<&str> = talk.lines().filter(|line| line.starts_with("foreshock: ")).collect();
    match (stdout, stderr) {
        (Stream::Full, Stream::Read) => {
            assert_eq!(ours.len(), 1, "{words}: {talk}");
            assert!(ours[0].contains("stdout: No space left on device"), "{words}: {talk}");
        }
        _ => assert!(ours.is_empty(), "{words}: {talk}"),
    }
    if QUIET.contains(&words) {
        assert_eq!(talk.lines().count(), ours.len(), "{words}: {talk}");
    }
    assert!(!folder.join("kept.csv").exists(), "{words} keeps the half of a result");
}

#[test]
fn every_command_ends_when_stdout_takes_nothing() {
    let folder = prepared();
    for words in QUIET.into_iter().chain(TALKING) {
        for stdout in [Stream::Closed, Stream::Full] {
            check(folder.path(), words, stdout, Stream::Read);
        }
    }
}

#[test]
fn fifty_commands_with_streams_that_take_nothing() {
    let seed: u64 = 0x0005_7dea;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let folder = prepared();
    let wrong = ["frobnicate", "replay missing.csv", "replay", "check --config missing.yaml", "rank x.csv"];
    let streams = [Stream::Read, Stream::Closed, Stream::Full];
    for _ in 0..50 {
        let stderr = streams[below(3)];
        match below(4) {
            0 => check(folder.path(), wrong[below(wrong.len())], Stream::Read, stderr),
            1 => check(folder.path(), TALKING[below(TALKING.len())], streams[1 + below(2)], stderr),
            _ => check(folder.path(), QUIET[below(QUIET.len())], streams[below(3)], stderr),
        }
    }
}

#[test]
fn a_full_disk_is_named() {
    let folder = prepared();
    for option in ["--scores", "--anomalies", "--incidents", "--plot"] {
        let output =
            run(folder.path(), &["replay", "x.csv", option, "/dev/full"], Stream::Read, Stream::Read);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{option}: {talk}");
        let ours: Vec<&str> = talk.lines().filter(|line| line.starts_with("foreshock: ")).collect();
        assert_eq!(ours.len(), 1, "{option}: {talk}");
        assert!(ours[0].contains("/dev/full: No space left on device"), "{option}: {talk}");
    }
}

#[test]
fn the_demo_ends_when_nobody_reads_it() {
    let folder = tempfile::tempdir().expect("folder");
    let output = run(folder.path(), &["demo"], Stream::Closed, Stream::Full);
    assert_eq!(output.status.code(), Some(2));
}

//! The contract of `replay` on tables and logs: one row per input row, and row *t* depends on rows up to *t* alone;
//! equal data gives equal scores, whatever the format.
//!
//! Does not prove that the scores are good: the benches do.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};

/// The folder of labelled data, or `None` with a word about it.
fn data_dir() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("FORESHOCK_DATA").map_or(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("FORESHOCK_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "FORESHOCK_REQUIRE_DATA=1, but {} is no folder", folder.display());
    eprintln!("skipped: {} is no folder, set FORESHOCK_DATA", folder.display());
    None
}

fn replay(input: &Path, extra: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .args(["replay", "--scores", "-"])
        .arg(input)
        .args(extra)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn nab_files(data: &Path) -> Vec<PathBuf> {
    let groups = fs::read_dir(data.join("nab/data")).expect("nab/data");
    let folders = groups.map(|entry| entry.expect("entry").path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).expect("group"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    files
}

#[test]
fn every_nab_file_gives_one_row_per_row_and_prefixes_agree() {
    let Some(data) = data_dir() else { return };
    let files = nab_files(&data);
    assert_eq!(files.len(), 58);
    let folder = tempfile::tempdir().expect("temporary folder");
    for path in files {
        let input = fs::read_to_string(&path).expect("file");
        let rows: Vec<&str> = input.lines().collect();
        let whole = replay(&path, &[]);
        let scored: Vec<&str> = whole.lines().collect();
        assert_eq!(scored.len(), rows.len(), "{}", path.display());
        for (row, scored) in rows.iter().zip(&scored).skip(1) {
            let stamp = row.split(',').next().expect("timestamp");
            assert!(scored.starts_with(&format!("{stamp},value,")), "{scored}");
        }
        let cut = rows.len() * 2 / 3;
        let truncated = folder.path().join("truncated.csv");
        fs::write(&truncated, rows[..cut].join("\n")).expect("write");
        let prefix = replay(&truncated, &[]);
        assert_eq!(prefix.lines().collect::<Vec<_>>(), scored[..cut], "{}", path.display());
    }
}

#[test]
fn wide_files_have_a_row_per_series_and_one_for_the_entity() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("wide.csv");
    let rows: String = (0..200)
        .map(|row: i64| format!("{},{},{},x\n", row * 60, row % 7, if row == 150 { 900 } else { row % 5 }))
        .collect();
    fs::write(&path, format!("timestamp,a,b,label\n{rows}")).expect("write");
    let scores = replay(&path, &["--ignore-column", "label"]);
    let scores: Vec<Vec<&str>> = scores.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(scores.len(), 600);
    assert_eq!(scores[450..453].iter().map(|row| row[1]).collect::<Vec<_>>(), ["a", "b", "entity"]);
    assert_eq!(scores[451][7], "1", "the spike is an anomaly: {:?}", scores[451]);
    assert_eq!(scores[452][7], "1", "and so is its entity: {:?}", scores[452]);
}

/// Two series whose names are not in the order of the alphabet, with missing values and repeated timestamps.
fn rows() -> Vec<(i64, Option<f64>, Option<f64>)> {
    let row = |row: i64| {
        let time_ms = 1_396_310_400_000 + (row - row % 50 / 49) * 60_000;
        let wave = (row as f64 * 0.1).sin();
        let zeta = (row % 31 != 0).then_some(wave * 7.0 + 0.1 * (row % 7) as f64);
        let alpha = (row % 17 != 3).then_some(if row == 380 { 900.0 } else { 5.0 - wave / 3.0 });
        (time_ms, zeta, alpha)
    };
    (0..400).map(row).collect()
}

#[test]
fn equal_data_gives_equal_scores_whatever_the_format() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let stamp = |time_ms| jiff::Timestamp::from_millisecond(time_ms).expect("time").to_string();
    let (mut csv, mut ndjson) = (String::from("zeta,timestamp,host,alpha\n"), String::new());
    for (time_ms, zeta, alpha) in rows() {
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        csv.push_str(&format!("{},{},x,{}\n", cell(zeta), stamp(time_ms), cell(alpha)));
        let key =
            |name, value: Option<f64>| value.map(|value| format!("\"{name}\":{value},")).unwrap_or_default();
        let (zeta, alpha) = (
            if time_ms % 2 == 0 && zeta.is_none() { "\"zeta\":null,".to_string() } else { key("zeta", zeta) },
            key("alpha", alpha),
        );
        ndjson.push_str(&format!("{{{zeta}\"host\":\"x\",{alpha}\"timestamp\":\"{}\"}}\n", stamp(time_ms)));
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("zeta", Arc::new(rows().iter().map(|row| row.1).collect::<Float64Array>())),
        ("timestamp", Arc::new(rows().iter().map(|row| Some(row.0)).collect::<TimestampMillisecondArray>())),
        ("host", Arc::new(rows().iter().map(|_| Some("x")).collect::<StringArray>())),
        ("alpha", Arc::new(rows().iter().map(|row| row.2).collect::<Float64Array>())),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    let mut parquet = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut parquet, batch.schema(), None).expect("writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("footer");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(ndjson.as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    let scores = |name: &str, content: &[u8], extra: &[&str]| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("file");
        replay(&path, extra)
    };
    let expected = scores("data.csv", csv.as_bytes(), &["--ignore-column", "host"]);
    assert_eq!(expected.lines().count(), 1 + 3 * 400);
    assert!(expected.lines().any(|row| row.contains(",alpha,900,") && row.ends_with(",1")), "{expected}");
    assert_eq!(scores("data.ndjson", ndjson.as_bytes(), &[]), expected);
    assert_eq!(scores("data.parquet", &parquet, &[]), expected);
    assert_eq!(scores("data.ndjson.gz", &packed, &[]), expected);
    assert_eq!(scores("unnamed", &parquet, &["--format", "parquet"]), expected);
}

#[test]
fn a_picture_is_well_formed_and_small_however_long_the_series_is() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (path, svg) = (folder.path().join("long.csv"), folder.path().join("long.svg"));
    let row = |row: i64| {
        let value = (row as f64 / 30.0).sin() * 10.0 + (row * 7919 % 101) as f64 / 50.0;
        format!("{},{}\n", row * 10, if row % 4000 == 3999 { 500.0 } else { value })
    };
    fs::write(&path, format!("timestamp,a<b\n{}", (0..40_000).map(row).collect::<String>())).expect("file");
    let scores = replay(&path, &["--plot", svg.to_str().expect("UTF-8")]);
    let spikes = scores.lines().filter(|row| row.contains(",500,") && row.ends_with(",1")).count();
    assert!(spikes >= 5, "only {spikes} of 10 spikes are anomalies");
    let picture = fs::read_to_string(&svg).expect("picture");
    assert!(picture.len() < 150_000, "{} bytes", picture.len());
    assert!(picture.contains(">a&lt;b</text>") && picture.contains("prefers-color-scheme: dark"));
    assert_eq!(picture.matches(": 500, expected ").count(), spikes, "every anomaly has words of its own");
    let mut open = Vec::new();
    for tag in picture.split('<').skip(1).map(|rest| rest.split('>').next().expect("a tag")) {
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop(), Some(name)),
            (None, false) => open.push(tag.split(' ').next().expect("a name")),
            (None, true) => {}
        }
    }
    assert_eq!(open, [""; 0], "every element that begins ends");
}

#[test]
fn wrong_input_ends_with_words_and_a_code() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_foreshock")).args(arguments).output().expect("starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, talk) = run(&["replay", "no-such-file.csv"]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("no-such-file.csv"), "{talk}");
    let folder = tempfile::tempdir().expect("temporary folder");
    let nothing = folder.path().join("picture.bin");
    fs::write(&nothing, b"\x89PNG\r\n\0\0").expect("file");
    let (code, talk) = run(&["replay", nothing.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("picture.bin is none of CSV") && talk.contains("--format"), "{talk}");
    let log = folder.path().join("app.log");
    fs::write(&log, b"it began\n").expect("file");
    let (code, talk) = run(&["replay", log.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("--templates"), "{talk}");
    let (code, _) = run(&["replay", "x.csv", "--step", "0", "--no-timestamp"]);
    assert_eq!(code, Some(64));
    let (code, _) = run(&["frobnicate"]);
    assert_eq!(code, Some(64));
}

#[test]
fn text_logs_give_one_row_per_line_and_prefixes_agree() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let log = folder.path().join("app.log");
    let lines = [
        "connection from 10.0.0.1 closed after 12 s",
        "user 17 logged in",
        "connection from 10.0.0.2 closed after 7 s",
        "",
        "user 4711 logged in",
    ];
    let templates = |count: usize| {
        fs::write(&log, lines[..count].join("\n")).expect("file");
        let output = Command::new(env!("CARGO_BIN_EXE_foreshock"))
            .args(["replay", "--templates", "-"])
            .arg(&log)
            .output()
            .expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let whole = templates(lines.len());
    let ids = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|row| row.split(',').take(2).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(ids(&whole), ["1,0", "2,1", "3,0", "4,", "5,1"], "{whole}");
    assert!(whole.starts_with("line,template_id,template\n"), "{whole}");
    assert_eq!(ids(&templates(3)), ids(&whole)[..3]);
}

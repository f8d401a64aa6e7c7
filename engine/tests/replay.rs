//! The contract of `replay` on real data: one row per input row, and row *t* depends on rows up to *t* alone.
//!
//! Does not prove that the scores are good: the benches do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

#[test]
fn wrong_input_ends_with_words_and_a_code() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_foreshock")).args(arguments).output().expect("starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, talk) = run(&["replay", "no-such-file.csv"]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("no-such-file.csv"), "{talk}");
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

//! What `replay` does to files: results get their names at the end or not at all, and no input is ever written.
//!
//! Does not prove that what is written is right: `replay.rs` does.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

const ROWS: &str = "timestamp,value\n1,1\n61,2\n121,3\n";

fn foreshock(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshock"));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &str) -> Output {
    foreshock(folder).args(words.split(' ')).output().expect("it starts")
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every name in a folder and what is in it; of a symbolic link, where it leads.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let kind = fs::symlink_metadata(&path).expect("there").file_type();
        if kind.is_symlink() {
            found.insert(name, fs::read_link(&path).expect("link").into_os_string().into_encoded_bytes());
        } else if kind.is_dir() {
            found.extend(contents(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else if kind.is_file() {
            found.insert(name, fs::read(&path).expect("file"));
        }
    }
    found
}

/// Numbers that a seed gives: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const OUTPUTS: [&str; 5] = ["--scores", "--changes", "--anomalies", "--incidents", "--plot"];

#[test]
fn an_output_that_is_an_input_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("x.csv"), ROWS).expect("file");
    let refused = run(folder.path(), "replay x.csv --scores x.csv");
    assert_eq!(refused.status.code(), Some(64));
    assert!(talk(&refused).contains("--scores x.csv and the input x.csv are one file"), "{}", talk(&refused));
    assert_eq!(fs::read_to_string(folder.path().join("x.csv")).expect("file"), ROWS);
}

#[test]
fn a_missing_input_leaves_earlier_results() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("old.ndjson"), "{}\n").expect("file");
    let failed = run(folder.path(), "replay missing.csv --incidents old.ndjson");
    assert_eq!(failed.status.code(), Some(2));
    assert!(talk(&failed).contains("missing.csv"), "{}", talk(&failed));
    assert_eq!(contents(folder.path()), BTreeMap::from([("old.ndjson".to_string(), b"{}\n".to_vec())]));
}

/// A folder with files, and other ways to each of them.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("sub")).expect("folder");
    for (name, text) in [
        ("in.csv", ROWS),
        ("past.csv", "timestamp,value\n-61,1\n"),
        ("c.yaml", "kafka: {brokers: [localhost:9092]}\nhistory: {files: [known.csv]}\n"),
        ("known.csv", ROWS),
        ("old.txt", "old\n"),
    ] {
        fs::write(at(name), text).expect("file");
        symlink(format!("../{name}"), at("sub").join(format!("link-{name}"))).expect("link");
        fs::hard_link(at(name), at(&format!("hard-{name}"))).expect("hard link");
    }
    symlink(".", at("here")).expect("link");
    symlink("../new.txt", at("sub/link-new.txt")).expect("link");
    symlink("sub/link-new.txt", at("hard-new.txt")).expect("link");
    folder
}

/// Another path of a file in a folder of [`prepared`].
fn spelled(name: &str, folder: &Path, dice: &mut Dice) -> String {
    match dice.below(7) {
        0 => name.to_string(),
        1 => format!("./{name}"),
        2 => format!("sub/../{name}"),
        3 => format!("sub/link-{name}"),
        4 => format!("hard-{name}"),
        5 => format!("here/here/{name}"),
        _ => folder.join(name).display().to_string(),
    }
}

#[test]
fn fifty_outputs_that_are_something_else_are_refused() {
    let seed = 0x00f1_1e5a;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    for _ in 0..50 {
        let folder = prepared();
        let before = contents(folder.path());
        let output = dice.one(&OUTPUTS);
        let mut words = "replay in.csv --history past.csv --config c.yaml".to_string();
        let taken = dice.one(&["in.csv", "past.csv", "c.yaml", "known.csv", "old.txt", "new.txt"]);
        let path = spelled(taken, folder.path(), &mut dice);
        if taken.ends_with("txt") {
            let others: Vec<&str> = OUTPUTS.into_iter().filter(|other| *other != output).collect();
            words += &format!(" {} {}", dice.one(&others), spelled(taken, folder.path(), &mut dice));
        }
        words += &format!(" {output} {path}");
        let refused = run(folder.path(), &words);
        assert_eq!(refused.status.code(), Some(64), "{words}: {}", talk(&refused));
        let said = talk(&refused);
        assert!(
            said.contains(&format!("{output} {path}")) && said.contains("are one file"),
            "{words}: {said}"
        );
        assert_eq!(contents(folder.path()), before, "{words}");
    }
}

#[test]
fn fifty_replays_that_fail_leave_everything_as_it_was() {
    let seed = 0x0bad_f11e;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    let folder = prepared();
    for (name, text) in [
        ("no-time.csv", &b"when,value\n1,2\n"[..]),
        ("no-values.csv", b"timestamp\n1\n"),
        ("no-rows.csv", b"timestamp,value\nx,1\n"),
        ("picture.bin", b"\x89PNG\0\0"),
        ("broken.parquet", b"PAR1 and no more"),
        ("packed.gz", b"\x1f\x8b\x08\x00 and no more"),
        ("app.log", b"it began\n"),
        ("records.jsonl", b"{\"resourceMetrics\":0}\n"),
        ("wrong.yaml", b"kafka: {broker: x}\n"),
    ] {
        fs::write(folder.path().join(name), text).expect("file");
    }
    let before = contents(folder.path());
    for _ in 0..50 {
        let bad = dice.one(&[
            "missing.csv",
            "sub",
            "no-time.csv",
            "no-values.csv",
            "no-rows.csv",
            "picture.bin",
            "broken.parquet",
            "packed.gz",
            "app.log",
            "records.jsonl",
            "in.csv --history missing.csv",
            "in.csv --history no-time.csv",
            "in.csv --config wrong.yaml",
            "in.csv --config missing.yaml",
            "in.csv --timestamp-column when",
            "in.csv --plot no/such/folder/a.svg",
            "in.csv --plot sub",
            "in.csv --plot sub/",
            "in.csv --plot /dev/full",
        ]);
        let mut words = "replay".to_string();
        if dice.below(2) == 0 && !bad.contains("--plot") {
            words += " in.csv";
        }
        words += &format!(" {bad}");
        for output in &OUTPUTS[..4] {
            match dice.below(3) {
                0 => words += &format!(" {output} {}", spelled("new.txt", folder.path(), &mut dice)),
                1 => words += &format!(" {output} sub/made{output}"),
                _ => {}
            }
            // One new file is enough: a second output to it would be refused.
            if words.contains("new.txt") {
                break;
            }
        }
        let failed = run(folder.path(), &words);
        assert!(matches!(failed.status.code(), Some(2 | 64)), "{words}: {}", talk(&failed));
        assert!(talk(&failed).contains("foreshock: "), "{words}: {}", talk(&failed));
        assert_eq!(contents(folder.path()), before, "{words}");
    }
}

#[test]
fn results_take_the_place_of_earlier_ones() {
    let folder = prepared();
    let old = folder.path().join("old.txt");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o604)).expect("permissions");
    let words = "replay in.csv --scores sub/link-old.txt --incidents hard-new.txt --changes /dev/null --anomalies /dev/null";
    let done = run(folder.path(), words);
    assert!(done.status.success(), "{}", talk(&done));
    let after = contents(folder.path());
    assert!(after["old.txt"].starts_with(b"timestamp,series,"), "{after:?}");
    assert_eq!(after["sub/link-old.txt"], b"../old.txt", "a link stays a link");
    assert_eq!((after["new.txt"].len(), after["hard-new.txt"].as_slice()), (0, &b"sub/link-new.txt"[..]));
    assert_eq!(fs::metadata(&old).expect("there").permissions().mode() & 0o777, 0o604);
    assert!(after.keys().all(|name| !name.contains("foreshock-part")), "{after:?}");
    let direct = run(folder.path(), "replay in.csv --scores /dev/stdout");
    assert_eq!(direct.stdout, after["old.txt"], "{}", talk(&direct));
}

#[test]
fn nothing_is_both_read_and_stdout() {
    let folder = prepared();
    let before = contents(folder.path());
    let input = fs::OpenOptions::new().append(true).open(folder.path().join("in.csv")).expect("file");
    let refused = foreshock(folder.path())
        .args(["replay", "sub/link-in.csv", "--scores", "-"])
        .stdout(input)
        .output()
        .expect("it starts");
    assert_eq!(refused.status.code(), Some(64), "{}", talk(&refused));
    assert_eq!(contents(folder.path()), before);
    let twice = run(folder.path(), "replay in.csv --scores - --incidents /dev/stdout");
    assert_eq!((twice.status.code(), twice.stdout.len()), (Some(64), 0), "{}", talk(&twice));
}

/// A replay that waits for more input, with one output begun. Gives where its input comes from, and where its other output goes.
fn begun(folder: &Path, shell: &str) -> (Child, [fs::File; 2]) {
    for name in ["slow.csv", "out"] {
        let made = Command::new("mkfifo").arg(folder.join(name)).status().expect("mkfifo");
        assert!(made.success());
    }
    let words = "replay slow.csv --format csv --scores old.txt --changes out";
    let child = Command::new("sh")
        .current_dir(folder)
        .args(["-c", &format!("{shell} exec \"$0\" {words}"), env!("CARGO_BIN_EXE_foreshock")])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut input = fs::OpenOptions::new().write(true).open(folder.join("slow.csv")).expect("FIFO");
    input.write_all(ROWS.as_bytes()).expect("it is read");
    // The second output is opened after the first one, and a FIFO opens when both its ends do.
    let output = fs::File::open(folder.join("out")).expect("FIFO");
    (child, [input, output])
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
}

#[test]
fn a_signal_leaves_nothing_behind() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("old.txt"), "old\n").expect("file");
        let (mut child, _open) = begun(folder.path(), "");
        let part = ".old.txt.foreshock-part";
        assert!(contents(folder.path()).contains_key(part), "the output is begun");
        let ignored = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("/proc");
        let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("a mask");
        if name == "INT" && u64::from_str_radix(ignored, 16).expect("a mask") >> 1 & 1 == 1 {
            // Who started the tests wants Ctrl-C to be ignored.
            child.kill().expect("kill");
            child.wait().expect("it ends");
            continue;
        }
        signal(&child, name);
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{name}");
        assert_eq!(contents(folder.path()), BTreeMap::from([("old.txt".to_string(), b"old\n".to_vec())]));
    }
}

#[test]
fn what_a_kill_leaves_is_taken_over() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("old.txt"), "old\n").expect("file");
    fs::write(folder.path().join("in.csv"), ROWS).expect("file");
    let (mut child, _open) = begun(folder.path(), "");
    child.kill().expect("kill");
    child.wait().expect("it ends");
    let left = contents(folder.path());
    assert_eq!(left["old.txt"], b"old\n");
    assert!(left.contains_key(".old.txt.foreshock-part"), "{left:?}");
    assert!(run(folder.path(), "replay in.csv --scores old.txt").status.success());
    let after = contents(folder.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), ["in.csv", "old.txt"]);
    assert!(after["old.txt"].starts_with(b"timestamp,"));
}

#[test]
fn a_signal_that_is_to_be_ignored_is() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("old.txt"), "old\n").expect("file");
    let (mut child, [input, _output]) = begun(folder.path(), "trap '' HUP;");
    signal(&child, "HUP");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    let written = fs::read_to_string(folder.path().join("old.txt")).expect("text");
    assert_eq!(written.lines().count(), 4, "{written}");
}

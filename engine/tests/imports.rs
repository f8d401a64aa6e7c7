//! The import rule: stages know the types and themselves, and no stage another; tokio stays in the shell.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Stages, and what each may name beside `types`.
const STAGES: [(&str, &[&str]); 5] =
    [("intake", &[]), ("measures", &[]), ("score", &[]), ("correlator", &[]), ("bus", &[])];

/// Everything that may know tokio.
const SHELL: [&str; 6] = ["run", "serve", "sql", "cli", "demo", "controllers"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    let (folders, mut files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// Modules of the crate that a file names, tests left out.
fn named(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let after =
        |part: &str| part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found: Vec<String> =
        code.split("crate::").skip(1).filter(|part| !part.starts_with('{')).map(after).collect();
    for group in code.split("crate::{").skip(1) {
        let mut depth = 0;
        let mut top = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                c if depth == 0 => top.push(c),
                _ => {}
            }
        }
        found.extend(top.split(',').map(|item| after(item.trim())));
    }
    found.retain(|module| !module.is_empty());
    found
}

#[test]
fn stages_import_no_sibling() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (stage, more) in STAGES {
        for path in files(&source.join(stage)) {
            if path.components().any(|part| part.as_os_str() == "tests.rs" || part.as_os_str() == "tests") {
                continue;
            }
            for module in named(&fs::read_to_string(&path).expect("source")) {
                let allowed = module == "types" || module == stage || more.contains(&module.as_str());
                assert!(allowed, "{} names crate::{module}", path.display());
            }
        }
    }
}

#[test]
fn tokio_stays_in_the_shell() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in files(&source) {
        let place = path.strip_prefix(&source).expect("below src");
        let first = place.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let knows = fs::read_to_string(&path).expect("source").contains("tokio::");
        assert!(!knows || SHELL.contains(&first.as_str()), "{} names tokio", place.display());
    }
}

#[test]
fn the_rule_sees_what_it_should() {
    let text = "use crate::{\n    bus::{self, Bus},\n    types::Id,\n};\nuse crate::score::Scorer;\n// crate::demo\n";
    assert_eq!(named(text), ["score", "bus", "types"]);
}

//! The import rule: stages know the types and themselves, and no stage another; what is heavy stays behind its door.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Stages, and what each may name beside `types`.
const STAGES: [(&str, &[&str]); 5] =
    [("intake", &[]), ("measures", &[]), ("score", &[]), ("correlator", &[]), ("bus", &[])];

/// Crates that have a door, and the only crate behind it. `core` has none of them.
const DOORS: [(&str, &[&str]); 6] = [
    ("tokio", &["wire", "client", "sql", "controllers", "."]),
    ("rdkafka", &["."]),
    ("datafusion", &["sql"]),
    ("kube", &["controllers"]),
    ("k8s-openapi", &["controllers"]),
    ("clap", &["client", "controllers", "."]),
];

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

fn engine() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn stages_import_no_sibling() {
    for (stage, more) in STAGES {
        let files = files(&engine().join("core/src").join(stage));
        assert!(!files.is_empty(), "{stage}");
        for path in files {
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

/// Cargo keeps code from naming what its crate does not depend on: it is enough to look at the manifests.
#[test]
fn what_is_heavy_stays_behind_its_door() {
    for place in ["core", "wire", "client", "sql", "controllers", "."] {
        let manifest = fs::read_to_string(engine().join(place).join("Cargo.toml")).expect("manifest");
        let own = manifest.split("[dev-dependencies]").next().expect("a part");
        for (heavy, allowed) in DOORS {
            let names = own.lines().any(|line| line.starts_with(&format!("{heavy}.")));
            assert!(!names || allowed.contains(&place), "{place} depends on {heavy}");
        }
    }
}

#[test]
fn the_rule_sees_what_it_should() {
    let text = "use crate::{\n    bus::{self, Bus},\n    types::Id,\n};\nuse crate::score::Scorer;\n// crate::demo\n";
    assert_eq!(named(text), ["score", "bus", "types"]);
}

//! The references under `docs/` are what the binary prints. Does not prove that the rest of the book is true.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The command that makes each file.
const MADE: [(&str, &[&str]); 6] = [
    ("configuration.md", &["schema", "--markdown"]),
    ("controllers.md", &["schema", "--controller-markdown"]),
    ("metrics.md", &["schema", "--metrics"]),
    ("schemas/anomaly.json", &["schema", "--topic", "anomalies"]),
    ("schemas/incident.json", &["schema", "--topic", "incidents"]),
    ("schemas/signal.json", &["schema", "--topic", "signals"]),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foreshock")).args(arguments).output().expect("it starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn references_are_what_the_binary_prints() {
    for (file, arguments) in MADE {
        let kept = std::fs::read_to_string(docs().join(file)).unwrap_or_default();
        let command = arguments.join(" ");
        assert!(
            kept == printed(arguments),
            "docs/{file} is out of date; mend it: cargo run -- {command} > docs/{file}"
        );
    }
}

/// Every field of the schema, as a path, stands in the reference: none is lost on the way.
#[test]
fn no_field_is_missing_from_the_reference() {
    let schema: serde_json::Value = serde_json::from_str(&printed(&["schema"])).expect("JSON");
    let reference = printed(&["schema", "--markdown"]);
    let sections = schema["$defs"].as_object().expect("definitions").values();
    let mut fields = 0;
    for section in sections.filter_map(|section| section["properties"].as_object()) {
        for name in section.keys() {
            assert!(reference.contains(&format!(".{name}` |")), "{name}");
            fields += 1;
        }
    }
    assert!(fields > 50, "{fields}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = docs().join("..");
    let pages_of = |folder: &Path| {
        let inside = std::fs::read_dir(folder).expect("a folder");
        let paths = inside.map(|entry| entry.expect("entry").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    let folders = [root.clone(), docs(), docs().join("decisions")];
    let pages: Vec<PathBuf> = folders.iter().flat_map(|folder| pages_of(folder)).collect();
    let mut links = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("page");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                page.clone()
            } else {
                page.parent().expect("a page lies in a folder").join(file)
            };
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
            if !anchor.is_empty() {
                let other = std::fs::read_to_string(&path).expect("page");
                assert!(headings(&other).contains(&anchor.to_string()), "{}: no {target}", page.display());
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

#[test]
fn every_picture_of_the_gallery_is_shown_and_small() {
    let page = std::fs::read_to_string(docs().join("gallery.md")).expect("gallery.md");
    let pictures = std::fs::read_dir(docs().join("gallery")).expect("docs/gallery");
    let names: Vec<String> =
        pictures.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("](gallery/{name})")), "gallery.md does not show {name}");
        let size = std::fs::metadata(docs().join("gallery").join(&name)).expect("picture").len();
        assert!(size < 150_000, "{name} has {size} bytes");
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(page: &str) -> Vec<String> {
    let titles = page.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |title: &str| -> String {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(anchor).collect()
}

/// What the book gives as `measures` can be planned, and its tables are those of the code.
#[test]
fn the_measures_of_the_book_work() {
    let page = std::fs::read_to_string(docs().join("measures.md")).expect("page");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let config = foreshock_core::config::Config::parse("docs/measures.md", block).expect("configuration");
        foreshock_sql::SqlMeasures::new(&config.measures, 1 << 20).expect("plans");
    }
    let code = include_str!("../../sql/src/tables.rs");
    for line in code.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        assert!(page.contains(line), "{line}");
    }
}

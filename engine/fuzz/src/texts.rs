//! What operators write: configurations, words of the command line, tables, folders for `foreshock rank`.

use std::{fs, path::Path};

use foreshock::{
    rank::{Bounds, Reader, rank},
    replay::{Format, Table, TableOptions},
};
use foreshock_core::{
    config::{self, Config},
    types::{Entity, Id, Matcher, Role, Scope, parse_time_ms},
};
use serde_json::json;

/// An error names the file, or the field in it.
pub(crate) fn configuration(bytes: &[u8]) {
    if let Err(error) = Config::parse("bent.yaml", &String::from_utf8_lossy(bytes)) {
        let text = error.to_string();
        assert!(text.contains("bent.yaml") || text.contains(": "), "{text}");
    }
}

/// The defaults, and what the documentation shows.
pub(crate) fn configurations() -> Vec<Vec<u8>> {
    let pages = [include_str!("../../../docs/remediation.md"), include_str!("../../../docs/security.md")];
    let blocks = pages.iter().flat_map(|page| page.split("```yaml\n").skip(1));
    let shown = blocks.filter_map(|block| block.split("```").next());
    std::iter::once(config::DEFAULTS).chain(shown).map(|text| text.as_bytes().to_vec()).collect()
}

/// An entity is written as it is read.
pub(crate) fn word(bytes: &[u8]) {
    let word = String::from_utf8_lossy(bytes);
    drop((word.parse::<Role>(), word.parse::<Scope>(), word.parse::<Matcher>(), word.parse::<Id>()));
    drop((word.parse::<config::Duration>(), word.parse::<config::Bytes>(), parse_time_ms(&word)));
    let entity = Entity::parse(&word);
    assert_eq!(Entity::parse(&entity.to_string()), entity);
}

pub(crate) fn words() -> Vec<Vec<u8>> {
    let words = [
        "controller:deploy:namespace=shop,team=~\"a|b\"",
        "approver:dba",
        "entity=~\"service/(a|b)+\"",
        "le!=1",
        "service/cart",
        "0123456789abcdef",
        "90s",
        "64MiB",
        "2023-11-14T22:13:20.123+02:00",
        "14/Nov/2023:22:13:20 +0100",
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// An error names the file.
pub(crate) fn table(bytes: &[u8]) {
    in_a_folder(|folder| {
        let file = folder.join("table");
        fs::write(&file, bytes).expect("written");
        for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
            if let Err(error) = Table::read(&file, Some(format), &TableOptions::default()) {
                assert!(error.to_string().contains(&file.display().to_string()), "{error}");
            }
        }
    });
}

pub(crate) fn tables() -> Vec<Vec<u8>> {
    let row = |at: i64| format!("{},{}.5,x\n", 1_700_000_000 + 10 * at, at);
    let line = |at: i64| {
        json!({"timestamp": 1_700_000_000 + 10 * at, "value": at, "labels": {"a": "b"}}).to_string() + "\n"
    };
    let csv: String = (0..20).map(row).collect();
    vec![
        format!("timestamp,value,label\n{csv}").into_bytes(),
        (0..20).map(line).collect::<String>().into_bytes(),
    ]
}

/// The files of a folder for `foreshock rank`, one after the other, each after a line with its name.
pub(crate) fn case(bytes: &[u8]) {
    in_a_folder(|folder| {
        for part in bytes.split(|byte| *byte == 0) {
            let (name, text) = part.split_at(part.iter().position(|byte| *byte == b'\n').unwrap_or(0));
            let name = FILES.iter().find(|file| file.as_bytes() == name).unwrap_or(&FILES[0]);
            fs::write(folder.join(name), text.get(1..).unwrap_or_default()).expect("written");
        }
        let mut reader = Reader::default();
        match reader.read(folder) {
            Ok(()) => drop(rank(&reader.into_case(), Bounds::default())),
            Err(error) => {
                assert!(error.to_string().contains(&folder.display().to_string()), "{error}")
            }
        }
    });
}

const FILES: [&str; 6] =
    ["metrics.csv", "logs.csv", "traces.csv", "graph.csv", "changes.csv", "telemetry.jsonl"];

pub(crate) fn cases() -> Vec<Vec<u8>> {
    let lines = |head: &str, line: &dyn Fn(i64) -> String| -> String {
        std::iter::once(head.to_string()).chain((0..40).map(line)).map(|line| line + "\n").collect()
    };
    let time = |at: i64| 1_700_000_000 + 10 * at;
    let broken = |at: i64| if at < 30 { at % 3 } else { 90 + at };
    let metrics =
        lines("timestamp,cart_cpu,web_cpu", &|at| format!("{},{},{}", time(at), broken(at), at % 5));
    let logs = lines("timestamp,service,message", &|at| format!("{},cart,took {} ms", time(at), broken(at)));
    let traces =
        lines("trace_id,span_id,parent_span_id,service,operation,start_us,duration_us,status", &|at| {
            format!("t{at},s{at},,cart,get,{},{},ok", time(at) * 1_000_000, 1000 + broken(at))
        });
    let graph = "caller,callee\nweb,cart\n".to_string();
    let changes = format!("timestamp,service,kind,version\n{},cart,deploy,v2\n", time(29));
    let whole: Vec<String> = FILES
        .iter()
        .zip([&metrics, &logs, &traces, &graph, &changes])
        .map(|(name, text)| format!("{name}\n{text}"))
        .collect();
    std::iter::once(whole.join("\0")).chain(whole.clone()).map(String::into_bytes).collect()
}

fn in_a_folder(work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    work(folder.path());
}

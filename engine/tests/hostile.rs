//! Everything that parses what others wrote, on real inputs that were bent: bytes flipped, cut, repeated, swapped for the
//! worst there are. Nothing breaks off, and what is refused leaves nothing behind.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p foreshock --test hostile` looks for hours. Does not prove anything about inputs
//! that lie further from real ones than a dozen edits; the parsers of gRPC, HTTP, TLS and Kafka are their libraries'.

use std::{io::Write as _, sync::LazyLock};

use bytes::Bytes;
use foreshock::{
    audit::{self, Entry},
    bus::{self, Bus, BusConfig},
    config::{self, Config},
    demo::shop::{Shop, ShopConfig},
    intake::{Effect, Encoding, Event, Intake, IntakeConfig, RECEIVER, WEBHOOK},
    replay::{Format, Table, TableOptions, parse_time_ms},
    types::{
        Action, Batch, Entity, Id, Incident, Matcher, Record, RejectReason, RemediationSignal, Role, Scope,
        Suspect,
    },
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// One edit. Places are parts of the length, in 65,536ths, so that they fit any input.
#[derive(Clone, Debug)]
enum Edit {
    Flip(u16, u8),
    Cut(u16),
    Remove(u16, u8),
    Repeat(u16, u8, u8),
    Put(u16, &'static [u8]),
}

/// What parsers stumble over: bounds of numbers and lengths, nesting, what ends or quotes, what is no UTF-8.
const WORST: [&[u8]; 20] = [
    b"\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\xc3\x28",
    b"\xf0\x9f\x92",
    b"\xef\xbb\xbf",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"null",
    b"\r\n\r\n",
    b"&a [*a, *a]\n",
    b"9999-12-31T23:59:60.999999999+99:99",
];

fn an_edit() -> impl Strategy<Value = Edit> {
    let at = any::<u16>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        1 => at().prop_map(Edit::Cut),
        2 => (at(), any::<u8>()).prop_map(|(at, bytes)| Edit::Remove(at, bytes)),
        2 => (at(), any::<u8>(), 1_u8..8).prop_map(|(at, bytes, times)| Edit::Repeat(at, bytes, times)),
        4 => (at(), prop::sample::select(&WORST[..])).prop_map(|(at, worst)| Edit::Put(at, worst)),
    ]
}

/// An input, and what became of it.
#[derive(Clone)]
struct Bent {
    whole: &'static [u8],
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Bent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}

impl Bent {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// One of some inputs, and what is done to it.
fn bent(of: &'static [Vec<u8>]) -> impl Strategy<Value = Bent> {
    (0..of.len(), prop::collection::vec(an_edit(), 1..12)).prop_map(move |(index, edits)| {
        let mut bytes = of[index].clone();
        edits.iter().for_each(|edit| apply(edit, &mut bytes));
        Bent { whole: &of[index], bytes }
    })
}

fn apply(edit: &Edit, bytes: &mut Vec<u8>) {
    let place = |at: u16| (usize::from(at) * bytes.len()) >> 16;
    let part = |at: u16, length: u8| place(at)..(place(at) + usize::from(length)).min(bytes.len());
    match *edit {
        Edit::Flip(at, bits) => {
            let at = place(at);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
        }
        Edit::Cut(at) => bytes.truncate(place(at)),
        Edit::Remove(at, length) => drop(bytes.drain(part(at, length))),
        Edit::Repeat(at, length, times) => {
            let again = bytes[part(at, length)].repeat(usize::from(times));
            let at = place(at);
            drop(bytes.splice(at..at, again));
        }
        Edit::Put(at, worst) => {
            let at = place(at);
            drop(bytes.splice(at..at, worst.iter().copied()));
        }
    }
}

fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(1500), failure_persistence: None, ..ProptestConfig::default() }
}

const ENCODINGS: [Encoding; 10] = [
    Encoding::Auto,
    Encoding::OtlpMetrics,
    Encoding::OtlpLogs,
    Encoding::OtlpSpans,
    Encoding::OtlpJson,
    Encoding::PrometheusJson,
    Encoding::JsonLines,
    Encoding::Text,
    Encoding::CloudEvents,
    Encoding::Webhook,
];

const SENDERS: [&str; 9] =
    ["alertmanager", "grafana", "github", "gitlab", "argo", "jenkins", "mlflow", "cloud_events", "generic"];

/// One record of each topic of the shop, and what else comes to topics.
static RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut shop = Shop::new(ShopConfig::default());
    let produced: Vec<_> = (0..1300).flat_map(|_| shop.step()).collect();
    let topics = ["otlp_metrics", "otlp_logs", "otlp_spans", "changes"];
    let first = |topic: &str| produced.iter().find(|message| message.topic == topic).expect("a record");
    let metric = |points: serde_json::Value| {
        json!({"resourceMetrics": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
            "scopeMetrics": [{"metrics": [{"name": "m", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}}]}],
        }]})
    };
    let bodies = [
        metric(json!([{"timeUnixNano": "1700000000000000000", "asInt": "5"}])),
        json!({"timestamp": "2023-11-14T22:13:20Z", "value": "3.5", "name": "up", "labels": {"job": "cart"}}),
        json!({"message": "ann@example.org failed after 30 ms", "level": "error", "service": "cart", "time": 1_700_000_000}),
        json!({"version": "4", "status": "firing", "alerts": [{
            "status": "firing", "labels": {"alertname": "High", "service": "cart", "severity": "page"}, "fingerprint": "f1",
            "startsAt": "2023-11-14T22:13:20.5Z", "endsAt": "0001-01-01T00:00:00Z", "annotations": {"summary": "high"}}]}),
        json!({"action": "created", "deployment_status": {"id": 7, "state": "success", "created_at": "2023-11-14T22:13:20Z"},
            "deployment": {"id": 5, "ref": "v2", "sha": "abc", "environment": "production"}, "repository": {"name": "cart"}}),
        json!({"service": "cart", "version": "2.0.0", "id": "1", "time": "2023-11-14T22:13:20Z"}),
    ];
    let produced = topics.iter().map(|topic| first(topic).payload.clone());
    produced.chain(bodies.iter().map(|body| body.to_string().into_bytes())).collect()
});

fn record(offset: i64, payload: &[u8], sender: &str) -> Record {
    let headers = [(WEBHOOK, sender), (RECEIVER, "here")];
    let headers = headers.map(|(name, value)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes())));
    let payload = Bytes::copy_from_slice(payload);
    Record { offset, time_ms: 1_700_000_000_000, payload, headers: headers.into(), ..Record::default() }
}

/// The batches of some records, and whether the last was refused.
fn taken(encoding: Encoding, records: &[Record]) -> (Vec<Batch>, Option<RejectReason>) {
    let mut intake = Intake::new("any", IntakeConfig { encoding, ..IntakeConfig::default() });
    let last = records.last().map(|record| record.offset);
    let (mut batches, mut refused) = (Vec::new(), None);
    for effect in intake.on_event(Event::Records(records)) {
        match effect {
            Effect::Batch(batch) => batches.push(batch),
            Effect::Reject(reject) if Some(reject.offset) == last => refused = Some(reject.reason),
            _ => {}
        }
    }
    (batches, refused)
}

/// The defaults, and what the documentation shows.
static CONFIGS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let pages = [include_str!("../../docs/remediation.md"), include_str!("../../docs/security.md")];
    let blocks = pages.iter().flat_map(|page| page.split("```yaml\n").skip(1));
    let shown = blocks.filter_map(|block| block.split("```").next());
    std::iter::once(config::DEFAULTS).chain(shown).map(|text| text.as_bytes().to_vec()).collect()
});

static WORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
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
});

static TABLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let row = |at: i64| format!("{},{}.5,x\n", 1_700_000_000 + 10 * at, at);
    let line = |at: i64| {
        json!({"timestamp": 1_700_000_000 + 10 * at, "value": at, "labels": {"a": "b"}}).to_string() + "\n"
    };
    let csv: String = (0..20).map(row).collect();
    vec![
        format!("timestamp,value,label\n{csv}").into_bytes(),
        (0..20).map(line).collect::<String>().into_bytes(),
    ]
});

/// An incident, and the signal that somebody proposes for it.
static JOURNALS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let reasons = vec!["first at 14:00".to_string()];
    let suspect = Suspect { entity: Entity::parse("service/shop/cart"), weight: 0.7, reasons, change: None };
    let incident =
        Incident { title: "latency: \u{7}slow".to_string(), suspects: vec![suspect], ..Incident::default() };
    let proposal = bus::Proposal {
        incident: incident.id,
        action: Action::Scale,
        target: Entity::parse("service/shop/cart"),
        parameters: [("replicas".to_string(), "+2".to_string())].into(),
        dry_run: false,
        by: "ann".to_string(),
        comment: "it hangs".to_string(),
    };
    let mut bus = Bus::new(BusConfig::default()).expect("defaults");
    bus.on_event(bus::Event::Incident(incident.clone()));
    bus.on_event(bus::Event::Propose(proposal));
    let signal = bus.signals().first().copied().cloned().expect("a signal");
    vec![serde_json::to_vec(&incident).expect("JSON"), serde_json::to_vec(&signal).expect("JSON")]
});

/// A log as the engine writes it.
static AUDIT: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("folder");
    let mut log = audit::Log::open(folder.path()).expect("a log");
    for what in ["halt", "approve", "reject"] {
        let entry = Entry { what: what.to_string(), who: "ann".to_string(), ..Entry::default() };
        log.write(entry).expect("written").1.expect("on disk");
    }
    let file = std::fs::read_dir(folder.path()).expect("folder").next().expect("a file").expect("a file");
    vec![std::fs::read(file.path()).expect("the log")]
});

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn records(bent in bent(&RECORDS), sender in prop::sample::select(&SENDERS[..])) {
        for encoding in ENCODINGS {
            let whole = record(0, bent.whole, sender);
            let (alone, _) = taken(encoding, std::slice::from_ref(&whole));
            let (batches, refused) = taken(encoding, &[whole, record(1, &bent.bytes, sender)]);
            if refused.is_some() {
                let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows.clone()).collect::<Vec<_>>();
                prop_assert_eq!(rows(&batches), rows(&alone));
            }
        }
    }

    #[test]
    fn configurations(bent in bent(&CONFIGS)) {
        if let Err(error) = Config::parse("bent.yaml", &bent.text()) {
            let text = error.to_string();
            // The file, or the field in it.
            prop_assert!(text.contains("bent.yaml") || text.contains(": "), "{text}");
        }
    }

    #[test]
    fn words(bent in bent(&WORDS)) {
        let word = bent.text();
        drop((word.parse::<Role>(), word.parse::<Scope>(), word.parse::<Matcher>(), word.parse::<Id>()));
        drop((word.parse::<config::Duration>(), word.parse::<config::Bytes>(), parse_time_ms(&word)));
        let entity = Entity::parse(&word);
        prop_assert_eq!(Entity::parse(&entity.to_string()), entity);
    }

    #[test]
    fn tables(bent in bent(&TABLES)) {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(&bent.bytes).expect("written");
        for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
            if let Err(error) = Table::read(file.path(), Some(format), &TableOptions::default()) {
                let name = file.path().display().to_string();
                prop_assert!(error.to_string().contains(&name), "{error}");
            }
        }
    }

    /// What a journal gives back is what is written to it again.
    #[test]
    fn journals(bent in bent(&JOURNALS)) {
        if let Ok(signal) = serde_json::from_slice::<RemediationSignal>(&bent.bytes) {
            prop_assert_eq!(again(&signal), signal);
        }
        if let Ok(incident) = serde_json::from_slice::<Incident>(&bent.bytes) {
            prop_assert_eq!(again(&incident), incident);
        }
    }

    #[test]
    fn what_was_done_to_an_audit_log_is_found(bent in bent(&AUDIT)) {
        let found = audit::verify([("bent".to_string(), &bent.bytes[..])]).expect("readable");
        let lines = |bytes: &'static [u8]| bytes.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
        // Cut off at the beginning or the end between two entries, nothing is wrong with what is left.
        let whole = lines(bent.whole);
        let parts = (0..=whole.len()).flat_map(|from| (from..=whole.len()).map(move |to| from..to));
        let is_part = || parts.map(|part| whole[part].concat()).any(|part| same(&part, &bent.bytes));
        prop_assert!(!found.problems.is_empty() || is_part());
    }
}

/// The same lines, whether or not the last ends and however many are empty.
fn same(one: &[u8], other: &[u8]) -> bool {
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    };
    lines(one) == lines(other)
}

fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(value).expect("JSON")).expect("what was written")
}

//! Records in every encoding, webhooks among them.

use bytes::Bytes;
use foreshock_core::{
    intake::{Effect, Encoding, Event, Intake, IntakeConfig, RECEIVER, WEBHOOK},
    types::{Batch, Record, RejectReason},
};
use foreshock_shop::{Shop, ShopConfig};
use serde_json::{Value, json};

const SENDERS: [&str; 9] =
    ["alertmanager", "grafana", "github", "gitlab", "argo", "jenkins", "mlflow", "cloud_events", "generic"];

/// A record that can be read, in JSON of any kind.
const GOOD: &[u8] = br#"{"message": "slow", "service": "cart", "time": 1700000000}"#;

/// A record that is refused leaves no row behind, nor takes one from the record before it. The last byte says who sent it, where that matters.
pub(crate) fn feed(bytes: &[u8]) {
    let sender = SENDERS[usize::from(bytes.last().copied().unwrap_or(0)) % SENDERS.len()];
    for encoding in Encoding::ALL {
        let good = record(0, GOOD, sender);
        let (alone, _) = taken(encoding, std::slice::from_ref(&good));
        let (batches, refused) = taken(encoding, &[good, record(1, bytes, sender)]);
        let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows.clone()).collect::<Vec<_>>();
        assert!(refused.is_none() || rows(&batches) == rows(&alone), "{encoding:?}: {refused:?}");
    }
}

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

/// One record of each topic of the shop, and what else comes to topics.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut shop = Shop::new(ShopConfig::default());
    let produced: Vec<_> = (0..1300).flat_map(|_| shop.step()).collect();
    let topics = ["otlp_metrics", "otlp_logs", "otlp_spans", "changes"];
    let first = |topic: &str| produced.iter().find(|message| message.topic == topic).expect("a record");
    let metric = |points: Value| {
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
    // White space at the end of JSON: the byte that chooses the sender.
    let bodies = bodies
        .iter()
        .flat_map(|body| [" ", "\n", "\t", "\r", "\n\n "].map(|end| (body.to_string() + end).into_bytes()));
    topics.iter().map(|topic| first(topic).payload.clone()).chain(bodies).collect()
}

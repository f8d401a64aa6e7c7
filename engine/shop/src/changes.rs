//! The shop's change events: CDEvents 0.4 as structured CloudEvents.

use serde_json::json;

use super::otlp::{rfc3339, uuid};
use super::story::{Change, ChangeKind};
use super::topology::{ENVIRONMENT, NAMESPACE};
use super::{MODEL, noise::Noise};

const SOURCE: &str = "/shop/delivery";

/// The JSON of one change event.
pub(super) fn encode(change: &Change, noise: &mut Noise) -> Vec<u8> {
    let id = uuid(noise.bytes());
    let kind = match change.kind {
        ChangeKind::Upgraded => "dev.cdevents.service.upgraded.0.2.0",
        ChangeKind::RolledBack => "dev.cdevents.service.rolledback.0.2.0",
        ChangeKind::ModelDeployed => "dev.cdevents.service.deployed.0.2.0",
    };
    let artifact = match change.kind {
        ChangeKind::ModelDeployed => format!("pkg:mlflow/{MODEL}@{}", change.version),
        _ => format!(
            "pkg:oci/{}@{}?repository_url=registry.example.com/{NAMESPACE}",
            change.service, change.version
        ),
    };
    let time = rfc3339(change.at);
    let event = json!({
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": kind,
        "subject": change.service,
        "time": time,
        "datacontenttype": "application/json",
        "data": {
            "context": {"version": "0.4.1", "id": id, "source": SOURCE, "type": kind, "timestamp": time},
            "subject": {
                "id": change.service,
                "source": SOURCE,
                "type": "service",
                "content": {"environment": {"id": ENVIRONMENT}, "artifactId": artifact},
            },
            "customData": {"version": change.version, "previousVersion": change.previous},
            "customDataContentType": "application/json",
        },
    });
    event.to_string().into_bytes()
}

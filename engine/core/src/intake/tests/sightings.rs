//! What resources and models say of how they run.

use super::*;
use crate::types::Facet;

/// What is seen in OTLP metrics of one gauge with these attributes of the resource and of the point, `key=value`.
fn seen(name: &str, resource: &[&str], point: &[&str]) -> Vec<String> {
    let attributes = |pairs: &[&str]| {
        let pairs = pairs.iter().map(|pair| pair.split_once('=').expect("a pair"));
        let pairs =
            pairs.map(|(key, value)| serde_json::json!({"key": key, "value": {"stringValue": value}}));
        pairs.collect::<Vec<_>>()
    };
    let message = serde_json::json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(resource)},
        "scopeMetrics": [{"metrics": [{"name": name, "gauge": {"dataPoints": [
            {"timeUnixNano": "1700000000000000000", "asDouble": 1.0, "attributes": attributes(point)}
        ]}}]}],
    }]});
    let mut intake = Intake::new("otlp_metrics", IntakeConfig::default());
    let records = [record(0, message.to_string()), record(1, message.to_string())];
    let effects = intake.on_event(Event::Records(&records)).into_iter();
    let words = |seen: Sighting| format!("{} {:?} {}", seen.entity, seen.facet, seen.value);
    effects
        .filter_map(|effect| if let Effect::Sighting(seen) = effect { Some(words(seen)) } else { None })
        .collect()
}

#[test]
fn a_resource_says_its_versions_its_configuration_its_workload_and_its_host_once() {
    let resource = [
        "service.name=cart",
        "service.version=v2",
        "k8s.namespace.name=shop",
        "k8s.deployment.name=cart",
        "k8s.replicaset.name=cart-5d",
        "k8s.pod.annotation.checksum/config=9f86d081",
        "k8s.node.name=n1",
    ];
    let expected = [
        (Facet::Version, "v2"),
        (Facet::PodTemplate, "cart-5d"),
        (Facet::Host, "n1"),
        (Facet::Config, "9f86d081"),
        (Facet::Workload, "shop/cart"),
    ];
    let expected = expected.map(|(facet, value)| format!("service/cart {facet:?} {value}"));
    assert_eq!(seen("load", &resource, &[]), expected);
    assert!(seen("load", &["service.name=cart", "config.hashes=1"], &[]).is_empty());
}

#[test]
fn a_model_has_a_version_and_is_part_of_the_service_that_tells_of_it() {
    let point = ["model.name=ranker", "model.version=7"];
    let told = seen("model.prediction.spread", &["service.name=recommender"], &point);
    assert_eq!(told, ["model/ranker Service recommender", "model/ranker Model 7"]);
    assert!(seen("requests", &["service.name=recommender"], &point).is_empty(), "of the service");
}

//! What people do with signals, as they type it.

use foreshock_core::{bus::Event, types::Id};
use serde_json::Value;

use super::{
    commands::{fine, foreshock_with},
    double::{Double, automatic, incident, with_approval},
};

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn somebody_proposes_somebody_else_approves_and_it_can_be_followed() {
    let double = Double::start(with_approval());
    let endpoint = double.endpoint();
    double.tell(Event::Incident(incident(7)));
    let id = Id(7).to_string();
    let propose =
        ["signals", "propose", &id, "--action", "scale", "--target", "service/shop/payment", "--by", "ann"];
    let (code, _, err) = foreshock_with(&endpoint, &propose);
    assert_eq!((code, err.as_str()), (2, "foreshock: scale needs the parameter replicas\n"));
    let with = [&propose[..], &["--parameter", "replicas=+2", "--comment", "more room", "--json"]].concat();
    let made = json(&fine(&endpoint, &with)).remove(0);
    assert_eq!(
        (made["state"].as_str(), made["proposed_by"].as_str()),
        (Some("awaiting_approval"), Some("ann"))
    );
    assert_eq!(made["attributes"]["replicas"], "+2");
    let again = json(&fine(&endpoint, &with)).remove(0);
    assert_eq!((&again["id"], &again["revision"]), (&made["id"], &made["revision"]), "said twice, done once");
    let signal = made["id"].as_str().unwrap();
    let (code, _, err) = foreshock_with(&endpoint, &["signals", "approve", signal, "--by", "ann"]);
    assert_eq!(code, 2);
    assert!(err.contains("whoever proposed it cannot agree"), "{err}");
    fine(&endpoint, &["signals", "approve", signal, "--by", "ben"]);
    let shown = fine(&endpoint, &["signals", "show", signal]);
    for part in [
        "scale service/shop/payment",
        "replicas=+2",
        "wanted by    ann",
        "1 of 1",
        "awaiting approval",
        "approved by ben",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    fine(&endpoint, &["signals", "cancel", signal, "--by", "ann", "--comment", "it is well again"]);
    let (code, _, err) = foreshock_with(&endpoint, &["signals", "cancel", signal, "--by", "ann"]);
    assert_eq!((code, err.as_str()), (2, "foreshock: it has ended: withdrawn by ann: it is well again\n"));
    let anew = json(&fine(&endpoint, &with)).remove(0);
    assert_eq!(anew["state"], "awaiting_approval", "what has ended may be wanted again");
    assert_ne!(anew["id"], made["id"]);
    let (code, _, err) = foreshock_with(&endpoint, &["signals", "show", "00000000000000ff"]);
    assert_eq!(
        (code, err.as_str()),
        (2, "foreshock: there is no signal 00000000000000ff: see `foreshock signals list`\n")
    );
}

#[test]
fn the_kill_switch_and_the_policies() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    double.tell(Event::Incident(incident(7)));
    assert!(fine(&endpoint, &["signals"]).contains("ready"));
    let said = fine(&endpoint, &["signals", "halt", "--by", "ann", "--comment", "drill"]);
    assert_eq!(said, "remediation is halted: nothing is made or granted\n");
    let listed = json(&fine(&endpoint, &["signals", "--json"])).remove(0);
    assert_eq!(
        (listed["state"].as_str(), listed["note"].as_str()),
        (Some("cancelled"), Some("remediation was halted by ann: drill"))
    );
    double.tell(Event::Incident(incident(8)));
    assert_eq!(json(&fine(&endpoint, &["signals", "--json"])).len(), 1, "none is made");
    let policies = fine(&endpoint, &["signals", "policies"]);
    assert!(policies.starts_with("remediation was halted by ann: drill\nPOLICY"), "{policies}");
    assert!(policies.contains("undo") && policies.contains("nobody"), "{policies}");
    fine(&endpoint, &["signals", "resume", "--by", "ann"]);
    double.tell(Event::Tick { time_ms: super::double::NOW_MS, catching_up: false });
    assert_eq!(json(&fine(&endpoint, &["signals", "--json"])).len(), 2);
    let policies = json(&fine(&endpoint, &["signals", "policies", "--json"])).remove(0);
    assert_eq!((policies["name"].as_str(), policies["stopped"].as_bool()), (Some("undo"), Some(false)));
}

#[test]
fn the_gate() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    assert_eq!(fine(&endpoint, &["gate", "service/shop/payment"]), "go ahead\n");
    double.tell(Event::Incident(incident(7)));
    let (code, out, err) = foreshock_with(&endpoint, &["gate", "service/shop/payment"]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("payment: errors up"), "{out}");
    assert_eq!(fine(&endpoint, &["gate", "service/shop/cart"]), "go ahead\n");
    let (code, _, err) = foreshock_with(&endpoint, &["gate", "payment"]);
    assert!(code == 2 && err.contains("names no entity"), "{err}");
}

#[test]
fn policies_are_tried_on_an_incident_before_they_count() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let incident = file("incident.json", &serde_json::to_string(&incident(7)).unwrap());
    let policies = "
remediation:
  policies:
  - {name: undo, action: rollback, approvals: 2, approval_group: sre, min_evidence_kinds: 1}
  - {name: retrain, action: retrain, when: {entity_kind: model}}
  freezes:
  - {name: night, match: [kind=service], at: '22:00', lasts: 8h, zone: UTC}
";
    let config = file("foreshock.yaml", policies);
    let test = ["policy", "test", &incident, "--config", &config];
    let run = |more: &[&str]| foreshock_with("", &[&test[..], more].concat());
    let (code, out, err) = run(&["--at", "2026-12-01T12:00:00Z"]);
    assert_eq!((code, err.as_str()), (1, ""), "evidence of 1970 is too old: {out}");
    let (code, out, _) = run(&[]);
    assert_eq!(code, 1, "it was night: {out}");
    assert!(out.contains("undo: nothing: service/shop/payment is frozen: night"), "{out}");
    let config = file("foreshock.yaml", policies.split("  freezes").next().unwrap());
    let (code, out, _) = run(&[]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("undo: rollback service/shop/payment; asks: 2 of sre; change_id=deploy-7"),
        "{out}"
    );
    assert_eq!(lines[1], "retrain: nothing: the first suspect, service/shop/payment, is no model");
    let (code, _, err) = foreshock_with("", &["policy", "test", &config, "--config", &config]);
    assert!(code == 64 && err.contains("holds no incident"), "{err}");
}

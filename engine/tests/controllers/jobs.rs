//! Jobs at servers that hold the published shapes of their APIs: the right request, once, whatever the server does.

use std::path::Path;

use foreshock_core::types::SignalState;
use serde_json::{Value, json};

use super::{
    Controller, await_some, bus,
    double::Double,
    end,
    servers::{Server, is_known, python},
    trouble, until,
    wire::Wire,
};

const RETRAIN: &str = "{name: retrain, action: retrain, approval: none, min_evidence_kinds: 1}";
const RUN: &str = "{name: run, action: run_workflow, approval: none, min_evidence_kinds: 1, parameters: {workflow: deploy.yml}}";
const UNDO: &str = "{name: undo, action: rollback, approval: none, min_evidence_kinds: 1}";

/// An API, and how a controller is told of it.
struct Case {
    api: &'static str,
    kind: &'static str,
    policy: &'static str,
    target: &'static str,
    /// `URL` stands for the server's.
    route: &'static str,
    /// What is sent for the signal `ID`.
    sent: fn(&str) -> Value,
}

static ALL: [Case; 6] = [
    Case {
        api: "kubeflow",
        kind: "retrain",
        policy: RETRAIN,
        target: "model/checkout",
        route: "kubeflow: {at: {url: URL}, pipeline: p-1, version: p-1-v3, parameters: {model: '{{ name }}'}}",
        sent: |id| {
            json!({
                "display_name": format!("foreshock-{id}"),
                "pipeline_version_reference": {"pipeline_id": "p-1", "pipeline_version_id": "p-1-v3"},
                "runtime_config": {"parameters": {"model": "checkout"}},
            })
        },
    },
    Case {
        api: "github",
        kind: "ci",
        policy: RUN,
        target: "service/shop/checkout",
        route: "github: {at: {url: URL}, repository: '{{ namespace }}/{{ name }}', inputs: {why: '{{ incident }}'}}",
        sent: |id| {
            let inputs = json!({"foreshock_signal": id, "why": "0000000000000007"});
            json!({"ref": "main", "inputs": inputs, "return_run_details": true})
        },
    },
    Case {
        api: "gitlab",
        kind: "ci",
        policy: RUN,
        target: "service/shop/checkout",
        route: "gitlab: {at: {url: URL}, project: 'shop/{{ name }}', variables: {RUN: '{{ attributes.workflow }}'}}",
        sent: |id| {
            let variables =
                json!([{"key": "FORESHOCK_SIGNAL", "value": id}, {"key": "RUN", "value": "deploy.yml"}]);
            json!({"ref": "main", "variables": variables})
        },
    },
    Case {
        api: "jenkins",
        kind: "ci",
        policy: RUN,
        target: "service/shop/checkout",
        route: "jenkins: {at: {url: URL}, job: 'deploy/{{ name }}', parameters: {WHY: 'a b&c'}}",
        sent: |id| json!({"FORESHOCK_SIGNAL": id, "WHY": "a b&c"}),
    },
    Case {
        api: "argo_cd",
        kind: "deploy",
        policy: UNDO,
        target: "service/shop/checkout",
        route: "argo_cd: {at: {url: URL}}",
        sent: |_| json!({"name": "checkout", "id": 0}),
    },
    Case {
        api: "webhook",
        kind: "retrain",
        policy: RETRAIN,
        target: "model/checkout",
        route: "webhook: {at: {url: URL/hook}}",
        sent: |id| json!({"signal": {"id": id, "action": "retrain", "target": {"kind": "model", "name": "checkout"}}, "fencing_token": 1}),
    },
];

/// Those that can be held against what is published of them.
fn cases() -> impl Iterator<Item = &'static Case> {
    ALL.iter().filter(|case| is_known(case.api))
}

impl Case {
    fn start(&self, double: &Double, server: &str) -> Controller {
        let route = self.route.replace("URL", server);
        let yaml = format!("{{follow: {{every: 200ms, within: 50s}}, routes: [{{{route}}}]}}");
        Controller::start(double, self.kind, &yaml, &[])
    }
}

/// Whether everything that is expected is in what was found.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(found, value)))
        }
        (found, expected) => found == expected,
    }
}

/// What becomes of a signal at a server that behaves like this: state, and how many starts had an effect.
fn outcome(python: &Path, case: &Case, plan: &Value) -> (SignalState, String, Vec<Value>) {
    let (server, double) = (Server::double(python, case.api), bus(case.policy));
    server.plan(plan);
    let _controller = case.start(&double, &server.url);
    double.tell(trouble(case.target));
    let signal = end(&double);
    let starts = server.starts();
    for start in &starts {
        let expected = (case.sent)(&signal.id.to_string());
        assert!(holds(start, &expected), "{}: {start} is not {expected}", case.api);
    }
    (signal.state, signal.note, starts)
}

#[test]
fn the_right_request_is_made_once_and_followed_to_its_end() {
    let Some(python) = python("server") else { return };
    for case in cases() {
        for (ending, state) in [("good", SignalState::Succeeded), ("bad", SignalState::Failed)] {
            let (ended, note, starts) = outcome(&python, case, &json!({"end": ending}));
            assert_eq!((ended, starts.len()), (state, 1), "{} {ending}: {note}", case.api);
        }
    }
}

#[test]
fn a_start_without_an_answer_is_found_and_not_made_again() {
    let Some(python) = python("server") else { return };
    for case in cases() {
        let (ended, note, starts) = outcome(&python, case, &json!({"start": "lost"}));
        assert_eq!((ended, starts.len()), (SignalState::Succeeded, 1), "{}: {note}", case.api);
    }
}

#[test]
fn a_server_that_is_slower_than_anybody_waits_is_not_asked_twice() {
    let Some(python) = python("server") else { return };
    std::thread::scope(|scope| {
        for case in cases().filter(|case| ["kubeflow", "github"].contains(&case.api)) {
            let python = &python;
            scope.spawn(move || {
                let (ended, note, starts) = outcome(python, case, &json!({"start": "slow"}));
                assert_eq!((ended, starts.len()), (SignalState::Succeeded, 1), "{}: {note}", case.api);
            });
        }
    });
}

#[test]
fn a_refusal_is_a_failure_with_its_words() {
    let Some(python) = python("server") else { return };
    for case in cases() {
        let (ended, note, starts) = outcome(&python, case, &json!({"start": "refused"}));
        assert_eq!((ended, starts.len()), (SignalState::Failed, 0), "{}: {note}", case.api);
        assert!(note.contains("it answered 403"), "{}: {note}", case.api);
    }
}

#[test]
fn where_nobody_can_tell_the_outcome_is_unknown() {
    let Some(python) = python("server") else { return };
    for case in cases().filter(|case| ["kubeflow", "gitlab", "jenkins", "webhook"].contains(&case.api)) {
        let (ended, note, starts) = outcome(&python, case, &json!({"start": "ignored"}));
        assert_eq!((ended, starts.len()), (SignalState::Unknown, 0), "{}: {note}", case.api);
    }
}

#[test]
fn a_server_that_is_away_or_busy_is_tried_later() {
    let Some(python) = python("server") else { return };
    let given_back = |double: &Double| {
        until(double, "the signal to be given back", |signal| {
            signal.state == SignalState::Ready && signal.attempts > 0
        })
    };
    for case in cases() {
        let double = bus(case.policy);
        let _controller = case.start(&double, "http://127.0.0.1:1");
        double.tell(trouble(case.target));
        let signal = given_back(&double);
        assert!(signal.note.contains("refused"), "{}", case.api);
        // Or the next attempt would have to look for what nobody has started. A webhook is not asked anything before.
        assert_eq!(signal.accepted, case.api == "webhook", "{}", case.api);

        let (server, double) = (Server::double(&python, case.api), bus(case.policy));
        server.plan(&json!({"start": "busy"}));
        let _controller = case.start(&double, &server.url);
        double.tell(trouble(case.target));
        assert!(given_back(&double).note.contains("503"), "{}", case.api);
        assert_eq!(server.starts().len(), 0, "{}", case.api);
    }
}

#[test]
fn killed_between_start_and_report_it_goes_on_and_starts_nothing_again() {
    let Some(python) = python("server") else { return };
    for case in cases() {
        let (server, double) = (Server::double(&python, case.api), bus(case.policy));
        let first = case.start(&double, &server.url);
        double.tell(trouble(case.target));
        await_some("the start", || (!server.starts().is_empty()).then_some(()));
        first.kill();
        let _second = case.start(&double, &server.url);
        let signal = end(&double);
        assert_eq!(signal.state, SignalState::Succeeded, "{}: {}", case.api, signal.note);
        assert_eq!(server.starts().len(), 1, "{}", case.api);
    }
}

#[test]
fn work_goes_on_while_the_engine_is_away_and_its_outcome_is_not_lost() {
    let Some(python) = python("server") else { return };
    for case in cases().filter(|case| ["github", "webhook"].contains(&case.api)) {
        let (server, double) = (Server::double(&python, case.api), bus(case.policy));
        let wire = Wire::to(double.address);
        let route = case.route.replace("URL", &server.url);
        let yaml = format!("{{follow: {{every: 1s, within: 50s}}, routes: [{{{route}}}]}}");
        let endpoint = format!("http://{}", wire.address);
        let controller = Controller::start(&double, case.kind, &yaml, &["--endpoint", &endpoint]);
        double.tell(trouble(case.target));
        await_some("the start", || (!server.starts().is_empty()).then_some(()));
        wire.cut();
        let signal = end(&double);
        assert_eq!(signal.state, SignalState::Succeeded, "{}: {}", case.api, signal.note);
        assert_eq!((server.starts().len(), signal.attempts), (1, 2), "{}", case.api);
        assert!(controller.talk().contains("is ours again (token 2)"), "{}", controller.talk());
    }
}

//! The commands as a person types them, against a server.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use foreshock_core::{
    bus::Event,
    types::{Id, Incident, RemediationSignal, SignalState},
};

use super::double::{Double, automatic, incident, with_approval};

/// What a command did: exit code, stdout, stderr.
type Done = (i32, String, String);

fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshock"));
    command.env("FORESHOCK_ENDPOINT", endpoint).env_remove("COLUMNS").args(arguments);
    command
}

pub fn foreshock_with(endpoint: &str, arguments: &[&str]) -> Done {
    let done = command(endpoint, arguments).output().unwrap();
    let [out, err] = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (done.status.code().unwrap(), out, err)
}

pub fn fine(endpoint: &str, arguments: &[&str]) -> String {
    let (code, out, err) = foreshock_with(endpoint, arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    out
}

/// A command that goes on until it is stopped. Killed when it is dropped.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Running {
    fn start(endpoint: &str, arguments: &[&str]) -> Running {
        Running::spawn(&mut command(endpoint, arguments))
    }

    pub fn spawn(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        Running { child, out, err }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    pub fn talk(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn incidents_are_listed_shown_and_judged() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    double.tell(Event::Incident(incident(7)));
    let mut watch = Running::start(&endpoint, &["incidents", "watch"]);
    assert_eq!(watch.line(), "ID                STATE     SEV   STARTED           TITLE\n");
    let row = "0000000000000007  open      0.90  1970-01-01 00:15  payment: errors up, after \\…\n";
    assert_eq!(watch.line(), row);

    let table = fine(&endpoint, &["incidents", "list"]);
    assert_eq!(table.lines().nth(1).unwrap(), row.trim_end());
    assert_eq!(fine(&endpoint, &["incidents", "list", "--state", "resolved"]).lines().count(), 1);

    let json = fine(&endpoint, &["incidents", "list", "--json"]);
    assert!(json.contains(r"after \u001b[31mv2"), "{json}");
    assert_eq!(serde_json::from_str::<Incident>(&json).unwrap(), incident(7));

    let id = Id(7).to_string();
    assert!(
        fine(&endpoint, &["incidents", "show", &id])
            .contains("nobody: foreshock incidents ack 0000000000000007")
    );
    assert!(fine(&endpoint, &["incidents", "ack", &id, "--by", "ann"]).contains("owner     ann\n"));
    assert_eq!(watch.line(), row);
    let judged = ["incidents", "feedback", &id, "--by", "ann", "--false", "--comment", "a test"];
    let learnt = fine(&endpoint, &judged);
    assert!(learnt.contains("false: a test") && learnt.contains("needs +1.0 evidence"), "{learnt}");
    let adjustment = learnt.lines().nth(1).unwrap().split(' ').next().unwrap().to_string();
    assert!(fine(&endpoint, &["incidents", "adjustments"]).contains(&adjustment));
    assert!(!fine(&endpoint, &["incidents", "undo", &adjustment, "--by", "ann"]).contains(&adjustment));
    for list in [&["incidents", "list", "--suppressed"][..], &["incidents", "--suppressed"]] {
        assert!(fine(&endpoint, list).contains("alone"), "{list:?}");
    }
}

#[test]
fn silences() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    let given = ["silences", "add", "kind=service", "name=~shop/.*", "--for", "2h", "--by", "ann"];
    let given = fine(&endpoint, &given);
    let row = given.lines().nth(1).unwrap();
    assert!(row.contains("ann           kind=\"service\" name"), "{given}");
    let id = row.split(' ').next().unwrap();
    assert_eq!(fine(&endpoint, &["silences", "list"]), given);
    let ended = fine(&endpoint, &["silences", "end", id, "--by", "ann"]);
    assert!(ended.contains("1970-01-01 00:16  1970-01-01 00:16"), "{ended}");
}

#[test]
fn errors_say_what_to_type_next() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (endpoint, arguments, code, words) in [
        (nowhere.as_str(), "incidents list", 2, "start one with `foreshock run --config FILE`"),
        (nowhere.as_str(), "signals list", 2, "--endpoint http://HOST:PORT"),
        ("here", "signals list", 64, "--endpoint https://HOST:PORT"),
        ("ftp://127.0.0.1:1", "controller deploy --dry-run", 64, "--endpoint https://HOST:PORT"),
        (&endpoint, "incidents show 0000000000000001", 2, "see `foreshock incidents list`"),
        (&endpoint, "incidents get seven", 2, "give 16 hexadecimal digits"),
        (&endpoint, "signals approve 0000000000000001 --by ann", 2, "see `foreshock signals list`"),
        (&endpoint, "incidents ack 0000000000000001", 2, "--by"),
        (&endpoint, "controller retrain", 64, "say with --config FILE where the signals go"),
        (&endpoint, "controller deploy --config /nowhere", 64, "cannot read /nowhere"),
        (&endpoint, "controller deploy --dry-run --scope x", 64, "write key=value"),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (got, out, err) = foreshock_with(endpoint, &arguments);
        assert_eq!((got, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn signals_are_listed_and_decided() {
    let double = Double::start(with_approval());
    let endpoint = double.endpoint();
    for id in [7, 8] {
        double.tell(Event::Incident(incident(id)));
    }
    let mut signals: Vec<RemediationSignal> = Vec::new();
    while signals.len() < 2 {
        let json = fine(&endpoint, &["signals", "list", "--waiting", "--json"]);
        signals = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    }
    let (yes, no) = (signals[0].id.to_string(), signals[1].id.to_string());
    let table = fine(&endpoint, &["signals", "list"]);
    assert_eq!(table.lines().next().unwrap(), "ID                STATE              ACTION          TARGET");
    assert_eq!(
        table.lines().nth(1).unwrap(),
        format!("{yes}  awaiting approval  rollback        service/shop/payment")
    );
    assert!(
        fine(&endpoint, &["signals", "approve", &yes, "--by", "ann"]).contains(&format!("{yes}  ready "))
    );
    let rejected = fine(&endpoint, &["signals", "reject", &no, "--by", "ann", "--comment", "wait", "--json"]);
    let rejected: RemediationSignal = serde_json::from_str(&rejected).unwrap();
    assert_eq!((rejected.state, rejected.note.as_str()), (SignalState::Rejected, "rejected by ann: wait"));
    let (code, _, err) = foreshock_with(&endpoint, &["signals", "approve", &no, "--by", "ben"]);
    assert_eq!(code, 2);
    assert_eq!(err, "foreshock: it does not wait for approval: rejected by ann: wait\n");
}

#[test]
fn the_dry_run_controller_comes_back_after_the_engine_went_away() {
    let first = Double::start(automatic(60));
    let (address, endpoint) = (first.address, first.endpoint());
    let arguments = ["controller", "deploy", "--dry-run", "--name", "ann", "--scope", "namespace=shop"];
    let mut controller = Running::start(&endpoint, &arguments);
    assert_eq!(controller.talk(), format!("connected to {endpoint} as session-1\n"));
    first.tell(Event::Incident(incident(7)));
    let signal: RemediationSignal = serde_json::from_str(&controller.line()).unwrap();
    assert_eq!((signal.incident, signal.fencing_token), (Id(7), 1));
    let said = controller.talk();
    let begins =
        format!("would rollback service/shop/payment from v2 (signal {}, token 1, attempt 1): ", signal.id);
    assert!(said.starts_with(&begins), "{said}");
    while fine(&endpoint, &["signals", "list", "--json"]).contains("\"leased\"") {}
    let after = fine(&endpoint, &["signals", "list", "--json"]);
    let after: RemediationSignal = serde_json::from_str(&after).unwrap();
    assert_eq!(after.state, SignalState::DryRun);
    assert_eq!(after.note, "ann would have: rollback service/shop/payment from v2");

    drop(first);
    let second = Double::start_at(address, automatic(60));
    second.tell(Event::Incident(incident(8)));
    let signal: RemediationSignal = serde_json::from_str(&controller.line()).unwrap();
    assert_eq!(signal.incident, Id(8));
    let pid = controller.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(controller.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    controller.err.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("trying again in 0.5 s\n"), "{rest}");
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[test]
fn commands_end_when_stdout_takes_nothing() {
    let double = Double::start(automatic(60));
    let endpoint = double.endpoint();
    double.tell(Event::Incident(incident(7)));
    let id = Id(7).to_string();
    while !fine(&endpoint, &["incidents", "list"]).contains(&id) {}
    let lists = ["incidents", "incidents list --json", "incidents watch", "incidents list --suppressed"];
    let others =
        ["signals list", "signals policies", "signals watch", "silences list", "gate service/shop/x"];
    let shown = format!("incidents show {id}");
    for words in lists.into_iter().chain(others).chain([shown.as_str()]) {
        let arguments: Vec<&str> = words.split(' ').collect();
        let done = command(&endpoint, &arguments).stdout(closed()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!((done.status.code(), said.as_str()), (Some(2), ""), "{words}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = command(&endpoint, &arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains("stdout: No space left") && said.lines().count() == 1, "{words}: {said}");
    }
}

#[test]
fn a_dry_run_that_nobody_reads_ends() {
    let double = Double::start(automatic(60));
    let arguments = ["controller", "deploy", "--dry-run"];
    let mut controller = command(&double.endpoint(), &arguments);
    let mut controller = controller.stdout(closed()).stderr(Stdio::null()).spawn().unwrap();
    double.tell(Event::Incident(incident(7)));
    assert_eq!(controller.wait().unwrap().code(), Some(2));
}

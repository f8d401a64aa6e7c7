//! The binary by itself: what it takes, what it refuses, and how it ends. What it does to targets is tested with `foreshock controller`, whose
//! code it shares.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

fn controller() -> Command {
    Command::new(env!("CARGO_BIN_EXE_foreshock-controller"))
}

fn ran(arguments: &[&str]) -> (Output, String) {
    let output = controller().args(arguments).output().expect("it starts");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, talk)
}

#[test]
fn it_says_what_it_takes_and_refuses_the_rest() {
    let (help, _) = ran(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success() && text.contains("--dry-run") && text.contains("--token-file"), "{text}");
    for (arguments, said) in [
        (&["retrain"][..], "say with --config FILE where the signals go"),
        (&["deploy", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
        (&["deploy", "--endpoint", "ftp://here"], "write --endpoint https://HOST:PORT"),
        (&["fly"], "invalid value 'fly'"),
    ] {
        let (output, talk) = ran(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {talk}");
        assert!(talk.contains(said), "{arguments:?}: {talk}");
    }
}

#[test]
fn without_an_engine_it_goes_on_trying_until_it_is_told_to_end() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", free.local_addr().expect("its address"));
    drop(free);
    let mut running = controller()
        .args(["deploy", "--dry-run", "--endpoint", &endpoint])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(running.stderr.take().expect("stderr")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert!(first.contains(&format!("no engine answers at {endpoint}")), "{first}");
    let second = lines.next().expect("a line").expect("text");
    assert!(second.starts_with("trying again in "), "{second}");
    let killed = Command::new("kill").arg(running.id().to_string()).status().expect("kill");
    assert!(killed.success());
    let ended = running.wait().expect("it ends");
    assert!(ended.success(), "{ended}");
}

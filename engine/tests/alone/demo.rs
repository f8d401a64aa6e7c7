//! `foreshock demo`: every fault is found, nobody is called for nothing, and one seed prints one story.

use std::process::{Child, Command, Stdio};

fn start(seed: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_foreshock"))
        .args(["demo", "--seed", seed])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("foreshock starts")
}

fn ended(child: Child) -> String {
    let output = child.wait_with_output().expect("output");
    let (told, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{told}\n{talk}", output.status);
    told.into_owned()
}

#[test]
fn every_fault_is_found_and_one_seed_prints_one_story() {
    let (first, second) = (start("11"), start("11"));
    let (first, second) = (ended(first), ended(second));
    assert_eq!(first, second);
    assert!(first.contains("6 of 6 judged rightly, 0 false alarms"), "{first}");
    assert!(first.contains("verified rollback payment"), "{first}");
    assert!(!first.contains('\u{1b}'), "no colours where there is no terminal");
    assert!(first.lines().all(|line| line.chars().count() <= 80), "{first}");
}

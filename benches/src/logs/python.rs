//! drain3 itself, in the same run, where a Python has it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde::Deserialize;
use thiserror::Error;

use super::{
    corpus::System,
    grouping::{Mined, grouping_accuracy},
};

/// drain3 could not be run.
#[derive(Debug, Error)]
pub enum Drain3Error {
    /// The Python could not be started, or did not take its input.
    #[error("cannot run {python} with drain3: {source}")]
    Run {
        /// Which Python.
        python: String,
        /// Why.
        source: std::io::Error,
    },
    /// It did not answer as it should.
    #[error("{python} gave no answer for every system: is drain3 installed there (`pip install drain3`)?")]
    Answer {
        /// Which Python.
        python: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    ids: Vec<usize>,
    seconds: f64,
}

/// What drain3 makes of each system's lines, with its defaults and without masks.
///
/// # Errors
/// When there is no such Python, or it has no drain3.
pub fn drain3(python: &str, systems: &[System]) -> Result<Vec<Mined>, Drain3Error> {
    let failed = |source| Drain3Error::Run { python: python.to_string(), source };
    let mut command = Command::new(python);
    command.args(["-c", include_str!("drain3.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let input = child.stdin.take();
    let lines: Vec<String> =
        systems.iter().map(|system| serde_json::json!(system.lines).to_string()).collect();
    let writer = std::thread::spawn(move || match input {
        Some(mut input) => lines.iter().try_for_each(|line| writeln!(input, "{line}")),
        None => Ok(()),
    });
    let output = child.wait_with_output().map_err(failed)?;
    let wrong = || Drain3Error::Answer { python: python.to_string() };
    let written = writer.join().map_err(|_| wrong())?;
    let answers: Vec<Answer> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    if written.is_err() || answers.len() != systems.len() {
        return Err(wrong());
    }
    systems.iter().zip(answers).map(|(system, answer)| mined(system, &answer).ok_or_else(wrong)).collect()
}

fn mined(system: &System, answer: &Answer) -> Option<Mined> {
    if answer.ids.len() != system.lines.len() {
        return None;
    }
    let accuracy = grouping_accuracy(&answer.ids, &system.truth);
    let mut ids = answer.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    Some(Mined {
        at_once: accuracy,
        accuracy,
        made: ids.len(),
        templates: ids.len(),
        learning: answer.seconds,
        steady: answer.seconds,
    })
}

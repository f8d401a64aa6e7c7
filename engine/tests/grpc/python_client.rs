//! A client in another language, generated from the `.proto` files, loses a lease and sees the signal again.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use foreshock::bus::Event;

use super::{
    commands::{Running, fine},
    double::{Double, automatic, incident},
};

#[test]
fn a_python_controller_loses_a_lease_and_sees_the_signal_again() {
    let Some(python) = required() else { return };
    let double = Double::start(automatic(1));
    double.tell(Event::Incident(incident(7)));
    let ran = script(&python, "check_controller.py", &double).output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(ran.status.success(), "{}\n{text}", ran.status);
    assert!(text.ends_with("ok: the signal succeeded\n"), "{text}");
}

#[test]
fn the_python_reference_controller_rehearses() {
    let Some(python) = required() else { return };
    let double = Double::start(automatic(60));
    let mut child =
        Running::spawn(script(&python, "controller.py", &double).args(["--scope", "namespace=shop"]));
    let welcome = child.talk();
    assert!(welcome.starts_with("welcome {"), "{welcome}");
    double.tell(Event::Incident(incident(7)));
    let said = child.talk();
    assert!(said.contains("rollback service/shop/payment "), "{said}");
    let state = || fine(&double.endpoint(), &["signals", "list", "--json"]);
    let until = Instant::now() + Duration::from_secs(20);
    while !state().contains("\"dry_run\"") || state().contains("\"leased\"") {
        assert!(Instant::now() < until, "{}", state());
    }
    assert!(state().contains("python-reference would have: rollback service/shop/payment"), "{}", state());
}

/// Where the Python files are.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/python")
}

/// A script that is told where the server is. Leaves no byte code beside the sources.
fn script(python: &Path, name: &str, double: &Double) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").arg(fixtures().join(name)).arg(double.address.to_string());
    command
}

/// A Python that has what is needed; `None`: the test is skipped, unless it must not be.
fn required() -> Option<PathBuf> {
    match python(&fixtures().join("requirements.txt")) {
        Ok(python) => Some(python),
        Err(missing) if std::env::var_os("FORESHOCK_REQUIRE_PYTHON").is_some_and(|it| it == "1") => {
            panic!("{missing}")
        }
        Err(missing) => {
            eprintln!("skipped: {missing}; FORESHOCK_REQUIRE_PYTHON=1 makes this a failure");
            None
        }
    }
}

/// A Python with what the requirements ask for, in the target folder; or what is missing.
fn python(requirements: &Path) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create {folder:?}: {error}"))?;
    // One test run at a time makes it.
    let lock =
        File::create(folder.join("lock")).map_err(|error| format!("cannot lock {folder:?}: {error}"))?;
    lock.lock().map_err(|error| format!("cannot lock {folder:?}: {error}"))?;
    let wanted = std::fs::read_to_string(requirements).unwrap();
    let (venv, done) = (folder.join("venv"), folder.join("installed.txt"));
    let python = venv.join("bin/python");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
    std::fs::write(done, wanted).unwrap();
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&ran.stderr)))
}

//! Clients in other languages, made from the `.proto` files alone.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use foreshock_core::bus::Event;

use super::{
    commands::{Running, fine},
    double::{Double, automatic, incident},
    venv,
};

#[test]
fn a_python_controller_does_the_whole_dance() {
    let Some(python) = Language::PYTHON.required() else { return };
    dance(python.script("check_controller.py"));
}

#[test]
fn a_node_controller_does_the_whole_dance() {
    let Some(node) = Language::NODE.required() else { return };
    dance(node.script("check_controller.js"));
}

#[test]
fn the_python_reference_controller_rehearses() {
    let Some(python) = Language::PYTHON.required() else { return };
    rehearse(python.script("controller.py"), "python-reference");
}

#[test]
fn the_node_reference_controller_rehearses() {
    let Some(node) = Language::NODE.required() else { return };
    rehearse(node.script("controller.js"), "node-reference");
}

/// A client that does it all and ends with success, against leases of a second.
fn dance(mut script: Command) {
    let double = Double::start(automatic(1));
    double.tell(Event::Incident(incident(7)));
    let ran = script.arg(double.address.to_string()).output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(ran.status.success(), "{}\n{text}", ran.status);
    assert!(text.ends_with("ok: the signal succeeded\n"), "{text}");
}

/// A reference controller that says what it would do.
fn rehearse(mut script: Command, name: &str) {
    let double = Double::start(automatic(60));
    script.arg(double.address.to_string()).args(["--scope", "namespace=shop"]);
    let mut child = Running::spawn(&mut script);
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
    let expected = format!("{name} would have: rollback service/shop/payment");
    assert!(state().contains(&expected), "{}", state());
}

/// A language whose clients are tested.
#[derive(Clone, Copy)]
pub struct Language {
    /// Folder of its files within `fixtures`.
    folder: &'static str,
    /// What must not be skipped where this variable is 1.
    required: &'static str,
    /// The file that names what it needs.
    needs: &'static str,
}

/// A language that is there, with what its clients need.
pub struct Ready {
    language: Language,
    /// Where what it needs was installed.
    folder: PathBuf,
}

impl Language {
    pub const PYTHON: Language =
        Language { folder: "python", required: "FORESHOCK_REQUIRE_PYTHON", needs: "requirements.txt" };
    pub const NODE: Language =
        Language { folder: "node", required: "FORESHOCK_REQUIRE_NODE", needs: "package.json" };

    /// The language with what is needed; `None`: the test is skipped, unless it must not be.
    pub fn required(self) -> Option<Ready> {
        match self.ready() {
            Ok(ready) => Some(ready),
            Err(missing) if std::env::var_os(self.required).is_some_and(|it| it == "1") => {
                panic!("{missing}")
            }
            Err(missing) => {
                eprintln!("skipped: {missing}; {}=1 makes this a failure", self.required);
                None
            }
        }
    }

    fn fixtures(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(self.folder)
    }

    /// Installs what is needed in the target folder, once; or says what is missing.
    fn ready(self) -> Result<Ready, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.folder);
        let needs = self.fixtures().join(self.needs);
        match self.folder {
            "node" => self.install_packages(&folder, &needs)?,
            _ => drop(venv::venv(self.folder, &needs)?),
        }
        Ok(Ready { language: self, folder })
    }

    /// Node looks for packages beside the script, so that the scripts are copied to where those are.
    fn install_packages(self, folder: &Path, needs: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot use {folder:?}: {error}");
        std::fs::create_dir_all(folder).map_err(failed)?;
        // One test run at a time makes it.
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let wanted = std::fs::read_to_string(needs).map_err(failed)?;
        let done = folder.join("installed.txt");
        if !std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            std::fs::copy(needs, folder.join(self.needs)).map_err(failed)?;
            run(Command::new("npm")
                .args(["install", "--silent", "--no-fund", "--no-audit"])
                .current_dir(folder))?;
            std::fs::write(done, wanted).map_err(failed)?;
        }
        for entry in std::fs::read_dir(self.fixtures()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "js") {
                std::fs::copy(&path, folder.join(path.file_name().expect("a file"))).map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl Ready {
    /// A script. Leaves no byte code beside the sources.
    pub fn script(&self, name: &str) -> Command {
        if self.language.folder == "node" {
            let mut command = Command::new("node");
            command.arg(self.folder.join(name));
            // It warns of addresses that are numbers.
            command.env("NODE_NO_WARNINGS", "1");
            command.env("FORESHOCK_PROTO", Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto"));
            return command;
        }
        let mut command = Command::new(self.folder.join("venv/bin/python"));
        command.arg("-B").arg(self.language.fixtures().join(name));
        command
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&ran.stderr)))
}

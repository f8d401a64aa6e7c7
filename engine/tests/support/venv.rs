//! Python's virtual environments for clients and servers of the tests.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of a virtual environment in the target folder that has what a file of requirements names, installed once; or what is
/// missing.
pub fn venv(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let failed = |error: std::io::Error| format!("cannot use {folder:?}: {error}");
    std::fs::create_dir_all(&folder).map_err(failed)?;
    // One test run at a time makes it.
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let wanted = std::fs::read_to_string(requirements).map_err(failed)?;
    let (venv, done) = (folder.join("venv"), folder.join("installed.txt"));
    let python = venv.join("bin/python");
    if !std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(&python);
        run(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
        std::fs::write(done, wanted).map_err(failed)?;
    }
    Ok(python)
}

/// The same; where Python is required it must be there, else a test is skipped with a word about it.
pub fn required(name: &str, requirements: &Path) -> Option<PathBuf> {
    match venv(name, requirements) {
        Ok(python) => Some(python),
        Err(missing) => {
            let required = std::env::var_os("FORESHOCK_REQUIRE_PYTHON").is_some_and(|it| it == "1");
            assert!(!required, "FORESHOCK_REQUIRE_PYTHON=1, but {missing}");
            eprintln!("skipped: {missing}");
            None
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(ran) if ran.status.success() => Ok(()),
        Ok(ran) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&ran.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

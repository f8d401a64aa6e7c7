//! libFuzzer on one target: `FUZZ_TARGET=NAME fuzz FOLDER`; `fuzz.sh` builds and runs it. With `FUZZ_SEEDS=FOLDER` it writes the target's
//! inputs as they really come into the folder, once, to begin with.

#![no_main]

use std::{path::PathBuf, process::exit, sync::LazyLock};

use foreshock_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = Target::named(&name) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("FUZZ_TARGET is {name:?}: give one of {}", names.join(", "));
        exit(64)
    };
    target
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) {
            for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
                let file = folder.join(format!("seed-{number}"));
                if let Err(error) = std::fs::write(&file, seed) {
                    eprintln!("cannot write {}: {error}", file.display());
                    exit(2)
                }
            }
        }
    },
    |bytes: &[u8]| (TARGET.feed)(bytes)
);

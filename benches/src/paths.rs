//! Where the labelled data lies.

use std::path::{Path, PathBuf};

/// The data folder: `FORESHOCK_DATA`, or `../shared/data` beside the workspace. `None` when it is absent.
///
/// # Panics
/// When it is absent and `FORESHOCK_REQUIRE_DATA=1` says that it must not be.
pub fn data() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let folder =
        std::env::var_os("FORESHOCK_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("FORESHOCK_REQUIRE_DATA").as_deref() != Ok("1"),
        "labelled data required but not at {}: set FORESHOCK_DATA",
        folder.display()
    );
    eprintln!("skipped: no labelled data at {} (set FORESHOCK_DATA)", folder.display());
    None
}

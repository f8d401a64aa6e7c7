//! Compiles `src/connect/unpack.c` and puts its functions in the place of librdkafka's, which unpack without any limit.
//!
//! Only in the binary: a program that links the library has librdkafka as it is.

/// The functions of librdkafka that are replaced.
const REPLACED: [&str; 6] = [
    "rd_gz_decompress",
    "rd_kafka_lz4_decompress",
    "rd_kafka_zstd_decompress",
    "rd_kafka_snappy_java_uncompress",
    "rd_kafka_snappy_uncompressed_length",
    "rd_kafka_snappy_uncompress",
];

fn main() {
    println!("cargo::rerun-if-changed=src/connect/unpack.c");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=FORESHOCK_BUILD={}", described());
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let mut build = cc::Build::new();
    build.file("src/connect/unpack.c").warnings(true).extra_warnings(true);
    if let Some(include) = std::env::var_os("DEP_Z_INCLUDE") {
        build.includes(std::env::split_paths(&include));
    }
    build.compile("foreshock_unpack");
    for name in REPLACED {
        // The first argument finds the replacement while its archive is read, before librdkafka's; the second puts it in place.
        println!("cargo::rustc-link-arg-bins=-Wl,--undefined=__wrap_{name}");
        println!("cargo::rustc-link-arg-bins=-Wl,--wrap={name}");
    }
}

/// What a build was made from: `0.1.0 (commit 1a2b3c4d5e6f; features: controllers, sql)`.
fn described() -> String {
    println!("cargo::rerun-if-env-changed=FORESHOCK_COMMIT");
    let given = std::env::var("FORESHOCK_COMMIT").ok().filter(|given| !given.is_empty());
    // Others are not made anew for every commit.
    let is_release = std::env::var("PROFILE").as_deref() == Ok("release");
    let commit = given.or_else(|| is_release.then(checked_out).flatten());
    let from = commit.map_or("a working copy".to_string(), |commit| format!("commit {commit}"));
    let features: Vec<&str> = [("CARGO_FEATURE_CONTROLLERS", "controllers"), ("CARGO_FEATURE_SQL", "sql")]
        .into_iter()
        .filter_map(|(variable, name)| std::env::var_os(variable).map(|_| name))
        .collect();
    let features = if features.is_empty() { "none".to_string() } else { features.join(", ") };
    format!("{} ({from}; features: {features})", env!("CARGO_PKG_VERSION"))
}

/// The commit that git has checked out, if this is a repository.
fn checked_out() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={head}");
    git(&["rev-parse", "--short=12", "HEAD"])
}

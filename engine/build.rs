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

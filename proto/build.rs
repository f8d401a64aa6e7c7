//! Compiles `foreshock/v1/*.proto` with protox, so that no protoc is needed.

use std::{env, error::Error, path::PathBuf};

const FILES: [&str; 3] =
    ["foreshock/v1/incidents.proto", "foreshock/v1/remediation.proto", "foreshock/v1/silences.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(out.join("foreshock.v1.bin"), protox::prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().build_transport(true).compile_fds(descriptors)?;
    Ok(())
}

//! The `foreshock` binary.

fn main() {}

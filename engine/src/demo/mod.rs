//! What `foreshock demo` needs beside the engine itself: a simulated shop that produces real OTLP
//! bytes. Not for production data: nothing here is reached by `run`.

pub mod shop;

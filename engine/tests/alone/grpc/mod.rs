//! gRPC over loopback, with real clients: ours, Python's and Node's. Behind the server is a real bus on a thread of its own;
//! what this does not prove is that the engine's own loop answers likewise: that is `run`'s.

mod clients;
mod commands;
mod controllers;
mod double;
mod incidents;
mod people;
mod security;
mod services;
#[path = "../../support/venv.rs"]
#[expect(dead_code, reason = "shared with the tests of controllers, which use more of it")]
mod venv;

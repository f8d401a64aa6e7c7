//! What needs no broker: files, the demo with its embedded one, gRPC over loopback with clients in three languages, a Prometheus for history,
//! the docs and the shape of the code.
#![cfg(test)]

mod demo;
mod docs;
mod grpc;
mod history;
mod imports;
mod models;
mod outputs;
mod rank;
mod records;
mod replay;
mod shop;
mod streams;
mod traces;

//! What needs a real Apache Kafka: one broker for all of these tests, but where one is stopped, or is to be secure.
#![cfg(test)]

mod away;
mod bus;
mod engine;
mod hostile;
mod people;
mod privacy;
mod secure;
mod sinks;
mod support;
mod webhooks;

//! The servers: skins of the [`Api`](crate::api::Api), and what is below them.
//!
//! * `grpc`: the services of `foreshock.v1` · `http`: metrics, probes, status, gate · `webhooks`: what is taken in over HTTP
//! * `pulse`: whether the engine's thread answers, once for all who ask
//! * `access`: who a client is · `guard`: who is let through · `denials`: those who were refused
//! * `listen`: sockets, and their files as they change · `connections`: how many may be connected, and who makes room
//! * `http1`: HTTP/1.1 on them · `tls`: secure ones

pub mod access;
mod connections;
mod denials;
pub mod grpc;
mod guard;
pub(crate) mod http;
mod http1;
pub(crate) mod listen;
mod pulse;
mod tls;
pub(crate) mod webhooks;

use std::time::Duration;

pub use connections::{Connection, Eviction, Limited, Peer, Rules, Tally};
pub use guard::{Guard, Refusal};
pub use http1::{Waits, http1};
pub use listen::ListenError;
pub(crate) use pulse::Pulse;
pub use tls::Tls;

/// A peer that does not answer a ping for this long is gone.
const KEEPALIVE: Duration = Duration::from_secs(20);

//! Where the servers listen. Each has defaults of its own, also where its section gives a field or two.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AccessConfig, ServerTls};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, with = "Section")]
pub struct Listen {
    /// Address and port.
    pub listen: String,
    /// Encrypts, and says who we are; absent: plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Most connections that are open at once.
    pub max_connections: usize,
    /// Allows plain text, and clients that nobody knows, beyond loopback.
    pub insecure: bool,
}

/// A section as it is written: what is left out is as the server has it by default.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listen", description = "Where a server listens.")]
struct Section {
    /// Address and port; port 0 takes a free one. Anything but loopback needs `tls` and `access`, or `insecure`.
    listen: Option<String>,
    /// Encrypts, and says who we are; absent: plain text.
    tls: Option<ServerTls>,
    /// Most connections that are open at once, 1 or more. When one more comes, the address that has most makes room: over HTTP its
    /// oldest connection is closed; over gRPC its newest, if the newcomer's address has fewer, else the newcomer.
    max_connections: Option<usize>,
    /// Allows plain text, and clients that nobody knows, beyond loopback: for networks that see to both by other means.
    insecure: Option<bool>,
}

pub(super) fn grpc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
    Section::deserialize(deserializer).map(|section| section.or(Listen::grpc()))
}

pub(super) fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
    Section::deserialize(deserializer).map(|section| section.or(Listen::http()))
}

impl Section {
    fn or(self, default: Listen) -> Listen {
        Listen {
            listen: self.listen.unwrap_or(default.listen),
            tls: self.tls.or(default.tls),
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            insecure: self.insecure.unwrap_or(default.insecure),
        }
    }
}

impl Listen {
    /// gRPC by default.
    pub fn grpc() -> Listen {
        Listen { listen: "127.0.0.1:7117".to_string(), tls: None, max_connections: 1024, insecure: false }
    }

    /// HTTP by default.
    pub fn http() -> Listen {
        Listen { listen: "127.0.0.1:7118".to_string(), tls: None, max_connections: 128, insecure: false }
    }

    /// The address, if it may be listened on.
    pub fn address(&self, access: &AccessConfig) -> Result<std::net::SocketAddr, String> {
        let address: std::net::SocketAddr = self
            .listen
            .parse()
            .map_err(|_| format!("{:?} is no address: write it as 127.0.0.1:7117", self.listen))?;
        let open = match &self.tls {
            _ if address.ip().is_loopback() || self.insecure => return Ok(address),
            None => "in plain text: give it `tls`",
            Some(_) if access.is_open() => "to everybody: say in `access` who may do what",
            Some(_) => return Ok(address),
        };
        Err(format!(
            "{address} is open to the network {open}, or set `insecure: true` beside it if the network sees to that"
        ))
    }
}

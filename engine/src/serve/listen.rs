//! The servers' sockets, and their certificates, keys and tokens as they change.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use foreshock_core::config::{Config, ConfigError};
use prometheus_client::metrics::counter::Counter;
use tokio::{net::TcpListener, runtime::Runtime};

use super::{Limited, Rules, Tally, Tls, access::Access};

/// Time between two looks at the files.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; set {field} to a free address")]
    Taken {
        /// The address.
        address: String,
        /// The setting.
        field: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The socket of a server.
pub(crate) struct Listening {
    server: &'static str,
    listener: TcpListener,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What makes its connections secure.
    pub(crate) tls: Option<Arc<Tls>>,
    max_connections: usize,
}

impl Listening {
    /// Opens the socket of `http` or `grpc`.
    pub(crate) fn open(
        runtime: &Runtime,
        server: &'static str,
        config: &Config,
    ) -> Result<Listening, ListenError> {
        let (own, field, tls_field, protocol) = match server {
            "http" => (&config.http, "http.listen", "http.tls", "http/1.1"),
            _ => (&config.grpc, "grpc.listen", "grpc.tls", "h2"),
        };
        let address = own.address(&config.access).map_err(|problem| ConfigError::Value { field, problem })?;
        let tls = own.tls.as_ref().map(|tls| Tls::new(tls_field, tls, protocol).map(Arc::new)).transpose()?;
        let failed = |source| ListenError::Taken { address: address.to_string(), field, source };
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Listening { server, listener, address, tls, max_connections: own.max_connections })
    }

    /// Its connections, counted.
    pub(crate) fn limited(self, tally: Tally) -> Limited {
        let rules = match self.server {
            "http" => Rules::http(self.max_connections),
            _ => Rules::grpc(self.max_connections),
        };
        Limited::new(self.listener, self.tls, rules, tally)
    }
}

/// Takes up certificates, keys and tokens that changed, for ever. What cannot be used is said once, and the old ones stay.
pub(crate) async fn reload(access: Arc<Access>, tls: Vec<Arc<Tls>>, failures: Counter) {
    let mut said = String::new();
    loop {
        tokio::time::sleep(RELOAD_EVERY).await;
        let all = tls.iter().map(|tls| tls.reload()).chain([access.reload()]);
        let mut problems = Vec::new();
        for read in all {
            match read {
                Ok(true) => tracing::info!("certificates, keys or tokens were read anew"),
                Ok(false) => {}
                Err(problem) => problems.push(problem.to_string()),
            }
        }
        let problems = problems.join("; ");
        if !problems.is_empty() && problems != said {
            failures.inc();
            tracing::warn!("{problems}: the old ones stay");
        }
        said = problems;
    }
}

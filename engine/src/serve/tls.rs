//! How a server proves who it is, and which names in a client's certificate it believes.

use std::{
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use foreshock_core::config::{ConfigError, ServerTls};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// Certificate, key and authorities of a server. They can change while it serves: the next connection has the new ones.
#[derive(Debug)]
pub struct Tls {
    field: &'static str,
    config: ServerTls,
    protocol: &'static str,
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    files: Files,
    server: Arc<ServerConfig>,
}

/// What the files hold: certificate, key, authorities.
type Files = [Vec<u8>; 3];

impl Tls {
    /// Reads the files. `field` is the setting that errors name, `protocol` what is spoken inside: `h2` or `http/1.1`.
    pub fn new(field: &'static str, config: &ServerTls, protocol: &'static str) -> Result<Tls, ConfigError> {
        let files = read(field, config)?;
        let server = Arc::new(server(field, config, protocol, &files)?);
        let current = RwLock::new(Current { files, server });
        Ok(Tls { field, config: config.clone(), protocol, current })
    }

    /// Reads the files again; says whether they are others. On an error the old ones stay.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let files = read(self.field, &self.config)?;
        if self.current().files == files {
            return Ok(false);
        }
        let server = Arc::new(server(self.field, &self.config, self.protocol, &files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { files, server };
        Ok(true)
    }

    /// Makes a connection a secure one.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current().server).accept(stream).await
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The names that a certificate is about: DNS names and URIs of its alternative names; if there are none, its common name.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some(name.to_string()),
        _ => None,
    };
    let names: Vec<String> =
        alternative.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_string).collect()
}

fn read(field: &'static str, config: &ServerTls) -> Result<Files, ConfigError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| ConfigError::Value {
            field,
            problem: format!("cannot read {}: {error}", path.display()),
        })
    };
    let authorities = config.client_ca.as_deref().map(read).transpose()?;
    Ok([read(&config.certificate)?, read(&config.key)?, authorities.unwrap_or_default()])
}

fn server(
    field: &'static str,
    config: &ServerTls,
    protocol: &str,
    [certificate, key, authorities]: &Files,
) -> Result<ServerConfig, ConfigError> {
    let refuse = |what: &Path, problem: &dyn std::fmt::Display| ConfigError::Value {
        field,
        problem: format!("{}: {problem}", what.display()),
    };
    let chain = certificates(certificate).map_err(|problem| refuse(&config.certificate, &problem))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| refuse(&config.key, &"holds no key in PEM, or one under a password"))?;
    let crypto: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(crypto.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&config.certificate, &error))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities).map_err(|problem| refuse(path, &problem))? {
                roots.add(authority).map_err(|error| refuse(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto);
            let verifier =
                if config.client_certificate_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refuse(path, &error))?)
        }
    };
    // Says also when certificate and key do not belong together.
    let mut server =
        builder.with_single_cert(chain, key).map_err(|error| refuse(&config.certificate, &error))?;
    server.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(server)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err("holds no certificate in PEM".to_string()),
        Err(error) => Err(error.to_string()),
    }
}

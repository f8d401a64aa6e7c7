//! Who we are to an engine, and whom we believe to be it: the same for gRPC and for HTTP.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use foreshock_core::config::{first_line, is_plain_loopback};
use foreshock_wire::http::{authorities, certificates, client};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::{Certificate, ClientTlsConfig, Identity},
};
use ureq::tls::{ClientCert, PrivateKey};

use crate::BadConfig;

/// What is shown to an engine that does not let everybody in.
#[derive(Clone, Debug, Args)]
pub struct Credentials {
    /// PEM file of the authorities that vouch for the engine. Absent: Mozilla's list.
    #[arg(long, env = "FORESHOCK_CA", global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of our certificate.
    #[arg(long, env = "FORESHOCK_CERTIFICATE", global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, env = "FORESHOCK_KEY", global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File whose first line is our token.
    #[arg(long, env = "FORESHOCK_TOKEN_FILE", global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Where an engine serves HTTP.
#[derive(Clone, Debug, Args)]
pub struct Http {
    /// Where the engine serves HTTP.
    #[arg(long, env = "FORESHOCK_HTTP", default_value = "http://127.0.0.1:7118")]
    http: String,
    #[command(flatten)]
    credentials: Credentials,
}

impl Http {
    /// What it answers at a path, and the whole address.
    pub fn get(&self, path: &str) -> anyhow::Result<(String, String)> {
        let url = format!("{}/{path}", self.http.trim_end_matches('/'));
        let text = self.credentials.get(&url)?;
        Ok((url, text))
    }
}

/// Puts our token beside each request, if we have one.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// How long an engine has to answer over HTTP.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Credentials {
    /// TLS for gRPC.
    pub fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let config = match &self.ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        Ok(match self.pair()? {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        })
    }

    /// The token, for gRPC.
    pub fn bearer(&self, url: &str) -> anyhow::Result<Bearer> {
        let Some(mut value) = self.authorization(url)?.map(MetadataValue::try_from).transpose()? else {
            return Ok(Bearer(None));
        };
        value.set_sensitive(true);
        Ok(Bearer(Some(value)))
    }

    /// What an engine answers at a URL.
    fn get(&self, url: &str) -> anyhow::Result<String> {
        let roots = self.ca.as_deref().map(authorities).transpose().map_err(BadConfig)?;
        let pair = self.pair()?;
        let pair = pair.map(|(certificate, key)| client_certificate(&certificate, &key)).transpose()?;
        let agent = client(roots, pair, TIMEOUT);
        let authorization = self.authorization(url)?;
        let request = authorization
            .iter()
            .fold(agent.get(url), |request, value| request.header("authorization", value));
        let mut answer = request
            .call()
            .with_context(|| format!("no engine answers at {url}: is it running, and http.listen there?"))?;
        let text = answer.body_mut().read_to_string()?;
        match answer.status().as_u16() {
            200 => Ok(text),
            401 | 403 => anyhow::bail!("the engine at {url} does not let us in: {}", text.trim()),
            status => anyhow::bail!("the engine at {url} answered {status}: {}", text.trim()),
        }
    }

    fn authorization(&self, url: &str) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.token_file else { return Ok(None) };
        if url.starts_with("http://") && !is_plain_loopback(url) {
            let problem = format!("{url} would get the token over the network in plain text: write https://");
            return Err(BadConfig(problem).into());
        }
        Ok(Some(format!("Bearer {}", first_line(path).map_err(BadConfig)?.trim())))
    }

    fn pair(&self) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?))),
            _ => Err(BadConfig("--certificate and --key go together: give both".to_string()).into()),
        }
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, BadConfig> {
    std::fs::read(path).map_err(|error| BadConfig(format!("cannot read {}: {error}", path.display())))
}

fn client_certificate(certificate: &[u8], key: &[u8]) -> anyhow::Result<ClientCert> {
    let chain = certificates(certificate);
    let key = PrivateKey::from_pem(key).map_err(|_| BadConfig("--key holds no key in PEM".to_string()))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

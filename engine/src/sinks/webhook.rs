//! Anything that takes JSON.

use std::{collections::BTreeSet, path::PathBuf};

use ring::hmac;

use super::{
    Failure, Sink, TemplateError,
    endpoint::{self, Endpoint, Method, secret},
    words::Template,
};
use crate::{
    config::WebhookSink,
    types::{Incident, IncidentEvent},
};

/// A receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    on: BTreeSet<IncidentEvent>,
    template: Option<Template>,
    key_file: Option<PathBuf>,
}

impl Webhook {
    pub(super) fn new(sink: &WebhookSink) -> Result<Webhook, TemplateError> {
        let template = sink.template.as_deref().map(|text| Template::json(&sink.name, text)).transpose()?;
        let (on, key_file) = (sink.on.clone(), sink.key_file.clone());
        Ok(Webhook { endpoint: Endpoint::new(&sink.to), on, template, key_file })
    }
}

/// `sha256=<hex>`, as GitHub signs its own webhooks.
fn signature(key: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body);
    let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", hex.collect::<String>())
}

impl Sink for Webhook {
    fn wants(&self, event: IncidentEvent) -> bool {
        self.on.contains(&event)
    }

    fn tell(&mut self, incident: &Incident, _: i64) -> Result<(), Failure> {
        let body = match &self.template {
            Some(template) => template.fill(incident)?.into_bytes(),
            None => serde_json::to_vec(incident).map_err(|error| Failure::Never(error.to_string()))?,
        };
        let id = endpoint::repeat_id(incident);
        let mut headers = vec![("idempotency-key", id.as_str())];
        let signed = match &self.key_file {
            Some(path) => Some(signature(&secret(path)?, &body)),
            None => None,
        };
        headers.extend(signed.iter().map(|signed| ("x-foreshock-signature", signed.as_str())));
        self.endpoint.send(Method::Post, "", &headers, &body).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn bodies_are_signed_as_github_documents_it() {
        // The example of GitHub's documentation, "Validating webhook deliveries".
        let signed = signature("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signed, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }
}

//! Anything that takes JSON.

use std::{collections::BTreeSet, path::PathBuf};

use foreshock_core::{
    config::WebhookSink,
    types::{Incident, IncidentEvent},
};
use foreshock_wire::http::signature;

use super::{
    Failure, Sink, TemplateError,
    endpoint::{self, Endpoint, Method, secret},
    words::Template,
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

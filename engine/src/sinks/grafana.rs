//! Grafana's annotations: one region per incident, found again by its tag.

use foreshock_core::{
    config::GrafanaSink,
    types::{Incident, IncidentEvent},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Failure, Sink,
    endpoint::{self, Endpoint, Method, later},
    words::{self, escape},
};

/// A Grafana.
#[derive(Debug)]
pub(super) struct Grafana {
    endpoint: Endpoint,
}

#[derive(Deserialize)]
struct Annotation {
    id: i64,
}

impl Grafana {
    pub(super) fn new(sink: &GrafanaSink) -> Grafana {
        Grafana { endpoint: Endpoint::new(&sink.to) }
    }

    fn find(&self, incident: &Incident) -> Result<Option<i64>, Failure> {
        let path = format!("/api/annotations?limit=1&type=annotation&tags=foreshock&tags={}", incident.id);
        let body = self.endpoint.send(Method::Get, &path, &[], &[])?;
        let found: Vec<Annotation> = serde_json::from_slice(&body)
            .map_err(|error| later(format!("its answer is no list of annotations: {error}")))?;
        Ok(found.first().map(|annotation| annotation.id))
    }
}

/// Text, which Grafana shows as HTML.
fn text(incident: &Incident) -> String {
    let lines = words::lines(incident);
    let lines = lines.iter().map(|line| format!("<br>{}", escape(line)));
    format!("{}{}", escape(&incident.title), lines.collect::<String>())
}

impl Sink for Grafana {
    fn wants(&self, event: IncidentEvent) -> bool {
        event != IncidentEvent::Acknowledged
    }

    fn tell(&mut self, incident: &Incident, _: i64) -> Result<(), Failure> {
        let entity = words::first(incident).map(ToString::to_string);
        let tags = ["foreshock".to_string(), incident.id.to_string()].into_iter().chain(entity);
        let mut annotation = json!({
            "time": incident.started_ms,
            "tags": tags.collect::<Vec<_>>(),
            "text": text(incident),
        });
        if let Some(end) = incident.resolved_ms {
            annotation["timeEnd"] = end.into();
        }
        let body = endpoint::json(&annotation);
        match self.find(incident)? {
            Some(id) => {
                self.endpoint.send(Method::Patch, &format!("/api/annotations/{id}"), &[], &body).map(drop)
            }
            None => self.endpoint.send(Method::Post, "/api/annotations", &[], &body).map(drop),
        }
    }
}

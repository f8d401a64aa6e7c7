//! Anything that takes the signal as JSON, signed, and says what came of it: at once, or at a URL of its own.

use foreshock_core::config::Target;
use foreshock_wire::http::{self, Method, Unanswered};
use serde_json::{Value, json};

use super::{
    super::{Ended, Order, config::WebhookRoute},
    Repeats, Starter, State, Trouble,
    rest::{self, Rest, text},
};

/// Calls a webhook.
pub(in super::super) struct Webhook {
    server: Rest,
    /// The same server from its root, where it can be told from the URL.
    root: Option<(String, Rest)>,
    route: WebhookRoute,
}

/// What was answered first, and where there is more to know.
pub(in super::super) struct Call {
    first: State,
    status_path: Option<String>,
}

impl Webhook {
    pub(in super::super) fn new(route: WebhookRoute) -> Webhook {
        let root = origin(&route.at.url).map(|origin| {
            let root = Target { url: origin.to_string(), ..route.at.clone() };
            (root.url.clone(), Rest::new(&root))
        });
        Webhook { server: Rest::new(&route.at), root, route }
    }

    fn body(order: &Order) -> Value {
        json!({"signal": order.signal, "fencing_token": order.fencing_token})
    }

    fn headers(&self, order: &Order, body: &[u8]) -> Result<Vec<(&'static str, String)>, Trouble> {
        let mut headers = vec![("idempotency-key", order.signal.id.to_string())];
        if let Some(path) = &self.route.key_file {
            let key = http::secret(path)
                .map_err(|silence: Unanswered| Trouble::Unreachable(silence.into_words()))?;
            headers.push(("x-foreshock-signature", http::signature(&key, body)));
        }
        Ok(headers)
    }

    /// The path of a URL of the same server; what is elsewhere is not asked: our token is for this one.
    fn path(&self, url: &str) -> Option<String> {
        let (origin, _) = self.root.as_ref()?;
        let path = url.strip_prefix(origin.as_str()).unwrap_or(url);
        (path.starts_with('/') && !path.starts_with("//")).then(|| path.to_string())
    }
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> Option<&str> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |end| authority + end);
    Some(&url[..end])
}

impl Starter for Webhook {
    type Job = Call;

    /// It is asked again under the same key.
    fn find(&self, _: &Order) -> Result<Option<Call>, Trouble> {
        Ok(None)
    }

    fn describe(&self, order: &Order) -> Result<String, Ended> {
        Ok(rest::request(Method::Post, "", &Webhook::body(order)))
    }

    fn start(&self, order: &Order) -> Result<Call, Trouble> {
        let body = Webhook::body(order).to_string();
        let headers = self.headers(order, body.as_bytes())?;
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let answer = self.server.answer(Method::Post, "", &headers, body.as_bytes())?;
        if let Some(trouble) = rest::trouble(&answer) {
            return Err(trouble);
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status_path = match text(&said, "/status_url") {
            None => None,
            Some(url) => Some(self.path(url).ok_or_else(|| {
                Trouble::Ended(Ended::Unknown(format!("its status_url {url:?} is on another server")))
            })?),
        };
        Ok(Call { first: state(&said), status_path })
    }

    fn look(&self, call: &Call) -> Result<State, Trouble> {
        match (&call.first, &call.status_path, &self.root) {
            (State::Running(_), Some(path), Some((_, root))) => Ok(state(&root.get(path)?)),
            (State::Running(_), _, _) => {
                Ok(State::Unknown("it is at work, and named no status_url to ask".to_string()))
            }
            (state, _, _) => Ok(state.clone()),
        }
    }

    fn repeats(&self) -> Repeats {
        Repeats::Refused
    }
}

fn state(said: &Value) -> State {
    let status = text(said, "/status").unwrap_or_default();
    let message = text(said, "/message").unwrap_or(status).to_string();
    match status {
        "succeeded" => State::Succeeded(message),
        "failed" => State::Failed(message),
        "running" => State::Running(message),
        "unknown" => State::Unknown(message),
        other => State::Unknown(format!("it took the signal, and says {other:?} of what came of it")),
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origins_end_with_the_authority() {
        for (url, expected) in [
            ("https://example.org/hook?x=/", Some("https://example.org")),
            ("http://localhost:1", Some("http://localhost:1")),
            ("nothing", None),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}

//! JSON over HTTP, and what its answers mean for a start and a look.

use std::collections::BTreeMap;

use foreshock_core::config::Target;
use foreshock_wire::http::{Answer, Endpoint, Method, Unanswered};
use serde_json::Value;

use super::{super::Order, Trouble};

/// A server that speaks JSON.
pub(in super::super) struct Rest {
    endpoint: Endpoint,
    /// Sent with every request.
    headers: Vec<(&'static str, &'static str)>,
}

impl Rest {
    pub(in super::super) fn new(target: &Target) -> Rest {
        Rest { endpoint: Endpoint::new(target), headers: Vec::new() }
    }

    pub(super) fn with(target: &Target, headers: &[(&'static str, &'static str)]) -> Rest {
        Rest { headers: headers.to_vec(), ..Rest::new(target) }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(in super::super) fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.get_with(path, &[])
    }

    pub(super) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<Value, Trouble> {
        json(self.look(path, headers)?)
    }

    /// What is there; `None` for 404.
    pub(super) fn find(&self, path: &str, headers: &[(&str, &str)]) -> Result<Option<Value>, Trouble> {
        let answer = self.look(path, headers)?;
        if answer.status == 404 { Ok(None) } else { json(answer).map(Some) }
    }

    pub(in super::super) fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.post_with(path, &[], body)
    }

    pub(super) fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Trouble> {
        json(self.answer(Method::Post, path, headers, body.to_string().as_bytes())?)
    }

    pub(in super::super) fn patch(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        json(self.answer(Method::Patch, path, &[], body.to_string().as_bytes())?)
    }

    /// The whole answer to what may change something.
    pub(super) fn answer(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Trouble> {
        self.sent(method, path, headers, body).map_err(|silence| match silence {
            Unanswered::Unsent(why) => Trouble::Unreachable(why),
            Unanswered::Lost(why) => Trouble::Unanswered(why),
        })
    }

    /// The answer to what changes nothing, so that it does not matter whether it was heard.
    fn look(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let silent = |silence: Unanswered| Trouble::Unreachable(silence.into_words());
        self.sent(Method::Get, path, headers, &[]).map_err(silent)
    }

    fn sent(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Unanswered> {
        let headers: Vec<(&str, &str)> = self.headers.iter().chain(headers).copied().collect();
        self.endpoint.send(method, path, &headers, body)
    }
}

/// What an answer holds, or what its status means.
fn json(answer: Answer) -> Result<Value, Trouble> {
    if let Some(trouble) = trouble(&answer) {
        return Err(trouble);
    }
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| Trouble::Unanswered(format!("it answered {}, and no JSON: {error}", answer.status)))
}

/// What keeps an answer from being one.
pub(super) fn trouble(answer: &Answer) -> Option<Trouble> {
    Some(match answer.status {
        200..300 => return None,
        409 => Trouble::Exists,
        429 => Trouble::Unreachable(answer.words()),
        // The gateway says that nobody behind it was asked.
        503 => Trouble::Unreachable(answer.words()),
        500.. => Trouble::Unanswered(answer.words()),
        _ => Trouble::Refused(answer.words()),
    })
}

/// The text at a JSON pointer.
pub(in super::super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The same, where an answer must hold it.
pub(super) fn needed(value: &Value, pointer: &str) -> Result<String, Trouble> {
    let text = value.pointer(pointer).and_then(|found| match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    text.ok_or_else(|| {
        Trouble::Unanswered(format!("its answer holds no {}", pointer.trim_start_matches('/')))
    })
}

/// What a job is told of its signal.
pub(super) fn facts(order: &Order) -> BTreeMap<&'static str, String> {
    let signal = &order.signal;
    let mut facts = BTreeMap::from([
        ("signal", signal.id.to_string()),
        ("action", signal.action.name().to_string()),
        ("target", signal.target.to_string()),
        ("incident", signal.incident.to_string()),
        ("reason", signal.reason.clone()),
    ]);
    for key in ["version", "to_version", "evidence"] {
        let known = signal.attributes.get(key).filter(|value| !value.is_empty());
        facts.extend(known.map(|value| (key, value.clone())));
    }
    facts
}

/// `POST /path {…}`, as a rehearsal says it.
pub(in super::super) fn request(method: Method, path: &str, body: &Value) -> String {
    format!("{} {path} {body}", method.name())
}

//! What goes over the network: the engine's types as the messages of `foreshock.v1` and back, for servers and clients alike. Nothing is
//! lost either way.
//!
//! * `incident`: incidents with all that is in them · `signal`: signals, leases, what controllers say and are told
//! * `word`: judgements, adjustments, silences and what was suppressed
//! * `http`: requests over HTTP with their secrets
//!
//! Back means from outside: what does not fit is [`Invalid`], with words for whoever sent it.

pub mod http;
mod incident;
mod signal;
#[cfg(test)]
mod tests;
mod word;

use foreshock_core::types::{Entity, Id};

pub use incident::{incident, incident_from, incident_state, optional_incident_state};
pub use signal::{
    Refused, bus_message, controller_event, controller_kind, controller_kind_to, fault_message,
    optional_signal_state, outcome_to, policy_status, proposal_from, signal, signal_from, signal_state, step,
};
pub use word::{
    adjustment, adjustment_from, feedback_from, silence, silence_from, suppressed, suppressed_from, verdict,
};

/// A message that means nothing to us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not an id.
    #[error("{0:?} is no id: give 16 hexadecimal digits")]
    Id(String),
    /// Not a canonical name.
    #[error("{0:?} names no entity: give kind and name, for example service/payment")]
    Entity(String),
    /// Not an action.
    #[error(
        "{0:?} is no action: rollback, pause_rollout, promote_hold, restart, scale, disable_flag, retrain, rollback_model, run_workflow or notify"
    )]
    Action(String),
    /// A number that stands for nothing in this version.
    #[error("{0} is {1}, which stands for nothing: set it to one of the named values")]
    Enum(&'static str, i32),
    /// Something that has to be there.
    #[error("{0} is missing: give {1}")]
    Missing(&'static str, &'static str),
    /// No matcher; says why.
    #[error("{0}")]
    Matcher(String),
    /// An interval that ends before it begins.
    #[error("from {0} until {1} is no interval: it ends before it begins")]
    Interval(i64, i64),
}

/// An id, as it stands on the wire.
pub fn id(text: &str) -> Result<Id, Invalid> {
    let invalid = || Invalid::Id(text.chars().take(32).collect());
    // `from_str` takes a sign and fewer digits too.
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

/// An entity, from its canonical name.
pub fn entity(text: &str) -> Result<Entity, Invalid> {
    Entity::from_name(text).ok_or_else(|| Invalid::Entity(text.chars().take(64).collect()))
}

/// Empty text stands for nothing.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

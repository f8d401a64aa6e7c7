//! Roles, rights and who has them.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ControllerKind, RemediationSignal};

/// What somebody is, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Role {
    /// `viewer`: sees everything, changes nothing.
    Viewer,
    /// `operator`: sees everything, judges incidents, silences, proposes and withdraws signals.
    Operator,
    /// `approver`, or `approver:GROUP`: sees everything, and decides signals; those that ask for a group, only as one of it.
    Approver(Option<String>),
    /// `controller:KIND:SCOPE`: sees and executes the signals of a kind within a scope.
    Controller(ControllerKind, Scope),
}

/// Attributes that a signal must have, with their values; none: any signal. Written `*` or `key=value,…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope(pub BTreeMap<String, String>);

/// What can be done. Every request needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To be known at all.
    Known,
    /// See incidents and all that is known of them.
    See,
    /// See signals: all, or those that a controller's scope covers.
    SeeSignals,
    /// Judge incidents, silence, propose and withdraw signals.
    Operate,
    /// Decide signals that wait for a person.
    Approve,
    /// Execute signals.
    Control,
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is; empty where nobody has to say.
    pub name: String,
    /// What they are; `None` where everybody may do everything.
    pub roles: Option<Vec<Role>>,
    /// What they showed: its digest, to see whether it still holds.
    pub shown: Option<[u8; 32]>,
    /// When that ends, seconds since 1970.
    pub until: Option<u64>,
}

impl Caller {
    /// Whoever asks where everybody may do everything.
    pub fn anybody() -> Caller {
        Caller { name: String::new(), roles: None, shown: None, until: None }
    }

    /// Whether they may do this, to something at least.
    pub fn may(&self, right: Right) -> bool {
        let Some(roles) = &self.roles else { return true };
        right == Right::Known || roles.iter().any(|role| role.has(right))
    }

    /// Whether they may see a signal.
    pub fn sees(&self, signal: &RemediationSignal) -> bool {
        let covers = |role: &Role| match role {
            Role::Viewer | Role::Operator | Role::Approver(_) => true,
            Role::Controller(kind, scope) => {
                *kind == signal.action.controller() && scope.covers(&signal.attributes)
            }
        };
        self.roles.as_ref().is_none_or(|roles| roles.iter().any(covers))
    }

    /// Whether they may decide a signal that asks for approvers of a group.
    pub fn approves(&self, group: &str) -> bool {
        let approves = |role: &Role| match role {
            Role::Approver(own) => group.is_empty() || own.as_deref() == Some(group),
            _ => false,
        };
        self.roles.as_ref().is_none_or(|roles| roles.iter().any(approves))
    }

    /// The scopes within which they execute signals of a kind: those that one of them covers.
    pub fn scopes(&self, kind: ControllerKind) -> Vec<Scope> {
        let Some(roles) = &self.roles else { return vec![Scope::default()] };
        let scope = |role: &Role| match role {
            Role::Controller(own, scope) if *own == kind => Some(scope.clone()),
            _ => None,
        };
        roles.iter().filter_map(scope).collect()
    }

    /// The name that is written down for what they say: their own, and whom they say it for.
    pub fn signs(&self, by: &str) -> String {
        match (self.name.as_str(), by) {
            ("", by) => by.to_string(),
            (name, by) if by.is_empty() || by == name => name.to_string(),
            (name, by) => format!("{name} for {by}"),
        }
    }

    /// For how long what they showed still holds; `None`: it does not end by itself.
    pub fn expires_in(&self) -> Option<Duration> {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(self.until?);
        Some(end.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

impl Role {
    fn has(&self, right: Right) -> bool {
        match self {
            Role::Viewer => matches!(right, Right::See | Right::SeeSignals),
            Role::Operator => matches!(right, Right::See | Right::SeeSignals | Right::Operate),
            Role::Approver(_) => matches!(right, Right::See | Right::SeeSignals | Right::Approve),
            Role::Controller(..) => matches!(right, Right::SeeSignals | Right::Control),
        }
    }
}

impl Scope {
    /// Whether these attributes have all values of the scope.
    pub fn covers(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(key, value)| attributes.get(key) == Some(value))
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let bad = || {
            format!(
                "{text:?} is no role: viewer, operator, approver, approver:GROUP, or controller:KIND:SCOPE with kind deploy, retrain, workflow or notify, and scope * or key=value,…"
            )
        };
        let (role, rest) = text.split_once(':').map_or((text, None), |(role, rest)| (role, Some(rest)));
        match (role, rest) {
            ("viewer", None) => Ok(Role::Viewer),
            ("operator", None) => Ok(Role::Operator),
            ("approver", None) => Ok(Role::Approver(None)),
            ("approver", Some(group)) if !group.is_empty() => Ok(Role::Approver(Some(group.to_string()))),
            ("controller", Some(rest)) => {
                let (kind, scope) = rest.split_once(':').ok_or_else(bad)?;
                let kind = ControllerKind::from_name(kind).ok_or_else(bad)?;
                Ok(Role::Controller(kind, scope.parse().map_err(|()| bad())?))
            }
            _ => Err(bad()),
        }
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(text: &str) -> Result<Scope, ()> {
        if text == "*" {
            return Ok(Scope::default());
        }
        let pair = |pair: &str| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok((key.to_string(), value.to_string()))
            }
            _ => Err(()),
        };
        text.split(',').map(pair).collect::<Result<_, ()>>().map(Scope)
    }
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(text: String) -> Result<Role, String> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        role.to_string()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Viewer => f.write_str("viewer"),
            Role::Operator => f.write_str("operator"),
            Role::Approver(None) => f.write_str("approver"),
            Role::Approver(Some(group)) => write!(f, "approver:{group}"),
            Role::Controller(kind, scope) => write!(f, "controller:{}:{scope}", kind.name()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("*");
        }
        let pairs: Vec<String> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Action, Entity, EntityKind, Id};

    fn caller(roles: &[&str]) -> Caller {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Caller { name: "ann".to_string(), roles: Some(roles), ..Caller::anybody() }
    }

    fn signal(action: Action, namespace: &str) -> RemediationSignal {
        let target = Entity::new(EntityKind::Service, "payment");
        let attributes = BTreeMap::from([("namespace".to_string(), namespace.to_string())]);
        RemediationSignal { attributes, ..RemediationSignal::new(Id(1), Id(2), action, target, 0) }
    }

    #[test]
    fn roles_are_written_as_they_are_read() {
        for text in [
            "viewer",
            "operator",
            "approver",
            "approver:dba",
            "controller:deploy:*",
            "controller:retrain:cluster=eu,namespace=shop",
        ] {
            assert_eq!(text.parse::<Role>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Viewer",
            "viewer:x",
            "approver:",
            "controller",
            "controller:deploy",
            "controller:deploy:",
            "controller:dance:*",
            "controller:deploy:a",
            "controller:deploy:a=,b=1",
        ] {
            assert!(text.parse::<Role>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rights() {
        use Right::*;
        let all = [Known, See, SeeSignals, Operate, Approve, Control];
        for (roles, may) in [
            (&[][..], &[Known][..]),
            (&["viewer"], &[Known, See, SeeSignals]),
            (&["operator"], &[Known, See, SeeSignals, Operate]),
            (&["approver:dba"], &[Known, See, SeeSignals, Approve]),
            (&["controller:deploy:*"], &[Known, SeeSignals, Control]),
            (&["operator", "approver"], &[Known, See, SeeSignals, Operate, Approve]),
        ] {
            let caller = caller(roles);
            let has: Vec<Right> = all.into_iter().filter(|right| caller.may(*right)).collect();
            assert_eq!(has, may, "{roles:?}");
        }
        assert!(all.into_iter().all(|right| Caller::anybody().may(right)));
    }

    #[test]
    fn a_controller_sees_what_its_scope_covers() {
        let own = caller(&["controller:deploy:namespace=shop"]);
        assert!(own.sees(&signal(Action::Rollback, "shop")));
        assert!(!own.sees(&signal(Action::Rollback, "bank")));
        assert!(!own.sees(&signal(Action::Retrain, "shop")));
        assert!(caller(&["viewer"]).sees(&signal(Action::Retrain, "bank")));
        assert!(!caller(&[]).sees(&signal(Action::Retrain, "bank")));
        assert_eq!(own.scopes(ControllerKind::Deploy).len(), 1);
        assert!(own.scopes(ControllerKind::Retrain).is_empty());
        assert_eq!(Caller::anybody().scopes(ControllerKind::Retrain), [Scope::default()]);
    }

    #[test]
    fn who_may_decide_for_a_group() {
        for (role, any, dba) in [
            ("approver", true, false),
            ("approver:dba", true, true),
            ("approver:web", true, false),
            ("operator", false, false),
        ] {
            let caller = caller(&[role]);
            assert_eq!((caller.approves(""), caller.approves("dba")), (any, dba), "{role}");
        }
    }
}

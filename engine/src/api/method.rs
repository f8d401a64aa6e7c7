//! Everything that can be asked of an engine and said to it, with the right that it needs. A skin lets nobody through to what is not here.

use foreshock_core::types::Right;

/// Declares the methods: one line each.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident needs $right:ident;)*) => {
        /// A query or a command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Method {
            $($(#[$doc])* $name,)*
        }

        impl Method {
            /// All of them.
            pub const ALL: &[Method] = &[$(Method::$name,)*];

            /// What somebody needs who asks or says it.
            pub fn right(self) -> Right {
                match self {
                    $(Method::$name => Right::$right,)*
                }
            }

            /// Its name, for the audit log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Method::$name => stringify!($name),)*
                }
            }
        }
    };
}

methods! {
    /// Which methods there are.
    Reflect needs Known;
    /// What the engine sees and how warm it is.
    Status needs See;
    /// Who calls whom.
    Topology needs See;
    /// Incidents, one or many.
    Incidents needs See;
    /// Every revision of incidents from now on.
    WatchIncidents needs See;
    /// The latest anomalies that opened no incident.
    Suppressed needs See;
    /// What judgements changed.
    Adjustments needs See;
    /// Somebody looks after an incident.
    Acknowledge needs Operate;
    /// What somebody thinks of an incident.
    Feedback needs Operate;
    /// A judgement's change is taken back.
    Undo needs Operate;
    /// What is silenced.
    Silences needs See;
    /// Something is silenced for a while.
    Silence needs Operate;
    /// A silence ends.
    EndSilence needs Operate;
    /// Signals, one or many, with what became of them.
    Signals needs SeeSignals;
    /// Every revision of signals from now on.
    WatchSignals needs SeeSignals;
    /// The policies, with what became of them.
    Policies needs See;
    /// What speaks against changing something now.
    Gate needs See;
    /// Yes or no to a signal that waits for a person.
    Decide needs Approve;
    /// A signal that no policy asked for.
    Propose needs Operate;
    /// A signal is not wanted any more.
    Withdraw needs Operate;
    /// The kill switch.
    Halt needs Operate;
    /// Signals are carried out.
    Control needs Control;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_needs_more_than_to_see() {
        for method in Method::ALL {
            let changes = matches!(
                method,
                Method::Acknowledge
                    | Method::Feedback
                    | Method::Undo
                    | Method::Silence
                    | Method::EndSilence
                    | Method::Decide
                    | Method::Propose
                    | Method::Withdraw
                    | Method::Halt
                    | Method::Control
            );
            let right = method.right();
            assert_eq!(
                changes,
                matches!(right, Right::Operate | Right::Approve | Right::Control),
                "{}: {right:?}",
                method.name()
            );
        }
    }
}

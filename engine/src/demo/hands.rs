//! The built-in controllers: they take signals from the bus like any other controller, and act on the shop.

use std::sync::{Arc, mpsc as std_mpsc};

use tokio::sync::mpsc;

use super::shop::Action;
use crate::{
    bus::{self, Claim, Hello, OutcomeStatus, Session},
    run::{Command, Handle, Stopped},
    types::{self, ControllerKind, RemediationSignal},
};

/// A controller of one kind on the engine's bus.
pub(super) struct Hands {
    handle: Handle,
    session: Session,
    leases: std_mpsc::Receiver<RemediationSignal>,
}

impl Hands {
    /// Connects.
    pub(super) fn connect(handle: &Handle, kind: ControllerKind) -> Result<Hands, Stopped> {
        let name = match kind {
            ControllerKind::Deploy => "demo/deploy",
            ControllerKind::Retrain => "demo/retrain",
        };
        let hello = Hello { controller: name.to_string(), kind, scope: Default::default(), capacity: 8 };
        let (outbox, mut inbox) = mpsc::channel(64);
        let session = handle.session();
        handle.send(Command::Connect { session, hello, outbox })?;
        let (sender, leases) = std_mpsc::channel();
        let reader = move || {
            while let Some(effect) = inbox.blocking_recv() {
                if let bus::Effect::Grant { lease, .. } = effect
                    && sender.send(lease.signal).is_err()
                {
                    return;
                }
            }
        };
        let _reader = std::thread::spawn(reader);
        Ok(Hands { handle: handle.clone(), session, leases })
    }

    /// The next signal that was granted, if one was.
    pub(super) fn granted(&self) -> Option<RemediationSignal> {
        self.leases.try_recv().ok()
    }

    fn claim(&self, signal: &RemediationSignal) -> Claim {
        Claim { session: self.session, signal: signal.id, token: signal.fencing_token }
    }

    /// Work begins.
    pub(super) fn ack(&self, signal: &RemediationSignal) -> Result<(), Stopped> {
        let at = self.handle.lease_ms();
        self.handle.send(Command::Controller(bus::Event::Ack { claim: self.claim(signal), at }))
    }

    /// Work is done.
    pub(super) fn succeeded(&self, signal: &RemediationSignal, message: &str) -> Result<(), Stopped> {
        let (claim, at) = (self.claim(signal), self.handle.lease_ms());
        let status = OutcomeStatus::Succeeded;
        self.handle.send(Command::Controller(bus::Event::Outcome {
            claim,
            status,
            message: message.to_string(),
            at,
        }))
    }
}

/// What a signal means in the shop.
pub(super) fn action(signal: &RemediationSignal) -> Action {
    let name = signal.target.name.clone();
    match signal.action {
        types::Action::Rollback => {
            let to_version = signal.attributes.get("to_version").filter(|version| !version.is_empty());
            let previous = to_version.cloned().unwrap_or_else(|| super::shop::GOOD_VERSION.to_string());
            Action::Rollback { service: name, to_version: previous }
        }
        types::Action::Restart => Action::Restart { service: name },
        types::Action::Retrain => Action::Retrain { model: name },
    }
}

/// A signal under way.
pub(super) struct UnderWay {
    pub(super) hands: Arc<Hands>,
    pub(super) signal: RemediationSignal,
    /// Unix seconds at which it takes effect.
    pub(super) effect_at: i64,
}

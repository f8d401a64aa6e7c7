//! Whether the engine's thread answers, for probes. However many ask, one question is on its way to it: a flood of probes holds
//! nobody up, and leaves nothing behind in the engine's queue.

use tokio::sync::{Notify, watch};

use super::handle::{Command, Handle, Stopped};

/// One question for all who ask.
pub(super) struct Pulse {
    wanted: Notify,
    /// Whether partitions are assigned.
    answers: watch::Sender<Result<bool, Stopped>>,
}

impl Pulse {
    /// A pulse; it answers while [`Pulse::beat`] runs.
    pub(super) fn new() -> Pulse {
        Pulse { wanted: Notify::new(), answers: watch::Sender::new(Err(Stopped)) }
    }

    /// Waits until the engine's thread answers; says whether partitions are assigned.
    pub(super) async fn ask(&self) -> Result<bool, Stopped> {
        let mut answers = self.answers.subscribe();
        self.wanted.notify_one();
        answers.changed().await.map_err(|_| Stopped)?;
        *answers.borrow()
    }

    /// Asks the engine whenever somebody wants to know, for ever.
    pub(super) async fn beat(&self, handle: &Handle) {
        loop {
            self.wanted.notified().await;
            let answer = handle.ask(Command::Status).await;
            let is_assigned = answer.map(|status| !status.partitions.is_empty());
            self.answers.send_modify(|latest| *latest = is_assigned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::run::handle::Status;

    /// A thousand ask at once while the engine is busy: it finds at most two questions, and all are answered.
    #[tokio::test]
    async fn a_thousand_probes_are_one_question() {
        let (commands, asked) = crossbeam_channel::unbounded();
        let (pulse, handle) = (Arc::new(Pulse::new()), Handle::new(commands));
        let beating = tokio::spawn({
            let pulse = pulse.clone();
            async move { pulse.beat(&handle).await }
        });
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let pulse = pulse.clone();
            asking.spawn(async move { pulse.ask().await });
        }
        let (mut questions, mut answers) = (0, 0);
        while answers < 1000 {
            for command in asked.try_iter() {
                let Command::Status(reply) = command else { panic!("{command:?}") };
                questions += 1;
                drop(reply.send(Status::default()));
            }
            while let Some(answer) = asking.try_join_next() {
                assert_eq!(answer.unwrap(), Ok(false));
                answers += 1;
            }
            tokio::task::yield_now().await;
        }
        assert!(questions <= 2, "{questions} questions");
        drop(asked);
        assert_eq!(pulse.ask().await, Err(Stopped));
        beating.abort();
    }
}

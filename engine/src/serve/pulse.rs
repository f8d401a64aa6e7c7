//! Whether the engine's thread answers, for probes. However many ask, one question is on its way to it: a flood of probes holds
//! nobody up, and leaves nothing behind in the engine's queue.

use tokio::sync::{Notify, watch};

use crate::api::{Api, Command, PartitionStatus, Status, Stopped};

/// One question for all who ask.
pub(crate) struct Pulse {
    wanted: Notify,
    /// Why the engine is not ready; `None`: it is.
    answers: watch::Sender<Result<Option<String>, Stopped>>,
}

impl Pulse {
    /// A pulse; it answers while [`Pulse::beat`] runs.
    pub(crate) fn new() -> Pulse {
        Pulse { wanted: Notify::new(), answers: watch::Sender::new(Err(Stopped)) }
    }

    /// Waits until the engine's thread answers; says why it is not ready, `None` where it is.
    pub(crate) async fn ask(&self) -> Result<Option<String>, Stopped> {
        let mut answers = self.answers.subscribe();
        self.wanted.notify_one();
        answers.changed().await.map_err(|_| Stopped)?;
        answers.borrow().clone()
    }

    /// Asks the engine whenever somebody wants to know, for ever.
    pub(crate) async fn beat(&self, api: &Api) {
        loop {
            self.wanted.notified().await;
            let answer = match api.ask(Command::Ping).await {
                Ok(()) => api.view().map(|view| why_not_ready(&view.status)),
                Err(stopped) => Err(stopped),
            };
            self.answers.send_modify(|latest| *latest = answer);
        }
    }
}

/// What keeps an engine with this status from being ready.
fn why_not_ready(status: &Status) -> Option<String> {
    if status.partitions.is_empty() {
        return Some("no partition is assigned yet".to_string());
    }
    let standing = status.partitions.iter().find(|partition| partition.stands_still)?;
    let PartitionStatus { topic, partition, next_offset, .. } = standing;
    Some(format!("{topic}[{partition}] stands still at offset {next_offset}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A thousand ask at once while the engine is busy: it finds at most two questions, and all are answered.
    #[tokio::test]
    async fn a_thousand_probes_are_one_question() {
        let (commands, asked) = crossbeam_channel::unbounded();
        let (api, publisher) = Api::new(commands, Default::default());
        let pulse = Arc::new(Pulse::new());
        let beating = tokio::spawn({
            let pulse = pulse.clone();
            async move { pulse.beat(&api).await }
        });
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let pulse = pulse.clone();
            asking.spawn(async move { pulse.ask().await });
        }
        let (mut questions, mut answers) = (0, 0);
        while answers < 1000 {
            for command in asked.try_iter() {
                let Command::Ping(reply) = command else { panic!("{command:?}") };
                questions += 1;
                reply.send(()).unwrap();
            }
            while let Some(answer) = asking.try_join_next() {
                assert!(answer.unwrap().unwrap().is_some());
                answers += 1;
            }
            tokio::task::yield_now().await;
        }
        assert!(questions <= 2, "{questions} questions");
        drop((asked, publisher));
        assert_eq!(pulse.ask().await, Err(Stopped));
        beating.abort();
    }
}

//! Revisions as they come, to a client that watches: first those that are known, then every newer one.

use std::sync::Arc;

use foreshock_core::types::{Id, Incident, RemediationSignal};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::limits::Permit;
use crate::api::Stopped;

/// What a client is sent.
pub(super) type Watching<M> = ReceiverStream<Result<M, Status>>;

/// Messages that wait for a client, at most.
const WAITING: usize = 16;

/// What comes in revisions.
pub(super) trait Revised: Send + Sync + 'static {
    /// What it is, and its revision.
    fn revision(&self) -> (Id, u64);
}

impl Revised for Incident {
    fn revision(&self) -> (Id, u64) {
        (self.id, self.revision)
    }
}

impl Revised for RemediationSignal {
    fn revision(&self) -> (Id, u64) {
        (self.id, self.revision)
    }
}

/// Sends what is known, newest first, from its end, and then every change that is wanted.
pub(super) fn watch<T: Revised, M: Send + 'static>(
    permit: Permit,
    changes: broadcast::Receiver<Arc<T>>,
    mut known: Vec<Arc<T>>,
    message: fn(&T) -> M,
    wanted: impl Fn(&T) -> bool + Send + Sync + 'static,
) -> Watching<M> {
    let (out, outgoing) = mpsc::channel(WAITING);
    known.retain(|one| wanted(one));
    let watch = Watch { permit, out, known, message };
    tokio::spawn(watch.run(changes, wanted));
    ReceiverStream::new(outgoing)
}

/// One client that watches.
struct Watch<T, M> {
    permit: Permit,
    out: mpsc::Sender<Result<M, Status>>,
    known: Vec<Arc<T>>,
    message: fn(&T) -> M,
}

impl<T: Revised, M: Send> Watch<T, M> {
    async fn run(mut self, mut changes: broadcast::Receiver<Arc<T>>, wanted: impl Fn(&T) -> bool) {
        for one in self.known.iter().rev() {
            if self.out.send(Ok((self.message)(one))).await.is_err() {
                return;
            }
        }
        loop {
            let change = tokio::select! {
                biased;
                () = self.permit.ends() => {
                    let why = "the engine is stopping, or does not know this caller any more";
                    return self.end(Status::unavailable(why)).await;
                }
                () = self.out.closed() => return,
                change = changes.recv() => change,
            };
            let change = match change {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Closed) => {
                    return self.end(Status::unavailable(Stopped.to_string())).await;
                }
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    let why =
                        format!("fell behind, {lost} changes are lost: watch again, from what there is now");
                    return self.end(Status::resource_exhausted(why)).await;
                }
            };
            let is_new = wanted(&change) && self.is_new(&change);
            if is_new && self.out.send(Ok((self.message)(&change))).await.is_err() {
                return;
            }
        }
    }

    /// Whether it was not sent among those that were known at the start.
    fn is_new(&self, change: &T) -> bool {
        let (id, revision) = change.revision();
        self.known.iter().map(|one| one.revision()).all(|(known, sent)| known != id || sent < revision)
    }

    async fn end(&self, status: Status) {
        // A client that went away needs no reason.
        drop(self.out.send(Err(status)).await);
    }
}

//! What clients may ask of us at once, and the end of what they asked for.

use std::sync::Arc;

use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;

/// Streams of all clients together: controllers and watchers.
const MAX_STREAMS: usize = 1024;
/// What a list may weigh: under the 4 MiB that clients take unless told otherwise.
const MAX_LIST_BYTES: usize = 3 << 20;
/// What a list has at most when the client does not say.
const DEFAULT_LIMIT: usize = 100;

/// Counts the streams, and ends them when the server stops.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    free: Arc<Semaphore>,
    ended: watch::Receiver<()>,
}

/// The right to one stream, for as long as it is held.
#[derive(Debug)]
pub(super) struct Permit {
    _held: OwnedSemaphorePermit,
    ended: watch::Receiver<()>,
}

impl Streams {
    /// Streams that end when the sender of `ended` is gone.
    pub(super) fn new(ended: watch::Receiver<()>) -> Streams {
        Streams { free: Arc::new(Semaphore::new(MAX_STREAMS)), ended }
    }

    /// One more stream, if there is room.
    pub(super) fn open(&self) -> Result<Permit, Status> {
        let held = self.free.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{MAX_STREAMS} streams are open: close one, or try again later"
            ))
        })?;
        Ok(Permit { _held: held, ended: self.ended.clone() })
    }
}

impl Permit {
    /// Returns when the server stops.
    pub(super) async fn server_stops(&mut self) {
        while self.ended.changed().await.is_ok() {}
    }
}

/// As many as were asked for and as one answer can carry, but one at least.
pub(super) fn fitting<M: Message>(messages: impl Iterator<Item = M>, limit: u32) -> Vec<M> {
    let limit = if limit == 0 { DEFAULT_LIMIT } else { limit as usize };
    let mut bytes = 0;
    let fits = |message: &M| {
        let first = bytes == 0;
        // Five bytes more: the field's tag and length.
        bytes += message.encoded_len() + 5;
        first || bytes <= MAX_LIST_BYTES
    };
    messages.take(limit).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use foreshock_proto::v1::Incident;

    use super::*;

    #[test]
    fn lists_are_bounded_in_number_and_weight() {
        let heavy = |bytes| Incident { why: "x".repeat(bytes), ..Incident::default() };
        let count = |bytes, limit| fitting(std::iter::repeat_n(heavy(bytes), 300), limit).len();
        assert_eq!(count(10, 0), 100);
        assert_eq!(count(10, 7), 7);
        assert_eq!(count(10, 1000), 300);
        assert_eq!(count(1 << 20, 0), 2);
        assert_eq!(count(4 << 20, 0), 1);
    }

    #[tokio::test]
    async fn streams_are_bounded_and_end_with_the_server() {
        let (ending, ended) = watch::channel(());
        let streams = Streams::new(ended);
        let mut held: Vec<Permit> = (0..MAX_STREAMS).map(|_| streams.open().unwrap()).collect();
        assert_eq!(streams.open().unwrap_err().code(), tonic::Code::ResourceExhausted);
        let mut last = held.pop().unwrap();
        drop(ending);
        last.server_stops().await;
        drop(last);
        streams.open().unwrap();
    }
}

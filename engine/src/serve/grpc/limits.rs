//! What clients may ask of us at once, and the end of what they asked for.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foreshock_core::types::Caller;
use prost::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tonic::Status;

use crate::serve::access::Access;

/// Streams of all clients together: controllers and watchers.
const MAX_STREAMS: usize = 4096;
/// Streams of one caller, where callers are known.
const MAX_STREAMS_OF_ONE: usize = 1024;
/// What a list may weigh: under the 4 MiB that clients take unless told otherwise.
const MAX_LIST_BYTES: usize = 3 << 20;
/// What a list has at most when the client does not say.
const DEFAULT_LIMIT: usize = 100;

/// Counts the streams, and ends them when the server stops or their caller is known no more.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    free: Arc<Semaphore>,
    by_caller: Arc<Mutex<HashMap<String, usize>>>,
    ended: watch::Receiver<()>,
    access: Arc<Access>,
}

/// The right to one stream, for as long as it is held.
#[derive(Debug)]
pub(super) struct Permit {
    _held: OwnedSemaphorePermit,
    by_caller: Arc<Mutex<HashMap<String, usize>>>,
    caller: Caller,
    ended: watch::Receiver<()>,
    changes: watch::Receiver<()>,
    access: Arc<Access>,
}

impl Streams {
    /// Streams that end when the sender of `ended` is gone.
    pub(super) fn new(ended: watch::Receiver<()>, access: Arc<Access>) -> Streams {
        Streams { free: Arc::new(Semaphore::new(MAX_STREAMS)), by_caller: Arc::default(), ended, access }
    }

    /// One more stream, if there is room.
    pub(super) fn open(&self, caller: Caller) -> Result<Permit, Status> {
        let full = |most: usize, whose: &str| {
            Status::resource_exhausted(format!(
                "{most} streams{whose} are open: close one, or try again later"
            ))
        };
        let held = self.free.clone().try_acquire_owned().map_err(|_| full(MAX_STREAMS, ""))?;
        if !caller.name.is_empty() {
            let mut all = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
            let open = all.entry(caller.name.clone()).or_default();
            if *open >= MAX_STREAMS_OF_ONE {
                return Err(full(MAX_STREAMS_OF_ONE, " of one caller"));
            }
            *open += 1;
        }
        Ok(Permit {
            _held: held,
            by_caller: self.by_caller.clone(),
            caller,
            ended: self.ended.clone(),
            changes: self.access.changes(),
            access: self.access.clone(),
        })
    }
}

impl Permit {
    /// Returns when the stream must end: the server stops, or the caller is known no more.
    pub(super) async fn ends(&mut self) {
        let left = self.caller.expires_in();
        let expires = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => pending().await,
            }
        };
        let forgotten = async {
            while self.access.still_knows(&self.caller) {
                if self.changes.changed().await.is_err() {
                    pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = async { while self.ended.changed().await.is_ok() {} } => {}
            () = expires => {}
            () = forgotten => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut all = self.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&self.caller.name) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.caller.name);
            }
        }
    }
}

/// Messages of one stream: so many and so many bytes a second are read, and as much at once; who sends more waits.
#[derive(Debug)]
pub(super) struct Pace {
    /// Seconds of reading that are saved up, by number and by bytes; one at most.
    saved: [f64; 2],
    at: Instant,
}

/// Messages of one stream that are read a second, and at once.
const MESSAGES: f64 = 1000.0;
/// Bytes of one stream that are read a second, and at once.
const BYTES: f64 = 1024.0 * 1024.0;

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { saved: [1.0; 2], at: Instant::now() }
    }

    /// One more message, of so many bytes; returns when it may be taken.
    pub(super) async fn take(&mut self, bytes: usize) {
        let now = Instant::now();
        let passed = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        let costs = [1.0 / MESSAGES, bytes as f64 / BYTES];
        for (saved, cost) in self.saved.iter_mut().zip(costs) {
            *saved = (*saved + passed).min(1.0) - cost;
        }
        let least = self.saved[0].min(self.saved[1]);
        if least < 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(-least)).await;
        }
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
    async fn a_stream_is_read_no_faster_than_it_may_be() {
        // Small ones are bounded by their number, large ones by their bytes.
        for (messages, bytes) in [(3000, 20), (12, 256 << 10)] {
            let (mut pace, began) = (Pace::new(), Instant::now());
            for _ in 0..messages {
                pace.take(bytes).await;
            }
            let took = began.elapsed().as_secs_f64();
            assert!((1.9..4.0).contains(&took), "{took} s for three seconds' worth, one of them at once");
        }
    }

    fn named(name: &str) -> Caller {
        Caller { name: name.to_string(), ..Caller::anybody() }
    }

    #[tokio::test]
    async fn streams_are_bounded_and_end_with_the_server() {
        let (ending, ended) = watch::channel(());
        let streams = Streams::new(ended, Arc::new(Access::open()));
        let open = |caller: &str| streams.open(named(caller));
        let mut held: Vec<Permit> = (0..MAX_STREAMS_OF_ONE).map(|_| open("ann").unwrap()).collect();
        assert_eq!(open("ann").unwrap_err().code(), tonic::Code::ResourceExhausted);
        held.pop();
        held.push(open("ann").unwrap());
        held.extend((held.len()..MAX_STREAMS).map(|_| open("").unwrap()));
        assert_eq!(open("bob").unwrap_err().code(), tonic::Code::ResourceExhausted);
        let mut last = held.pop().unwrap();
        drop(ending);
        last.ends().await;
        drop(last);
        open("bob").unwrap();
        drop(held);
        assert!(streams.by_caller.lock().unwrap().is_empty());
    }
}

//! Records on their way from the client to us.

use bytes::{Bytes, BytesMut};
use foreshock_core::types::Record;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers},
};

/// Records on their way, their payloads in one piece of memory.
#[derive(Default)]
pub(crate) struct Batch {
    arena: BytesMut,
    records: Vec<(Record, std::ops::Range<usize>, Option<std::ops::Range<usize>>)>,
}

impl Batch {
    /// Takes a message's bytes.
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let mut keep = |bytes: &[u8]| {
            let start = self.arena.len();
            self.arena.extend_from_slice(bytes);
            start..self.arena.len()
        };
        let payload = keep(message.payload().unwrap_or_default());
        let key = message.key().map(&mut keep);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let owned = headers.iter().map(|header| {
                (header.key.to_string(), Bytes::copy_from_slice(header.value.unwrap_or_default()))
            });
            owned.collect()
        });
        let time_ms = message.timestamp().to_millis().unwrap_or(-1);
        let record = Record { offset: message.offset(), time_ms, headers, ..Record::default() };
        self.records.push((record, payload, key));
    }

    /// Messages so far.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Everything that was pushed, in order.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        let bytes = self.arena.split().freeze();
        let place = |(record, payload, key): (Record, _, Option<_>)| Record {
            payload: bytes.slice(payload),
            key: key.map(|key| bytes.slice(key)),
            ..record
        };
        self.records.drain(..).map(place).collect()
    }
}

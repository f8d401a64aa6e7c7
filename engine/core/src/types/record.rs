//! What comes from Kafka, and what is refused.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One Kafka topic partition, or one file of a replay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Topic, or path of the file.
    pub topic: Arc<str>,
    /// Partition; 0 for a file.
    pub partition: i32,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// One Kafka message. Its source is known from where it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Offset in the partition; the line number in a file.
    pub offset: i64,
    /// The message's own timestamp, unix milliseconds; -1 when it has none.
    pub time_ms: i64,
    /// The key, if any.
    pub key: Option<Bytes>,
    /// Headers in the order of the wire.
    pub headers: Vec<(String, Bytes)>,
    /// The value.
    pub payload: Bytes,
}

/// Header of a record that stands for a batch which could not be unpacked; as in `connect/unpack.c`.
pub const UNREADABLE: &str = "foreshock.unreadable";

impl Record {
    /// What is wrong with the batch that this record stands for; `None` for a record that is one.
    pub fn unreadable(&self) -> Option<String> {
        let mut said = self.header(UNREADABLE)?.split(' ');
        let (codec, bytes, last) = (said.next()?, said.next()?, said.next()?.parse::<i64>().ok()?);
        let (from, until) = (self.offset, self.offset.saturating_add(last));
        let why = "is damaged, or comes to more than 64 MiB when it is unpacked";
        Some(format!("a {codec} batch of {bytes} bytes, offsets {from} to {until}, {why}"))
    }

    /// First value of the header of this name, as text. Names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// A record that could not be taken: what, where and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Offset of the record.
    pub offset: i64,
    /// Why, for counting.
    pub reason: RejectReason,
    /// Why, in words.
    pub detail: String,
}

/// Why a record was refused. The labels of `foreshock_rejected_records_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// No decoder could be chosen.
    UnknownEncoding,
    /// The chosen decoder could not read it.
    Malformed,
    /// Larger than `ingest.max_record`.
    TooLarge,
    /// Decoded, but its time is missing or too far ahead of the record's own time.
    BadTime,
    /// Of a batch that is damaged, or comes to too much when it is unpacked; it stands for the whole batch.
    Unreadable,
}

impl RejectReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [RejectReason; 5] = [
        RejectReason::UnknownEncoding,
        RejectReason::Malformed,
        RejectReason::TooLarge,
        RejectReason::BadTime,
        RejectReason::Unreadable,
    ];

    /// The reason as a label and header value.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::UnknownEncoding => "unknown_encoding",
            RejectReason::Malformed => "malformed",
            RejectReason::TooLarge => "too_large",
            RejectReason::BadTime => "bad_time",
            RejectReason::Unreadable => "unreadable",
        }
    }
}

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

impl Record {
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
}

impl RejectReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [RejectReason; 4] = [
        RejectReason::UnknownEncoding,
        RejectReason::Malformed,
        RejectReason::TooLarge,
        RejectReason::BadTime,
    ];

    /// The reason as a label and header value.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::UnknownEncoding => "unknown_encoding",
            RejectReason::Malformed => "malformed",
            RejectReason::TooLarge => "too_large",
            RejectReason::BadTime => "bad_time",
        }
    }
}

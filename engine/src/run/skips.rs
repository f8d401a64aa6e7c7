//! Batches of records that cannot be unpacked, and are left out: by this reading of a partition, and by every later one.
//!
//! The client gives one record in the place of such a batch ([`Record::unreadable`]). That the partition goes on behind it is a decision:
//! it is in the journal before the next record has any effect, so that an engine that could unpack more leaves the same records out.

use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive};

use foreshock_core::types::{Record, Source};
use serde::{Deserialize, Serialize};

/// The decision to leave records of a partition out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Skip {
    /// The partition.
    pub(super) source: Source,
    /// The first record.
    pub(super) from: i64,
    /// The last one.
    pub(super) until: i64,
    /// Why, in words.
    pub(super) why: String,
}

/// What is left out of each partition.
#[derive(Debug, Default)]
pub(super) struct Skips {
    decided: BTreeMap<Source, Vec<RangeInclusive<i64>>>,
    /// The unreadable batch that was met last, while nothing is known of what comes behind it.
    open: BTreeMap<Source, (i64, String)>,
}

impl Skips {
    /// Takes a decision.
    pub(super) fn decide(&mut self, skip: &Skip) {
        self.decided.entry(skip.source.clone()).or_default().push(skip.from..=skip.until);
    }

    /// The decisions that these records call for. Where a batch ends, the next record that comes after it tells, not the producer.
    pub(super) fn called_for(&mut self, source: &Source, records: &[Record]) -> Vec<Skip> {
        let mut skips = Vec::new();
        let mut skip = |from: i64, until: i64, why: &str| {
            let skip = Skip { source: source.clone(), from, until, why: why.to_string() };
            skips.extend((from <= until).then_some(skip));
        };
        // Only what has headers can stand for a batch, and most records have none.
        for record in records {
            if let Some((from, why)) = self.open.remove(source) {
                skip(from + 1, record.offset - 1, &why);
            }
            if let Some(why) = record.unreadable() {
                skip(record.offset, record.offset, &why);
                self.open.insert(source.clone(), (record.offset, why));
            }
        }
        skips.retain(|skip| !self.covers(source, skip.from) || !self.covers(source, skip.until));
        skips
    }

    /// The records without those that an earlier reading has left out. What stands for a batch stays.
    pub(super) fn without<'a>(&self, source: &Source, records: &'a [Record]) -> Cow<'a, [Record]> {
        let is_left_out =
            |record: &Record| self.covers(source, record.offset) && record.unreadable().is_none();
        if !self.decided.contains_key(source) || !records.iter().any(is_left_out) {
            return Cow::Borrowed(records);
        }
        Cow::Owned(records.iter().filter(|record| !is_left_out(record)).cloned().collect())
    }

    /// Forgets what comes before the record at which a partition resumes.
    pub(super) fn forget_before(&mut self, source: &Source, offset: i64) {
        if let Some(ranges) = self.decided.get_mut(source) {
            ranges.retain(|range| *range.end() >= offset);
        }
    }

    fn covers(&self, source: &Source, offset: i64) -> bool {
        self.decided.get(source).is_some_and(|ranges| ranges.iter().any(|range| range.contains(&offset)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use foreshock_core::types::UNREADABLE;

    use super::*;

    fn source() -> Source {
        Source { topic: Arc::from("metrics"), partition: 3 }
    }

    fn record(offset: i64) -> Record {
        Record { offset, ..Record::default() }
    }

    fn unreadable(offset: i64, last: i64) -> Record {
        let value = format!("gzip 27000 {last}").into_bytes();
        Record { offset, headers: vec![(UNREADABLE.to_string(), value.into())], ..Record::default() }
    }

    fn ranges(skips: &[Skip]) -> Vec<(i64, i64)> {
        skips.iter().map(|skip| (skip.from, skip.until)).collect()
    }

    fn offsets(records: &[Record]) -> Vec<i64> {
        records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn a_batch_ends_where_the_next_record_begins() {
        let mut skips = Skips::default();
        let first = skips.called_for(&source(), &[record(4), unreadable(5, 799)]);
        assert_eq!(ranges(&first), [(5, 5)]);
        assert!(first[0].why.contains("gzip batch of 27000 bytes, offsets 5 to 804"), "{}", first[0].why);
        let second =
            skips.called_for(&source(), &[record(805), unreadable(806, 0), unreadable(807, 9), record(817)]);
        assert_eq!(ranges(&second), [(6, 804), (806, 806), (807, 807), (808, 816)]);
    }

    #[test]
    fn a_producer_that_claims_to_be_a_batch_loses_its_own_record() {
        let mut skips = Skips::default();
        let called = skips.called_for(&source(), &[unreadable(5, 1_000_000), record(6), record(7)]);
        assert_eq!(ranges(&called), [(5, 5)]);
    }

    #[test]
    fn a_later_reading_leaves_the_same_records_out_and_decides_nothing_anew() {
        let mut first = Skips::default();
        let decided = first.called_for(&source(), &[unreadable(5, 4), record(10)]);
        let mut later = Skips::default();
        decided.iter().for_each(|skip| later.decide(skip));
        let all: Vec<Record> = (3..12).map(record).collect();
        assert_eq!(offsets(&later.without(&source(), &all)), [3, 4, 10, 11]);
        let again = [unreadable(5, 4), record(10)];
        assert_eq!(offsets(&later.without(&source(), &again)), [5, 10]);
        assert!(later.called_for(&source(), &again).is_empty());
        later.forget_before(&source(), 10);
        assert!(matches!(later.without(&source(), &all), Cow::Borrowed(_)));
    }
}

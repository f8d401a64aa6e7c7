//! The banks' state in snapshots: the detectors' columns with a form on disk, each column's numbers as they lie in memory on
//! most machines (little-endian), one behind the other, written from where they are and copied once when they are read.

use std::borrow::Cow;

use bytemuck::{AnyBitPattern, NoUninit};
use foreshock_detectors::{ColumnData, Columns};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::types::{Section, section::SectionError};

/// [`Columns`] as they are written.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    name: Cow<'a, str>,
    version: u32,
    rows: usize,
    #[serde(borrow)]
    columns: Vec<(Cow<'a, str>, Column<'a>)>,
}

#[derive(Serialize, Deserialize)]
struct Column<'a> {
    kind: Kind,
    #[serde(borrow, with = "serde_bytes")]
    bytes: Cow<'a, [u8]>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kind {
    F64,
    F32,
    U64,
    U32,
    U8,
}

/// Numbers as bytes, in place where the machine has them so. `N` is a number's size.
fn bytes<T: NoUninit, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytemuck::cast_slice(values));
    }
    Cow::Owned(values.iter().flat_map(|value| of(*value)).collect())
}

/// Numbers from bytes; a rest that makes no number is dropped, and the bank then misses a row.
fn numbers<T: AnyBitPattern, const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|number| of(*number)).collect()
}

impl<'a> From<&'a ColumnData> for Column<'a> {
    fn from(data: &'a ColumnData) -> Column<'a> {
        let (kind, bytes) = match data {
            ColumnData::F64(values) => (Kind::F64, bytes(values, f64::to_le_bytes)),
            ColumnData::F32(values) => (Kind::F32, bytes(values, f32::to_le_bytes)),
            ColumnData::U64(values) => (Kind::U64, bytes(values, u64::to_le_bytes)),
            ColumnData::U32(values) => (Kind::U32, bytes(values, u32::to_le_bytes)),
            ColumnData::U8(values) => (Kind::U8, Cow::Borrowed(&values[..])),
        };
        Column { kind, bytes }
    }
}

impl From<Column<'_>> for ColumnData {
    fn from(saved: Column<'_>) -> ColumnData {
        match saved.kind {
            Kind::F64 => ColumnData::F64(numbers(&saved.bytes, f64::from_le_bytes)),
            Kind::F32 => ColumnData::F32(numbers(&saved.bytes, f32::from_le_bytes)),
            Kind::U64 => ColumnData::U64(numbers(&saved.bytes, u64::from_le_bytes)),
            Kind::U32 => ColumnData::U32(numbers(&saved.bytes, u32::from_le_bytes)),
            Kind::U8 => ColumnData::U8(saved.bytes.into_owned()),
        }
    }
}

/// For `#[serde(with)]`.
pub(super) fn serialize<S: Serializer>(columns: &Columns, serializer: S) -> Result<S::Ok, S::Error> {
    let Columns { name, version, rows, columns } = columns;
    let columns = columns.iter().map(|(name, data)| (Cow::from(name), data.into())).collect();
    Saved { name: name.into(), version: *version, rows: *rows, columns }.serialize(serializer)
}

/// For `#[serde(with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Columns, D::Error> {
    let Saved { name, version, rows, columns } = Saved::deserialize(deserializer)?;
    let columns = columns.into_iter().map(|(name, data)| (name.into_owned(), data.into())).collect();
    Ok(Columns { name: name.into_owned(), version, rows, columns })
}

/// Columns that are a section by themselves.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Packed(#[serde(serialize_with = "serialize", deserialize_with = "deserialize")] Columns);

/// A bank's columns as a section of a snapshot, by themselves.
pub fn pack(columns: Columns) -> Result<Section, SectionError> {
    let name = columns.name.clone();
    Section::save_large(name, 1, &Packed(columns))
}

/// What [`pack`] packed; `None` for a section of another version.
pub fn unpack(section: &Section) -> Result<Option<Columns>, SectionError> {
    Ok(section.load::<Packed>(1)?.map(|Packed(columns)| columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_to_the_bit() {
        let columns = Columns {
            name: "all".to_string(),
            version: 7,
            rows: 3,
            columns: vec![
                ("a".to_string(), ColumnData::F64(vec![0.1, f64::NAN, -0.0])),
                ("b".to_string(), ColumnData::F32(vec![f32::MIN_POSITIVE, 1.5, f32::INFINITY])),
                ("c".to_string(), ColumnData::U64(vec![u64::MAX, 0, 7])),
                ("d".to_string(), ColumnData::U32(vec![1, 2, u32::MAX])),
                ("e".to_string(), ColumnData::U8(vec![255, 0, 1])),
            ],
        };
        let section = pack(columns.clone()).unwrap();
        assert_eq!(unpack(&section).unwrap(), Some(columns));
        assert_eq!(unpack(&Section { version: 2, ..section }).unwrap(), None);
    }
}

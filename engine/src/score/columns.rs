//! The banks' state as snapshot sections: the detectors' columns with a form on disk, each column's numbers as they lie in
//! memory on most machines (little-endian), one behind the other.

use foreshock_detectors::{ColumnData, Columns};
use serde::{Deserialize, Serialize};

use crate::types::{Section, section::SectionError};

/// [`Columns`] that can be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedColumns {
    name: String,
    version: u32,
    rows: usize,
    columns: Vec<(String, SavedColumn)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedColumn {
    kind: Kind,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kind {
    F64,
    F32,
    U64,
    U32,
    U8,
}

/// Numbers as bytes. `N` is a number's size.
fn bytes<T: Copy, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * N];
    for (place, value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *place = of(*value);
    }
    bytes
}

/// Numbers from bytes; a rest that makes no number is dropped, and the bank then misses a row.
fn numbers<T, const N: usize>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|number| of(*number)).collect()
}

impl From<ColumnData> for SavedColumn {
    fn from(data: ColumnData) -> SavedColumn {
        let (kind, bytes) = match data {
            ColumnData::F64(values) => (Kind::F64, bytes(&values, f64::to_le_bytes)),
            ColumnData::F32(values) => (Kind::F32, bytes(&values, f32::to_le_bytes)),
            ColumnData::U64(values) => (Kind::U64, bytes(&values, u64::to_le_bytes)),
            ColumnData::U32(values) => (Kind::U32, bytes(&values, u32::to_le_bytes)),
            ColumnData::U8(values) => (Kind::U8, values),
        };
        SavedColumn { kind, bytes }
    }
}

impl From<SavedColumn> for ColumnData {
    fn from(saved: SavedColumn) -> ColumnData {
        match saved.kind {
            Kind::F64 => ColumnData::F64(numbers(&saved.bytes, f64::from_le_bytes)),
            Kind::F32 => ColumnData::F32(numbers(&saved.bytes, f32::from_le_bytes)),
            Kind::U64 => ColumnData::U64(numbers(&saved.bytes, u64::from_le_bytes)),
            Kind::U32 => ColumnData::U32(numbers(&saved.bytes, u32::from_le_bytes)),
            Kind::U8 => ColumnData::U8(saved.bytes),
        }
    }
}

impl From<Columns> for SavedColumns {
    fn from(columns: Columns) -> SavedColumns {
        let Columns { name, version, rows, columns } = columns;
        let columns = columns.into_iter().map(|(name, data)| (name, data.into())).collect();
        SavedColumns { name, version, rows, columns }
    }
}

impl From<SavedColumns> for Columns {
    fn from(saved: SavedColumns) -> Columns {
        let SavedColumns { name, version, rows, columns } = saved;
        let columns = columns.into_iter().map(|(name, data)| (name, data.into())).collect();
        Columns { name, version, rows, columns }
    }
}

/// A bank's columns as a section of a snapshot, by themselves.
pub fn pack(columns: Columns) -> Result<Section, SectionError> {
    let name = columns.name.clone();
    Section::save(name, 1, &SavedColumns::from(columns))
}

/// What [`pack`] packed; `None` for a section of another version.
pub fn unpack(section: &Section) -> Result<Option<Columns>, SectionError> {
    Ok(section.load::<SavedColumns>(1)?.map(Columns::from))
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

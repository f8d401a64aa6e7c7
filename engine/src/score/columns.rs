//! The banks' state as snapshot sections: the detectors' columns with a form on disk.

use foreshock_detectors::{ColumnData, Columns};
use serde::{Deserialize, Serialize};

/// [`Columns`] that can be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedColumns {
    name: String,
    version: u32,
    rows: usize,
    columns: Vec<(String, SavedColumn)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum SavedColumn {
    F64(Vec<f64>),
    F32(Vec<f32>),
    U64(Vec<u64>),
    U32(Vec<u32>),
    U8(Vec<u8>),
}

impl From<Columns> for SavedColumns {
    fn from(columns: Columns) -> SavedColumns {
        let data = |data| match data {
            ColumnData::F64(values) => SavedColumn::F64(values),
            ColumnData::F32(values) => SavedColumn::F32(values),
            ColumnData::U64(values) => SavedColumn::U64(values),
            ColumnData::U32(values) => SavedColumn::U32(values),
            ColumnData::U8(values) => SavedColumn::U8(values),
        };
        SavedColumns {
            name: columns.name,
            version: columns.version,
            rows: columns.rows,
            columns: columns.columns.into_iter().map(|(name, values)| (name, data(values))).collect(),
        }
    }
}

impl From<SavedColumns> for Columns {
    fn from(saved: SavedColumns) -> Columns {
        let data = |data| match data {
            SavedColumn::F64(values) => ColumnData::F64(values),
            SavedColumn::F32(values) => ColumnData::F32(values),
            SavedColumn::U64(values) => ColumnData::U64(values),
            SavedColumn::U32(values) => ColumnData::U32(values),
            SavedColumn::U8(values) => ColumnData::U8(values),
        };
        Columns {
            name: saved.name,
            version: saved.version,
            rows: saved.rows,
            columns: saved.columns.into_iter().map(|(name, values)| (name, data(values))).collect(),
        }
    }
}

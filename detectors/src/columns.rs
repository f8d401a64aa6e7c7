//! Named, versioned columns: the form in which a bank's state is written to a snapshot and read back.
//!
//! For moving state in and out, bit for bit. Not for computing on it, and it knows no file format.

use thiserror::Error;

/// The state of one bank as columns: a whole number of values per row, or a fixed number where the state
/// belongs to the bank as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// Which kind of bank wrote it (`core`, `forest`).
    pub name: String,
    /// Layout version of that bank.
    pub version: u32,
    /// Number of rows (slots or entities).
    pub rows: usize,
    /// Columns by name, in the bank's own order.
    pub columns: Vec<(String, ColumnData)>,
}

/// The values of one column.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit unsigned integers.
    U64(Vec<u64>),
    /// 32-bit unsigned integers.
    U32(Vec<u32>),
    /// Bytes.
    U8(Vec<u8>),
}

/// Why a snapshot could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The columns belong to another kind of bank.
    #[error("snapshot holds a bank named {found:?}, expected {expected:?}: load it into that bank")]
    Name {
        /// What the snapshot says.
        found: String,
        /// What this bank is.
        expected: &'static str,
    },
    /// The layout is of a version that this build does not know.
    #[error(
        "bank {name:?} has layout version {found}, this build reads up to {known}: start it cold or upgrade"
    )]
    Version {
        /// The bank's name.
        name: &'static str,
        /// Version found.
        found: u32,
        /// Highest version that can be read.
        known: u32,
    },
    /// A column is missing, of another type or of the wrong length.
    #[error("bank {bank:?}: column {column:?} is missing or malformed: the snapshot is damaged")]
    Column {
        /// The bank's name.
        bank: &'static str,
        /// The column's name.
        column: String,
    },
}

impl PartialEq for ColumnData {
    /// Equal to the bit: NaN equals the same NaN, and zero differs from minus zero.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F64(a), Self::F64(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (Self::F32(a), Self::F32(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::U32(a), Self::U32(b)) => a == b,
            (Self::U8(a), Self::U8(b)) => a == b,
            _ => false,
        }
    }
}

impl Columns {
    /// The named column as 64-bit floats of exactly `len` values.
    ///
    /// # Errors
    /// [`LoadError::Column`] when it is absent, of another type or of another length.
    pub fn f64(&self, bank: &'static str, column: &str, len: usize) -> Result<&[f64], LoadError> {
        match self.find(column) {
            Some(ColumnData::F64(values)) if values.len() == len => Ok(values),
            _ => Err(LoadError::Column { bank, column: column.to_owned() }),
        }
    }

    /// The named column as 32-bit floats of exactly `len` values.
    ///
    /// # Errors
    /// As [`Columns::f64`].
    pub fn f32(&self, bank: &'static str, column: &str, len: usize) -> Result<&[f32], LoadError> {
        match self.find(column) {
            Some(ColumnData::F32(values)) if values.len() == len => Ok(values),
            _ => Err(LoadError::Column { bank, column: column.to_owned() }),
        }
    }

    /// The named column as 64-bit integers of exactly `len` values.
    ///
    /// # Errors
    /// As [`Columns::f64`].
    pub fn u64(&self, bank: &'static str, column: &str, len: usize) -> Result<&[u64], LoadError> {
        match self.find(column) {
            Some(ColumnData::U64(values)) if values.len() == len => Ok(values),
            _ => Err(LoadError::Column { bank, column: column.to_owned() }),
        }
    }

    /// The named column as 32-bit integers of exactly `len` values.
    ///
    /// # Errors
    /// As [`Columns::f64`].
    pub fn u32(&self, bank: &'static str, column: &str, len: usize) -> Result<&[u32], LoadError> {
        match self.find(column) {
            Some(ColumnData::U32(values)) if values.len() == len => Ok(values),
            _ => Err(LoadError::Column { bank, column: column.to_owned() }),
        }
    }

    /// The named column as bytes, exactly `len` of them.
    ///
    /// # Errors
    /// As [`Columns::f64`].
    pub fn u8(&self, bank: &'static str, column: &str, len: usize) -> Result<&[u8], LoadError> {
        match self.find(column) {
            Some(ColumnData::U8(values)) if values.len() == len => Ok(values),
            _ => Err(LoadError::Column { bank, column: column.to_owned() }),
        }
    }

    /// Checks name and version before the columns are read.
    ///
    /// # Errors
    /// [`LoadError::Name`] or [`LoadError::Version`].
    pub fn check(&self, name: &'static str, known: u32) -> Result<(), LoadError> {
        if self.name != name {
            return Err(LoadError::Name { found: self.name.clone(), expected: name });
        }
        if self.version > known || self.version == 0 {
            return Err(LoadError::Version { name, found: self.version, known });
        }
        Ok(())
    }

    fn find(&self, column: &str) -> Option<&ColumnData> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, data)| data)
    }
}

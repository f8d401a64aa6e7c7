//! The 50 faults of the Sock Shop.

use std::{io, path::Path};

/// A fault: what went wrong where, and the metrics before and during it.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The service that was hurt.
    pub cause: String,
    /// `cpu` or `mem`.
    pub kind: String,
    /// Column names without the time's.
    pub columns: Vec<String>,
    /// Unix seconds of every row.
    pub times: Vec<i64>,
    /// Rows of values; NaN is missing.
    pub rows: Vec<Vec<f64>>,
    /// Rows before the fault.
    pub normal: usize,
}

/// What is done to a fault's data before it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What it is called.
    pub name: &'static str,
    /// Every so many rows, one is kept.
    pub step: usize,
    /// The last share of the normal rows that is kept.
    pub normal: f64,
}

impl Fault {
    /// The same fault as a variant has it.
    pub fn varied(&self, variant: Variant) -> Fault {
        let first = self.normal - (self.normal as f64 * variant.normal) as usize;
        let kept: Vec<usize> = (first..self.rows.len()).step_by(variant.step).collect();
        Fault {
            times: kept.iter().map(|row| self.times[*row]).collect(),
            rows: kept.iter().map(|row| self.rows[*row].clone()).collect(),
            normal: kept.iter().filter(|row| **row < self.normal).count(),
            ..self.clone()
        }
    }

    /// Writes it as one table.
    pub fn write(&self, path: &Path) -> csv::Result<()> {
        let mut out = csv::Writer::from_path(path)?;
        out.write_record(std::iter::once("timestamp").chain(self.columns.iter().map(String::as_str)))?;
        for (time, row) in self.times.iter().zip(&self.rows) {
            let cells =
                row.iter().map(|value| if value.is_nan() { String::new() } else { value.to_string() });
            out.write_record(std::iter::once(time.to_string()).chain(cells))?;
        }
        out.flush().map_err(csv::Error::from)
    }
}

/// Every fault, in the order of its folder's name.
pub fn read(folder: &Path) -> csv::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for kind in folders(folder)? {
        let name = kind.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((cause, what)) = name.rsplit_once('-') else { continue };
        for run in folders(&kind)? {
            let mut fault = Fault {
                cause: cause.to_owned(),
                kind: what.to_owned(),
                columns: Vec::new(),
                times: Vec::new(),
                rows: Vec::new(),
                normal: 0,
            };
            add(&mut fault, &run.join("normal.csv"))?;
            fault.normal = fault.rows.len();
            add(&mut fault, &run.join("anomalous.csv"))?;
            faults.push(fault);
        }
    }
    Ok(faults)
}

fn add(fault: &mut Fault, path: &Path) -> csv::Result<()> {
    let mut reader = csv::Reader::from_path(path)?;
    fault.columns = reader.headers()?.iter().skip(1).map(str::to_owned).collect();
    for record in reader.records() {
        let record = record?;
        let mut cells = record.iter().map(|cell| cell.parse::<f64>().unwrap_or(f64::NAN));
        fault.times.push(cells.next().unwrap_or(f64::NAN) as i64);
        fault.rows.push(cells.collect());
    }
    Ok(())
}

fn folders(path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let mut folders: Vec<_> = entries?.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

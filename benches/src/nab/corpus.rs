//! Reads the benchmark's files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::corpus::CorpusError;

/// One series with its labelled windows.
#[derive(Debug, Clone)]
pub struct Series {
    /// `group/file.csv`, as the benchmark names it.
    pub name: String,
    /// Seconds since the Unix epoch, taking the local time as UTC.
    pub times: Vec<i64>,
    /// Values.
    pub values: Vec<f64>,
    /// Labelled windows as first and last row.
    pub windows: Vec<(usize, usize)>,
}

/// All series of the benchmark, by name.
///
/// # Errors
/// When a file is missing or malformed.
pub fn read(nab: &Path) -> Result<Vec<Series>, CorpusError> {
    let labels = nab.join("labels/combined_windows.json");
    let windows: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text(&labels)?)
        .map_err(|e| form(&labels, &format!("not a map of windows: {e}")))?;
    windows
        .into_iter()
        .map(|(name, windows)| {
            let path = nab.join("data").join(&name);
            let (times, values) = columns(&path, 1)?;
            let windows = windows
                .iter()
                .map(|[from, to]| match (unix(from), unix(to)) {
                    (Some(from), Some(to)) => {
                        let first = times.partition_point(|t| *t < from);
                        let last = times.partition_point(|t| *t <= to);
                        Ok((first, last.max(first + 1) - 1))
                    }
                    _ => Err(form(&labels, &format!("window {from} to {to} is no time"))),
                })
                .collect::<Result<_, _>>()?;
            Ok(Series { name, times, values, windows })
        })
        .collect()
}

/// A published detector's score per row, from its unpacked result folder.
///
/// # Errors
/// When a file is missing or malformed.
pub fn published(results: &Path, detector: &str, series: &Series) -> Result<Vec<f64>, CorpusError> {
    let (group, file) = series.name.split_once('/').unwrap_or(("", &series.name));
    let path = results.join(detector).join(group).join(format!("{detector}_{file}"));
    Ok(columns(&path, 2)?.1)
}

/// A peer's score per row: one number per line in `OUT/<peer>/<group>/<file>.txt`, as `benches/peers/nab_river.py` writes it.
///
/// # Errors
/// When the file is missing or malformed.
pub fn scores_of_peer(out: &Path, peer: &str, series: &Series) -> Result<Vec<f64>, CorpusError> {
    let path = out.join(peer).join(&series.name).with_extension("txt");
    let number = |line: &str| line.trim().parse().map_err(|_| form(&path, &format!("bad row {line:?}")));
    let scores: Vec<f64> = text(&path)?.lines().map(number).collect::<Result<_, _>>()?;
    if scores.len() != series.values.len() {
        return Err(form(&path, &format!("{} scores of {} rows", scores.len(), series.values.len())));
    }
    Ok(scores)
}

/// The times and one column of a file.
fn columns(path: &Path, column: usize) -> Result<(Vec<i64>, Vec<f64>), CorpusError> {
    let mut times = Vec::new();
    let mut values = Vec::new();
    for line in text(path)?.lines().skip(1).filter(|line| !line.is_empty()) {
        let mut cells = line.split(',');
        let time = cells.next().and_then(unix);
        let value = cells.nth(column - 1).and_then(|cell| cell.trim().parse().ok());
        match (time, value) {
            (Some(time), Some(value)) => {
                times.push(time);
                values.push(value);
            }
            _ => return Err(form(path, &format!("bad row {line:?}"))),
        }
    }
    Ok((times, values))
}

fn text(path: &Path) -> Result<String, CorpusError> {
    std::fs::read_to_string(path)
        .map_err(|source| CorpusError::Read { path: path.display().to_string(), source })
}

fn form(path: &Path, what: &str) -> CorpusError {
    CorpusError::Form { path: path.display().to_string(), what: what.to_owned() }
}

/// `YYYY-MM-DD hh:mm:ss` (a fraction is dropped) as seconds since the Unix epoch.
fn unix(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once(' ')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(['.', ':']).map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days from civil, counting years from March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::unix;

    #[test]
    fn times_are_seconds_since_the_epoch() {
        for (text, want) in [
            ("1970-01-01 00:00:00", 0),
            ("2014-04-01 00:00:00", 1_396_310_400),
            ("2016-02-29 12:30:15.000000", 1_456_749_015),
        ] {
            assert_eq!(unix(text), Some(want), "{text}");
        }
        assert_eq!(unix("yesterday"), None);
    }
}

//! The streams, and the classifier whose errors are watched.

use std::path::Path;

use crate::nab::CorpusError;

/// Rows of numbers and whether each is of the first class. Nominal attributes are numbers of their values.
pub(super) struct Stream {
    pub(super) rows: Vec<(Vec<f64>, bool)>,
}

pub(super) fn read(path: &Path) -> Result<Stream, CorpusError> {
    let shown = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| CorpusError::Read { path: shown.clone(), source })?;
    let bad = |line: &str| CorpusError::Form { path: shown.clone(), what: format!("bad row {line:?}") };
    let mut first_class = None;
    let mut rows = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(attribute) = line.strip_prefix('@') {
            let values = attribute.split_once('{').and_then(|(_, values)| values.split([',', '}']).next());
            first_class = values.map(|value| value.trim().to_string()).or(first_class);
            continue;
        }
        let (cells, class) = line.rsplit_once(',').ok_or_else(|| bad(line))?;
        let number = |cell: &str| match cell.trim() {
            word if word.eq_ignore_ascii_case("true") => Ok(1.0),
            word if word.eq_ignore_ascii_case("false") => Ok(0.0),
            number => number.parse().map_err(|_| bad(line)),
        };
        let values = cells.split(',').map(number).collect::<Result<_, _>>()?;
        rows.push((values, Some(class.trim()) == first_class.as_deref()));
    }
    Ok(Stream { rows })
}

/// A Gaussian naive Bayes classifier of two classes (Welford's means and variances).
pub(super) struct Bayes {
    counts: [f64; 2],
    /// Mean and sum of squares of each attribute, per class.
    moments: [Vec<(f64, f64)>; 2],
}

impl Bayes {
    pub(super) fn new(attributes: usize) -> Bayes {
        Bayes { counts: [0.0; 2], moments: [vec![(0.0, 0.0); attributes], vec![(0.0, 0.0); attributes]] }
    }

    /// Whether the row is of the first class rather than of the second.
    pub(super) fn judge(&self, row: &[f64]) -> bool {
        let likelihood = |class: usize| {
            let count = self.counts[class];
            let parts = row.iter().zip(&self.moments[class]).map(|(value, (mean, squares))| {
                let variance = (squares / (count - 1.0).max(1.0)).max(1e-3);
                -0.5 * ((value - mean).powi(2) / variance + variance.ln())
            });
            (count + 1.0).ln() + parts.sum::<f64>()
        };
        likelihood(1) > likelihood(0)
    }

    pub(super) fn learn(&mut self, row: &[f64], is_first: bool) {
        let class = usize::from(is_first);
        self.counts[class] += 1.0;
        for (value, (mean, squares)) in row.iter().zip(&mut self.moments[class]) {
            let before = value - *mean;
            *mean += before / self.counts[class];
            *squares += before * (value - *mean);
        }
    }
}

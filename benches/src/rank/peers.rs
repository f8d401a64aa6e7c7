//! What others do with the same numbers.

use super::sockshop::Fault;

/// Rows before and after the fault that its code looks at.
const BARO_ROWS: usize = 300;

/// BARO's scorer (Pham, Ha & Zhang, FSE 2024, section 3.3): the largest rise over the normal part's median in its interquartile
/// range. As in its code (github.com/phamquiluan/baro, `root_cause_analysis.py` and `utility.py`, read on 2026-11-25): 300 rows
/// before and after, of latencies the 90th percentile alone, columns that are constant before or after left out, memory in
/// megabytes, a range of 0 left as 1, and only rises count.
pub fn baro(fault: &Fault, at: usize) -> Vec<String> {
    let near = at.saturating_sub(BARO_ROWS)..(at + BARO_ROWS).min(fault.rows.len());
    let mut prepared = Fault { rows: fault.rows[near.clone()].to_vec(), ..fault.clone() };
    let factor = |name: &String| match name {
        name if name.ends_with("_mem") => 1e-6,
        name if name.ends_with("_lat_50") || name.ends_with("_lat_99") => f64::NAN,
        _ => 1.0,
    };
    let factors: Vec<f64> = fault.columns.iter().map(factor).collect();
    for row in &mut prepared.rows {
        row.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor);
    }
    ranked(&prepared, at - near.start, true, |normal| {
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(normal, share));
        (middle, high - low)
    })
}

/// The largest rise over the normal part's mean in its standard deviations, as in the same code.
pub fn n_sigma(fault: &Fault, at: usize) -> Vec<String> {
    ranked(fault, at, false, |normal| {
        let mean = normal.iter().sum::<f64>() / normal.len() as f64;
        let variance = normal.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / normal.len() as f64;
        (mean, variance.sqrt())
    })
}

fn ranked(
    fault: &Fault,
    at: usize,
    constants_left_out: bool,
    usual: impl Fn(&mut Vec<f64>) -> (f64, f64),
) -> Vec<String> {
    let mut scores: Vec<(String, f64)> = Vec::new();
    for (column, name) in fault.columns.iter().enumerate() {
        let values = |rows: &[Vec<f64>]| {
            rows.iter().map(|row| row[column]).filter(|value| value.is_finite()).collect::<Vec<f64>>()
        };
        let (mut normal, after) = (values(&fault.rows[..at]), values(&fault.rows[at..]));
        let is_constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
        if normal.is_empty() || after.is_empty() {
            continue;
        }
        if constants_left_out && (is_constant(&normal) || is_constant(&after)) {
            continue;
        }
        let (centre, spread) = usual(&mut normal);
        let spread = if spread > 0.0 { spread } else { 1.0 };
        let score = after.iter().map(|value| (value - centre) / spread).fold(f64::MIN, f64::max);
        let entity = name.split('_').next().unwrap_or(name).to_owned();
        match scores.iter_mut().find(|(known, _)| *known == entity) {
            Some((_, best)) => *best = best.max(score),
            None => scores.push((entity, score)),
        }
    }
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.into_iter().map(|(entity, _)| entity).collect()
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = share * (values.len() - 1) as f64;
    let (low, high) = (values[place as usize], values[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

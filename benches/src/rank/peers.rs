//! What others do with the same numbers.

use super::sockshop::Fault;

/// BARO's scorer (Pham, Ha & Zhang, FSE 2024, section 3.3): the largest distance from the normal part's median in its
/// interquartile range. As in its code, columns that are constant before or after the fault are left out, memory is in
/// megabytes, and a range of 0 is left as 1.
pub fn baro(fault: &Fault, at: usize) -> Vec<String> {
    let mut prepared = fault.clone();
    let memory: Vec<bool> = fault.columns.iter().map(|name| name.ends_with("_mem")).collect();
    for row in &mut prepared.rows {
        row.iter_mut().zip(&memory).filter(|(_, is_memory)| **is_memory).for_each(|(value, _)| *value /= 1e6);
    }
    ranked(&prepared, at, true, |normal| {
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(normal, share));
        (middle, high - low)
    })
}

/// The largest distance from the normal part's mean in its standard deviations.
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
        let score = after.iter().map(|value| (value - centre).abs() / spread).fold(0.0, f64::max);
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

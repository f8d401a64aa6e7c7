//! Volume under the precision-recall surface.
//!
//! Paparrizos et al. 2022, "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection" (VLDB
//! 15(11)), with the details of the authors' package `vus`, to whose figures a test holds this file: labels are
//! continued beyond each event by a buffer in which they fall off; recall is weighted by the share of events that are
//! touched; the area under precision over recall is averaged over buffers of 0 to `longest` rows.

/// Thresholds of a curve, as in the authors' package.
const THRESHOLDS: usize = 250;

/// The volume over buffers of 0 to `longest` rows; 0 when nothing is labelled.
pub fn vus_pr(labels: &[bool], scores: &[f64], longest: usize) -> f64 {
    let events = events(labels);
    if events.is_empty() {
        return 0.0;
    }
    let thresholds = thresholds(scores);
    let areas = (0..=longest).map(|buffer| area(labels, scores, &events, buffer, longest, &thresholds));
    areas.sum::<f64>() / (longest + 1) as f64
}

/// The area under precision over recall, row by row, without buffers: average precision over all distinct scores.
pub fn auc_pr(labels: &[bool], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let positives = labels.iter().filter(|on| **on).count() as f64;
    let (mut hits, mut before, mut sum) = (0.0, 0.0, 0.0);
    for (place, row) in order.iter().enumerate() {
        hits += f64::from(u8::from(labels[*row]));
        let complete = order.get(place + 1).is_none_or(|next| scores[*next] < scores[*row]);
        if complete {
            sum += (hits - before) / positives * hits / (place + 1) as f64;
            before = hits;
        }
    }
    sum
}

/// Events as first and last row.
fn events(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for row in (0..labels.len()).filter(|row| labels[*row]) {
        match found.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => found.push((row, row)),
        }
    }
    found
}

fn thresholds(scores: &[f64]) -> Vec<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let last = (scores.len() - 1) as f64;
    (0..THRESHOLDS).map(|step| sorted[(last * step as f64 / (THRESHOLDS - 1) as f64) as usize]).collect()
}

/// Events with half a buffer on each side, those that meet joined.
fn widened(events: &[(usize, usize)], buffer: usize, rows: usize) -> Vec<(usize, usize)> {
    let half = buffer / 2;
    let mut wide: Vec<(usize, usize)> = Vec::new();
    for (place, &(first, last)) in events.iter().enumerate() {
        let end = (last + half).min(rows - 1);
        let meets = place > 0 && first <= events[place - 1].1 + 2 * half;
        match wide.last_mut() {
            Some(before) if meets => before.1 = end,
            _ => wide.push((first.saturating_sub(half), end)),
        }
    }
    wide
}

/// Labels that fall off like a root within half a buffer of each event.
fn softened(labels: &[bool], events: &[(usize, usize)], buffer: usize) -> Vec<f64> {
    let (half, width, rows) = (buffer / 2, buffer as f64, labels.len());
    let mut soft: Vec<f64> = labels.iter().map(|on| f64::from(u8::from(*on))).collect();
    for &(first, last) in events {
        let from = first.saturating_sub(half);
        let fallen = |distance: usize| (1.0 - distance as f64 / width.max(1.0)).sqrt();
        for (distance, label) in soft[last..(last + half + 1).min(rows)].iter_mut().enumerate() {
            *label += fallen(distance);
        }
        for (distance, label) in (1..).zip(soft[from..first].iter_mut().rev()) {
            *label += fallen(distance);
        }
    }
    soft.iter_mut().for_each(|label| *label = label.min(1.0));
    soft
}

/// The area for one buffer.
fn area(
    labels: &[bool],
    scores: &[f64],
    events: &[(usize, usize)],
    buffer: usize,
    longest: usize,
    thresholds: &[f64],
) -> f64 {
    let rows = labels.len();
    let soft = softened(labels, events, buffer);
    let zones = widened(events, buffer, rows);
    // Counted within the widest zones, so that every buffer counts the same rows.
    let counted = widened(events, longest, rows);
    let positives = labels.iter().filter(|on| **on).count() as f64;
    let (mut area, mut before) = (0.0, 0.0);
    for threshold in thresholds {
        let predicted = scores.iter().filter(|score| **score >= *threshold).count() as f64;
        let touched =
            zones.iter().filter(|(from, to)| scores[*from..=*to].iter().any(|s| s >= threshold)).count();
        let (mut hit, mut weight) = (0.0, 0.0);
        for &(from, to) in &counted {
            for row in from..=to {
                let told = scores[row] >= *threshold;
                let label = if labels[row] {
                    1.0
                } else if told {
                    soft[row]
                } else {
                    0.0
                };
                hit += if told { label } else { 0.0 };
                weight += label;
            }
        }
        let recall = (hit / ((positives + weight) / 2.0)).min(1.0) * touched as f64 / zones.len() as f64;
        area += (recall - before) * hit / predicted;
        before = recall;
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Vec<bool>, Vec<f64>) {
        let labels: Vec<bool> = (0..200)
            .map(|row| [20..31, 70..74, 77..80, 150..170].iter().any(|event| event.contains(&row)))
            .collect();
        let noise = |row: usize| ((row * 37) % 101) as f64 / 101.0;
        let scores = labels.iter().enumerate().map(|(row, on)| noise(row) + if *on { 0.4 } else { 0.0 });
        let scores = scores.collect();
        (labels, scores)
    }

    #[test]
    fn volumes_are_those_of_the_authors_package() {
        let (labels, scores) = example();
        // vus 0.0.6, RangeAUC_volume_opt with 250 thresholds, on the same example.
        for (longest, want) in [
            (0, 0.687_250_790_494_600_1),
            (1, 0.687_250_790_494_600_1),
            (6, 0.711_916_899_366_334_8),
            (20, 0.751_247_022_928_742_3),
        ] {
            let got = vus_pr(&labels, &scores, longest);
            assert!((got - want).abs() < 1e-9, "longest {longest}: {got} not {want}");
        }
    }

    #[test]
    fn perfect_scores_fill_the_area_and_silence_does_not() {
        let (labels, _) = example();
        let perfect: Vec<f64> = labels.iter().map(|on| f64::from(u8::from(*on))).collect();
        assert_eq!(auc_pr(&labels, &perfect), 1.0);
        assert!((vus_pr(&labels, &perfect, 0) - 1.0).abs() < 1e-12);
        // A constant score reports everything: its precision is the share of labelled rows.
        assert!((auc_pr(&labels, &[0.0; 200]) - 38.0 / 200.0).abs() < 1e-12);
        assert_eq!(vus_pr(&[false; 10], &[0.0; 10], 4), 0.0);
    }
}

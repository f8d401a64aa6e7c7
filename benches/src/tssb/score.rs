//! Covering: how well the true segments are covered by the found ones; and F1 with a margin.
//!
//! Arbeláez et al. 2011 as used by van den Burg & Williams 2020, "An Evaluation of Change Point Detection
//! Algorithms", equation 5: the mean, weighted by length, of each true segment's best intersection over union. F1 is equation 4 there: the start counts as a change
//! point that everybody finds, so that "there are none" has an F1 too.

/// The covering, 0 to 1, of `rows` rows split at `truth` by the segments split at `found`.
pub fn covering(truth: &[usize], found: &[usize], rows: usize) -> f64 {
    let found = segments(found, rows);
    let parts = segments(truth, rows).into_iter().map(|(from, to)| {
        let overlap = |&(start, end): &(usize, usize)| {
            let both = to.min(end).saturating_sub(from.max(start));
            both as f64 / (to.max(end) - from.min(start)) as f64
        };
        (to - from) as f64 * found.iter().map(overlap).fold(0.0, f64::max)
    });
    parts.sum::<f64>() / rows as f64
}

/// F1 of the change points found within `margin` rows of a true one, each true one counted once.
pub fn f1(truth: &[usize], found: &[usize], margin: usize) -> f64 {
    let with_start = |changes: &[usize]| {
        let mut all: Vec<usize> = changes.iter().copied().chain([0]).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (truth, found) = (with_start(truth), with_start(found));
    let mut used = vec![false; found.len()];
    let mut hits = 0.0;
    for change in &truth {
        let near = (0..found.len()).filter(|at| !used[*at] && found[*at].abs_diff(*change) <= margin);
        if let Some(at) = near.min_by_key(|at| found[*at].abs_diff(*change)) {
            used[at] = true;
            hits += 1.0;
        }
    }
    2.0 * hits / (truth.len() + found.len()) as f64
}

fn segments(changes: &[usize], rows: usize) -> Vec<(usize, usize)> {
    let mut edges: Vec<usize> = changes.iter().copied().filter(|at| *at > 0 && *at < rows).collect();
    edges.extend([0, rows]);
    edges.sort_unstable();
    edges.dedup();
    edges.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::{covering, f1};

    #[test]
    fn coverings_by_hand() {
        assert_eq!(covering(&[50], &[50], 100), 1.0);
        assert_eq!(covering(&[], &[], 100), 1.0);
        // Two halves, each half covered by the whole.
        assert_eq!(covering(&[50], &[], 100), 0.5);
        assert_eq!(covering(&[], &[50], 100), 0.5);
        // 40 of 50 and 50 of 60.
        assert!((covering(&[50], &[40], 100) - (0.5 * 0.8 + 0.5 * 50.0 / 60.0)).abs() < 1e-12);
        assert_eq!(covering(&[25, 50, 75], &[], 100), 0.25);
    }

    #[test]
    fn f1_by_hand() {
        assert_eq!(f1(&[50], &[52], 5), 1.0);
        assert_eq!(f1(&[], &[], 5), 1.0);
        // The start is found; one of two true, none of one false.
        assert_eq!(f1(&[50], &[], 5), 2.0 / 3.0);
        assert_eq!(f1(&[50], &[56], 5), 0.5);
        // Two reports of one change: the second is false.
        assert_eq!(f1(&[50], &[49, 51], 5), 0.8);
    }
}

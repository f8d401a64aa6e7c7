//! Grouping accuracy: the share of lines whose predicted group is exactly the group of their true template.

use std::{collections::BTreeMap, time::Instant};

use foreshock_core::measures::{TemplateConfig, TemplateMiner};

use super::{corpus::System, drain::Drain};

/// Passes over the lines for the steady speed.
const PASSES: usize = 20;

/// What a miner made of a system's lines.
#[derive(Debug, Clone, Copy)]
pub struct Mined {
    /// Accuracy of the groups as they were given at once.
    pub at_once: f64,
    /// Accuracy when templates that became one count as one.
    pub accuracy: f64,
    /// Templates ever made.
    pub made: usize,
    /// Templates at the end.
    pub templates: usize,
    /// Seconds per line while learning.
    pub learning: f64,
    /// Seconds per line when all is known.
    pub steady: f64,
}

/// The engine's miner with its default configuration.
pub fn mine(system: &System) -> Mined {
    let mut miner = TemplateMiner::new(TemplateConfig::default());
    let begin = Instant::now();
    let mut learn = |line: &String| miner.learn(line).map(|found| found.index);
    let once: Vec<Option<usize>> = system.lines.iter().map(&mut learn).collect();
    let learning = begin.elapsed().as_secs_f64() / system.lines.len() as f64;
    let last: Vec<Option<usize>> = once.iter().map(|index| index.map(|index| miner.current(index))).collect();
    let (made, templates) = (miner.len(), miner.live());
    let steady = steady(system, |line| miner.learn(line).map_or(0, |found| found.index));
    Mined {
        at_once: grouping_accuracy(&once, &system.truth),
        accuracy: grouping_accuracy(&last, &system.truth),
        made,
        templates,
        learning,
        steady,
    }
}

/// The plain Drain.
pub fn mine_with_drain(system: &System) -> Mined {
    let mut drain = Drain::default();
    let begin = Instant::now();
    let once: Vec<usize> = system.lines.iter().map(|line| drain.learn(line)).collect();
    let learning = begin.elapsed().as_secs_f64() / system.lines.len() as f64;
    let accuracy = grouping_accuracy(&once, &system.truth);
    let made = drain.len();
    let steady = steady(system, |line| drain.learn(line));
    Mined { at_once: accuracy, accuracy, made, templates: made, learning, steady }
}

fn steady(system: &System, mut learn: impl FnMut(&str) -> usize) -> f64 {
    let begin = Instant::now();
    let mut sum = 0;
    for _ in 0..PASSES {
        sum += system.lines.iter().map(|line| learn(line)).sum::<usize>();
    }
    std::hint::black_box(sum);
    begin.elapsed().as_secs_f64() / (PASSES * system.lines.len()) as f64
}

/// The share of lines whose predicted group is exactly a true group.
///
/// # Panics
/// When there is not one truth for each prediction.
pub fn grouping_accuracy<P: Ord, T: Ord>(predicted: &[P], truth: &[T]) -> f64 {
    assert_eq!(predicted.len(), truth.len(), "a truth for each line");
    let (found, real) = (groups(predicted), groups(truth));
    let right = |lines: &&Vec<usize>| real.get(&truth[lines[0]]) == Some(*lines);
    let lines: usize = found.values().filter(right).map(Vec::len).sum();
    lines as f64 / truth.len().max(1) as f64
}

fn groups<K: Ord>(keys: &[K]) -> BTreeMap<&K, Vec<usize>> {
    let mut groups: BTreeMap<&K, Vec<usize>> = BTreeMap::new();
    for (line, key) in keys.iter().enumerate() {
        groups.entry(key).or_default().push(line);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::grouping_accuracy;

    #[test]
    fn a_group_counts_only_when_it_is_exactly_right() {
        let truth = ["a", "a", "b", "b", "c"];
        for (predicted, expected) in
            [([1, 1, 2, 2, 3], 1.0), ([1, 1, 2, 3, 3], 0.4), ([1, 1, 1, 1, 1], 0.0), ([1, 2, 3, 3, 4], 0.6)]
        {
            assert_eq!(grouping_accuracy(&predicted, &truth), expected, "{predicted:?}");
        }
    }
}

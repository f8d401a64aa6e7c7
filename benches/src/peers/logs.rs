//! Lines to templates: sixteen systems in turn, while all is new and when all is known.

use std::{hint::black_box, path::Path};

use foreshock_core::measures::{TemplateConfig, TemplateMiner};

use super::{Line, Table};
use crate::{
    corpus::CorpusError,
    logs::{System, grouping_accuracy, read_systems},
    shapes::best,
};

pub(super) const TITLE: &str = "log lines to templates, learning, per line";

pub(super) fn table(data: &Path) -> Result<Table, CorpusError> {
    let systems = read_systems(&data.join("loghub2k"))?;
    let count: usize = systems.iter().map(|system| system.lines.len()).sum();
    let accuracy = |learn: &dyn Fn(&System) -> Vec<u64>| {
        let sum: f64 = systems.iter().map(|system| grouping_accuracy(&learn(system), &system.truth)).sum();
        format!("grouping accuracy {:.3}", sum / systems.len() as f64)
    };
    let ours = |system: &System| {
        let mut miner = TemplateMiner::new(TemplateConfig::default());
        let found: Vec<Option<usize>> =
            system.lines.iter().map(|line| miner.learn(line).map(|found| found.index)).collect();
        found.iter().map(|index| index.map_or(u64::MAX, |index| miner.current(index) as u64)).collect()
    };
    let theirs = |system: &System| {
        let Ok(miner) = logdrain::Miner::builder().build() else { return vec![0; system.lines.len()] };
        system.lines.iter().map(|line| miner.add(line).cluster_id).collect::<Vec<u64>>()
    };
    let rate = |learn: &dyn Fn(&System) -> Vec<u64>| {
        count as f64 / best(3, || systems.iter().for_each(|system| drop(black_box(learn(system)))))
    };
    let lines = vec![
        Line::new("foreshock", rate(&ours), accuracy(&ours)),
        Line::new(
            "crate logdrain 0.3",
            rate(&theirs),
            format!("{}, without masks, ids as given at once", accuracy(&theirs)),
        ),
    ];
    Ok(Table { title: TITLE, unit: "lines", lines })
}

//! A forest's state as columns. Trees and pool belong to the class, so their columns have a fixed length.

use super::ForestBank;
use super::node::Node;
use super::tail::Tail;
use super::tree::{LEAVES, Tree};
use crate::columns::{ColumnData, Columns, LoadError};

const NAME: &str = "forest";
const VERSION: u32 = 1;

pub(super) fn save(bank: &ForestBank) -> Columns {
    let trees = &bank.trees;
    let nodes = || trees.iter().flat_map(|tree| tree.nodes);
    let class = vec![bank.features as u64, bank.config.trees as u64, bank.seen, bank.accepted, bank.grown];
    let columns = vec![
        ("usual".to_owned(), ColumnData::F64(bank.usual.clone())),
        ("class".to_owned(), ColumnData::U64(class)),
        ("tail".to_owned(), ColumnData::F64(bank.tail.0.to_vec())),
        ("pool".to_owned(), ColumnData::F32(bank.pool.clone())),
        ("threshold".to_owned(), ColumnData::F32(nodes().map(Node::cut).collect())),
        ("feature".to_owned(), ColumnData::U8(nodes().map(Node::feature).collect())),
        ("leaf".to_owned(), ColumnData::F32(trees.iter().flat_map(|t| t.leaf).collect())),
        ("count".to_owned(), ColumnData::U32(trees.iter().flat_map(|t| t.count).map(u32::from).collect())),
    ];
    Columns { name: NAME.to_owned(), version: VERSION, rows: bank.usual.len(), columns }
}

pub(super) fn load(bank: &mut ForestBank, columns: &Columns) -> Result<(), LoadError> {
    columns.check(NAME, VERSION)?;
    let damaged = |column: &str| LoadError::Column { bank: NAME, column: column.to_owned() };
    let usual = columns.f64(NAME, "usual", columns.rows)?.to_vec();
    let class = columns.u64(NAME, "class", 5)?;
    if class[0] != bank.features as u64 || class[1] != bank.config.trees as u64 {
        return Err(damaged("class"));
    }
    let mut tail = Tail::default();
    tail.0.copy_from_slice(columns.f64(NAME, "tail", 6)?);
    let held = (class[3] as usize).min(bank.config.pool) * bank.features;
    let pool = columns.f32(NAME, "pool", held)?.to_vec();
    let grown = if class[4] == 0 { 0 } else { bank.config.trees };
    let threshold = columns.f32(NAME, "threshold", grown * LEAVES)?;
    let leaf = columns.f32(NAME, "leaf", grown * LEAVES)?;
    let feature = columns.u8(NAME, "feature", grown * LEAVES)?;
    let count = columns.u32(NAME, "count", grown * 2 * LEAVES)?;
    if feature.iter().any(|feature| usize::from(*feature) >= bank.features) {
        return Err(damaged("feature"));
    }
    let trees = (0..grown).map(|index| {
        let mut tree = Tree::empty();
        let nodes = index * LEAVES..(index + 1) * LEAVES;
        tree.leaf.copy_from_slice(&leaf[nodes.clone()]);
        let cuts = feature[nodes.clone()].iter().zip(&threshold[nodes]);
        tree.nodes.iter_mut().zip(cuts).for_each(|(node, (feature, cut))| *node = Node::new(*feature, *cut));
        for (kept, value) in tree.count.iter_mut().zip(&count[index * 2 * LEAVES..]) {
            *kept = *value as u16;
        }
        tree
    });
    bank.trees = trees.collect();
    (bank.seen, bank.accepted, bank.grown) = (class[2], class[3], class[4]);
    (bank.pool, bank.tail, bank.usual) = (pool, tail, usual);
    Ok(())
}

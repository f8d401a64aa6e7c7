//! Measures: rules that turn batches into numbers.
//!
//! * `accumulate`: rows of batches as partials: what a source contributes to each shard in one tick
//! * `traces`: spans of one trace together, as partials too: who calls whom, and where the time is spent
//! * `fold`: the partials of one closed tick of one shard as one value per series
//! * `templates`: log lines as templates
//!
//! Does not judge values; does not know partitions beyond their order.

mod accumulate;
mod fold;
mod templates;
mod traces;

pub use accumulate::{Accumulator, Columns, Routes, shard_of};
pub use fold::{Fold, FoldConfig, FoldOutput, Latency, NewTemplate};
pub use templates::{Patterns, TemplateConfig, TemplateMiner, TemplateRef};
pub use traces::{TraceConfig, TraceCounts, Traces};

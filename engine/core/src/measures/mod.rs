//! Measures: rules that turn batches into numbers.
//!
//! * `extract`: rows of a batch as samples, in record order
//! * `fold`: the samples of one closed tick of one shard as one value per series
//! * `traces`: spans of one trace together: who calls whom, and where the time is spent
//! * `durations`: counted durations
//! * `templates`: log lines as templates
//!
//! Does not judge values; does not know partitions beyond their order.

mod durations;
mod extract;
mod fold;
mod templates;
mod traces;

pub use extract::extract;
pub use fold::{Fold, FoldConfig, FoldOutput, FrameInput, Latency, NewTemplate};
pub use templates::{TemplateConfig, TemplateMiner, TemplateRef};
pub use traces::{TraceConfig, TraceCounts, TraceOutput, Traces};

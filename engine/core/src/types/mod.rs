//! The words that the stages share. Nothing here does work; stages know these types and not each other.
//!
//! * `record`: what comes from Kafka, and what is refused
//! * `batch`: the Arrow batches that decoders give, with their schemas
//! * `series`: entities, series and streams, and their stable keys
//! * `measured`: what measures that are made outside of the shards read and give
//! * `sample`: the numbers, log lines and spans that measures take out of batches
//! * `alert`, `change`: what others say
//! * `example`: requests and lines for people to look at
//! * `sighting`: what telemetry says in passing of how an entity runs
//! * `silence`, `schedule`, `word`: what people say · `role`: what somebody may do
//! * `anomaly`, `incident`, `signal`: what the engine says
//! * `hash`: the one stable hash behind every id
//! * `time`: what a timestamp can look like
//! * `section`: the form in which a state machine saves itself
//! * `text`: names and values of a bounded length

pub mod alert;
pub mod anomaly;
pub mod batch;
pub mod change;
pub mod control;
pub mod durations;
pub mod example;
pub mod hash;
pub mod incident;
pub mod measure_role;
pub mod measured;
pub mod partial;
pub mod record;
pub mod role;
pub mod schedule;
pub mod seam;
pub mod section;
pub mod series;
pub mod sighting;
pub mod signal;
pub mod silence;
pub mod text;
pub mod time;
pub mod word;

pub use alert::{Alert, AlertSeverity};
pub use anomaly::{Anomaly, AnomalyKind, Edge, Placement, TickClosed, Traffic};
pub use batch::{Batch, Signal as BatchSignal};
pub use change::Change;
pub use control::{Control, ShardClosed};
pub use durations::Durations;
pub use example::{Example, ExampleKind};
pub use hash::{Id, stable_hash};
pub use incident::{Harm, Incident, IncidentEvent, IncidentState, Member, Suppressed, Suspect};
pub use measure_role::{MeasureRole, RoleRule};
pub use measured::{Measured, NoRowMeasures, RowMeasures, RowMeasuresError, RowsMeasured, TickRows};
pub use partial::{
    Calls, GravestLine, HistogramPoint, LogLines, NumberPoint, Partial, RequestExamples, Requests, SelfTimes,
    SpanSample, Timings, TraceSpans,
};
pub use record::{Record, Reject, RejectReason, Source, UNREADABLE};
pub use role::{Caller, Right, Role, Scope};
pub use schedule::{LONGEST_DAYS, Schedule, When};
pub use seam::{Handed, SeamError};
pub use section::Section;
pub use series::{Entity, EntityKind, SeriesDef, StreamDef, StreamKind, fits};
pub use sighting::{Facet, Sighting};
pub use signal::{Action, Consent, ControllerKind, Recovery, RemediationSignal, SignalState};
pub use silence::{Matcher, Silence};
pub use text::{MAX_ATTRIBUTES, MAX_NAME, cut, cut_attributes, cut_name};
pub use time::{epoch_ns, parse_time_ms, parse_time_ns};
pub use word::{Adjustment, Feedback, Lesson, Verdict, Word};

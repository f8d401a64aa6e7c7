//! What the pipeline is told, and what it gives.

use super::{Idle, SeriesScore};
use crate::{
    bus, correlator,
    types::{Anomaly, Change, Incident, Measured, Record, Reject, Source, Suppressed, TickRows, Word},
};

/// What the pipeline is told.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A partition is read from now on; until its first record it holds every tick open.
    Assign(Source),
    /// Records of a partition, with rising offsets.
    Records {
        /// The partition.
        source: &'a Source,
        /// The records.
        records: &'a [Record],
    },
    /// A partition is read no longer: it holds no tick open, and what it held open is somebody else's.
    Revoke(&'a Source),
    /// A partition was silent for long. Decided outside, and kept in a log before it comes here.
    Idle(&'a Idle),
    /// Everything was read: close every tick.
    Flush,
    /// The answer to [`Effect::Query`], before any other event.
    Measured {
        /// The tick.
        tick: i64,
        /// Values of series that the pipeline has from nowhere else.
        values: Vec<Measured>,
    },
    /// What a person says, of incidents and silences.
    Word {
        /// What.
        word: Word,
        /// End of the tick after which it takes effect, unix milliseconds: at once where that is closed.
        after_ms: i64,
    },
    /// Whether the engine works through a backlog from now on: then it observes only.
    Backlog(bool),
    /// What controllers and people say to the bus.
    Bus(bus::Event),
}

/// What the pipeline gives, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A revision of an anomaly.
    Anomaly(Anomaly),
    /// A revision of an incident.
    Incident(Incident),
    /// An anomaly that opens no incident, and why.
    Suppressed(Suppressed),
    /// A change event, in the tick in which it took place.
    Change(Change),
    /// A record was refused: it belongs on the dead-letter topic.
    DeadLetter {
        /// Where it came from.
        source: Source,
        /// Which record, and why.
        reject: Reject,
    },
    /// What the bus wants done; a signal must be durable before anything after it is done.
    Bus(bus::Effect),
    /// Every score of a tick, in the order of the series' names; only after [`super::Pipeline::show_scores`].
    Scores {
        /// Start of the tick, unix milliseconds.
        time_ms: i64,
        /// The series that had a value.
        series: Vec<SeriesScore>,
    },
    /// What the correlator is about to be told; only after [`super::Pipeline::show_told`].
    Told(Box<correlator::Event>),
    /// A tick is about to close and waits for [`Event::Measured`]; always the last effect of an event.
    Query(TickRows),
    /// A tick is closed in every shard; its end, unix milliseconds.
    TickClosed {
        /// End of the tick.
        time_ms: i64,
    },
}

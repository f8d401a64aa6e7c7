//! Plain text: one line per record.

use super::{
    Destination, Format, Refusal, Told,
    lines::{line, severity_of, stream_of},
    malformed, own_time_ns,
};
use crate::types::{Entity, EntityKind, Record};

/// One line per record, at the record's own time; the topic is the entity.
pub(super) struct Text;

impl Format for Text {
    fn read(&self, record: &Record, to: &mut Destination<'_>) -> Result<Told, Refusal> {
        let body = std::str::from_utf8(&record.payload).map_err(malformed)?;
        let time_ns = own_time_ns(record)?;
        let stream = stream_of(Entity::new(EntityKind::Other, to.topic), to.streams);
        line(to.rows, time_ns, stream, severity_in(body), body.trim_end(), to.redactor);
        Ok(Told::default())
    }
}

/// Severity by the first level word among the first words of a line; 0 when there is none.
fn severity_in(line: &str) -> u8 {
    let words = line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.take(8).map(severity_of).find(|&severity| severity > 0).unwrap_or(0)
}

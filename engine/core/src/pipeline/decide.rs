//! What is decided once for all shards: incidents and signals, and what the shards obey.

use super::{Effect, PipelineConfig, due::Due, places::Places, sightings, sightings::Sightings};
use crate::{
    bus::{self, Bus},
    correlator::{self, Correlator},
    silences::Silences,
    types::{Alert, Change, Control, ShardClosed, Sighting, TickClosed, Word},
};

/// The correlator, the bus, and what they are told beside anomalies.
#[derive(Debug)]
pub(super) struct Decide {
    tick_ms: i64,
    learn_until_ms: i64,
    deep_series: usize,
    pub(super) silences: Silences,
    pub(super) places: Places,
    pub(super) correlator: Correlator,
    pub(super) bus: Bus,
    /// What waits for its tick.
    pub(super) due: Due,
    /// Words that wait for theirs. Not part of a snapshot: the journal has them.
    words: Vec<(i64, Word)>,
    /// How entities were seen to run.
    pub(super) sightings: Sightings,
    /// End of the latest closed tick, unix milliseconds.
    pub(super) closed_ms: Option<i64>,
    catching_up: bool,
    pub(super) shows_told: bool,
    /// Whether the shards are to be told anew what they obey.
    speaks: bool,
}

impl Decide {
    pub(super) fn new(config: &PipelineConfig) -> Result<Decide, bus::ConfigError> {
        Ok(Decide {
            tick_ms: config.clock.tick_ns / 1_000_000,
            learn_until_ms: config.score.learn_until_ms,
            deep_series: config.deep_series,
            silences: Silences::new(config.silences.clone()),
            places: Places::new(config.clock.shards),
            correlator: Correlator::new(config.correlator.clone()),
            bus: Bus::new(config.bus.clone())?,
            due: Due::default(),
            words: Vec::new(),
            sightings: Sightings::default(),
            closed_ms: None,
            catching_up: true,
            shows_told: false,
            speaks: false,
        })
    }

    /// Takes what belongs to no shard; it waits for its tick.
    pub(super) fn take(&mut self, changes: Vec<Change>, alerts: Vec<Alert>, sightings: Vec<Sighting>) {
        self.due.changes.extend(changes);
        self.due.alerts.extend(alerts);
        self.due.sightings.extend(sightings);
    }

    /// What the shards obey from this tick on, if they have not been told.
    pub(super) fn speak(&mut self, from_tick: i64) -> Option<Control> {
        std::mem::take(&mut self.speaks).then(|| self.control(from_tick))
    }

    /// What the shards obey from this tick on.
    pub(super) fn control(&self, from_tick: i64) -> Control {
        let (silences, deep_places) = (self.silences.given().into(), self.places.granted().into());
        Control { from_tick, silences, deep_places }
    }

    /// Takes a tick that every shard has closed, in their order.
    pub(super) fn tick(
        &mut self,
        tick: i64,
        time_ms: i64,
        closed: Vec<ShardClosed>,
        effects: &mut Vec<Effect>,
    ) {
        let end_ms = time_ms + self.tick_ms;
        self.closed_ms = Some(end_ms);
        self.speaks |= self.places.grant(self.deep_series, &closed, tick + 1);
        let mut told = TickClosed { time_ms, silences: self.silences.hold(time_ms), ..TickClosed::default() };
        for shard in closed {
            told.anomalies.extend(shard.anomalies);
            told.edges.extend(shard.edges);
            told.traffic.extend(shard.traffic);
            told.examples.extend(shard.examples);
            told.warm_series += shard.warm_series;
        }
        told.anomalies.sort_by(|a, b| a.series.cmp(&b.series).then(a.id.cmp(&b.id)));
        told.edges.sort_by(|a, b| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee)));
        effects.extend(told.anomalies.iter().cloned().map(Effect::Anomaly));
        let mut due = self.due.until(end_ms);
        told.placements = sightings::placements(&mut due.sightings);
        due.changes.iter().for_each(|change| self.sightings.told(change));
        due.changes.extend(due.sightings.into_iter().filter_map(|seen| self.sightings.take(seen)));
        for change in due.changes {
            effects.push(Effect::Change(change.clone()));
            self.tell_bus(bus::Event::Change(change.clone()), effects);
            self.tell_correlator(correlator::Event::Change(change), effects);
        }
        // What others alerted of in a stretch that is not told of is over, or alerted of again.
        let tells = time_ms >= self.learn_until_ms;
        for alert in due.alerts.into_iter().filter(|_| tells) {
            self.tell_correlator(correlator::Event::Alert(alert), effects);
        }
        let catching_up = self.catching_up;
        self.tell_bus(bus::Event::Tick { time_ms: end_ms, catching_up }, effects);
        self.tell_correlator(correlator::Event::Tick(told), effects);
        effects.push(Effect::TickClosed { time_ms: end_ms });
        self.hear(effects);
    }

    /// Takes what a person says. It takes effect when the tick that ends then is closed.
    pub(super) fn word(&mut self, word: Word, after_ms: i64, effects: &mut Vec<Effect>) {
        self.words.push((after_ms, word));
        self.hear(effects);
    }

    /// Lets words take effect whose tick is closed.
    fn hear(&mut self, effects: &mut Vec<Effect>) {
        let closed_ms = self.closed_ms.unwrap_or(i64::MIN);
        let due: Vec<_> = self.words.extract_if(.., |(after_ms, _)| *after_ms <= closed_ms).collect();
        for (_, word) in due {
            match word {
                Word::Silence(silence) => {
                    self.silences.take(silence);
                    self.speaks = true;
                }
                Word::EndSilence { silence, .. } => {
                    self.silences.end(silence, closed_ms);
                    self.speaks = true;
                }
                Word::Halt { halt, by, comment } => {
                    self.tell_bus(bus::Event::Halt { halt, by, comment }, effects);
                }
                word => self.tell_correlator(correlator::Event::Word(word), effects),
            }
        }
    }

    /// Takes note of whether the engine works through a backlog. Event time may stand still: the bus must not wait for the next tick to know.
    pub(super) fn backlog(&mut self, catching_up: bool, effects: &mut Vec<Effect>) {
        if catching_up != self.catching_up {
            self.catching_up = catching_up;
            let time_ms = self.closed_ms.unwrap_or(0);
            self.tell_bus(bus::Event::Tick { time_ms, catching_up }, effects);
        }
    }

    /// Tells the correlator, and the bus what came of it.
    fn tell_correlator(&mut self, event: correlator::Event, effects: &mut Vec<Effect>) {
        if self.shows_told {
            effects.push(Effect::Told(Box::new(event.clone())));
        }
        for effect in self.correlator.on_event(event) {
            match effect {
                correlator::Effect::Incident(incident) => {
                    effects.push(Effect::Incident(incident.clone()));
                    self.tell_bus(bus::Event::Incident(incident), effects);
                }
                correlator::Effect::Suppressed(suppressed) => effects.push(Effect::Suppressed(suppressed)),
            }
        }
    }

    /// Tells the bus, and the correlator what came of remediation.
    pub(super) fn tell_bus(&mut self, event: bus::Event, effects: &mut Vec<Effect>) {
        for effect in self.bus.on_event(event) {
            match effect {
                bus::Effect::Remediation { incident, recovery } => {
                    self.tell_correlator(correlator::Event::Remediation { incident, recovery }, effects);
                }
                other => effects.push(Effect::Bus(other)),
            }
        }
    }
}

//! What was found beside what was wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use foreshock_core::types::{Anomaly, Id, Incident};

use super::{
    START_S, TICK_S, WARM_UP_S, World,
    story::{Fault, Kind},
};

/// An incident that opens this long after a fault's end is still about it, seconds.
const AFTERMATH_S: i64 = 300;

/// What the engine said during a run.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Of every incident, the revisions that called people, each with the last one before it called them again.
    incidents: BTreeMap<Id, Vec<(Incident, Incident)>>,
    anomalies: usize,
}

/// What came of one fault.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it was.
    pub kind: Kind,
    /// Whose fault it was.
    pub cause: String,
    /// Incidents about it that called people.
    pub incidents: usize,
    /// Ticks from its beginning to the first of them.
    pub ticks: Option<i64>,
    /// Place of the cause among the suspects of the first incident's last revision, from 0.
    pub place: Option<usize>,
    /// The title of that.
    pub title: String,
}

/// What came of one story.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Services, and series that were known at the end.
    pub size: (usize, usize),
    /// Of every fault.
    pub verdicts: Vec<Verdict>,
    /// Titles of incidents that called people for nothing, what happened then, and their loudest members.
    pub false_alarms: Vec<String>,
    /// Length of the story after the warm-up, days of 24 hours.
    pub days: f64,
    /// Anomalies, and incidents that called people.
    pub counts: (usize, usize),
}

/// Members of a false alarm that are told.
const LOUDEST: usize = 12;

impl Judge {
    pub(super) fn incident(&mut self, incident: Incident) {
        let calls = self.incidents.entry(incident.id).or_default();
        match calls.last_mut() {
            Some((_, last)) if !incident.page => *last = incident,
            _ if incident.page => calls.push((incident.clone(), incident)),
            _ => {}
        }
    }

    pub(super) fn anomaly(&mut self, anomaly: &Anomaly) {
        self.anomalies += usize::from(anomaly.revision == 1);
    }

    pub(super) fn verdict(self, world: &World, series: usize) -> Outcome {
        let World { estate, faults, end_s, .. } = world;
        let name = |at: usize| estate.services[at].name.as_str();
        let mut pages: Vec<&(Incident, Incident)> = self.incidents.values().flatten().collect();
        pages.sort_by_key(|(first, _)| (first.updated_ms, first.id));
        let mut verdicts: Vec<Verdict> =
            faults.iter().map(|fault| Verdict::none(fault, name(fault.at))).collect();
        let mut false_alarms = Vec::new();
        for (first, last) in &pages {
            let opened_s = first.updated_ms / 1000;
            // What an incident that flares up was about before does not count.
            let is_news = |anomaly: &Anomaly| anomaly.updated_ms >= first.updated_ms - 1000 * AFTERMATH_S;
            let told: BTreeSet<&str> = last
                .members
                .iter()
                .filter(|member| is_news(&member.anomaly))
                .map(|member| member.anomaly.entity.name.as_str())
                .collect();
            let place_of = |fault: &Fault| {
                let is_cause = |suspect: &str| {
                    let is_its_queue = fault.kind == Kind::QueueBacklog && suspect == name(fault.at - 1);
                    suspect == name(fault.at) || is_its_queue
                };
                last.suspects.iter().position(|suspect| is_cause(&suspect.entity.name))
            };
            let fits = |fault: &Fault| {
                let touched = estate.touched(fault.at);
                // A tick is named by its start.
                (fault.start_s - TICK_S..=fault.end_s + AFTERMATH_S).contains(&opened_s)
                    && !fault.kind.is_benign()
                    && touched.iter().any(|at| told.contains(name(*at)))
            };
            let fitting: Vec<usize> = (0..faults.len()).filter(|index| fits(&faults[*index])).collect();
            for index in &fitting {
                let verdict = &mut verdicts[*index];
                verdict.incidents += 1;
                if verdict.incidents == 1 {
                    let place = place_of(&faults[*index]);
                    // Of two faults at once in one incident, neither stands in the other's way.
                    let before = fitting
                        .iter()
                        .filter(|other| {
                            place_of(&faults[**other])
                                .is_some_and(|other| place.is_some_and(|place| other < place))
                        })
                        .count();
                    verdict.ticks = Some((opened_s - faults[*index].start_s).div_euclid(TICK_S) + 1);
                    verdict.place = place.map(|place| place - before.min(place));
                    verdict.title.clone_from(&last.title);
                }
            }
            if fitting.is_empty() {
                let then = faults.iter().rfind(|fault| fault.start_s <= opened_s);
                let then = then.map_or("before all".to_owned(), |fault| {
                    format!("{:?} of {}, {} s ago", fault.kind, name(fault.at), opened_s - fault.start_s)
                });
                let loudest = first.members.iter().take(LOUDEST).map(|member| {
                    let Anomaly { series, value, expected, ticks, .. } = &member.anomaly;
                    format!("\n    {series} {value:.3}, expected {expected:.3}, {ticks} ticks")
                });
                let loudest: String = loudest.collect();
                let reasons =
                    first.suspects.iter().map(|suspect| format!("\n  {}", suspect.reasons.join("; ")));
                let reasons: String = reasons.collect();
                false_alarms.push(format!("{} [{}] ({then}){reasons}{loudest}", last.title, first.why));
            }
        }
        Outcome {
            size: (estate.services.len(), series),
            verdicts,
            false_alarms,
            days: (end_s - START_S - WARM_UP_S) as f64 / 86_400.0,
            counts: (self.anomalies, pages.len()),
        }
    }
}

impl Verdict {
    fn none(fault: &Fault, cause: &str) -> Verdict {
        let (cause, title) = (cause.to_owned(), String::new());
        Verdict { kind: fault.kind, cause, incidents: 0, ticks: None, place: None, title }
    }
}

/// Figures over many stories.
#[derive(Clone, Debug)]
pub struct Report {
    /// Incidents per fault that was found.
    pub incidents_per_fault: f64,
    /// Share of faults that were found.
    pub found: f64,
    /// Share of faults whose cause is the first suspect, and one of the first three; one that was not found has none.
    pub cause_first: f64,
    /// See `cause_first`.
    pub cause_in_three: f64,
    /// Incidents for nothing per simulated day.
    pub false_per_day: f64,
    /// Ticks to the incident: median and 95th percentile of the faults found.
    pub ticks: (i64, i64),
    /// Anomalies per incident.
    pub compression: f64,
}

impl Report {
    /// The figures of these stories, of some kinds of fault.
    pub fn of(outcomes: &[Outcome], wanted: impl Fn(Kind) -> bool) -> Report {
        let verdicts: Vec<&Verdict> = outcomes
            .iter()
            .flat_map(|outcome| &outcome.verdicts)
            .filter(|verdict| !verdict.kind.is_benign() && wanted(verdict.kind))
            .collect();
        let share = |is: &dyn Fn(&Verdict) -> bool| {
            verdicts.iter().filter(|verdict| is(verdict)).count() as f64 / verdicts.len() as f64
        };
        let found = share(&|verdict| verdict.incidents > 0);
        let incidents: usize = verdicts.iter().map(|verdict| verdict.incidents).sum();
        let mut ticks: Vec<i64> = verdicts.iter().filter_map(|verdict| verdict.ticks).collect();
        ticks.sort_unstable();
        let rank = |share: f64| ticks.get((share * ticks.len() as f64) as usize).copied().unwrap_or(0);
        let sum = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>();
        Report {
            incidents_per_fault: incidents as f64 / (found * verdicts.len() as f64),
            found,
            cause_first: share(&|verdict| verdict.place == Some(0)),
            cause_in_three: share(&|verdict| verdict.place.is_some_and(|place| place < 3)),
            false_per_day: sum(&|outcome| outcome.false_alarms.len() as f64) / sum(&|outcome| outcome.days),
            ticks: (rank(0.5), rank(0.95)),
            compression: sum(&|outcome| outcome.counts.0 as f64) / sum(&|outcome| outcome.counts.1 as f64),
        }
    }

    /// A row of a table: found, incidents per fault, cause first, cause in three, ticks.
    pub fn row(&self, name: &str) -> String {
        let mut row = format!("| {name} |");
        let percents = [self.found, self.cause_first, self.cause_in_three];
        percents.iter().for_each(|share| write!(row, " {:.1} % |", 100.0 * share).expect("text"));
        let Report { incidents_per_fault, ticks: (median, late), .. } = self;
        row + &format!(" {incidents_per_fault:.2} | {median} / {late} |")
    }
}

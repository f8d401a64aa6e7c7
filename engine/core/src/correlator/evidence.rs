//! How much speaks for a group of anomalies: its evidence, in units of −ln p, and the signs that it is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    load::Load,
    symptom::{self, Symptom},
};
use crate::types::{
    Anomaly, AnomalyKind, Entity, MeasureRole,
    measure_role::{is_drift, is_rate},
};

/// −ln p from which the core tier calls something news.
pub(super) const NEWS: f64 = 6.9;

/// An anomaly has lasted, and counts, from this number of ticks on.
const LASTING_TICKS: u32 = 3;

/// Evidence of each further tick outside, in units of −ln p: by chance about one in three ticks after one
/// outside is outside too, because series wander.
const PER_TICK: f64 = 1.2;

/// −ln p from which a new template is worse than a warning, whose p is raised by its mildness.
const TROUBLE: f64 = 5.0;

/// Most evidence of how far out a value was; approached, so that farther is always more.
const MOST_NEWS: f64 = 3.0;

/// Most evidence of one symptom of one entity.
const MOST: f64 = 12.0;

/// Evidence of a model's drift: its detector tells it once in two million observations by chance, having waited for what it saw to
/// last; −ln p beyond [`NEWS`].
const DRIFT: f64 = 7.6;

/// Weight of an entity's joint pattern: it says that something is different, not that it hurts, so that it counts for no more than
/// the other signs beside it.
const JOINT: f64 = 0.5;

/// Weight of one silent series: its measure may have been removed. Every further one of the same entity halves the doubt.
const SILENT: f64 = 0.5;

/// Errors that rise no more than this times as much as the traffic follow it; times that rise no more than this times the root of it
/// are what more traffic brings, and its own root is what more traffic of others brings.
const FOLLOWS: f64 = 1.5;

/// How far beyond its band what is counted may be on the strongest of many ticks.
const STRONGEST: f64 = 3.0;

/// Whether an anomaly has lasted; a new template, an alert, a forecast and a drift that is told is what it is at once.
pub(super) fn lasts(anomaly: &Anomaly) -> bool {
    let at_once =
        matches!(anomaly.kind, AnomalyKind::NewTemplate | AnomalyKind::Alert | AnomalyKind::Forecast);
    at_once || tells_drift(anomaly) || anomaly.ticks >= LASTING_TICKS
}

/// Whether a change of a model's inputs or answers is told.
fn tells_drift(anomaly: &Anomaly) -> bool {
    anomaly.kind == AnomalyKind::Series && is_drift(&anomaly.measure) && anomaly.value > anomaly.expected
}

/// Evidence of one anomaly.
pub(super) fn strength(anomaly: &Anomaly) -> f64 {
    let news = MOST_NEWS * (1.0 - (-(anomaly.neg_log_p - NEWS).max(0.0) / MOST_NEWS).exp());
    match anomaly.kind {
        // How long a silence lasts is in its p already.
        AnomalyKind::Absence => (anomaly.neg_log_p - NEWS).clamp(0.0, MOST),
        AnomalyKind::Alert | AnomalyKind::Forecast => (anomaly.neg_log_p - NEWS).clamp(0.0, MOST),
        AnomalyKind::Entity => JOINT * (news + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST),
        // A new line that comes with every change may go on for ever.
        AnomalyKind::NewTemplate if anomaly.neg_log_p < TROUBLE => news,
        AnomalyKind::Series if tells_drift(anomaly) => {
            (DRIFT + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST)
        }
        AnomalyKind::Series | AnomalyKind::NewTemplate => {
            (news + PER_TICK * f64::from(anomaly.ticks - 1)).min(MOST)
        }
    }
}

/// A sign that counts: who is in trouble, how, and the evidence of that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sign {
    pub(super) whose: Entity,
    pub(super) symptom: Symptom,
    pub(super) strength: f64,
}

/// What speaks for a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    pub(super) total: f64,
    /// Those that have lasted, strongest first.
    pub(super) signs: Vec<Sign>,
}

/// Signs that are named.
const NAMED: usize = 3;

impl Evidence {
    /// The evidence of a group, under a load everywhere.
    pub(super) fn of<'a>(group: impl Iterator<Item = &'a Anomaly> + Clone, load: Load) -> Evidence {
        Evidence::amid(group.clone(), group, load)
    }

    /// The evidence of some of the anomalies of a story, seen against all of it: what more traffic explains there, it explains in a part.
    ///
    /// Of each symptom of each entity in trouble the strongest sign, added up over those that have lasted; at least the strongest of
    /// all but joint patterns, which count for no more than the other signs. What an entity says of itself and what its callers say of it are the same requests: the stronger counts. Traffic that
    /// moves without any symptom is no evidence at all.
    pub(super) fn amid<'a>(
        part: impl Iterator<Item = &'a Anomaly>,
        all: impl Iterator<Item = &'a Anomaly>,
        load: Load,
    ) -> Evidence {
        let background = Background::of(all, load.times());
        // By who is in trouble, then by who says so.
        let mut symptoms: BTreeMap<(Entity, Symptom, AnomalyKind), BTreeMap<&Entity, f64>> = BTreeMap::new();
        let mut strongest: f64 = 0.0;
        for anomaly in part.filter(|anomaly| !background.explains(anomaly)) {
            let strength = strength(anomaly) * background.certainty(anomaly);
            if anomaly.kind != AnomalyKind::Entity {
                strongest = strongest.max(strength);
            }
            if lasts(anomaly) {
                let sign = (symptom::whose(anomaly), symptom::of(anomaly), anomaly.kind);
                let told = symptoms.entry(sign).or_default().entry(&anomaly.entity).or_insert(0.0);
                *told = told.max(strength);
            }
        }
        let (mut known, mut joint) = (0.0, 0.0);
        let signs = symptoms.into_iter().map(|((whose, symptom, kind), told)| {
            let (mut own, mut others) = (0.0, 0.0);
            for (says, strength) in told {
                *if says.is(&whose) { &mut own } else { &mut others } += strength;
            }
            let strength = f64::max(own, others);
            *if kind == AnomalyKind::Entity { &mut joint } else { &mut known } += strength;
            Sign { whose, symptom, strength }
        });
        let mut signs: Vec<Sign> = signs.collect();
        let total = f64::max(known + f64::min(joint, known), strongest);
        signs.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        Evidence { total, signs }
    }

    /// The number, and the strongest signs: `12.3 (service/cart failing 9.1, service/cart slow 3.2)`.
    pub(super) fn words(&self) -> String {
        let name = |sign: &Sign| format!("{} {} {:.1}", sign.whose, sign.symptom.word(), sign.strength);
        let mut named: Vec<String> = self.signs.iter().take(NAMED).map(name).collect();
        if self.signs.len() > NAMED {
            named.push(format!("{} more", self.signs.len() - NAMED));
        }
        match named.is_empty() {
            true => format!("{:.1}", self.total),
            false => format!("{:.1} ({})", self.total, named.join(", ")),
        }
    }
}

/// What the anomalies of a group are seen against.
#[derive(Default)]
struct Background<'a> {
    /// How many times as much traffic came in as expected, and how much more, by the entity's name; how many times at most.
    traffic: BTreeMap<&'a str, (f64, f64)>,
    most_traffic: f64,
    /// How many times as much as usual comes in everywhere.
    load: f64,
    /// Whether anybody is given more to do than usual. Busy processors alone do not say so: they may be what is wrong.
    is_busy: bool,
    /// Who is asked for less of something than usual, by name.
    asked_less: BTreeSet<&'a str>,
    /// Silent series by entity.
    silent: BTreeMap<&'a Entity, i32>,
}

impl<'a> Background<'a> {
    fn of(group: impl Iterator<Item = &'a Anomaly>, load: f64) -> Background<'a> {
        let mut background = Background { load, most_traffic: load, ..Background::default() };
        for anomaly in group {
            if symptom::comes_in(anomaly) && lasts(anomaly) {
                let (most, more) = background.traffic.entry(&anomaly.entity.name).or_insert((0.0, 0.0));
                *most = most.max(symptom::rise(anomaly));
                *more += anomaly.value - anomaly.expected;
                background.most_traffic = background.most_traffic.max(symptom::rise(anomaly));
            }
            if anomaly.kind == AnomalyKind::Series && symptom::of(anomaly) == Symptom::Traffic {
                let rises = anomaly.value > anomaly.expected;
                background.is_busy |= rises && lasts(anomaly) && !symptom::is_of_processors(anomaly);
                if !rises && symptom::is_of_requests(anomaly) {
                    background.asked_less.insert(&anomaly.entity.name);
                }
            }
            if anomaly.kind == AnomalyKind::Absence {
                *background.silent.entry(&anomaly.entity).or_insert(0) += 1;
            }
        }
        background
    }

    /// How many times as much as expected comes in, to an entity, to the one that it calls, or everywhere; and how much more. More
    /// everywhere is told as a share alone.
    fn traffic(&self, anomaly: &Anomaly) -> (f64, f64) {
        let of = |entity: &Entity| self.traffic.get(entity.name.as_str()).copied().unwrap_or((0.0, 0.0));
        let (own, whose) = (of(&anomaly.entity), of(&symptom::whose(anomaly)));
        let most = if whose.0 > own.0 { whose } else { own };
        if self.load > most.0 { (self.load, f64::INFINITY) } else { most }
    }

    /// Whether an anomaly is traffic, or errors or times that are no more than what traffic brings with it; a cache's misses, which
    /// hurt nobody by themselves, may follow the traffic of anybody in the group.
    fn explains(&self, anomaly: &Anomaly) -> bool {
        let (own, more) = self.traffic(anomaly);
        match symptom::of(anomaly) {
            Symptom::Traffic => return true,
            Symptom::Slow if own > 1.0 => return symptom::rise(anomaly) <= FOLLOWS * own.sqrt(),
            Symptom::Slow => return self.is_busy && symptom::rise(anomaly) <= FOLLOWS.sqrt(),
            _ => {}
        }
        let is_of_cache = anomaly.role == MeasureRole::CacheMisses;
        if is_of_cache && self.asked_less.contains(anomaly.entity.name.as_str()) {
            // What it no longer has, it is asked for as often as before.
            return false;
        }
        let most = if is_of_cache { self.most_traffic } else { own };
        if !is_rate(&anomaly.measure) || most <= 1.0 {
            return false;
        }
        // No more requests can fail on top than come in on top; lines there may be more of.
        let is_of_requests = !is_of_cache && symptom::is_of_requests(anomaly);
        if is_of_requests && anomaly.value - anomaly.expected > FOLLOWS * more {
            return false;
        }
        // What is counted scatters by the root of how much there is of it.
        let scatter = STRONGEST * (anomaly.upper - anomaly.expected).max(0.0) * most.sqrt();
        anomaly.value <= FOLLOWS * most * anomaly.expected + scatter
    }

    /// How sure it is that a silence is more than one measure that is gone.
    fn certainty(&self, anomaly: &Anomaly) -> f64 {
        if anomaly.kind != AnomalyKind::Absence {
            return 1.0;
        }
        1.0 - SILENT.powi(self.silent.get(&anomaly.entity).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::anomaly, *};

    fn evidence(lines: &[&str]) -> Evidence {
        let anomalies: Vec<Anomaly> = lines.iter().map(|line| anomaly(line)).collect();
        Evidence::of(anomalies.iter(), Load::default())
    }

    const OWN: &str = "0 payment span.errors:ratio 20 50";

    #[test]
    fn requests_that_are_told_of_twice_count_once() {
        let edge =
            |caller: &str| format!("0 {caller} span.edge.errors:ratio{{callee=service/payment}} 20 50");
        let alone = evidence(&[OWN]);
        assert_eq!(alone.signs.len(), 1);
        assert!((alone.total - (2.96 + 7.0 * PER_TICK)).abs() < 0.01, "{alone:?}");
        assert_eq!(evidence(&[OWN, &edge("checkout")]), alone);
        // Two callers who say so are more than it says itself.
        let both = evidence(&[OWN, &edge("checkout"), &edge("user")]);
        assert!((both.total - 2.0 * alone.total).abs() < 1e-9, "{both:?}");
        let other = evidence(&[OWN, "0 payment span.duration:p95 20 50"]);
        assert!((other.total - 2.0 * alone.total).abs() < 1e-9, "another symptom: {other:?}");
        assert_eq!(alone.words(), "11.4 (service/payment failing 11.4)");
    }

    #[test]
    fn what_traffic_brings_with_it_is_no_evidence() {
        let traffic = "0 cart http.server.request.count:rate 20 2";
        let cases = [
            ("0 cart http.server.request.errors:rate 20 2.4", 0.0),
            ("0 cart span.duration:p95 20 2", 0.0),
            ("0 user span.duration:p95 20 1.2", 0.0),
            ("0 cart span.duration:p95 20 4", 11.4),
            ("0 user span.duration:p95 20 2", 11.4),
            ("0 cart http.server.request.errors:rate 20 40", 11.4),
        ];
        for (line, expected) in cases {
            let found = evidence(&[traffic, line]).total;
            assert!((found - expected).abs() < 0.1, "{line}: {found}");
        }
        assert!(evidence(&["0 user span.duration:p95 20 1.2"]).total > 11.0, "nobody is busy");
    }

    #[test]
    fn what_is_not_more_of_the_usual_requests_explains_nothing() {
        let failing = "0 cart http.server.request.errors:rate 20 10";
        assert_eq!(evidence(&["0 cart http.server.request.count:rate 20 8", failing]).total, 0.0);
        for other in
            ["0 cart log.template:rate{template=5f4d} 20 8", "0 cart http.server.request.count:rate 20 11"]
        {
            assert!(evidence(&[other, failing]).total > 11.0, "{other}");
        }
        // Eight times as many too, but only seven more: ten more cannot fail for that.
        let few = anomaly("0 cart http.server.request.count:rate 20 0.8");
        let few = Anomaly { expected: 0.1, ..few };
        assert!(Evidence::of([&few, &anomaly(failing)].into_iter(), Load::default()).total > 11.0);
        let (slow, busy) = ("0 cart span.duration:p95 20 1.2", "0 cart process.cpu.utilization 20 2");
        assert!(evidence(&[busy, slow]).total > 11.0, "busy of what?");
    }

    #[test]
    fn a_cache_that_hits_less_is_not_asked_more() {
        let lines = ["0 shop http.server.request.count:rate 20 3", "0 store cache.misses:rate 20 4"];
        assert_eq!(evidence(&lines).total, 0.0);
        assert!(evidence(&[lines[0], lines[1], "0 store cache.hits:rate 20 0.5"]).total > 11.0);
    }

    #[test]
    fn more_traffic_everywhere_brings_what_ones_own_would() {
        let up = |name: usize| anomaly(&format!("0 app{name} http.server.requests:rate 20 2"));
        let everybody: Vec<Anomaly> = (0..5).map(up).collect();
        let mut load = Load::default();
        load.tick(everybody.iter(), 0, 0);
        let under = |line: &str| Evidence::of([&anomaly(line)].into_iter(), load).total;
        for line in ["0 cart http.server.request.errors:rate 20 4", "0 cart span.duration:p95 20 2"] {
            assert!(evidence(&[line]).total > 11.0 && under(line) == 0.0, "{line}");
        }
        assert!(under("0 cart http.server.request.errors:rate 20 40") > 11.0);
    }

    #[test]
    fn a_joint_pattern_needs_signs_beside_it() {
        let attribution = vec![("queries:mean".to_string(), 1.0)];
        let kind = AnomalyKind::Entity;
        let joint = Anomaly { kind, attribution, ..anomaly("0 payment entity 20 50") };
        let sign = |ticks| Anomaly { ticks, ..anomaly(OWN) };
        let total = |signs: &[&Anomaly]| Evidence::of(signs.iter().copied(), Load::default()).total;
        let (strong, weak) = (sign(8), sign(3));
        assert_eq!(total(&[&joint]), 0.0);
        assert_eq!(total(&[&joint, &weak]), total(&[&weak]) + f64::min(strength(&joint), strength(&weak)));
        assert_eq!(total(&[&joint, &strong]), total(&[&strong]) + strength(&joint));
    }

    #[test]
    fn a_drift_that_is_told_has_lasted() {
        let drift = Anomaly { ticks: 1, ..anomaly("0 ranker model.input.age:drift 20 50") };
        let gauge = Anomaly { ticks: 1, ..anomaly("0 ranker model.input.age:mean 20 50") };
        assert!(lasts(&drift) && !lasts(&gauge));
        assert_eq!(Evidence::of([&drift].into_iter(), Load::default()).total, DRIFT);
        assert!(Evidence::of([&gauge].into_iter(), Load::default()).total < MOST_NEWS);
    }
}

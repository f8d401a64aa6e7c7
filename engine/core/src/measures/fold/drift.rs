//! Drift of what models take in and give: each of their series of observations against its own past.
//!
//! The first [`ENOUGH`] observations say where the tenths of them lie (categories and outcomes are what they are); from then on a drift detector
//! watches how many fall into each. The values of the tick are the population stability index and the Kolmogorov-Smirnov distance since the
//! likeliest change where a change is told, and 0 otherwise.

use std::collections::BTreeMap;

use foreshock_detectors::{Drift, DriftConfig};
use serde::{Deserialize, Serialize};

use super::buckets::Counts;

/// Observations from which the tenths are taken.
const ENOUGH: u64 = 500;
/// Categories at most.
const TENTHS: usize = 10;
/// Categories that observations of categories have: 0, 1, … .
const CATEGORIES: usize = 9;
/// Series that are watched in a shard; more are not.
const MOST: usize = 100;
/// Observations before a change, and since it: fewer than in a minute of a model that is used at all.
const LEAST: (f64, f64) = (500.0, 100.0);
/// Ticks after which what was told is what later ticks are held against: a day of ten seconds.
const ADOPTED_AFTER: u32 = 8_640;

/// Detectors by series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Drifts {
    by_series: BTreeMap<u64, Watch>,
}

/// How far what came since the likeliest change is from what came before; nothing where no change is told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Population stability index.
    pub(super) psi: f64,
    /// Kolmogorov-Smirnov distance, by tenths.
    pub(super) ks: f64,
}

/// What observations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    /// Quantities.
    Values,
    /// 0 or 1.
    Outcomes,
    /// One of a few.
    Categories,
}

/// One series.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watch {
    /// The latest tick.
    tick: i64,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    /// The first observations, in buckets or as they are.
    Gathering(Counts),
    Sampling(Vec<f64>),
    Watching(Watched),
}

/// Observations by tenths, and what is told of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
struct Watched {
    edges: Vec<f64>,
    drift: Drift,
    /// Ticks in which a change was told, one after the other.
    told: u32,
}

/// The form in a snapshot.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    edges: Vec<f64>,
    levels: Vec<u32>,
    counts: Vec<f64>,
    told: u32,
}

impl Drifts {
    /// What a tick's observations in buckets come to; `None` while there is nothing to hold them against.
    pub(super) fn tell(&mut self, series: u64, counts: &Counts, tick: i64) -> Option<Told> {
        let state = self.state(series, tick, || State::Gathering(Counts::default()))?;
        match state {
            State::Gathering(first) => {
                if first.total() == 0 || !first.add(counts) {
                    first.copy(counts);
                }
                if first.total() >= ENOUGH {
                    *state = State::Watching(Watched::new(first.edges(TENTHS)));
                }
                None
            }
            State::Watching(watched) => Some(watched.tell(|edges, tenths| counts.by_edges(edges, tenths))),
            State::Sampling(_) => None,
        }
    }

    /// What a tick's observations come to; `None` while there is nothing to hold them against.
    pub(super) fn tell_values(&mut self, series: u64, mix: Mix, values: &[f64], tick: i64) -> Option<Told> {
        let between = |categories: usize| (1..categories).map(|edge| edge as f64 - 0.5).collect();
        let state = self.state(series, tick, || match mix {
            Mix::Values => State::Sampling(Vec::new()),
            Mix::Outcomes => State::Watching(Watched::new(between(2))),
            Mix::Categories => State::Watching(Watched::new(between(CATEGORIES))),
        })?;
        match state {
            State::Sampling(first) => {
                first.extend_from_slice(values);
                if first.len() as u64 >= ENOUGH {
                    *state = State::Watching(Watched::new(tenths(first)));
                }
                None
            }
            State::Watching(watched) => Some(watched.tell(|edges, tenths| {
                for value in values {
                    tenths[edges.partition_point(|edge| edge < value)] += 1.0;
                }
            })),
            State::Gathering(_) => None,
        }
    }

    /// What is known of a series; `None`: there is no room for it.
    fn state(&mut self, series: u64, tick: i64, begin: impl FnOnce() -> State) -> Option<&mut State> {
        if self.by_series.len() >= MOST && !self.by_series.contains_key(&series) {
            return None;
        }
        let watch = self.by_series.entry(series).or_insert_with(|| Watch { tick, state: begin() });
        watch.tick = tick;
        Some(&mut watch.state)
    }

    /// Forgets what was silent since this tick.
    pub(super) fn forget_before(&mut self, tick: i64) {
        self.by_series.retain(|_, watch| watch.tick >= tick);
    }
}

impl Watched {
    fn new(edges: Vec<f64>) -> Watched {
        let (least_before, least_since) = LEAST;
        let config = DriftConfig { least_before, least_since, ..DriftConfig::default() };
        Watched { drift: Drift::of_mix(config, edges.len() + 1), edges, told: 0 }
    }

    /// Takes a tick's observations; `count` adds them to the counts between the edges.
    fn tell(&mut self, count: impl FnOnce(&[f64], &mut [f64])) -> Told {
        let mut tenths = [0.0; TENTHS];
        let tenths = &mut tenths[..=self.edges.len()];
        count(&self.edges, tenths);
        let score = self.drift.tell(tenths);
        if !score.alarm {
            self.told = 0;
            return Told::default();
        }
        self.told += 1;
        if self.told >= ADOPTED_AFTER {
            self.told = 0;
            self.drift.begin_anew();
        }
        Told { psi: score.psi, ks: score.ks }
    }
}

/// Edges between the tenths of values; fewer where values repeat. Of values that are all one, those below and above it are told apart.
fn tenths(values: &mut [f64]) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    if least == most {
        return vec![least.next_down(), least];
    }
    let mut edges: Vec<f64> =
        (1..TENTHS).map(|part| values[(part * values.len() / TENTHS).saturating_sub(1)]).collect();
    edges.dedup();
    // Above the last edge there has to be something.
    edges.retain(|edge| *edge < most);
    if edges.is_empty() { vec![least] } else { edges }
}

impl From<Watched> for Saved {
    fn from(watched: Watched) -> Saved {
        let Watched { edges, drift, told } = watched;
        let (levels, counts) = drift.parts();
        Saved { edges, levels, counts, told }
    }
}

impl TryFrom<Saved> for Watched {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Watched, &'static str> {
        let Saved { edges, levels, counts, told } = saved;
        if edges.is_empty() || edges.len() >= TENTHS {
            return Err("a histogram's drift has no such number of categories");
        }
        let mut watched = Watched { told, ..Watched::new(edges) };
        match watched.drift.restore(&levels, &counts) {
            true => Ok(watched),
            false => Err("a histogram's drift is damaged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick of a hundred observations around a mean, in buckets of one.
    fn observed(tick: i64, mean: f64) -> Counts {
        let mut counts = vec![0; 41];
        for at in 0..100_u64 {
            // A sum of four uniform numbers, of variance 1/3, three times as wide.
            let noise: f64 = (0..4)
                .map(|part| {
                    let hash = (tick as u64 * 400 + at * 4 + part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    let hash = (hash ^ (hash >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    (hash >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
                })
                .sum();
            counts[(mean + 5.0 * noise).clamp(0.0, 40.0) as usize] += 1;
        }
        Counts::explicit((1..=40).map(f64::from).collect(), counts)
    }

    #[test]
    fn a_mean_that_moves_is_told_and_after_a_day_it_is_what_is_usual() {
        let mut drifts = Drifts::default();
        let mut told = Vec::new();
        let mean = |tick: i64| if tick < 1_000 { 20.0 } else { 23.0 };
        for tick in 0..12_000 {
            let value = drifts.tell(7, &observed(tick, mean(tick)), tick);
            assert_eq!(value.is_none(), tick < 5, "{tick}");
            told.push(value.unwrap_or_default().psi);
            if tick % 1_001 == 0 {
                let bytes = postcard::to_stdvec(&drifts).unwrap();
                drifts = postcard::from_bytes(&bytes).unwrap();
            }
        }
        assert!(told[..1_000].iter().all(|psi| *psi == 0.0), "nothing changed");
        let first = told.iter().position(|psi| *psi > 0.0).unwrap();
        assert!((1_000..1_004).contains(&first), "told at {first}");
        assert!(told[first] > 0.2 && told[5_000] > 0.2, "{} {}", told[first], told[5_000]);
        assert!(told[11_000..].iter().all(|psi| *psi == 0.0), "a day later it is usual");
    }

    #[test]
    fn histograms_beyond_the_limit_are_not_watched() {
        let mut drifts = Drifts::default();
        for series in 0..MOST as u64 {
            drifts.tell(series, &observed(0, 20.0), 0);
        }
        let mut last = |series| (0..20).map(|tick| drifts.tell(series, &observed(tick, 20.0), tick)).last();
        assert_eq!((last(0), last(1_000)), (Some(Some(Told::default())), Some(None)));
        drifts.forget_before(10);
        assert_eq!(drifts.by_series.len(), 1, "the others are silent");
    }

    #[test]
    fn what_a_snapshot_may_not_hold_is_refused() {
        let mut drifts = Drifts::default();
        for tick in 0..20 {
            drifts.tell(7, &observed(tick, 20.0), tick);
        }
        let Some(Watch { state: State::Watching(watched), .. }) = drifts.by_series.get(&7) else {
            panic!("it is watched")
        };
        let saved = Saved::from(watched.clone());
        assert!(Watched::try_from(saved.clone()).is_ok());
        assert!(Watched::try_from(Saved { edges: vec![0.0; 10], ..saved.clone() }).is_err());
        assert!(Watched::try_from(Saved { edges: vec![], ..saved.clone() }).is_err());
        assert!(
            Watched::try_from(Saved { counts: vec![-1.0; saved.counts.len()], ..saved.clone() }).is_err()
        );
        assert!(Watched::try_from(Saved { levels: vec![], ..saved }).is_err());
    }

    #[test]
    fn values_are_parted_into_tenths() {
        for (values, expected) in [
            (
                (0..100).map(f64::from).collect::<Vec<f64>>(),
                vec![9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0],
            ),
            (vec![7.0; 50], vec![7.0_f64.next_down(), 7.0]),
            ([vec![0.0; 95], vec![1.0; 5]].concat(), vec![0.0]),
            ((0..30).map(|at| f64::from(at % 3)).collect(), vec![0.0, 1.0]),
            (vec![-3.0, -1.0], vec![-3.0]),
        ] {
            let mut mixed = values.clone();
            mixed.reverse();
            assert_eq!(tenths(&mut mixed), expected, "{values:?}");
        }
    }

    #[test]
    fn outcomes_and_categories_need_no_tenths() {
        let mut drifts = Drifts::default();
        let mut told = Vec::new();
        for tick in 0..400_i64 {
            let wrong = if tick < 200 { 5 } else { 20 };
            let outcomes: Vec<f64> = (0..50).map(|at| f64::from(at < wrong)).collect();
            told.push(drifts.tell_values(1, Mix::Outcomes, &outcomes, tick).unwrap().psi);
            let categories: Vec<f64> = (0..50).map(|at| f64::from((at + tick as i32) % 9)).collect();
            assert_eq!(drifts.tell_values(2, Mix::Categories, &categories, tick), Some(Told::default()));
        }
        let first = told.iter().position(|psi| *psi > 0.0).unwrap();
        assert!((200..206).contains(&first), "{first}");
    }
}

//! The evidence of each entity, weighed and put into words.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    case::{Case, Form, Parts, Signal, Source},
    shift::{self, Shift},
};

/// A fall is mostly less work arriving: it counts this much of a rise.
const FALL: f64 = 0.7;
/// A symptom that a callee explains wholly keeps this share; a callee with this share of its evidence does.
const EXPLAINED: f64 = 0.5;
const EXPLAINS: f64 = 0.5;
/// A log line that names another entity speaks against that one; for its own it keeps this share.
const NAMING: f64 = 0.5;
/// A change this long before the trouble, or shortly after its beginning as people give it, is held against its entity.
const RECENT_MS: i64 = 30 * 60 * 1000;
const SLACK_MS: i64 = 2 * 60 * 1000;
/// What a change at the very moment adds: as much as a signal e times as far away.
const CHANGED: f64 = 1.0;
/// Reasons that are given of each entity.
const REASONS: usize = 4;
/// A signal that ceased counts as one that moved this far: clear, but other reasons to miss it are common.
const CEASED: f64 = 10.0;
/// A signal must have moved this many spreads to be a reason.
const TOLD: f64 = 3.0;

/// A candidate cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Its name.
    pub entity: String,
    /// Evidence against it, the logarithm of how far it moved, summed over kinds of telemetry; 0 is none.
    pub score: f64,
    /// What speaks against it, the strongest first.
    pub reasons: Vec<String>,
}

/// A piece of evidence against an entity.
struct Evidence<'a> {
    signal: &'a Signal,
    entity: &'a str,
    shift: Shift,
    weight: f64,
}

/// Every entity, the most suspect first; equals by name.
pub(super) fn weigh(case: &Case, parts: Parts) -> Vec<Suspect> {
    let typical = typical_levels(case, parts);
    let mut evidence: Vec<Evidence<'_>> =
        case.signals.iter().flat_map(|signal| evidence_of(signal, parts, &typical)).collect();
    explain(case, &mut evidence);
    evidence.sort_by(|a, b| b.weight.total_cmp(&a.weight));

    let mut by_entity: BTreeMap<&str, Vec<Evidence<'_>>> = BTreeMap::new();
    for piece in evidence {
        by_entity.entry(piece.entity).or_default().push(piece);
    }
    let mut suspects: Vec<Suspect> = Vec::new();
    for entity in case.entities() {
        let against = by_entity.remove(entity).unwrap_or_default();
        let (best, more) = best_of_each_source(&against);
        let mut score: f64 = best.iter().map(|piece| piece.weight).sum();
        let told = best.into_iter().chain(more).filter(|piece| piece.shift.spreads >= TOLD);
        let mut reasons: Vec<String> = told.take(REASONS).map(words).collect();
        if let Some((weight, words)) = change_before(case, entity, parts.at_ms) {
            score += weight;
            reasons.insert(0, words);
        }
        suspects.push(Suspect { entity: entity.to_owned(), score: (score * 1e4).round() / 1e4, reasons });
    }
    suspects.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.entity.cmp(&b.entity)));
    suspects
}

/// The strongest piece of each kind of telemetry, and the others, both as they came.
fn best_of_each_source<'a, 'b>(
    against: &'b [Evidence<'a>],
) -> (Vec<&'b Evidence<'a>>, Vec<&'b Evidence<'a>>) {
    let mut seen: Vec<Source> = Vec::new();
    against.iter().partition(|piece| {
        let is_first = !seen.contains(&piece.signal.source);
        seen.push(piece.signal.source);
        is_first
    })
}

/// The usual level of each measure over all entities, for those of them whose own level is 0.
fn typical_levels(case: &Case, parts: Parts) -> HashMap<&str, f64> {
    let mut levels: HashMap<&str, Vec<f64>> = HashMap::new();
    for signal in case.signals.iter().filter(|signal| signal.source == Source::Metrics) {
        let (mut normal, _) = signal.split(parts);
        if !normal.is_empty() {
            let level = shift::quantile(&mut normal, 0.5).abs();
            levels.entry(&signal.measure).or_default().extend((level > 0.0).then_some(level));
        }
    }
    levels.retain(|_, levels| !levels.is_empty());
    levels.into_iter().map(|(measure, mut levels)| (measure, shift::quantile(&mut levels, 0.5))).collect()
}

fn evidence_of<'a>(signal: &'a Signal, parts: Parts, typical: &HashMap<&str, f64>) -> Vec<Evidence<'a>> {
    let (mut normal, mut after) = signal.split(parts);
    let level = typical.get(signal.measure.as_str()).copied().unwrap_or(0.0);
    let shift = match shift::between(&mut normal, &mut after, signal.form, level) {
        Some(shift) => shift,
        None if after.is_empty() && !normal.is_empty() => {
            Shift { usual: shift::quantile(&mut normal, 0.5), reached: f64::NAN, spreads: CEASED }
        }
        None => return Vec::new(),
    };
    let falls = shift.reached < shift.usual;
    let weight = shift.spreads.ln_1p() * if falls { FALL } else { 1.0 };
    let own = if signal.names.is_some() { weight * NAMING } else { weight };
    let mut found = vec![Evidence { signal, entity: &signal.entity, shift, weight: own }];
    if let Some(named) = &signal.names {
        found.push(Evidence { signal, entity: named, shift, weight });
    }
    found
}

/// Takes from symptoms what an entity that is called explains: one that moved clearly, not one that wobbles.
fn explain(case: &Case, evidence: &mut [Evidence<'_>]) {
    let mut best: HashMap<&str, f64> = HashMap::new();
    for piece in evidence.iter().filter(|piece| piece.shift.spreads >= TOLD) {
        let best = best.entry(piece.entity).or_default();
        *best = best.max(piece.weight);
    }
    let mut below: HashMap<&str, f64> = HashMap::new();
    for (caller, callee) in &case.calls {
        let below = below.entry(caller).or_default();
        *below = below.max(best.get(callee.as_str()).copied().unwrap_or(0.0));
    }
    for piece in evidence.iter_mut().filter(|piece| piece.signal.is_symptom() && piece.weight > 0.0) {
        let share = below.get(piece.entity).map_or(0.0, |below| (below / (EXPLAINS * piece.weight)).min(1.0));
        piece.weight *= 1.0 - (1.0 - EXPLAINED) * share;
    }
}

/// The last change of an entity about the trouble's beginning, what it adds, and words for it.
fn change_before(case: &Case, entity: &str, at_ms: i64) -> Option<(f64, String)> {
    let ours = case.changes.iter().filter(|change| change.entity == entity);
    let near = ours.filter(|change| (-SLACK_MS..=RECENT_MS).contains(&(at_ms - change.time_ms)));
    let last = near.max_by_key(|change| change.time_ms)?;
    let before_ms = at_ms - last.time_ms;
    let weight = CHANGED * (1.0 - before_ms.max(0) as f64 / RECENT_MS as f64);
    let version = if last.version.is_empty() { String::new() } else { format!(" to {}", last.version) };
    let seconds = before_ms.abs() / 1000;
    let when = if before_ms >= 0 { "before" } else { "after" };
    Some((weight, format!("{}{version}, {seconds} s {when} the trouble began", last.kind)))
}

fn words(piece: &Evidence<'_>) -> String {
    let Evidence { signal, shift, .. } = piece;
    let (usual, reached, spreads) = (short(shift.usual), short(shift.reached), short(shift.spreads));
    let example =
        signal.example.as_ref().map_or_else(String::new, |example| format!(", for example {example}"));
    let by = if piece.entity == signal.entity { String::new() } else { format!("{}: ", signal.entity) };
    if signal.form == Form::Count {
        let what = if shift.usual == 0.0 { "new, " } else { "" };
        return format!(
            "{by}{}: {what}from {usual} to {reached} per bin, {spreads} times what chance brings{example}",
            signal.measure
        );
    }
    if shift.reached.is_nan() {
        return format!("{by}{} ceased, usually {usual}{example}", signal.measure);
    }
    let verb = if shift.reached < shift.usual { "fell" } else { "rose" };
    format!(
        "{by}{} {verb} from {usual} to {reached}, {spreads} times its usual spread{example}",
        signal.measure
    )
}

/// A number of about three digits.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

use std::sync::Arc;
use std::collections::BTreeSet;
use foreshock::correlator::{self, Correlator, CorrelatorConfig};
use foreshock::score::{FrameView, ScoreConfig, Scorer};
use foreshock::types::{Entity, EntityKind, SeriesDef, TickClosed};
use foreshock_benches::generated::fleet::{Fleet, Weekends};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[1].parse().unwrap();
    let apart = args[2] == "apart";
    let budgets = [0.5, 1.0, 3.0, 10.0, 30.0, 100.0];
    for weekends in [Weekends::Gradual, Weekends::Abrupt] { for seed in 1..=2u64 {
        let mut fleet = Fleet::new(n, seed, weekends);
        let slots: Vec<Option<Arc<SeriesDef>>> = (0..n).map(|i| {
            let e = Arc::new(Entity::new(EntityKind::Service, if apart { format!("s{i}") } else { "one".into() }));
            Some(Arc::new(SeriesDef::new(e, format!("m{i}"), Vec::new())))
        }).collect();
        let admitted: Vec<u32> = (0..n as u32).collect();
        let mut scorer = Scorer::new(ScoreConfig::default());
        let mut all: Vec<(Correlator, BTreeSet<u64>)> = budgets.iter().map(|b| (Correlator::new(CorrelatorConfig { false_alarms_per_day: *b, ..CorrelatorConfig::default() }), BTreeSet::new())).collect();
        let mut anomalies = 0;
        let mut values = Vec::new();
        let (learn, days) = (14, 30);
        for tick in 0..(learn + days) * 288 {
            let time = fleet.next(&mut values);
            let mut rev = scorer.frame(FrameView { time_ms: time * 1000, values: &values, slots: &slots, admitted: if tick == 0 { &admitted } else { &[] }, forgotten: &[], deep_room: 0 });
            rev.sort_by(|a, b| a.series.cmp(&b.series).then(a.id.cmp(&b.id)));
            let counted = tick >= learn * 288;
            if counted { anomalies += rev.iter().filter(|a| a.revision == 1).count(); }
            for (c, set) in &mut all {
                let told = TickClosed { time_ms: time * 1000, anomalies: rev.clone(), edges: Vec::new(), warm_series: scorer.warm() };
                for e in c.on_event(correlator::Event::Tick(told)) {
                    if let correlator::Effect::Incident(i) = e && counted && i.page { set.insert(i.id.0 ^ (i.reopened as u64) << 40); }
                }
            }
        }
        print!("{weekends:?} {seed} anomalies/day {:.1} ", anomalies as f64 / days as f64);
        for ((_, set), b) in all.iter().zip(budgets) { print!(" B{b}: {:.2} ({:.2})", set.len() as f64 / days as f64, set.len() as f64 / days as f64 / b); }
        println!();
    } }
}

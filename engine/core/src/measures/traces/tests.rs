//! Little traces as text, and what the engine makes of them, tick by tick.

use super::*;
use crate::{
    measures::{Fold, FoldConfig, FoldOutput},
    types::{Edge, Entity, Example, Measured, SeriesDef, stable_hash},
};

const TICK_NS: i64 = 10_000_000_000;

/// Spans of one line, each in a trace of its own: as many as ratios and quantiles need.
const TRACES: u8 = 20;

/// `tick entity kind span<parent ms`, and `!` for an error; the kind is `in`, `out` or `out:kind/name` with the name
/// of a peer. The span ends `ms` milliseconds, or what is written after `@`, after the beginning of its tick.
fn spans(line: &str) -> Vec<(i64, Arc<StreamDef>, SpanSample)> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [tick, owner, kind, ids, millis, ..] = parts[..] else { panic!("{line}") };
    let tick: i64 = tick.parse().unwrap();
    let (direction, peer) = kind.split_once(':').map_or((kind, None), |(kind, peer)| (kind, Some(peer)));
    let (span, parent) = ids.split_once('<').unwrap();
    let (duration, end) = millis.split_once('@').unwrap_or((millis, millis));
    let operation = vec![("operation".to_string(), "o".to_string())];
    let def = StreamDef {
        key: stable_hash(format!("{owner} {kind}").as_bytes()),
        series: Arc::new(SeriesDef::new(Arc::new(entity(&format!("service/{owner}"))), "span", operation)),
        kind: StreamKind::Spans { inbound: direction == "in", peer: peer.map(|peer| Arc::new(entity(peer))) },
    };
    let id = |name: &str| if name == "-" { 0 } else { stable_hash(name.as_bytes()) };
    let sample = |trace: u8| SpanSample {
        stream: def.key,
        time_ns: tick * TICK_NS + end.parse::<i64>().unwrap() * 1_000_000,
        duration_ns: duration.parse::<u64>().unwrap() * 1_000_000,
        error: line.ends_with('!'),
        trace: [trace; 16],
        span: id(span),
        parent: id(parent),
    };
    let def = Arc::new(def.clone());
    (1..=TRACES).map(|trace| (tick, Arc::clone(&def), sample(trace))).collect()
}

fn entity(name: &str) -> Entity {
    Entity::parse(name)
}

fn config() -> TraceConfig {
    TraceConfig { tick_ns: TICK_NS, partitions: 1, ..TraceConfig::default() }
}

/// What partials come to in the shard that they are of.
#[derive(Debug, PartialEq)]
struct Told {
    edges: Vec<Edge>,
    values: Vec<Measured>,
    examples: Vec<(Entity, Example)>,
}

fn told(tick: i64, partials: &BTreeMap<usize, Partial>) -> Told {
    let mut fold = Fold::new(FoldConfig { tick_ns: TICK_NS, ..FoldConfig::default() });
    let mut out = FoldOutput::default();
    fold.fold(tick, &partials.values().collect::<Vec<_>>(), &mut out);
    let series = fold.slots().iter().flatten().cloned();
    let values = series.zip(out.values).map(|(series, value)| Measured { series, value }).collect();
    Told { edges: out.edges, values, examples: out.examples }
}

/// Closes the ticks of a story, and the two times ten after it, and gives what came of each: `tick: caller>callee
/// calls/errors p95, …, entity self p95`. A second engine is saved and restored at every tick: that must not be visible, and every
/// story is a test of it.
fn tell(config: TraceConfig, lines: &[&str]) -> (Vec<String>, TraceCounts) {
    let story: Vec<_> = lines.iter().flat_map(|line| spans(line)).collect();
    let (mut plain, mut restarted) = (Traces::new(config), Traces::new(config));
    let mut out = Vec::new();
    let last = story.iter().map(|(tick, ..)| *tick).max().unwrap();
    for tick in 0..=last + 20 {
        let of_tick = story.iter().filter(|(at, ..)| *at == tick);
        let (defs, spans) = of_tick.map(|(_, def, span)| (Arc::clone(def), *span)).unzip();
        let source = TraceSpans { defs, spans };
        let found = told(tick, &plain.close(tick, [&source], 1));
        assert_eq!(found, told(tick, &restarted.close(tick, [&source], 1)));
        restarted = Traces::load(config, &restarted.save("t").unwrap()).unwrap();
        let words = words(&found);
        if !words.is_empty() {
            out.push(format!("{tick}: {words}"));
        }
    }
    assert_eq!(plain.spans(), 0);
    (out, plain.counts())
}

fn words(found: &Told) -> String {
    let value = |owner: &Entity, measure: &str, attribute: Option<String>| {
        let is_it = |made: &&Measured| {
            let first = made.series.attributes.first().map(|(_, value)| value.clone());
            *made.series.entity == *owner && made.series.measure == measure && first == attribute
        };
        found.values.iter().find(is_it).map(|made| made.value)
    };
    let edge = |edge: &Edge| {
        let of = |measure| value(&edge.caller, measure, Some(edge.callee.to_string())).unwrap_or(f64::NAN);
        let (rate, ratio) = (of("span.edge:rate"), of("span.edge.errors:ratio"));
        assert_eq!(rate, edge.calls as f64 / 10.0);
        assert!(edge.calls < 5 || ratio == edge.errors as f64 / edge.calls as f64);
        let p95_ms = 1000.0 * of("span.edge.duration:p95");
        format!("{}>{} {}/{} {p95_ms:.0}", edge.caller.name, edge.callee.name, edge.calls, edge.errors)
    };
    let own = |made: &&Measured| made.series.measure == "span.self:p95" && made.series.attributes.is_empty();
    let own = found.values.iter().filter(own).map(|made| {
        let by_operation = value(&made.series.entity, "span.self:p95", Some("o".to_string()));
        assert_eq!(by_operation, Some(made.value));
        format!("{} self {:.0}", made.series.entity.name, 1000.0 * made.value)
    });
    found.edges.iter().map(edge).chain(own).collect::<Vec<_>>().join(", ")
}

fn check(lines: &[&str], expected: &[&str]) {
    assert_eq!(tell(config(), lines).0, expected, "{lines:#?}");
}

#[test]
fn a_call_is_found_whichever_span_comes_first() {
    let expected = ["3: shop>cart 20/0 40", "4: cart self 30, shop self 10"];
    let (caller, call, called) = ("3 shop in s<- 50", "3 shop out c<s 40@45", "3 cart in k<c 30@40");
    check(&[caller, call, called], &expected);
    check(&[called, call, caller], &expected);
    check(&[call, called, caller], &expected);
}

#[test]
fn a_call_is_found_over_ticks() {
    // The caller gives up; the callee's span ends two ticks later.
    check(&["3 shop out c<s 40 !", "5 cart in k<c 50"], &["5: shop>cart 20/20 40", "6: cart self 50"]);
    // The caller's span comes later than the callee's, as usual.
    check(&["3 cart in k<c 30", "5 shop out c<s 40"], &["4: cart self 30", "5: shop>cart 20/0 40"]);
    // Three ticks apart is near enough, four is not.
    check(&["3 cart in k<c 30", "6 shop out c<s 40"], &["4: cart self 30", "6: shop>cart 20/0 40"]);
    check(&["3 cart in k<c 30", "7 shop out c<s 40"], &["4: cart self 30"]);
}

#[test]
fn a_parent_that_never_comes_is_nobody() {
    check(&["3 cart in k<c 30"], &["4: cart self 30"]);
    check(&["3 cart in k<- 30", "3 shop out c<- 30"], &["4: cart self 30"]);
}

#[test]
fn the_childs_name_wins_over_the_peers() {
    let called = "3 cart in k<c 30";
    let expected = ["3: shop>cart 20/0 40", "4: cart self 30"];
    check(&["3 shop out:service/cart-svc c<s 40", called], &expected);
    check(&[called, "3 shop out:service/cart-svc c<s 40"], &expected);
}

#[test]
fn a_peer_counts_when_no_child_was_seen() {
    check(&["3 shop out:service/cart-svc c<s 40"], &["4: shop>cart-svc 20/0 40"]);
    check(&["3 shop out:database/sql c<s 40 !"], &["4: shop>sql 20/20 40"]);
    check(&["3 shop out:queue/orders c<s 1"], &["6: shop>orders 20/0 1"]);
    // A child that comes too late is not counted a second time, one that comes from a queue is in time.
    check(
        &["3 shop out:service/cart-svc c<s 40", "5 cart in k<c 30"],
        &["4: shop>cart-svc 20/0 40", "6: cart self 30"],
    );
    check(
        &["3 shop out:queue/orders c<s 1", "5 mail in k<c 30"],
        &["5: shop>mail 20/0 1", "6: mail self 30"],
    );
}

#[test]
fn without_an_outbound_span_the_callees_is_what_is_known() {
    check(
        &["3 shop in s<- 50", "3 cart in k<s 30 !"],
        &["3: shop>cart 20/20 30", "4: cart self 30, shop self 20"],
    );
}

#[test]
fn calls_that_overlap_cover_their_union() {
    let lines = [
        "3 shop in s<- 50",
        "3 shop out:database/sql a<s 20@30", // 10..30
        "3 shop out:database/sql b<s 20@40", // 20..40
        "3 shop out:database/sql c<s 40@80", // 40..80, of which 10 are inside
        "3 shop out:database/sql d<s 2@25",
    ];
    check(&lines, &["4: shop>sql 80/0 40, shop self 10"]);
}

#[test]
fn inner_spans_are_looked_through() {
    let lines = [
        "3 shop in s<- 50",
        "3 shop out inner<s 40",
        "3 shop out deeper<inner 30",
        "3 shop out:database/sql q<deeper 20",
    ];
    check(&lines, &["4: shop>sql 20/0 20, shop self 30"]);
}

#[test]
fn an_id_counts_once() {
    let (told, counts) =
        tell(config(), &["3 shop out c<s 40", "3 cart in k<c 30", "4 cart in k<c 30", "4 shop out c<s 40"]);
    assert_eq!(told, ["3: shop>cart 20/0 40", "4: cart self 30"]);
    assert_eq!(counts.repeated, 40);
}

#[test]
fn loops_end() {
    check(&["3 shop in a<b 50", "3 shop out b<a 20"], &["4: shop self 50"]);
    check(&["3 shop in a<a 50"], &["4: shop self 50"]);
    check(
        &["3 shop out a<b 50", "3 cart in b<a 40"],
        &["3: cart>shop 20/0 50, shop>cart 20/0 50", "4: cart self 0"],
    );
}

#[test]
fn a_span_that_began_before_the_window_has_no_self_time() {
    let (told, counts) = tell(config(), &["9 shop in a<- 40000@50", "9 cart in b<- 20000@50"]);
    assert_eq!(told, ["10: cart self 19998"]);
    assert_eq!(counts.cut, 20);
}

#[test]
fn a_full_window_forgets_the_oldest() {
    let small = TraceConfig { max_spans: 60, ..config() };
    let lines = [
        "3 shop out:database/sql a<s 10",
        "3 shop out c<s 40",
        "3 cart in j<- 20",
        "3 cart in k<c 30", // a leaves: its call is counted at once
        "5 cart in l<c 30", // c leaves before its second child comes
    ];
    let (told, counts) = tell(small, &lines);
    assert_eq!(told, ["3: shop>cart 20/0 40, shop>sql 20/0 10", "6: cart self 30"]);
    assert_eq!((counts.evicted, counts.cut), (40, 40), "j and k began when spans left early");
}

#[test]
fn the_union_of_intervals() {
    let cases: [(&[(i64, i64)], u64); 6] = [
        (&[], 0),
        (&[(1, 3)], 2),
        (&[(5, 6), (1, 3)], 3),
        (&[(1, 9), (2, 3), (8, 10)], 9),
        (&[(1, 1), (1, 2)], 1),
        (&[(-5, -1), (-3, 4)], 9),
    ];
    for (intervals, expected) in cases {
        assert_eq!(union(&mut intervals.to_vec()), expected, "{intervals:?}");
    }
}

#[test]
fn the_slowest_request_and_one_that_failed_are_shown_by_their_traces() {
    let mut traces = Traces::new(config());
    let mut source = TraceSpans::default();
    let lines =
        ["3 shop in a<- 50", "3 shop in b<- 90", "3 shop in c<- 70 !", "3 shop out:database/sql q<a 20"];
    for (trace, line) in (1..).zip(lines) {
        let (_, def, sample) = spans(line).swap_remove(0);
        source.defs.push(def);
        source.spans.push(SpanSample { trace: [trace; 16], ..sample });
    }
    // Without a trace there is nothing to look up.
    source.spans.push(SpanSample { trace: [0; 16], duration_ns: 10_000_000_000, ..source.spans[3] });
    let found = told(3, &traces.close(3, [&source], 1));
    let shown = found.examples.iter().map(|(entity, example)| {
        assert_eq!(example.time_ms, 30_000);
        format!("{entity} {}: {}", &example.trace_id[..4], example.text)
    });
    let expected = [
        "service/shop 0303: a request failed after 70.0 ms",
        "service/shop 0202: a request took 90.0 ms",
        "database/sql 0404: a request took 20.0 ms",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert!(told(4, &traces.close(4, [], 1)).examples.is_empty());
}

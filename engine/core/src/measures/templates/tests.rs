//! What becomes of lines. Says nothing about accuracy on real logs: that is measured in `benches/`.

use super::*;

fn miner() -> TemplateMiner {
    TemplateMiner::new(TemplateConfig::default())
}

/// Checks lines, each with the number of its template, and the templates at the end.
fn check(lines: &[(&str, usize)], templates: &[&str]) {
    let mut miner = miner();
    let found: Vec<Option<usize>> =
        lines.iter().map(|(line, _)| miner.learn(line).map(|found| found.index)).collect();
    for ((line, expected), found) in lines.iter().zip(found) {
        assert_eq!(found.map(|index| miner.current(index)), Some(*expected), "{line}");
    }
    let live = (0..miner.len()).filter(|index| miner.current(*index) == *index);
    assert_eq!(live.map(|index| miner.template(index)).collect::<Vec<_>>(), templates);
}

#[test]
fn lines_of_one_statement_share_a_template() {
    check(
        &[
            ("connected to db-1 after 12 ms", 0),
            ("connected to db-7 after 9 ms", 0),
            ("payment refused for order 17: limit", 1),
            ("payment refused for order 99: limit", 1),
            ("connected to cache after 3 ms", 0),
        ],
        &["connected to <*> after <*> ms", "payment refused for order <*>: limit"],
    );
}

#[test]
fn what_is_certainly_variable_is_masked_in_the_first_line() {
    let cases = [
        ("took 15 ms, 3 retries", "took <*> ms, <*> retries"),
        ("read /var/lib/db/a.sst: not found", "read <*>: not found"),
        (r"copied C:\Users\ann\a.txt to D:\b", "copied <*> to <*>"),
        ("GET http://shop/cart?id=x&q=y failed", "GET <*> failed"),
        ("peer fe80::1ff:fecd:467f left", "peer <*> left"),
        ("mac FF:F2:9F:16:E2:23 seen", "mac <*> seen"),
        ("upstream cart.shop.svc:http is cart.shop.svc:8080", "upstream cart.shop.svc:http is <*>"),
        ("since Fri Jul 01 08:16:53 2005.", "since <*>."),
        ("May I ask", "May I ask"),
        ("state=open name=\"View Lock\", ws=Source{10113}", "state=<*> name=\"<*>\", ws=<*>"),
        ("limit = none; a == b", "limit = <*>; a == b"),
        ("Intent { act=a.b.MAIN cat=[x.y] }", "Intent { act=<*> cat=[<*>] }"),
        ("ready is true, error is null", "ready is <*>, error is <*>"),
        ("session opened for user root by (uid=0)", "session opened for user <*> by (uid=<*>)"),
        ("moved 1190 bytes (1.16 KB) out", "moved <*> bytes (1.16 KB) out"),
        ("queue depths 3, 5, 8, 13", "queue depths <*>"),
        ("acls: ann,bob,eve", "acls: <*>"),
        ("login of <email> from <ip>:5432", "login of <*> from <*>"),
        ("heap 120K->80K", "heap <*>-><*>"),
        ("waiting....", "waiting...."),
        ("benutzer „ann“ grüßt 用户 7", "benutzer „ann“ grüßt 用户 <*>"),
        ("\tat com.shop.Cart.add(Cart.java:17)", "\tat com.shop.Cart.add(<*>)"),
        (
            r#"{"ts":"2024-05-01T10:00:00Z","msg":"order stored","ms":12}"#,
            r#"{"ts":"<*>","msg":"order stored","ms":<*>}"#,
        ),
    ];
    for (line, template) in cases {
        let mut miner = miner();
        assert_eq!(miner.learn(line), Some(TemplateRef { index: 0, is_new: true }), "{line}");
        assert_eq!(miner.template(0), template, "{line}");
    }
}

#[test]
fn a_unit_that_changes_is_variable_too() {
    check(
        &[("lifetime 12 ms", 0), ("lifetime 00:02", 0), ("lifetime <1 sec", 0), ("lifetime 3 s", 0)],
        &["lifetime <*>"],
    );
}

#[test]
fn few_words_that_repeat_are_statements_and_many_are_a_variable() {
    let mut miner = miner();
    let mut machine = |state: &str| miner.learn(&format!("machine 7 was {state} by its host"));
    for state in ["paused", "resumed", "started", "stopped"].iter().cycle().take(100) {
        machine(state);
    }
    assert_eq!(machine("crashed"), Some(TemplateRef { index: 4, is_new: true }));
    assert_eq!(miner.live(), 5, "states that repeat are statements");
    let tables = ["cart", "order", "item", "price", "stock", "client"];
    for table in tables {
        miner.learn(&format!("cannot lock table {table} in time"));
    }
    assert_eq!(miner.live(), 6, "values that keep coming are one variable");
    assert_eq!(miner.template(5), "cannot lock table <*> in time");
    assert_eq!(
        (5..miner.len()).map(|index| miner.current(index)).max(),
        Some(5),
        "what was given stays valid"
    );
}

#[test]
fn two_places_may_vary_at_once() {
    let names = ["ann", "bob", "eve", "joe", "kim", "lea", "max", "pia", "sam", "tom", "uwe", "zoe"];
    let mut miner = miner();
    for (at, name) in names.iter().enumerate() {
        miner.learn(&format!("access denied for {name} on table of {}", names[(at * 7 + 5) % names.len()]));
    }
    assert_eq!(miner.live(), 1);
    assert_eq!(miner.template(0), "access denied for <*> on table of <*>");
}

#[test]
fn names_vary_sooner_than_words_and_keys_never() {
    let mut names = miner();
    for name in ["a.b.Cart", "a.b.Order", "a.c.Price"] {
        names.learn(&format!("registering class {name} now"));
    }
    assert_eq!(names.live(), 1);
    let mut keys = miner();
    for key in 'a'..='z' {
        keys.learn(&format!("set option {key}=1 now"));
    }
    assert_eq!(keys.live(), 26);
}

#[test]
fn a_piece_of_a_line_goes_where_a_variable_is() {
    check(
        &[("synchronized to 10.1.2.3, stratum 2", 0), ("synchronized to LOCAL(0), stratum 10", 0)],
        &["synchronized to <*>, stratum <*>"],
    );
}

#[test]
fn the_number_of_templates_is_bounded() {
    let mut small = TemplateMiner::new(TemplateConfig { max_templates: 3, ..TemplateConfig::default() });
    for word in ["a", "b", "c", "d", "e"] {
        small.learn(&format!("{word} {word} {word}"));
    }
    assert_eq!((small.len(), small.live()), (3, 3));
    assert_eq!(small.learn("another shape altogether"), Some(TemplateRef { index: 0, is_new: false }));
    assert_eq!(small.learn("(no such shape)"), None);

    let mut large = miner();
    for number in 0..20_000_u32 {
        let word: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'g')).collect();
        large.learn(&word);
    }
    assert!(large.live() <= 250, "one shape took {} templates", large.live());
}

#[test]
fn free_text_behind_a_word_becomes_one_template() {
    let mut miner = miner();
    let word = |number: u32| {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'g')).collect::<String>()
    };
    miner.learn("started in good order");
    for number in 0..2000_u32 {
        let number = number.wrapping_mul(2_654_435_761);
        miner.learn(&format!("said {} {} {}", word(number), word(number >> 7), word(number >> 13)));
    }
    assert_eq!(miner.live(), 2, "{} made", miner.len());
    assert_eq!(miner.template(1), "said <*> <*> <*>");
}

#[test]
fn lines_without_words_have_no_template() {
    for line in ["", "   ", "\t", "...", "]:;"] {
        assert_eq!(miner().learn(line), None, "{line:?}");
    }
}

/// Lines of pieces that are awkward together, in an order that a seed gives.
fn awkward(seed: u64) -> impl Iterator<Item = String> {
    let pieces = [
        "user", "=", " ", "  ", "<", ">", "(", ")", "[]", "\"", "'", ":", "::", ",", "ff", "12", "10:20",
        "ms", "é", "用户", "/", "\\", "C:\\", "://", ".", "..", "->", "-", "a.b", "x=", "true", "Jul", "{",
        "}", "@", "word", "<ip>", "\u{0}",
    ];
    let mut state = seed;
    std::iter::repeat_with(move || {
        let mut line = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            line.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        line
    })
}

#[test]
fn any_text_is_read_and_rendered() {
    let mut miner = miner();
    for line in awkward(1).take(20_000) {
        if let Some(found) = miner.learn(&line) {
            assert!(!miner.template(found.index).is_empty(), "{line:?}");
            assert_eq!(miner.learn(&line).map(|again| again.is_new), Some(false), "{line:?}");
        }
    }
    for long in ["é".repeat(10_000), "a ".repeat(10_000), "1 b ".repeat(10_000), "=".repeat(10_000)] {
        miner.learn(&long);
    }
}

/// Lines that make, join and unite templates.
fn busy() -> Vec<String> {
    let names = ["ann", "bob", "eve", "joe", "kim", "lea", "max", "pia", "sam", "tom", "uwe", "zoe"];
    let line = |at: usize| match at % 5 {
        0 => format!("denied {} on table {}", names[at * 5 % 12], names[at * 7 % 11]),
        1 => format!("state is {}", names[at / 60 % 12]),
        2 => format!("loaded a.{}.B in {at} ms", names[at % 12]),
        3 => format!("sent to {}({at}), port 80", names[at % 3]),
        _ => format!("sent to 10.0.0.{at}, port 80"),
    };
    (0..600).map(line).chain(awkward(7).take(300)).collect()
}

#[test]
fn saving_and_loading_is_invisible_at_every_cut() {
    let (mut straight, mut restored) = (miner(), miner());
    for line in busy() {
        let bytes = postcard::to_stdvec(&restored).unwrap();
        restored = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(straight.learn(&line), restored.learn(&line), "{line:?}");
    }
    assert_eq!(postcard::to_stdvec(&straight).unwrap(), postcard::to_stdvec(&restored).unwrap());
}

#[test]
fn the_shortcut_finds_what_a_search_would() {
    let (mut quick, mut slow) = (miner(), miner());
    let lines = busy();
    for line in lines.iter().chain(&lines) {
        slow.recent.clear();
        assert_eq!(quick.learn(line), slow.learn(line), "{line:?}");
    }
    assert!(quick.live() < quick.len(), "nothing was united: the test is too easy");
}

#[test]
fn a_known_pattern_does_not_allocate() {
    let mut miner = miner();
    let lines = ["connected to db-1 after 12 ms", "GET /cart/7 done", "state=open user ann id=7"];
    for _ in 0..2 {
        for line in lines {
            miner.learn(line);
        }
    }
    let counted = allocation_counter::measure(|| {
        for line in lines {
            miner.learn(line);
        }
    });
    assert_eq!(counted.count_total, 0);
}

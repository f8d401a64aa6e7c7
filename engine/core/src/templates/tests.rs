use std::time::{Duration, Instant};

use minijinja::{UndefinedBehavior, context};
use serde_json::json;

use super::{Escaping, LONGEST_OUTPUT, Template};
use crate::{chance::Chance, stack::measured, types::Incident};

/// Nobody waits so long to be told; a debug build is ten times slower than what is shipped.
const SOON: Duration = Duration::from_secs(10);
/// Bytes that a template may take: twice the limit of its values, for what is put together beside its parts.
const ROOM: u64 = 64 << 20;

fn template(source: &str) -> Result<Template, String> {
    let known = [
        ("incident", schemars::schema_for!(Incident).to_value()),
        ("lines", json!({ "type": "array", "items": { "type": "string" } })),
    ];
    Template::new(source, Escaping::Json, UndefinedBehavior::default(), &known)
}

/// An incident with much in it.
fn values(texts: usize) -> minijinja::Value {
    let suspects: Vec<_> = (0..texts)
        .map(|n| json!({ "entity": { "kind": "service", "name": format!("cart-{n}") }, "weight": 0.5, "reasons": ["x".repeat(100)] }))
        .collect();
    let title = "cart: errors <up>".to_string();
    let incident = json!({ "id": "7", "title": title, "severity": 0.95, "suspects": suspects, "changes": [], "members": [] });
    context! { incident, lines => ["a", "b"] }
}

/// What comes of a template: its text, or why not. It is soon there, and takes little.
fn told(source: &str) -> Result<String, String> {
    let mut told = Err(String::new());
    let began = Instant::now();
    let used = allocation_counter::measure(|| {
        told = template(source).and_then(|template| template.fill(values(50)));
    });
    assert!(began.elapsed() < SOON, "{:?} for {source:.200}", began.elapsed());
    let most = used.bytes_max.max(measured::most());
    assert!(most < ROOM, "{most} bytes for {source:.200}");
    told
}

#[test]
fn what_people_write_is_let_through() {
    for (source, expected) in [
        ("{{ incident.title }} {{ (incident.severity * 100) | round | int }}", "\"cart: errors <up>\" 95"),
        ("{{ incident.suspects | map(attribute='entity.name') | list | first }}", "\"cart-0\""),
        (
            "{% for s in incident.suspects[:2] %}{{ loop.index }} {{ s.entity.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1 \"cart-0\", 2 \"cart-1\"",
        ),
        ("{{ 'a' ~ incident.title ~ 'b' ~ incident.id | upper }}", "\"acart: errors <up>b7\""),
        ("{{ incident.title | replace('\"', '\\\\\"') | replace('<', '(') }}", "\"cart: errors (up>\""),
        (
            "{% set names %}{% for s in incident.suspects[:2] %}{{ s.weight }};{% endfor %}{% endset %}{{ names }}",
            "0.5;0.5;",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for s in incident.suspects %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "50",
        ),
        ("{{ incident.changes | length > 0 and incident.changes[-1].kind or 'none' }}", "\"none\""),
        (
            "{{ lines | join('\n') | indent(2) }}{{ '%.1f' | format(incident.severity) }}",
            "\"a\\n  b\"\"0.9\"",
        ),
        (
            "{{ incident.suspects | selectattr('weight', 'gt', 0.1) | sort(attribute='entity.name') | length }}",
            "50",
        ),
        (
            "{% for kind, all in incident.suspects | groupby('entity.kind') %}{{ kind }}{{ all | length }}{% endfor %}",
            "\"service\"50",
        ),
        (
            "{{ '=' * 10 }}{% filter upper %}a{% endfilter %}{% with t = incident.title %}{{ t | length }}{% endwith %}",
            "\"==========\"A17",
        ),
        ("{{ {'a': incident.id, 'b': [1, 2]} | tojson }}", "{\"a\":\"7\",\"b\":[1,2]}"),
        (
            "{{ incident.title | tojson(indent=2) }}{{ range(3) | list }}{{ none | default('x', true) }}",
            "\"cart: errors \\u003cup\\u003e\"[0,1,2]\"x\"",
        ),
        (
            "{% set t = incident.title %}{% for c in incident.suspects %}{% set x = t ~ c.entity.name %}{% endfor %}ok",
            "ok",
        ),
        ("{{ incident.harm.burn_rate * 1000 if incident.harm else 0 }}", "0"),
    ] {
        assert_eq!(told(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn fifty_thousand_operators_are_refused() {
    let error = told(&format!("{{{{ 1{} }}}}", "+1".repeat(50_000))).expect_err("is let through");
    assert!(error.contains("is 100007 bytes long: at most 16384 are read"), "{error}");
    let error = told(&format!("a\n{{{{ 1{} }}}}", "+1".repeat(8_000))).expect_err("is let through");
    assert!(error.starts_with("line 2 column ") && error.contains("nests deeper than 100"), "{error}");
}

/// A template that nests too deep.
fn deep(chance: &mut Chance) -> String {
    let levels = 101 + chance.below(1_300);
    let (open, middle, close) = match chance.below(16) {
        0 => ("", "1", "+1"),
        1 => ("", "a", "|upper"),
        2 => ("", "a", ".a"),
        3 => ("", "a", "[0]"),
        4 => ("not ", "a", ""),
        5 => ("(", "a", ")"),
        6 => ("[", "1", "]"),
        7 => ("{'a': ", "1", "}"),
        8 => ("", "'a'", "~'b'"),
        9 => ("-", "1", ""),
        10 => ("f(", "1", ")"),
        11 => ("", "a", " if a else b"),
        12 => ("", "a", " is string"),
        13 => ("", "a", " and b"),
        14 => ("", "a", "[1:]"),
        _ => ("a|default(", "1", ")"),
    };
    let nested = format!("{}{middle}{}", open.repeat(levels), close.repeat(levels));
    let whole = match chance.below(5) {
        0 => format!("{{{{ {nested} }}}}"),
        1 => format!("{{% if {nested} %}}x{{% endif %}}"),
        2 => format!("{{% set x = {nested} %}}"),
        3 => format!("{{% for x in {nested} %}}{{% endfor %}}"),
        _ => {
            let (open, close) = [
                ("{% if a %}", "{% endif %}"),
                ("{% for a in b %}", "{% endfor %}"),
                ("{% with a = b %}", "{% endwith %}"),
                ("{% filter upper %}", "{% endfilter %}"),
                ("{% set a %}", "{% endset %}"),
            ][chance.below(5)];
            let levels = 101 + chance.below(400);
            format!("{}x{}", open.repeat(levels), close.repeat(levels))
        }
    };
    format!("{}{whole}", chance.of(&["", "text\n", "{# {{ #}"]))
}

#[test]
fn whatever_nests_too_deep_is_refused() {
    for seed in 1..=50 {
        let source = deep(&mut Chance::new(seed));
        let error = told(&source).expect_err("is let through");
        let is_known = ["nests deeper", "bytes long", "recursion", "stands in more than 5 loops"]
            .iter()
            .any(|words| error.contains(words));
        assert!(is_known, "seed {seed}: {error}: {source:.200}");
    }
}

#[test]
fn a_text_that_doubles_is_refused() {
    let doubled = format!("{{% set a = 'x' %}}{}{{{{ a }}}}", "{% set a = a ~ a %}".repeat(30));
    let error = told(&doubled).expect_err("is let through");
    assert!(
        error.starts_with("line 1 column ") && error.contains("could become larger than 32 MiB"),
        "{error}"
    );
}

/// A template that would grow without end.
fn growing(chance: &mut Chance) -> String {
    let text =
        chance.of(&["incident.title", "'abcdefgh'", "lines", "incident", "incident.suspects[0].reasons[0]"]);
    let double = chance.of(&[
        "a ~ a",
        "a ~ (a ~ 'x')",
        "[a, a]",
        "[a, a] | tojson",
        "{'a': a, 'b': a} | pprint",
        "[a, a] | join(a)",
        "a | string | replace('x', a)",
        "a | string | replace('', 'xyz')",
        "(a ~ '') * 3",
        "a | tojson | tojson",
        "[a] * 4",
        "'%s%s' | format(a, a)",
        "(a ~ a) | upper | escape",
        "[a, a] | list + [a]",
        "[a] | batch(9, a) | list",
        "dict(x=a, y=a) | string",
        "[a, a] | map('string') | join",
        "a | string | indent(100)",
    ]);
    let times = 20 + chance.below(60);
    match chance.below(6) {
        0 => format!("{{% set a = {text} %}}{}{{{{ a }}}}", format!("{{% set a = {double} %}}").repeat(times)),
        1 => format!("{{% set a = {text} %}}{{% for i in range({times}) %}}{{% set a = {double} %}}{{% endfor %}}"),
        2 => {
            let with = format!("{{% with a = {double} %}}").repeat(times);
            format!("{{% set a = {text} %}}{with}{{{{ a }}}}{}", "{% endwith %}".repeat(times))
        }
        3 => {
            let each = format!("{{% for a in [{double}] %}}").repeat(times);
            format!("{{% set a = {text} %}}{each}{{{{ a }}}}{}", "{% endfor %}".repeat(times))
        }
        4 => {
            let set = "{% set a %}{{ a }}{{ a }}{% endset %}".repeat(times);
            format!("{{% set a = {text} %}}{set}{}", format!("{{% set a = {double} %}}").repeat(times))
        }
        _ => [
            "{{ 'x' * 1000000000 }}",
            "{{ incident.title * 1000000000 }}",
            "{{ 'x' * incident.revision }}",
            "{{ incident.title | indent(incident.revision) }}",
            "{{ incident.title | indent(2000000000) }}",
            "{{ '%2000000000d' | format(1) }}",
            "{{ '%*d' | format(2000000000, 1) }}",
            "{{ [1] | batch(2000000000, 'x') | list }}",
            "{{ [1] | slice(2000000000) | list }}",
            "{{ [1, 2] | tojson(2000000000) }}",
            "{% set ns = namespace(a='x') %}{{ ns.a }}",
            "{% set ns = namespace(a=1) %}{% for i in range(40) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}",
            "{% set a %}{% for i in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ i }}{% endfor %}{% endset %}{{ a ~ a }}",
            "{% for i in range(9999) %}{{ incident | tojson }}{% endfor %}",
            "{% for i in lines recursive %}{{ loop(lines) }}{% endfor %}",
            "{{ debug() }}",
            "{{ ([incident] * 1000000) | list | length }}",
        ][chance.below(17)]
        .to_string(),
    }
}

#[test]
fn whatever_grows_is_refused_or_broken_off() {
    for seed in 1..=150 {
        let source = growing(&mut Chance::new(seed));
        println!("seed {seed}: {source:.120}");
        match told(&source) {
            Ok(text) => assert!(text.len() <= LONGEST_OUTPUT, "seed {seed}"),
            Err(error) => assert!(!error.is_empty(), "seed {seed}"),
        }
    }
}

#[test]
fn what_comes_out_is_bounded() {
    for source in [
        "{% for i in range(20000) %}0123456789012345{% endfor %}",
        "{% for i in range(20000) %}{{ incident.title }}{% endfor %}",
        "{% set a %}{% for i in range(20000) %}{{ incident.title }}{% endfor %}{% endset %}{{ a | length }}",
    ] {
        let error = told(source).expect_err("is let through");
        assert!(error.contains("more than 262144 bytes of text"), "{source}: {error}");
    }
}

/// The slowest that is within the bounds ends soon, so that a stop need not wait for it.
#[test]
fn the_slowest_template_ends_soon() {
    let slow = [
        "{{ incident | tojson | upper | length }}".repeat(10),
        "{% for i in range(99999) %}{% if (incident | tojson) == 'x' %}{% endif %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% if incident.suspects | sort(attribute='entity.name') | length %}{% endif %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% set x = incident.suspects | unique | list %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% set x = incident.title | replace('', 'abc') | title | escape %}{% endfor %}".to_string(),
        "{% set a = 'x' * 4000000 %}{% for i in range(99999) %}{% if (a ~ a) is upper %}{% endif %}{% endfor %}".to_string(),
        "{% for i in range(999) %}{% for j in range(999) %}{% if i in (lines * 9) %}{% endif %}{% endfor %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% if (range(100000) | list)[99999] %}{% endif %}{% endfor %}".to_string(),
        "{% for i in range(99999) %}{% for k in incident.suspects | groupby('weight') %}{% endfor %}{% endfor %}".to_string(),
    ];
    for source in slow {
        let template = template(&source).unwrap_or_else(|error| panic!("{error}: {source:.80}"));
        for values in [values(50), values(5000)] {
            let began = Instant::now();
            let filled = template.fill(values);
            println!("{:?} {:?} {source:.80}", began.elapsed(), filled.map(|text| text.len()));
            assert!(began.elapsed() < SOON, "{:?} for {source:.80}", began.elapsed());
        }
    }
}

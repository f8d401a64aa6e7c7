//! Everything that parses what others wrote, on real inputs that were bent: bytes flipped, cut, repeated, swapped for the
//! worst there are. Nothing breaks off, and what is refused leaves nothing behind.
//!
//! `PROPTEST_CASES=100000 cargo test -p foreshock-fuzz` looks longer; `fuzz.sh` looks where the code leads.

use foreshock_fuzz::{TARGETS, Target};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

/// One edit. Places are parts of the length, in 65,536ths, so that they fit any input.
#[derive(Clone, Debug)]
enum Edit {
    Flip(u16, u8),
    Cut(u16),
    Remove(u16, u8),
    Repeat(u16, u8, u8),
    Put(u16, &'static [u8]),
}

/// What parsers stumble over: bounds of numbers and lengths, nesting, what ends or quotes, what is no UTF-8.
const WORST: [&[u8]; 20] = [
    b"\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\xc3\x28",
    b"\xf0\x9f\x92",
    b"\xef\xbb\xbf",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e999",
    b"NaN",
    b"null",
    b"\r\n\r\n",
    b"&a [*a, *a]\n",
    b"9999-12-31T23:59:60.999999999+99:99",
];

fn an_edit() -> impl Strategy<Value = Edit> {
    let at = any::<u16>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        1 => at().prop_map(Edit::Cut),
        2 => (at(), any::<u8>()).prop_map(|(at, bytes)| Edit::Remove(at, bytes)),
        2 => (at(), any::<u8>(), 1_u8..8).prop_map(|(at, bytes, times)| Edit::Repeat(at, bytes, times)),
        4 => (at(), prop::sample::select(&WORST[..])).prop_map(|(at, worst)| Edit::Put(at, worst)),
    ]
}

fn apply(edit: &Edit, bytes: &mut Vec<u8>) {
    let place = |at: u16| (usize::from(at) * bytes.len()) >> 16;
    let part = |at: u16, length: u8| place(at)..(place(at) + usize::from(length)).min(bytes.len());
    match *edit {
        Edit::Flip(at, bits) => {
            let at = place(at);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
        }
        Edit::Cut(at) => bytes.truncate(place(at)),
        Edit::Remove(at, length) => drop(bytes.drain(part(at, length))),
        Edit::Repeat(at, length, times) => {
            let again = bytes[part(at, length)].repeat(usize::from(times));
            let at = place(at);
            drop(bytes.splice(at..at, again));
        }
        Edit::Put(at, worst) => {
            let at = place(at);
            drop(bytes.splice(at..at, worst.iter().copied()));
        }
    }
}

/// Bends the inputs of a target, and feeds it.
fn bend(name: &str) {
    let target = Target::named(name).expect("a target");
    let seeds = (target.seeds)();
    seeds.iter().for_each(|seed| (target.feed)(seed));
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: asked.unwrap_or(1500),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let edits = (0..seeds.len(), prop::collection::vec(an_edit(), 1..12));
    let ran = TestRunner::new(config).run(&edits, |(index, edits)| {
        let mut bytes = seeds[index].clone();
        edits.iter().for_each(|edit| apply(edit, &mut bytes));
        let fed = std::panic::catch_unwind(|| (target.feed)(&bytes));
        fed.map_err(|_| TestCaseError::fail(bytes.escape_ascii().to_string()))
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

/// A test for each target.
macro_rules! bent {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            bend(stringify!($name));
        })*

        #[test]
        fn every_target_is_bent() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

bent!(records configurations words tables cases journals audit_logs messages);

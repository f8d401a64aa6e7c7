//! What filters, functions and tests make of the sizes of their arguments. What is not in these tables is refused: a new one of
//! MiniJinja's is looked at first.

use minijinja::value::ValueKind;

use super::size::{ITEM, Kind, Linear, Size};

/// How many times as many bytes as a text has it may take after a change of case (ΐ has 2 bytes, and 6 in capitals).
const CASE: u64 = 3;
/// The same with escapes: one byte as `\u0000`.
const ESCAPED: u64 = 6;
/// Steps of a sort, for every value: the logarithm of as many values as there can be.
const SORT: u64 = 20;
/// Most that a literal number may ask for: a width, or a length of parts.
const WIDEST: u64 = 10_000;
/// Levels of lists and maps for which JSON is indented; what a template itself nests deeper is small.
const LEVELS: u64 = 32;

/// The arguments of a call.
pub(super) struct Args<'a, 's> {
    pub(super) positional: Vec<Size<'s>>,
    pub(super) named: Vec<(&'a str, Size<'s>)>,
}

impl<'s> Args<'_, 's> {
    /// An argument by its place or its name.
    fn get(&self, place: usize, name: &str) -> Option<&Size<'s>> {
        let named = || self.named.iter().find(|(other, _)| *other == name).map(|(_, size)| size);
        self.positional.get(place).or_else(named)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Size<'s>> {
        self.positional.iter().chain(self.named.iter().map(|(_, size)| size))
    }

    /// A list of them all.
    pub(super) fn list(&self) -> Size<'s> {
        let empty = Size::new(Kind::List, Linear::ZERO, Linear::fixed(1 + self.all().count() as u64));
        let all = self.all().fold(empty, |all, size| all.and(size));
        Size { kind: Kind::List, levels: all.levels + 1, ..all }
    }

    /// A number that the template itself must say.
    fn literal(&self, place: usize, name: &str, otherwise: u64) -> Result<u64, String> {
        let Some(size) = self.get(place, name) else { return Ok(otherwise) };
        size.count()
            .filter(|count| *count <= WIDEST)
            .ok_or_else(|| format!("{name} has to be a literal number, at most {WIDEST}"))
    }
}

/// What a filter gives, how many bytes are new in it, and the work that it is.
pub(super) fn filter<'s>(
    name: &str,
    of: &Size<'s>,
    args: &Args<'_, 's>,
) -> Result<(Size<'s>, Linear, Linear), String> {
    let read = args.all().fold(of.weight(), |sum, size| sum.plus(size.weight()));
    let made = match name {
        "length" | "count" | "round" | "abs" | "int" | "float" | "bool" | "sum" => Size::number(),
        "safe" | "trim" => Size::text(of.as_text()),
        "lower" | "upper" | "title" | "capitalize" => Size::text(of.as_text().times(CASE)),
        "string" => Size::text(of.as_text()),
        "escape" | "e" => Size::text(of.as_text().times(ESCAPED).plus(Linear::fixed(2))),
        "first" | "last" | "min" | "max" => item(of),
        "attr" => {
            part(of, args.get(0, "key").and_then(|key| key.literal.as_ref()).and_then(|key| key.as_str()))
        }
        "default" | "d" => args.all().fold(of.clone(), |either, size| either.or(size.clone())),
        "reverse" if of.kind == Kind::Text => of.clone(),
        "list" | "reverse" | "unique" | "sort" | "dictsort" | "items" | "select" | "reject"
        | "selectattr" | "rejectattr" => list(of, of.walked()),
        "split" | "lines" => list(of, of.as_text().plus(Linear::fixed(1))),
        "groupby" => list(of, of.walked().times(4)),
        "chain" | "zip" => {
            let all = args.all().fold(of.clone(), |all, size| all.and(size));
            let walked = args.all().fold(of.walked(), |sum, size| sum.plus(size.walked()));
            list(&all, walked.times(2))
        }
        "batch" | "slice" => in_parts(of, args)?,
        "join" => joined(of, args),
        "replace" => replaced(of, args),
        "indent" => {
            let width = args.literal(0, "width", 4)?;
            Size::text(of.as_text().times(1 + width).plus(Linear::fixed(width)))
        }
        "tojson" => {
            let is_bool =
                |size: &Size<'s>| size.literal.as_ref().is_some_and(|value| value.kind() == ValueKind::Bool);
            let indented = match args.get(0, "indent") {
                Some(indent) if is_bool(indent) => 2,
                _ => args.literal(0, "indent", 0)?,
            };
            let lines = of.items.plus(Linear::fixed(1)).times(16 + LEVELS * indented);
            Size::text(of.bytes.times(ESCAPED).plus(lines))
        }
        "pprint" => Size::text(of.as_text().plus(of.items.times(16 + LEVELS * 4))),
        "format" => formatted(of, args)?,
        "map" => mapped(of, args)?,
        _ => return Err(format!("the filter {name} is not known here")),
    };
    let gives_safe = matches!(name, "safe" | "escape" | "e" | "tojson");
    let made = Size { is_safe: gives_safe || of.is_safe || args.all().any(|size| size.is_safe), ..made };
    let steps =
        if matches!(name, "sort" | "dictsort" | "unique" | "groupby" | "min" | "max") { SORT } else { 1 };
    let work = read.times(steps).plus(made.weight());
    let new = match name {
        // A part of what is there.
        "first" | "last" | "min" | "max" | "attr" | "default" | "d" => Linear::ZERO,
        // Its values are there already.
        _ if made.kind == Kind::List && of.kind == Kind::List && name != "map" => made.items.times(ITEM),
        _ => made.weight(),
    };
    Ok((made, new, work))
}

/// A value of a list, a key of a map, a character of a text.
pub(super) fn item<'s>(of: &Size<'s>) -> Size<'s> {
    let known = of.shape.and_then(|shape| shape.item()).map(Size::known);
    known.unwrap_or_else(|| match of.kind {
        Kind::Number => Size::nothing(),
        Kind::Text => Size::text(Linear::fixed(4).plus(of.bytes)),
        _ => Size { kind: Kind::Any, shape: None, literal: None, ..of.clone() },
    })
}

/// A field of a map, or a value of a list.
pub(super) fn part<'s>(of: &Size<'s>, name: Option<&str>) -> Size<'s> {
    const NUMBERS: [&str; 9] =
        ["index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"];
    match of.kind {
        Kind::Namespace => Size::number(),
        Kind::Loop if name.is_some_and(|name| NUMBERS.contains(&name)) => Size::number(),
        _ => {
            let known = of.shape.zip(name).and_then(|(shape, name)| shape.field(name)).map(Size::known);
            known.unwrap_or_else(|| item(of))
        }
    }
}

fn list<'s>(of: &Size<'s>, items: Linear) -> Size<'s> {
    let size = Size::new(Kind::List, of.bytes, items.plus(Linear::fixed(1)).plus(of.items));
    // A list of the same values, in another order or fewer, is of the same shape.
    let shape = of.shape.filter(|shape| shape.item().is_some());
    Size { levels: of.levels + 1, shape, ..size }
}

fn in_parts<'s>(of: &Size<'s>, args: &Args<'_, 's>) -> Result<Size<'s>, String> {
    let count = args.literal(0, "count", 1)?;
    let filler = args.get(1, "fill_with").cloned().unwrap_or_else(Size::nothing);
    let size = of.and(&Size { bytes: filler.bytes.times(count), items: filler.items.times(count), ..filler });
    let parts = list(&size, of.walked().times(2).plus(Linear::fixed(2 * count)));
    Ok(Size { shape: None, levels: parts.levels + 1, ..parts })
}

/// How many times as long as it is what is put together may become, since it is escaped beside a text that is already.
fn escapes(of: &Size<'_>, args: &Args<'_, '_>) -> u64 {
    if of.is_safe || args.all().any(|size| size.is_safe) { ESCAPED } else { 1 }
}

fn joined<'s>(of: &Size<'s>, args: &Args<'_, 's>) -> Size<'s> {
    let between = args.get(0, "d").map_or(Linear::ZERO, Size::as_text).times(escapes(of, args));
    let texts = match of.kind {
        Kind::Text => of.bytes,
        _ => of.as_text(),
    };
    Size::text(texts.times(escapes(of, args)).plus(of.walked().plus(Linear::fixed(1)).by(between)))
}

fn replaced<'s>(of: &Size<'s>, args: &Args<'_, 's>) -> Size<'s> {
    let to = args.get(1, "to").map_or(Linear::ZERO, Size::as_text).times(escapes(of, args));
    // At most one comes before and after every byte.
    let from = of.as_text().times(escapes(of, args));
    let (Some(what), is_longer) = (args.get(0, "from"), to != Linear::ZERO) else { return Size::text(from) };
    let place = what.literal.as_ref().and_then(|text| text.as_str()).map_or(0, str::len) as u64;
    if !is_longer {
        return Size::text(from);
    }
    // Where the text that is looked for has several bytes, every one of them makes room for less than a whole one.
    let grown = to.plus(Linear::fixed(place.max(1) - 1)).divided(place.max(1));
    Size::text(from.plus(from.plus(Linear::fixed(1)).by(grown)))
}

/// After the manner of printf: what the template says of widths counts, and every argument may come at every place.
fn formatted<'s>(of: &Size<'s>, args: &Args<'_, 's>) -> Result<Size<'s>, String> {
    let text = of.literal.as_ref().and_then(|text| text.as_str());
    let text = text.ok_or("format needs a literal text, as in \"%.1f\"|format(incident.severity)")?;
    if text.split('%').skip(1).any(|place| place.chars().take_while(|c| !c.is_alphabetic()).any(|c| c == '*'))
    {
        return Err("format takes no width from an argument (*)".to_string());
    }
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let widths = numbers.map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX)).fold(0, u64::saturating_add);
    if widths > WIDEST {
        return Err(format!("format has widths of more than {WIDEST} in all"));
    }
    let places = text.matches('%').count() as u64;
    let inserted =
        args.all().fold(Linear::NUMBER, |sum, size| sum.plus(size.as_text().times(escapes(of, args))));
    Ok(Size::text(inserted.times(places).plus(Linear::fixed(text.len() as u64 + widths))))
}

/// `map(attribute=…)`, and a filter by name if it makes of every value something of about its size.
fn mapped<'s>(of: &Size<'s>, args: &Args<'_, 's>) -> Result<Size<'s>, String> {
    const EVEN: [&str; 18] = [
        "abs",
        "bool",
        "capitalize",
        "count",
        "e",
        "escape",
        "first",
        "float",
        "int",
        "last",
        "length",
        "list",
        "lower",
        "round",
        "string",
        "title",
        "trim",
        "upper",
    ];
    let name = args.positional.first().and_then(|name| name.literal.as_ref()).and_then(|name| name.as_str());
    let of = match (args.get(usize::MAX, "attribute"), name) {
        (Some(_), _) => {
            let filler = args.get(usize::MAX, "default").cloned().unwrap_or_else(Size::nothing);
            let bytes = of.bytes.plus(of.walked().by(filler.bytes));
            Size { bytes, items: of.items.plus(of.walked().by(filler.items)), ..of.clone() }
        }
        (None, Some(name)) if EVEN.contains(&name) && args.positional.len() == 1 => {
            let texts = of.as_text().times(ESCAPED).plus(of.walked().by(Linear::NUMBER));
            Size { bytes: texts, ..of.clone() }
        }
        _ => return Err(format!("map takes attribute=…, or one of {} alone", EVEN.join(", "))),
    };
    let items = of.walked();
    Ok(Size { shape: None, ..list(&of, items) })
}

/// What a function of MiniJinja's gives.
pub(super) fn function<'s>(name: &str, args: &Args<'_, 's>) -> Result<Size<'s>, String> {
    match name {
        // It has at most 100,000 values.
        "range" => {
            let ends = args.positional.iter().take(2).map(Size::count).collect::<Option<Vec<u64>>>();
            let count = ends.and_then(|ends| ends.into_iter().max()).unwrap_or(100_000).min(100_000);
            let count = if args.positional.iter().any(|end| end.count().is_none()) { 100_000 } else { count };
            Ok(Size::new(Kind::List, Linear::fixed(8 * count), Linear::fixed(count)))
        }
        "dict" => Ok(args.list()),
        "namespace" if args.all().all(|size| size.kind == Kind::Number) => {
            Ok(Size { kind: Kind::Namespace, ..args.list() })
        }
        "namespace" => {
            Err("a namespace holds numbers and truth values only: a text in it could grow without end"
                .to_string())
        }
        _ => Err(format!("the function {name} is not known here")),
    }
}

/// Whether a test can be asked; it gives a truth value.
pub(super) fn is_test(name: &str) -> bool {
    const TESTS: [&str; 39] = [
        "undefined",
        "defined",
        "none",
        "safe",
        "escaped",
        "boolean",
        "odd",
        "even",
        "divisibleby",
        "number",
        "integer",
        "int",
        "float",
        "string",
        "sequence",
        "iterable",
        "mapping",
        "startingwith",
        "endingwith",
        "lower",
        "upper",
        "sameas",
        "eq",
        "equalto",
        "==",
        "ne",
        "!=",
        "lt",
        "lessthan",
        "<",
        "le",
        "<=",
        "gt",
        "greaterthan",
        ">",
        "ge",
        ">=",
        "in",
        "true",
    ];
    TESTS.contains(&name) || name == "false"
}

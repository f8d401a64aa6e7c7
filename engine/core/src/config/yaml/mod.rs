//! YAML that people write, before and after it is parsed: what would take the parser too long or too much is refused with its place.
//!
//! The parser's time grows with the square of the nesting, and aliases can repeat a little text a billion times. So a scan of one
//! pass measures the nesting first, by the rules of the parser's own scanner (libyaml). Then, where there are aliases, the values
//! that they make are counted before anything is made of them.

mod scan;
#[cfg(test)]
mod tests;

use std::{cell::Cell, fmt};

use serde::{
    Deserialize as _,
    de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::ConfigError;

/// Longest text, bytes. Chosen: a hundred times the largest configuration that we know of.
pub(super) const LONGEST: usize = 1 << 20;
/// Deepest nesting of lists and maps. Chosen: ten times what any field needs, and below the parser's own 128.
const DEEPEST: usize = 100;
/// Most values that are left once aliases are replaced by what they stand for, for every byte of the longest text one.
const MOST_VALUES: usize = LONGEST;

/// A place in a text that is refused, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) problem: String,
}

/// What a text says; errors name the field, or the place.
pub fn from_yaml<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ConfigError> {
    let refused = |Refused { line, column, problem }| ConfigError::Text {
        path: name.to_string(),
        line,
        column,
        problem,
    };
    let has_aliases = scan::scan(text).map_err(refused)?;
    if has_aliases {
        count(text).map_err(refused)?;
    }
    serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(text))
        .map_err(|source| ConfigError::Yaml { path: name.to_string(), source })
}

/// Counts the values of a text with its aliases replaced. Other faults are left to who makes something of it.
fn count(text: &str) -> Result<(), Refused> {
    let budget = Budget { left: Cell::new(MOST_VALUES), is_spent: Cell::new(false) };
    let counted = Counted(&budget).deserialize(serde_yaml_ng::Deserializer::from_str(text));
    // The parser has a limit of its own, which says nothing of a place.
    let is_repeated = |error: &serde_yaml_ng::Error| error.to_string().contains("repetition limit");
    let is_meant = |error: &serde_yaml_ng::Error| budget.is_spent.get() || is_repeated(error);
    let Some(error) = counted.err().filter(is_meant) else { return Ok(()) };
    let place = error.location();
    Err(Refused {
        line: place.as_ref().map_or(1, |place| place.line()),
        column: place.as_ref().map_or(1, |place| place.column()),
        problem: format!(
            "its aliases (*name) repeat more than {MOST_VALUES} values and bytes: write them out, or use fewer"
        ),
    })
}

/// What may still be counted.
struct Budget {
    left: Cell<usize>,
    is_spent: Cell<bool>,
}

impl Budget {
    fn spend<E: de::Error>(&self, cost: usize) -> Result<(), E> {
        match self.left.get().checked_sub(cost) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.is_spent.set(true);
                Err(E::custom("too many values"))
            }
        }
    }
}

/// A value of any kind that is only counted: 1, and the bytes of its text.
#[derive(Clone, Copy)]
struct Counted<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.spend(1 + text.len())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.0.spend(1)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.spend(1)?;
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.spend(1)?;
        while entries.next_entry_seed(self, self)?.is_some() {}
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, value) = tagged.variant_seed(Tag)?;
        value.newtype_variant_seed(self)
    }
}

/// The tag of a value, which costs nothing.
struct Tag;

impl<'de> DeserializeSeed<'de> for Tag {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(drop)
    }
}

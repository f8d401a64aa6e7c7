//! NDJSON: one object per line. Nested keys are joined by a dot; columns stand in the order in which their keys
//! were first seen, and numbers are read as they are written.

use std::{borrow::Cow, fmt, io::BufRead, ops::Range};

use hashbrown::HashMap;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, Table, TableError, TableSource};
use crate::replay::input::Lines;

/// Deepest nesting of objects.
const DEPTH: usize = 32;

pub(super) fn read(
    reader: Box<dyn BufRead>,
    source: &TableSource<'_>,
    table: &mut Table,
) -> Result<(), TableError> {
    let mut lines = Lines::new(reader);
    let mut keys = Keys::default();
    while let Some((number, line)) = lines.next().map_err(|error| source.failed(error))? {
        let place = format_args!("line {number}");
        match std::str::from_utf8(line).map_err(|_| "it is no UTF-8".to_string()).and_then(Fields::parse) {
            Ok(fields) => keys.take(&fields, place, source, table)?,
            Err(problem) => table.refused.add(&source.path, place, problem),
        }
    }
    keys.finish(source, table);
    Ok(())
}

/// What is known of every key, in the order in which they were first seen.
#[derive(Default)]
struct Keys {
    index: HashMap<String, usize>,
    keys: Vec<Key>,
}

#[derive(Default)]
struct Key {
    name: String,
    /// Its series, from its first number on.
    series: Option<usize>,
    /// Values that are no numbers.
    texts: usize,
}

impl Keys {
    fn take(
        &mut self,
        fields: &Fields<'_>,
        place: fmt::Arguments<'_>,
        source: &TableSource<'_>,
        table: &mut Table,
    ) -> Result<(), TableError> {
        let time = match source.options.step_seconds {
            Some(_) => None,
            None => fields.iter().find(|(name, _)| *name == source.options.timestamp_column),
        };
        if time.is_none() && source.options.step_seconds.is_none() && table.rows() == 0 {
            return Err(source.no_timestamp(&fields.iter().map(|(name, _)| name).collect::<Vec<_>>()));
        }
        let stamp = time.map(|(_, raw)| unquoted(raw));
        if !source.row(stamp.as_deref(), place, table) {
            return Ok(());
        }
        for (name, raw) in fields.iter() {
            let is_time = time.is_some_and(|(time, _)| time == name);
            if !is_time && !source.is_ignored(name) {
                self.set(name, raw, source, table)?;
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &str,
        raw: &str,
        source: &TableSource<'_>,
        table: &mut Table,
    ) -> Result<(), TableError> {
        let at = match self.index.get(name) {
            Some(at) => *at,
            None => {
                self.index.insert(name.to_string(), self.keys.len());
                self.keys.push(Key { name: name.to_string(), ..Key::default() });
                self.keys.len() - 1
            }
        };
        let key = &mut self.keys[at];
        match Cell::parse(&unquoted(raw)) {
            Cell::Number(number) => {
                let series = match key.series {
                    Some(series) => series,
                    None => *key.series.insert(table.add_series(name, source)?),
                };
                table.set(series, number);
            }
            Cell::Missing => {}
            Cell::Text => key.texts += 1,
        }
        Ok(())
    }

    fn finish(self, source: &TableSource<'_>, table: &mut Table) {
        let order: Vec<usize> = self.keys.iter().filter_map(|key| key.series).collect();
        table.reorder(&order);
        for key in self.keys {
            match key.series {
                Some(_) => table.unreadable += key.texts,
                None if key.name == source.options.timestamp_column => {}
                None => table.left_out.push(key.name),
            }
        }
    }
}

/// A JSON value as a cell is written: strings without their quotes, everything else as it is.
fn unquoted(raw: &str) -> Cow<'_, str> {
    if !raw.starts_with('"') {
        return Cow::Borrowed(raw);
    }
    serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// The values of a line with their paths, in the order of the text.
#[derive(Default)]
struct Fields<'a> {
    paths: String,
    values: Vec<(Range<usize>, &'a str)>,
}

impl<'a> Fields<'a> {
    fn parse(line: &'a str) -> Result<Fields<'a>, String> {
        let mut fields = Fields::default();
        fields.object(line, &mut String::new(), 0).map_err(|error| error.to_string())?;
        Ok(fields)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.values.iter().map(|(path, value)| (&self.paths[path.clone()], *value))
    }

    fn object(&mut self, text: &'a str, path: &mut String, depth: usize) -> serde_json::Result<()> {
        let mut parser = serde_json::Deserializer::from_str(text);
        parser.deserialize_map(Object { fields: self, path, depth })?;
        parser.end()
    }
}

struct Object<'f, 'a> {
    fields: &'f mut Fields<'a>,
    path: &'f mut String,
    depth: usize,
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Object { fields, path, depth } = self;
        let outer = path.len();
        while let Some(key) = map.next_key::<Cow<'a, str>>()? {
            let value: &'a RawValue = map.next_value()?;
            if outer > 0 {
                path.push('.');
            }
            path.push_str(&key);
            if !value.get().starts_with('{') {
                let start = fields.paths.len();
                fields.paths.push_str(path);
                fields.values.push((start..fields.paths.len(), value.get()));
            } else if depth == DEPTH {
                return Err(A::Error::custom(format!("objects are nested deeper than {DEPTH}")));
            } else {
                fields.object(value.get(), path, depth + 1).map_err(A::Error::custom)?;
            }
            path.truncate(outer);
        }
        Ok(())
    }
}

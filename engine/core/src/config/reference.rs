//! The configuration as Markdown, made from its JSON Schema and its defaults. `docs/configuration.md` is this text.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::{Config, DEFAULTS};

/// Longest default that stands in a table; longer ones are in the file of defaults below it.
const WIDEST: usize = 40;

const HEAD: &str = "# Configuration

<!-- Made by `foreshock schema --markdown` from the doc comments in engine/core/src/config: edit those. -->

One YAML file, read strictly: an unknown field, a wrong type or a value out of its bounds ends `run` and `check` with
exit code 64 and names the field. A file names only what differs from the defaults, which stand in full at the end.
`foreshock schema` prints the same as JSON Schema, for editors; `foreshock schema --defaults` prints the defaults.

*absent* as a default means that the field may be left out and then does nothing; *required* means that it must be
given where its section is. `name[]` is a list. A *duration* is `10s`, `1h 30m`, `250ms` or `7d`
(a day is 24 hours); a *size* is `64MiB`, `1MB` or a number of bytes.
";

/// The reference of every field: one section per part, then the file of defaults.
pub fn markdown() -> Result<String, serde_json::Error> {
    let mut text = describe(HEAD, &super::schema(), &Config::default())?;
    text.push_str("\n## Every default\n\n```yaml\n");
    text.push_str(DEFAULTS);
    text.push_str("```\n");
    Ok(text)
}

/// The reference of any configuration: a head, then one section per part.
pub fn describe(
    head: &str,
    schema: &schemars::Schema,
    defaults: &impl Serialize,
) -> Result<String, serde_json::Error> {
    let (schema, defaults) = (serde_json::to_value(schema)?, serde_json::to_value(defaults)?);
    let mut book = Book { definitions: &schema["$defs"], text: head.to_string(), words: Vec::new() };
    for (name, field) in fields(&schema) {
        book.part(name, field, &defaults[name]);
    }
    Ok(book.text)
}

struct Book<'a> {
    definitions: &'a Value,
    text: String,
    /// Fields of the part at hand whose values are words with a meaning each.
    words: Vec<(String, &'a Value)>,
}

impl<'a> Book<'a> {
    fn part(&mut self, name: &str, field: &'a Value, default: &Value) {
        self.line(format_args!("\n## `{name}`\n\n{}\n", described(field)));
        self.line(format_args!("| field | type | default | meaning |\n|---|---|---|---|"));
        self.rows(name, field, default);
        for (path, words) in std::mem::take(&mut self.words) {
            self.line(format_args!("\n`{path}` is one of:\n"));
            for word in alternatives(words) {
                self.line(format_args!("- `{}`: {}", text(&word["const"]), described(word)));
            }
        }
    }

    /// The rows of what lies under a field: of its section, or of the sections in its list.
    fn rows(&mut self, path: &str, field: &'a Value, default: &Value) {
        let (path, section, default) = match self.item(field) {
            Some(item) => (format!("{path}[]"), item, &Value::Null),
            None => (path.to_string(), self.target(field), default),
        };
        for (name, inner) in fields(section) {
            let own = default.get(name).or_else(|| inner.get("default")).unwrap_or(&Value::Null);
            self.row(&format!("{path}.{name}"), inner, own, is_required(section, name));
        }
    }

    fn row(&mut self, path: &str, field: &'a Value, default: &Value, required: bool) {
        let section = self.has_fields(self.target(field));
        let shown = match default {
            _ if required => "*required*".to_string(),
            Value::Null => "*absent*".to_string(),
            Value::Object(_) if section => String::new(),
            Value::String(text) if text.is_empty() => "empty".to_string(),
            Value::String(text) => format!("`{text}`"),
            other => Some(other.to_string())
                .filter(|text| text.len() <= WIDEST)
                .map_or_else(|| "[below](#every-default)".to_string(), |text| format!("`{text}`")),
        };
        let kind = self.kind(field);
        self.line(format_args!("| `{path}` | {kind} | {shown} | {} |", cell(&described(field))));
        if section || self.item(field).is_some_and(|item| self.has_fields(item)) {
            self.rows(path, field, default);
        }
        let target = self.target(field);
        if alternatives(target).any(|word| word.get("const").is_some()) {
            self.words.push((path.to_string(), target));
        }
    }

    /// The type in a word or two.
    fn kind(&self, field: &'a Value) -> String {
        let target = self.target(field);
        match reference(field).unwrap_or_default() {
            "Duration" => return "duration".to_string(),
            "Bytes" => return "size".to_string(),
            _ => {}
        }
        if alternatives(target).next().is_some() {
            return "word".to_string();
        }
        if self.has_fields(target) {
            return "section".to_string();
        }
        match (main_type(target), text(&target["format"])) {
            ("array", _) => format!("list of {}s", self.kind(&target["items"])),
            ("object", _) => "map of text to text".to_string(),
            ("string", _) => "text".to_string(),
            ("integer", format) if format.starts_with("uint") => "number, whole, 0 or more".to_string(),
            ("integer", _) => "number, whole".to_string(),
            ("boolean", _) => "`true` or `false`".to_string(),
            (other, _) => other.to_string(),
        }
    }

    /// What a field is, behind its reference.
    fn target(&self, field: &'a Value) -> &'a Value {
        match reference(field) {
            Some(name) => &self.definitions[name],
            None => field,
        }
    }

    /// What the items of a list are; `None` where the field is no list.
    fn item(&self, field: &'a Value) -> Option<&'a Value> {
        self.target(field).get("items").map(|items| self.target(items))
    }

    fn has_fields(&self, target: &Value) -> bool {
        target.get("properties").is_some()
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a String does not fail");
    }
}

/// Name of the definition that a field refers to, also where it may be absent.
fn reference(field: &Value) -> Option<&str> {
    let direct = field.get("$ref");
    let optional = || field["anyOf"].as_array()?.iter().find_map(|choice| choice.get("$ref"));
    direct.or_else(optional)?.as_str()?.strip_prefix("#/$defs/")
}

fn fields(section: &Value) -> impl Iterator<Item = (&str, &Value)> {
    section["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.as_str(), field))
}

fn is_required(section: &Value, name: &str) -> bool {
    section["required"].as_array().into_iter().flatten().any(|required| required == name)
}

fn alternatives(target: &Value) -> impl Iterator<Item = &Value> {
    target["oneOf"].as_array().into_iter().flatten()
}

/// The type of a value that is there: `["integer", "null"]` is an integer.
fn main_type(target: &Value) -> &str {
    match &target["type"] {
        Value::Array(types) => types.iter().map(text).find(|name| *name != "null").unwrap_or_default(),
        one => text(one),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn described(value: &Value) -> String {
    text(&value["description"]).replace('\n', " ")
}

/// A vertical bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

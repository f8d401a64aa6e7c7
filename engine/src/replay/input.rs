//! Files as they come: packed or not, and what is in them.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use clap::ValueEnum;
use flate2::bufread::MultiGzDecoder;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A header, then one row per line.
    Csv,
    /// One JSON object per line: a timestamp and one key per series.
    Ndjson,
    /// Parquet: a column of times and one column per series.
    Parquet,
    /// One OTLP JSON request per line (metrics, logs or spans), as the Collector's file exporter writes them, one CloudEvent, or one answer
    /// of a model.
    Otlp,
    /// A plain text log.
    Text,
}

/// A file that is no input.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Neither its name nor its beginning says what it is.
    #[error(
        "{path} is none of CSV, NDJSON, Parquet, OTLP JSON lines and text: say with --format what it is, or convert it"
    )]
    Unknown {
        /// The file.
        path: String,
    },
    /// Parquet is packed inside, and read from its end.
    #[error("{path} is a packed Parquet file: unpack it, Parquet is read from its end")]
    PackedParquet {
        /// The file.
        path: String,
    },
}

/// An open file. What is packed with gzip is unpacked on the way.
pub struct Input {
    /// Name without folder and extensions.
    pub name: String,
    /// What it holds.
    pub format: Format,
    /// Whether it begins with a change event.
    pub(crate) begins_with_change: bool,
    pub(crate) reader: Box<dyn BufRead>,
}

/// How much of a file is looked at to know it, bytes.
const PEEK: usize = 1 << 20;

impl Input {
    /// Opens a file. What it holds is as stated, or else what its beginning and its extension say.
    pub fn open(path: &Path, stated: Option<Format>) -> Result<Input, InputError> {
        let shown = path.display().to_string();
        let failed = |source| InputError::Read { path: shown.clone(), source };
        let mut reader: Box<dyn BufRead> =
            Box::new(BufReader::with_capacity(PEEK, File::open(path).map_err(failed)?));
        let is_packed = reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        if is_packed {
            reader = Box::new(BufReader::with_capacity(PEEK, MultiGzDecoder::new(reader)));
        }
        let inner = if is_packed { path.with_extension("") } else { path.to_path_buf() };
        let extension = inner.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if reader.fill_buf().map_err(failed)?.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        let start = reader.fill_buf().map_err(failed)?;
        let keys = first_keys(start);
        let format = match stated {
            Some(format) => format,
            None => recognise(start, &keys, &extension)
                .ok_or_else(|| InputError::Unknown { path: shown.clone() })?,
        };
        if is_packed && format == Format::Parquet {
            return Err(InputError::PackedParquet { path: shown });
        }
        let name = inner.file_stem().map_or(shown, |stem| stem.to_string_lossy().into_owned());
        let begins_with_change = keys.iter().any(|key| key == "specversion");
        Ok(Input { name, format, begins_with_change, reader })
    }
}

fn recognise(start: &[u8], keys: &[String], extension: &str) -> Option<Format> {
    const OTLP: [&str; 4] = ["resourceMetrics", "resourceLogs", "resourceSpans", "specversion"];
    if start.starts_with(b"PAR1") || extension == "parquet" {
        return Some(Format::Parquet);
    }
    if start.contains(&0) {
        return None;
    }
    match extension {
        "csv" => Some(Format::Csv),
        "log" => Some(Format::Text),
        _ if keys.iter().any(|key| OTLP.contains(&key.as_str())) => Some(Format::Otlp),
        // The answers of models are read as they are from Kafka.
        _ if ["model", "inputs"].iter().all(|known| keys.iter().any(|key| key == known)) => {
            Some(Format::Otlp)
        }
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ if !keys.is_empty() => Some(Format::Ndjson),
        "json" => None,
        _ => (!start.trim_ascii_start().starts_with(b"[")).then_some(Format::Csv),
    }
}

/// The outermost keys of a JSON object in the first line, as far as they are in sight; nothing for what is no object.
fn first_keys(start: &[u8]) -> Vec<String> {
    let start = start.trim_ascii_start();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut keys = Vec::new();
    if line.starts_with(b"{") {
        // Where the line is cut or broken, the keys before that have been seen.
        let whole = serde_json::Deserializer::from_slice(line).deserialize_map(Keys(&mut keys));
        drop(whole);
    }
    keys
}

struct Keys<'a>(&'a mut Vec<String>);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            self.0.push(key);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// The lines of a file with their numbers from 1, blank ones left out, one in memory at a time.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(crate) fn new(reader: Box<dyn BufRead>) -> Lines {
        Lines { reader, line: Vec::new(), number: 0 }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            if self.reader.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, self.line.trim_ascii())));
            }
        }
    }
}

/// Rows or lines that could not be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The first few, in words that name file and line.
    pub first: Vec<String>,
}

/// Refused lines that are told one by one.
const TOLD: usize = 5;

impl Refused {
    /// Takes over what another file refused.
    pub(crate) fn join(&mut self, other: &Refused) {
        self.count += other.count;
        let room = TOLD.saturating_sub(self.first.len());
        self.first.extend(other.first.iter().take(room).cloned());
    }

    pub(crate) fn add(&mut self, path: &str, place: impl fmt::Display, problem: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(format!("{path}, {place}: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn formats_are_known_by_their_beginning_and_their_extension() {
        let cases: [(&str, &[u8], Option<Format>); 14] = [
            ("a.csv", b"timestamp,value\n", Some(Format::Csv)),
            ("a.txt", b"timestamp,value\n", Some(Format::Csv)),
            ("a.csv", b"", Some(Format::Csv)),
            ("a.log", b"{\"msg\":\"it began\"}\n", Some(Format::Text)),
            ("a.json", b"\n {\"timestamp\":1,\"value\":2}\n", Some(Format::Ndjson)),
            ("a.ndjson", b"no JSON\n", Some(Format::Ndjson)),
            ("a", b"{\"resourceSpans\":[{\"resource\":", Some(Format::Otlp)),
            ("a.jsonl", b"{\"resourceMetrics\":[]}\n", Some(Format::Otlp)),
            ("a.jsonl", b"{\"id\":\"1\",\"specversion\":\"1.0\"}\n", Some(Format::Otlp)),
            ("a.jsonl", b"{\"model\":\"ranker\",\"inputs\":{}}\n", Some(Format::Otlp)),
            ("a", b"PAR1\0\0", Some(Format::Parquet)),
            ("a.png", b"\x89PNG\r\n\x1a\n\0\0", None),
            ("a.json", b"[{\"timestamp\":1}]", None),
            ("a.json", b"{\n", None),
        ];
        for (name, content, format) in cases {
            let (_folder, path) = file(name, content);
            assert_eq!(Input::open(&path, None).ok().map(|input| input.format), format, "{name} {content:?}");
        }
        let (_folder, path) = file("a.png", b"\0");
        let stated = Input::open(&path, Some(Format::Text)).unwrap();
        assert_eq!(stated.format, Format::Text);
    }

    #[test]
    fn gzip_is_unpacked_and_a_mark_of_byte_order_is_dropped() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(b"\xef\xbb\xbf{\"timestamp\":1}\n").unwrap();
        let (_folder, path) = file("cpu.ndjson.gz", &packed.finish().unwrap());
        let mut input = Input::open(&path, None).unwrap();
        assert_eq!((input.name.as_str(), input.format), ("cpu", Format::Ndjson));
        let mut text = String::new();
        input.reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"timestamp\":1}\n");
    }

    #[test]
    fn lines_keep_their_numbers() {
        let mut lines = Lines::new(Box::new(&b"a\n\n  b \r\nc"[..]));
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push((number, String::from_utf8_lossy(line).into_owned()));
        }
        let expected = [(1, "a"), (3, "b"), (4, "c")].map(|(number, line)| (number, line.to_string()));
        assert_eq!(found, expected);
    }
}

//! What a template writes: values in the escaping that is meant, and never more than the limit.

use std::{
    fmt::{self, Write as _},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Value, value::Object};

use super::LONGEST_OUTPUT;

/// How what a template inserts is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As it is.
    Plain,
    /// `&`, `<` and `>` as entities.
    Markup,
    /// As JSON: `{"text": {{ incident.title }}}`.
    Json,
}

/// `&`, `<` and `>` as entities: text of telemetry is never markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An environment whose templates insert values so.
pub(super) fn environment(escaping: Escaping) -> Environment<'static> {
    let mut environment = Environment::new();
    if escaping == Escaping::Json {
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
    }
    environment.set_formatter(move |output: &mut Output<'_>, state: &State<'_, '_>, value: &Value| {
        let inserted = state.get_or_set_temp_object("inserted", Inserted::default);
        let mut counted = Counted { output, inserted };
        let is_plain = value.is_safe() || state.auto_escape() == AutoEscape::None;
        let written = match state.auto_escape() {
            _ if escaping == Escaping::Markup => write!(Entities(&mut counted), "{value}"),
            AutoEscape::Json if !is_plain => {
                let written = serde_json::to_writer(Text(&mut counted), value);
                written.map_err(|_| fmt::Error)
            }
            _ if is_plain => write!(counted, "{value}"),
            _ => {
                let escaped = state.apply_filter("escape", std::slice::from_ref(value))?;
                write!(counted, "{escaped}")
            }
        };
        written.map_err(|error| if counted.is_full() { too_long() } else { error.into() })
    });
    environment
}

fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, format!("it makes more than {LONGEST_OUTPUT} bytes of text"))
}

/// Bytes that were inserted so far, into the output or into a name.
#[derive(Debug, Default)]
struct Inserted(AtomicUsize);

impl Object for Inserted {}

/// Writes as long as not too much was inserted.
struct Counted<'a, 'o> {
    output: &'a mut Output<'o>,
    inserted: Arc<Inserted>,
}

impl Counted<'_, '_> {
    fn is_full(&self) -> bool {
        self.inserted.0.load(Ordering::Relaxed) > LONGEST_OUTPUT
    }
}

impl fmt::Write for Counted<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.inserted.0.fetch_add(text.len(), Ordering::Relaxed);
        if self.is_full() { Err(fmt::Error) } else { self.output.write_str(text) }
    }
}

/// Writes with [`escape`].
struct Entities<'a, 'b, 'o>(&'a mut Counted<'b, 'o>);

impl fmt::Write for Entities<'_, '_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(['&', '<', '>']) {
            let (plain, entity) = match part.as_bytes().last() {
                Some(b'&') => (&part[..part.len() - 1], "&amp;"),
                Some(b'<') => (&part[..part.len() - 1], "&lt;"),
                Some(b'>') => (&part[..part.len() - 1], "&gt;"),
                _ => (part, ""),
            };
            self.0.write_str(plain)?;
            self.0.write_str(entity)?;
        }
        Ok(())
    }
}

/// JSON as it is made, which is text.
struct Text<'a, 'b, 'o>(&'a mut Counted<'b, 'o>);

impl io::Write for Text<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Limited(Vec<u8>);

impl Limited {
    pub(super) fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.0).map_err(|error| error.to_string())
    }
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_OUTPUT {
            return Err(io::Error::other(format!("it makes more than {LONGEST_OUTPUT} bytes of text")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

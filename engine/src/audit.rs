//! The audit log: who decided what, why, on what evidence, under which policies. One line of JSON an entry; each holds the hash of the one
//! before, so that nothing can be taken out, put in or changed behind the last entry that somebody else has kept.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// 1 for the first of a chain, one more with each.
    pub number: u64,
    /// When it was written, by the clock, unix milliseconds.
    pub time_ms: i64,
    /// Event time that the engine had reached, unix milliseconds; 0 before the first tick.
    pub event_ms: i64,
    /// The engine that wrote it (`kafka.instance`).
    pub engine: String,
    /// Who: a person, a controller, a policy, or `engine`.
    pub who: String,
    /// What: `approve`, `reject`, `propose`, `cancel`, `halt`, `resume`, `acknowledge`, `feedback`, `silence`, `end_silence`, `undo`; the
    /// state of a signal that changed; `declined`, `connect`, `disconnect`, `start`.
    pub what: String,
    /// What it is about: the id of a signal, an incident, a silence, an adjustment or a session.
    pub about: String,
    /// Why, in the words of whoever said so.
    pub why: String,
    /// What is known of it: what a signal rests on, or that a word had no effect, and why.
    pub evidence: String,
    /// Hash of the policies, limits and freezes that held.
    pub policies: String,
    /// Hash of the entry before; zeros for the first.
    pub previous: String,
    /// SHA-256 of this entry with an empty hash, hexadecimal.
    pub hash: String,
}

impl Entry {
    /// The hash that it has to have.
    fn expected(&self) -> Result<String, serde_json::Error> {
        let unsealed = Entry { hash: String::new(), ..self.clone() };
        Ok(sha256(&serde_json::to_vec(&unsealed)?))
    }
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What comes before the first.
fn nothing() -> String {
    "0".repeat(64)
}

/// Bytes of a file after which the next one begins.
const MOST_BYTES: u64 = 64 << 20;

/// A log that is written: `audit.ndjson` of a folder, and what became of it when it was full, `audit.NUMBER.ndjson`.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    number: u64,
    previous: String,
}

impl Log {
    /// Opens the log of a folder, and goes on where it ended. What a crash cut off stays as it is.
    pub fn open(folder: &Path) -> io::Result<Log> {
        let path = folder.join("audit.ndjson");
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
        let (number, previous) = end(&mut BufReader::new(&mut file))?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        if bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Log { path, file, bytes, number, previous })
    }

    /// Seals an entry and writes it. Where it cannot be written, the chain goes on without: what is kept of it elsewhere is whole.
    pub fn write(&mut self, entry: Entry) -> io::Result<(Entry, io::Result<()>)> {
        let mut entry = Entry { number: self.number + 1, previous: self.previous.clone(), ..entry };
        entry.hash = entry.expected()?;
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let written = self.append(&line);
        (self.number, self.previous) = (entry.number, entry.hash.clone());
        Ok((entry, written))
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > MOST_BYTES {
            std::fs::rename(
                &self.path,
                self.path.with_file_name(format!("audit.{:012}.ndjson", self.number)),
            )?;
            self.file = OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
            self.bytes = 0;
        }
        if let Err(error) = self.file.write_all(line) {
            // Half a line would hide the next entry.
            self.file.set_len(self.bytes).ok();
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// Number and hash of the last whole entry.
fn end(lines: &mut impl BufRead) -> io::Result<(u64, String)> {
    let mut last = (0, nothing());
    for line in lines.split(b'\n') {
        if let Ok(entry) = serde_json::from_slice::<Entry>(&line?) {
            last = (entry.number, entry.hash);
        }
    }
    Ok(last)
}

/// What a log that was looked through holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries.
    pub entries: u64,
    /// Numbers of the first and the last.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Hash of the last: what to keep elsewhere, to know later that nothing before it was touched.
    pub hash: String,
    /// What is wrong, by line.
    pub problems: Vec<String>,
}

/// Looks through a log, files in the order in which they were written.
pub fn verify(files: impl IntoIterator<Item = (String, impl BufRead)>) -> io::Result<Verified> {
    let mut found = Verified::default();
    let mut before: Option<Entry> = None;
    for (name, lines) in files {
        for (at, line) in lines.split(b'\n').enumerate() {
            let (line, at) = (line?, at + 1);
            if line.is_empty() {
                continue;
            }
            let mut wrong = |problem: &str| found.problems.push(format!("{name}:{at}: {problem}"));
            let Ok(entry) = serde_json::from_slice::<Entry>(&line) else {
                wrong("no entry: cut off, or written by somebody else");
                continue;
            };
            if serde_json::to_vec(&entry).ok().as_ref() != Some(&line) {
                wrong(&format!(
                    "entry {} is not written as the engine writes: something was put in",
                    entry.number
                ));
            }
            if entry.expected().ok().as_ref() != Some(&entry.hash) {
                wrong(&format!("entry {} was changed: its hash is another", entry.number));
            }
            match &before {
                Some(before) if before.hash != entry.previous || before.number + 1 != entry.number => {
                    wrong(&format!(
                        "entry {} does not follow {}: something is missing or was put in",
                        entry.number, before.number
                    ));
                }
                None if entry.number == 1 && entry.previous != nothing() => {
                    wrong("the first entry follows another")
                }
                _ => {}
            }
            if found.entries == 0 {
                found.first = entry.number;
            }
            found.entries += 1;
            (found.last, found.hash) = (entry.number, entry.hash.clone());
            before = Some(entry);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: &str) -> Entry {
        Entry { what: what.to_string(), who: "ann".to_string(), ..Entry::default() }
    }

    fn write(log: &mut Log, what: &str) -> Entry {
        let (entry, written) = log.write(entry(what)).unwrap();
        written.unwrap();
        entry
    }

    fn text(folder: &Path) -> String {
        std::fs::read_to_string(folder.join("audit.ndjson")).unwrap()
    }

    fn looked_through(text: &str) -> Verified {
        verify([("log".to_string(), text.as_bytes())]).unwrap()
    }

    #[test]
    fn a_log_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path()).unwrap();
        write(&mut log, "approve");
        write(&mut log, "halt");
        let last = write(&mut Log::open(folder.path()).unwrap(), "resume");
        let found = looked_through(&text(folder.path()));
        assert_eq!((found.entries, found.first, found.last, found.problems), (3, 1, 3, vec![]));
        assert_eq!(found.hash, last.hash);
    }

    #[test]
    fn what_was_touched_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path()).unwrap();
        for what in ["approve", "Leased", "Succeeded", "Verified"] {
            write(&mut log, what);
        }
        let whole = text(folder.path());
        let lines: Vec<&str> = whole.lines().collect();
        let missing = [lines[0], lines[2], lines[3]].join("\n");
        let swapped = [lines[0], lines[2], lines[1], lines[3]].join("\n");
        for (touched, problem) in [
            (whole.replacen("\"ann\"", "\"eve\"", 1), "log:1: entry 1 was changed: its hash is another"),
            (missing, "log:2: entry 3 does not follow 1: something is missing or was put in"),
            (swapped, "log:2: entry 3 does not follow 1: something is missing or was put in"),
            (whole.replace("Leased", "Failed"), "log:2: entry 2 was changed: its hash is another"),
            (
                format!("{whole}{}\n", &lines[3][..40]),
                "log:5: no entry: cut off, or written by somebody else",
            ),
        ] {
            assert_eq!(looked_through(&touched).problems.first().map(String::as_str), Some(problem));
        }
        // Who changes an entry and seals it again breaks the next one.
        let mut forged: Entry = serde_json::from_str(lines[1]).unwrap();
        forged.who = "eve".to_string();
        forged.hash = forged.expected().unwrap();
        let forged = [lines[0], &serde_json::to_string(&forged).unwrap(), lines[2]].join("\n");
        assert_eq!(looked_through(&forged).problems.len(), 1);
    }

    #[test]
    fn a_crash_cuts_off_one_line_and_the_chain_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        write(&mut Log::open(folder.path()).unwrap(), "approve");
        let path = folder.path().join("audit.ndjson");
        let whole = text(folder.path());
        std::fs::write(&path, format!("{whole}{}", &whole[..50])).unwrap();
        write(&mut Log::open(folder.path()).unwrap(), "halt");
        let found = looked_through(&text(folder.path()));
        assert_eq!((found.entries, found.last, found.problems.len()), (2, 2, 1), "{found:?}");
    }
}

//! `tailwater buffer ls|cat|verify PATH`: looks into the buffer on the disk without changing anything.
//!
//! It works beside an agent: what is delivered meanwhile is passed over, and the write that is just being done at
//! the end of an open chunk is no damage.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lexopt::{Arg, ValueExt as _};
use thiserror::Error;

use crate::buffer::{
    Access, ChunkReader, Damage, Disk, Found, Frames, Place, Purpose, ReadError, Storage as _,
    survey,
};
use crate::clock;
use crate::record::Nanos;

/// What to look for in which buffer.
#[derive(Debug)]
pub struct Inspection {
    action: Action,
    /// A `storage.path`, a folder in one, or a chunk file.
    path: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    List,
    Print,
    Verify,
}

/// Why a buffer cannot be looked into.
#[derive(Debug, Error)]
pub enum InspectionError {
    /// The disk did not give what lies there.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why it cannot be.
        source: io::Error,
    },
    /// Standard output takes no more.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
}

impl Inspection {
    /// Reads `ls|cat|verify PATH`.
    pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let (mut action, mut path) = (None, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(word) if action.is_none() => {
                    action = Some(match word.string()?.as_str() {
                        "ls" => Action::List,
                        "cat" => Action::Print,
                        "verify" => Action::Verify,
                        other => {
                            return Err(format!(
                                "`buffer` cannot `{other}`: write `ls`, `cat` or `verify`"
                            )
                            .into());
                        }
                    });
                }
                Arg::Value(word) if path.is_none() => path = Some(PathBuf::from(word)),
                other => return Err(other.unexpected()),
            }
        }
        match (action, path) {
            (Some(action), Some(path)) => Ok(Self { action, path }),
            _ => Err("which buffer? write `tailwater buffer ls|cat|verify PATH`".into()),
        }
    }

    /// Looks, and prints to standard output. Whether all is well with what was looked at.
    pub fn run(&self) -> Result<bool, InspectionError> {
        let out = &mut io::BufWriter::new(io::stdout().lock());
        let done = self.write(out).and_then(|is_well| {
            out.flush()?;
            Ok(is_well)
        });
        match done {
            // `| head` has seen enough.
            Err(InspectionError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(true)
            }
            Ok(false) if matches!(self.action, Action::Print) => {
                let path = self.path.display();
                let hint =
                    format!("some of it is damaged: `tailwater buffer verify {path}` says what\n");
                // Who closed standard error does not want to know.
                let _nobody_listens = io::stderr().write_all(hint.as_bytes());
                Ok(false)
            }
            done => done,
        }
    }

    fn write(&self, out: &mut dyn Write) -> Result<bool, InspectionError> {
        let found = survey(&Disk::default(), &self.path).map_err(unread(&self.path))?;
        match self.action {
            Action::List => list(&found, clock::now(), out),
            Action::Print => print(&found, out),
            Action::Verify => verify(&found, out),
        }
    }
}

/// Adds to an error what could not be read.
fn unread(path: &Path) -> impl FnOnce(io::Error) -> InspectionError {
    let path = path.to_owned();
    move |source| InspectionError::Read { path, source }
}

/// A file as it was found to be.
enum Opened {
    Chunk(ChunkReader),
    Damaged(Damage),
    /// Delivered meanwhile.
    Gone,
}

fn open(found: &Found) -> Result<Opened, InspectionError> {
    let file = match Disk::default().open(&found.path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Gone),
        result => result.map_err(unread(&found.path))?,
    };
    match ChunkReader::new(file) {
        Ok(reader) => Ok(Opened::Chunk(reader)),
        Err(ReadError::Damage(damage)) => Ok(Opened::Damaged(damage)),
        Err(ReadError::Io(error)) => Err(unread(&found.path)(error)),
    }
}

/// `Ok(None)` at the end of what is whole; what ended it, if that is damage, goes to `damaged`.
fn step<T>(
    found: &Found,
    damaged: &mut Option<Damage>,
    result: Result<Option<T>, ReadError>,
) -> Result<Option<T>, InspectionError> {
    match result {
        Ok(step) => Ok(step),
        // The agent is writing there.
        Err(ReadError::Damage(Damage::Torn)) if found.place == Place::Open => Ok(None),
        Err(ReadError::Damage(damage)) => {
            *damaged = Some(damage);
            Ok(None)
        }
        Err(ReadError::Io(error)) => Err(unread(&found.path)(error)),
    }
}

/// A line of the table.
#[derive(Default)]
struct Row {
    chunks: u64,
    records: u64,
    bytes: u64,
    oldest: Option<Nanos>,
}

/// A table of what waits where.
fn list(found: &[Found], now: Nanos, out: &mut dyn Write) -> Result<bool, InspectionError> {
    let mut rows: BTreeMap<(Place, &str), Row> = BTreeMap::new();
    for chunk in found {
        let row = rows.entry((chunk.place, &chunk.folder)).or_default();
        let mut damaged = None;
        match open(chunk)? {
            Opened::Gone => continue,
            Opened::Damaged(_) => {}
            Opened::Chunk(mut reader) => {
                row.bytes += reader.size();
                let opened_at = reader.header().opened_at;
                row.oldest = Some(row.oldest.map_or(opened_at, |oldest| oldest.min(opened_at)));
                let mut next = || {
                    let Some(entry) = reader.next_entry()? else { return Ok(None) };
                    reader.head(&entry).map(Some)
                };
                while let Some(head) = step(chunk, &mut damaged, next())? {
                    row.records += u64::from(head.count);
                }
            }
        }
        row.chunks += 1;
    }
    let names = rows.keys().map(|(place, folder)| shown(*place, folder).len());
    let width = names.max().unwrap_or(0).max("OUTPUT".len());
    writeln!(
        out,
        "{:<width$} {:>8} {:>12} {:>15} {:>8}",
        "OUTPUT", "CHUNKS", "RECORDS", "BYTES", "AGE"
    )?;
    for ((place, folder), Row { chunks, records, bytes, oldest }) in &rows {
        let name = shown(*place, folder);
        let age = oldest.map_or_else(|| "-".to_owned(), |oldest| age(now.saturating_sub(oldest)));
        writeln!(out, "{name:<width$} {chunks:>8} {records:>12} {bytes:>15} {age:>8}")?;
    }
    Ok(true)
}

/// What a folder is called in the table: one that is no output's in parentheses, which no output's name has.
fn shown(place: Place, folder: &str) -> String {
    match place {
        Place::Output => folder.to_owned(),
        Place::Open | Place::Corrupt | Place::Other => format!("({folder})"),
    }
}

/// Two units at most: `6h12m`.
fn age(nanos: Nanos) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

/// Every record as a line of JSON; those of a chunk that several outputs owe once.
fn print(found: &[Found], out: &mut dyn Write) -> Result<bool, InspectionError> {
    let mut printed = BTreeSet::new();
    let mut is_well = true;
    let mut frame = Vec::new();
    for chunk in found.iter().filter(|chunk| chunk.place != Place::Corrupt || found.len() == 1) {
        let mut reader = match open(chunk)? {
            Opened::Chunk(reader) => reader,
            Opened::Gone => continue,
            Opened::Damaged(_) => {
                is_well = false;
                continue;
            }
        };
        if !printed.insert(chunk.number) {
            continue;
        }
        let outputs = serde_json::json!(reader.header().outputs).to_string();
        let is_refused = reader.header().purpose == Purpose::DeadLetter;
        let mut damaged = None;
        loop {
            frame.clear();
            let mut next = || {
                let Some(entry) = reader.next_entry()? else { return Ok(None) };
                reader.append_frame(&entry, &mut frame).map(Some)
            };
            let Some((reason, _)) = step(chunk, &mut damaged, next())? else { break };
            let reason = reason.filter(|_| is_refused);
            write_records(&frame, &outputs, reason.as_deref(), out)?;
        }
        is_well &= damaged.is_none();
    }
    Ok(is_well)
}

/// Each record of a frame as a line.
fn write_records(
    frame: &[u8],
    outputs: &str,
    reason: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for frame in Frames::new(frame) {
        let tag = serde_json::json!(frame.header.tag).to_string();
        for record in frame {
            let time = Timestamp::from_nanosecond(record.time.into());
            let time = time.map_or_else(|_| record.time.to_string(), |time| time.to_string());
            write!(out, "{{\"tag\":{tag},\"time\":\"{time}\",\"outputs\":{outputs}")?;
            if let Some(reason) = reason {
                write!(out, ",\"reason\":{}", serde_json::json!(reason))?;
            }
            out.write_all(b",\"record\":")?;
            out.write_all(record.json)?;
            out.write_all(b"}\n")?;
        }
    }
    Ok(())
}

/// Reads every byte and says what does not hold. What was set aside already is not looked at, unless it is
/// all that was asked for.
fn verify(found: &[Found], out: &mut dyn Write) -> Result<bool, InspectionError> {
    let is_asked = |chunk: &&Found| {
        chunk.place != Place::Corrupt || found.iter().all(|chunk| chunk.place == Place::Corrupt)
    };
    let (mut chunks, mut records, mut broken) = (0_u64, 0_u64, 0_u64);
    let mut progress = Progress::new(found.len());
    let mut frame = Vec::new();
    for chunk in found.iter().filter(is_asked) {
        progress.tell(chunks);
        let mut damaged = None;
        match open(chunk)? {
            Opened::Gone => continue,
            // A header that is being written.
            Opened::Damaged(Damage::Torn) if chunk.place == Place::Open => {}
            Opened::Damaged(damage) => damaged = Some(damage),
            Opened::Chunk(mut reader) => {
                let named = reader.header().number;
                damaged = (named != chunk.number).then_some(Damage::Number(named));
                let mut next = || {
                    frame.clear();
                    let Some(entry) = reader.next_entry()? else { return Ok(None) };
                    reader.append_frame(&entry, &mut frame).map(Some)
                };
                while let Some((_, count)) = step(chunk, &mut damaged, next())? {
                    records += u64::from(count);
                }
            }
        }
        chunks += 1;
        if let Some(damage) = damaged {
            broken += 1;
            writeln!(out, "{}: {damage}", chunk.path.display())?;
        }
    }
    progress.end();
    let verdict = if broken == 0 { "ok".to_owned() } else { format!("{broken} broken") };
    writeln!(out, "{verdict}: {chunks} chunks, {records} whole records")?;
    Ok(broken == 0)
}

/// How far it is, for a person who waits at a terminal.
struct Progress {
    of: usize,
    is_shown: bool,
}

impl Progress {
    fn new(of: usize) -> Self {
        Self { of, is_shown: io::stderr().is_terminal() }
    }

    fn tell(&mut self, done: u64) {
        self.write(&format!("\r{done} of {} chunks ", self.of));
    }

    fn end(&mut self) {
        self.write("\r\x1b[K");
    }

    fn write(&mut self, text: &str) {
        // Who closed standard error does not want to know.
        self.is_shown = self.is_shown && io::stderr().write_all(text.as_bytes()).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{
        Encoded, FrameHeader, OutputName, Refused, Shelf, ShelfOptions, append_some,
    };
    use crate::record::Id;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    const OPENED_AT: Nanos = 1_753_000_000_000_000_000;

    fn frame(n: u64) -> Vec<u8> {
        let header = FrameHeader { source: [7; 16], from: n, to: n + 1, count: 1, tag: "kube.ä" };
        let json = format!("{{\"n\":{n}}}");
        let time = OPENED_AT + n.cast_signed();
        let record = Encoded { time, id: Id::from_bytes([9; 20]), json: json.as_bytes() };
        let mut out = Vec::new();
        append_some(&header, [record].into_iter(), &mut out);
        out
    }

    /// A buffer with a chunk for two outputs, an open one, and a dead letter; the agent is still there.
    fn buffer(folder: &Path) -> Shelf {
        let options = ShelfOptions::new(folder);
        let names: Arc<[_]> = ["es", "loki"].map(OutputName::from_alias).into();
        let (shelf, _) = Shelf::open(Arc::new(Disk::default()), &options, &names).unwrap();
        let mut chunk = shelf.open_chunk(0, Arc::clone(&names), OPENED_AT).unwrap();
        shelf.append(&mut chunk, &frame(0), 1).unwrap();
        shelf.append(&mut chunk, &frame(1), 1).unwrap();
        shelf.seal(&mut chunk).unwrap();
        let mut open = shelf.open_chunk(1, Arc::clone(&names), OPENED_AT).unwrap();
        shelf.append(&mut open, &frame(2), 1).unwrap();
        let refused = Refused { reason: "\"no\"", frame: &frame(3), count: 1 };
        shelf.reject(2, &names[0], OPENED_AT, &[refused]).unwrap();
        shelf
    }

    fn check(
        change: impl FnOnce(&Path),
        at: &str,
        run: impl Fn(&[Found], &mut dyn Write) -> Result<bool, InspectionError>,
        expected: &Expect,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let _agent = buffer(folder.path());
        change(folder.path());
        let found = survey(&Disk::default(), &folder.path().join(at)).unwrap();
        let mut out = Vec::new();
        let is_well = run(&found, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let out = out.replace(folder.path().to_str().unwrap(), "@DIR@");
        expected.assert_eq(&format!("{out}{}", if is_well { "" } else { "(failed)\n" }));
    }

    /// Flips a bit in a record for `es`, and leaves half a write in `open/`.
    fn break_some(folder: &Path) {
        let path = folder.join("out/es/00000000000000000000.chunk");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(folder.join("out/es/00000000000000000009.chunk"), "what is this?").unwrap();
        let path = folder.join("open/00000000000000000001.chunk");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([9, 0, 0]);
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn ls_is_a_table() {
        let list = |found: &[Found], out: &mut dyn Write| {
            list(found, OPENED_AT + 6 * 3_600_000_000_000, out)
        };
        check(
            |_| (),
            "",
            list,
            &expect![[r#"
            OUTPUT       CHUNKS      RECORDS           BYTES      AGE
            es                1            2             230    6h00m
            loki              1            2             230    6h00m
            (open)            1            1             138    6h00m
            (rejected)        1            1             139    6h00m
        "#]],
        );
        check(
            break_some,
            "out",
            list,
            &expect![[r#"
            OUTPUT   CHUNKS      RECORDS           BYTES      AGE
            es            2            2             230    6h00m
            loki          1            2             230    6h00m
        "#]],
        );
        check(
            |_| (),
            "out/loki",
            list,
            &expect![[r#"
            OUTPUT   CHUNKS      RECORDS           BYTES      AGE
            loki          1            2             230    6h00m
        "#]],
        );
    }

    #[test]
    fn cat_prints_every_record_once() {
        check(
            |_| (),
            "",
            print,
            &expect![[r#"
            {"tag":"kube.ä","time":"2025-07-20T08:26:40Z","outputs":["es","loki"],"record":{"n":0}}
            {"tag":"kube.ä","time":"2025-07-20T08:26:40.000000001Z","outputs":["es","loki"],"record":{"n":1}}
            {"tag":"kube.ä","time":"2025-07-20T08:26:40.000000002Z","outputs":["es","loki"],"record":{"n":2}}
            {"tag":"kube.ä","time":"2025-07-20T08:26:40.000000003Z","outputs":["es"],"reason":"\"no\"","record":{"n":3}}
        "#]],
        );
        check(
            break_some,
            "out/es",
            print,
            &expect![[r#"
            {"tag":"kube.ä","time":"2025-07-20T08:26:40Z","outputs":["es","loki"],"record":{"n":0}}
            (failed)
        "#]],
        );
        check(
            |_| (),
            "out/es/00000000000000000000.chunk",
            print,
            &expect![[r#"
            {"tag":"kube.ä","time":"2025-07-20T08:26:40Z","outputs":["es","loki"],"record":{"n":0}}
            {"tag":"kube.ä","time":"2025-07-20T08:26:40.000000001Z","outputs":["es","loki"],"record":{"n":1}}
        "#]],
        );
    }

    #[test]
    fn verify_says_what_is_broken() {
        check(
            |_| (),
            "",
            verify,
            &expect![[r#"
            ok: 4 chunks, 6 whole records
        "#]],
        );
        check(
            break_some,
            "",
            verify,
            &expect![[r#"
            @DIR@/out/es/00000000000000000000.chunk: it is damaged behind byte 138
            @DIR@/out/es/00000000000000000009.chunk: it is no chunk file
            2 broken: 5 chunks, 5 whole records
            (failed)
        "#]],
        );
    }

    #[test]
    fn what_is_no_buffer_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| survey(&Disk::default(), path).unwrap_err().to_string();
        assert!(error(folder.path()).starts_with("it is no buffer; name a `storage.path`"));
        assert!(error(&folder.path().join("nowhere")).contains("No such file"));
        let _agent = buffer(folder.path());
        std::fs::remove_dir_all(folder.path().join("rejected")).unwrap();
        for emptied in ["out/es", "out/loki"] {
            let path = folder.path().join(emptied);
            std::fs::remove_file(path.join("00000000000000000000.chunk")).unwrap();
            assert_eq!(survey(&Disk::default(), &path).unwrap(), []);
        }
        assert_eq!(survey(&Disk::default(), folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn ages_have_two_units() {
        let check =
            |seconds: i64, expected: &str| assert_eq!(age(seconds * 1_000_000_000), expected);
        check(-1, "0s");
        check(59, "59s");
        check(61, "1m01s");
        check(22_320, "6h12m");
        check(90_000, "1d01h");
    }
}

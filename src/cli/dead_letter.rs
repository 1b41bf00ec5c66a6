//! `dead-letter list|show|replay PATH`: what stores refused for good, for the person on call.
//!
//! `list` and `show` only read, also while an agent runs and in a copy of the folder. `replay` puts dead letters
//! back into the folders of the outputs that gave them up, where the agent finds them at its next start
//! and sends them before what is newer. An agent at work holds the lock, and `replay` says so.

use crate::buffer::{
    Access, ChunkReader, Disk, DiskError, Folder, Frames, OutputName, ReadError, Shelf,
    ShelfOptions, Storage as _, split_reason,
};
use crate::clock;
use crate::config::{Diagnostics, Location};
use crate::record::Nanos;
use jiff::Timestamp;
use lexopt::Arg;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// How it is called.
const USAGE: &str = "write `tailwater dead-letter list|show|replay PATH`, where PATH is `storage.path`, the \
                     folder of the dead letters, or one of its files";

/// The folder of dead letters below `storage.path`, unless PATH names another.
const REJECTED: &str = crate::buffer::REJECTED;

/// What `storage.path` has and no folder below it.
const LOCK: &str = "tailwater.lock";

/// Ends the name of a chunk file.
const EXTENSION: &str = "chunk";

/// What is to be done with which dead letters.
#[derive(Debug)]
pub struct DeadLetterCommand {
    action: Action,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// A line for each file.
    List,
    /// A line for each record.
    Show,
    /// Back to their outputs.
    Replay,
}

/// Why dead letters cannot be read or sent again.
#[derive(Debug, Error)]
pub enum DeadLetterError {
    /// A folder or a file.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// There is no storage around the path.
    #[error("`{}` lies in no `storage.path`: there is no `{LOCK}` above it", .0.display())]
    NoStorage(PathBuf),
    /// An agent is at work.
    #[error("an agent is running on `{}`: stop it, replay, and start it again", .0.display())]
    Running(PathBuf),
    /// The storage.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The other end of the pipe.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

impl DeadLetterError {
    fn read(path: &Path, source: impl Into<ReadError>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }
}

impl DeadLetterCommand {
    /// `list|show|replay PATH`; `None` if it is something else, which is reported.
    pub(super) fn parse(
        mut parser: lexopt::Parser,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<Self>, lexopt::Error> {
        let (mut action, mut path) = (None, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(word) if action.is_none() => {
                    action = Some(match word.to_str() {
                        Some("list") => Action::List,
                        Some("show") => Action::Show,
                        Some("replay") => Action::Replay,
                        _ => {
                            let message =
                                format!("`dead-letter` cannot `{}`; {USAGE}", word.display());
                            diagnostics.error(&Location::command_line(), message);
                            return Ok(None);
                        }
                    });
                }
                Arg::Value(word) if path.is_none() => path = Some(PathBuf::from(word)),
                other => return Err(other.unexpected()),
            }
        }
        let (Some(action), Some(path)) = (action, path) else {
            diagnostics.error(&Location::command_line(), format!("which dead letters? {USAGE}"));
            return Ok(None);
        };
        Ok(Some(Self { action, path }))
    }

    /// Does it, and prints lines of JSON as it goes.
    pub fn run(&self, out: &mut dyn Write) -> Result<(), DeadLetterError> {
        let files = files(&self.path)?;
        match self.action {
            Action::List => each_file(&files, |path| list(path, out)),
            Action::Show => each_file(&files, |path| show(path, out)),
            Action::Replay => replay(&self.path, &files, out),
        }
    }
}

/// The files that a path means, oldest first.
fn files(path: &Path) -> Result<Vec<PathBuf>, DeadLetterError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let below = path.join(REJECTED);
    let folder = if below.is_dir() { &below } else { path };
    let entries =
        std::fs::read_dir(folder).map_err(|error| DeadLetterError::read(folder, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| DeadLetterError::read(folder, error))?.path();
        if file.extension() == Some(OsStr::new(EXTENSION)) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Goes on behind a file that cannot be read, and tells of the first such in the end.
fn each_file(
    files: &[PathBuf],
    mut each: impl FnMut(&Path) -> Result<(), DeadLetterError>,
) -> Result<(), DeadLetterError> {
    let mut first = Ok(());
    for path in files {
        match each(path) {
            Err(DeadLetterError::Print(error)) => return Err(error.into()),
            result => first = first.and(result),
        }
    }
    first
}

fn open(path: &Path) -> Result<ChunkReader, DeadLetterError> {
    let file = Disk::default()
        .open(path, Access::Read)
        .map_err(|error| DeadLetterError::read(path, error))?;
    ChunkReader::new(file).map_err(|error| DeadLetterError::read(path, error))
}

/// Gives each frame with what was said of it.
fn each_frame(
    path: &Path,
    reader: &mut ChunkReader,
    mut each: impl FnMut(&str, &[u8], u32) -> io::Result<()>,
) -> Result<(), DeadLetterError> {
    let mut frame = Vec::new();
    loop {
        let entry = reader.next_entry().map_err(|error| DeadLetterError::read(path, error))?;
        let Some(entry) = entry else { return Ok(()) };
        frame.clear();
        let read = reader.append_frame(&entry, &mut frame);
        let (reason, count) = read.map_err(|error| DeadLetterError::read(path, error))?;
        each(&reason.unwrap_or_default(), &frame, count)?;
    }
}

fn list(path: &Path, out: &mut dyn Write) -> Result<(), DeadLetterError> {
    let mut reader = open(path)?;
    let mut records = 0;
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    each_frame(path, &mut reader, |reason, _, count| {
        let (kind, _) = split_reason(reason);
        *reasons.entry(kind.to_owned()).or_default() += u64::from(count);
        records += u64::from(count);
        Ok(())
    })?;
    let line = json!({
        "file": path.display().to_string(),
        "output": reader.header().outputs.join(","),
        "rejected": date(reader.header().opened_at),
        "records": records,
        "bytes": reader.size(),
        "reasons": reasons,
    });
    Ok(writeln!(out, "{line}")?)
}

fn show(path: &Path, out: &mut dyn Write) -> Result<(), DeadLetterError> {
    let mut reader = open(path)?;
    let (output, rejected) = (reader.header().outputs.join(","), date(reader.header().opened_at));
    let mut id = String::new();
    each_frame(path, &mut reader, |text, frame, _| {
        let (kind, reason) = split_reason(text);
        for frame in Frames::new(frame) {
            let tag = frame.header.tag;
            for record in frame {
                id.clear();
                for byte in record.id.as_bytes() {
                    // Writing to memory does not fail.
                    let _infallible = write!(id, "{byte:02x}");
                }
                let about = json!({
                    "output": output, "rejected": rejected, "kind": kind, "reason": reason, "tag": tag,
                    "time": date(record.time), "id": id,
                });
                let about = about.to_string();
                out.write_all(about.strip_suffix('}').unwrap_or_default().as_bytes())?;
                out.write_all(b",\"record\":")?;
                out.write_all(record.json)?;
                out.write_all(b"}\n")?;
            }
        }
        Ok(())
    })
}

/// Puts the dead letters into their outputs' folders, each before its file is removed: one that is there twice after
/// a crash is sent twice, which its ids absorb.
fn replay(path: &Path, files: &[PathBuf], out: &mut dyn Write) -> Result<(), DeadLetterError> {
    let Some(folder) = files.first().and_then(|file| file.parent()) else { return Ok(()) };
    let is_root = |folder: &&Path| folder.join(LOCK).is_file();
    let root = folder.ancestors().skip(1).find(is_root);
    let root = root.ok_or_else(|| DeadLetterError::NoStorage(path.to_owned()))?;
    let rejected = folder.strip_prefix(root).unwrap_or(folder).display().to_string();
    let mut outputs = BTreeSet::new();
    for file in files {
        outputs.extend(open(file)?.header().outputs.iter().map(|name| OutputName::found(name)));
    }
    let outputs: Vec<_> = outputs.into_iter().collect();
    let options = ShelfOptions { rejected, ..ShelfOptions::new(root) };
    let (shelf, found) =
        Shelf::open(Arc::new(Disk::default()), &options, &outputs).map_err(|error| match error
            .source
            .kind()
        {
            io::ErrorKind::WouldBlock => DeadLetterError::Running(root.to_owned()),
            _ => error.into(),
        })?;
    for (file, number) in files.iter().zip(found.next_number..) {
        let reader = open(file)?;
        let header = reader.header();
        let of: Arc<[_]> = header.outputs.iter().map(|name| OutputName::found(name)).collect();
        let Some(loaded) = shelf.load(&Folder::Rejected, header.number)? else { continue };
        let unsynced = shelf.spill(number, of, clock::now(), Frames::new(&loaded.frames))?;
        shelf.sync(&unsynced)?;
        shelf.settle(&Folder::Rejected, header.number)?;
        let line = json!({
            "file": file.display().to_string(),
            "output": header.outputs.join(","),
            "records": loaded.count,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// A time as people and programs read it (RFC 3339).
fn date(time: Nanos) -> String {
    Timestamp::from_nanosecond(time.into()).map_or_else(|_| time.to_string(), |it| it.to_string())
}

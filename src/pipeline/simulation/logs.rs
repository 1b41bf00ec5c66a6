//! The log files, and what a correct agent makes of each line: whether it must arrive, or may be lost.
//!
//! A line may be lost only if its bytes were taken away before they were safe: cut or removed before they were read, or
//! afterwards, if the agent that held them died. All others must arrive.

use crate::clock;
use crate::input::tail::Standing;
use fastrand::Rng;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

const NAMES: [&str; 2] = ["a.log", "b.log"];

/// What lines begin with: their number in so many digits.
pub(super) const DIGITS: usize = 5;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    /// As a store is to have it.
    pub text: String,
    /// The content of a file that it stands in: another one after each cut.
    pub content: usize,
    /// Where it ends there.
    pub end: u64,
    /// Whether it must arrive.
    pub is_needed: bool,
    /// Whether it lies in a chunk on the disk that nothing takes away before it arrives.
    pub is_kept: bool,
    /// It was read before its bytes were taken away.
    pub was_read: bool,
    /// The run of the agent in which it was written.
    pub life: u32,
    /// The output whose store refuses it.
    pub refused_by: Option<usize>,
}

/// One file.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
struct Log {
    path: PathBuf,
    inode: u64,
    content: usize,
    size: u64,
    /// The line that it ends with, without its newline.
    part: Option<usize>,
    /// Whether it has a name.
    exists: bool,
    /// Whether `Path` finds it.
    is_found: bool,
    /// Whether the database leads to it and its content.
    is_registered: bool,
    /// Whether this run of the agent had it open.
    was_followed: bool,
    /// The source that it was when it was cut: as long as it is that one, nobody has noticed.
    cut: Option<u64>,
}

impl Log {
    /// How far this content was read, if the agent knows that it is this content.
    fn read_to(&self, agent: &Agent<'_>) -> Option<u64> {
        let standing = agent.standing(self.inode)?;
        standing.offset.filter(|_| self.cut != Some(standing.number))
    }
}

/// What the files ask of the agent that runs, if one does.
pub(super) struct Agent<'a> {
    pub standing: Option<&'a dyn Fn(u64) -> Option<Standing>>,
}

impl Agent<'_> {
    fn standing(&self, inode: u64) -> Option<Standing> {
        self.standing.and_then(|standing| standing(inode))
    }
}

/// How a run of the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Stop,
    Kill,
    PowerCut,
}

/// All files.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    files: Vec<Log>,
    contents: usize,
    rotations: usize,
    finds_rotated: bool,
    refused_lines: u32,
    unreadable_lines: u32,
    outputs: usize,
}

impl Logs {
    pub(super) fn new(folder: PathBuf, weather: &super::Weather) -> Self {
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            files: Vec::new(),
            contents: 0,
            rotations: 0,
            finds_rotated: weather.finds_rotated,
            refused_lines: weather.refused_lines,
            unreadable_lines: weather.unreadable_lines,
            outputs: weather.outputs,
        }
    }

    /// The index of the file that has one of the names, made if there is none.
    fn named(&mut self, rng: &mut Rng) -> usize {
        let path = self.folder.join(NAMES[rng.usize(..NAMES.len())]);
        if let Some(index) = self.files.iter().position(|log| log.exists && log.path == path) {
            return index;
        }
        let file = OpenOptions::new().create_new(true).append(true).open(&path).unwrap();
        self.contents += 1;
        self.files.push(Log {
            path,
            inode: file.metadata().unwrap().ino(),
            content: self.contents,
            size: 0,
            part: None,
            exists: true,
            is_found: true,
            is_registered: false,
            was_followed: false,
            cut: None,
        });
        self.files.len() - 1
    }

    /// Notes what the agent knows by now.
    pub(super) fn observe(&mut self, agent: &Agent<'_>) {
        for log in &mut self.files {
            let Some(standing) = agent.standing(log.inode) else { continue };
            log.was_followed = true;
            if standing.offset.is_some() && log.cut != Some(standing.number) {
                log.is_registered = true;
                log.cut = None;
            }
        }
    }

    /// Appends a few lines to a file.
    pub(super) fn append(&mut self, lines: &mut Vec<Line>, life: u32, rng: &mut Rng) {
        let index = self.named(rng);
        self.append_to(index, lines, life, rng);
    }

    /// Appends to a file that was rotated, if the agent still has it open.
    pub(super) fn append_late(
        &mut self,
        lines: &mut Vec<Line>,
        life: u32,
        agent: &Agent<'_>,
        rng: &mut Rng,
    ) {
        let is_rotated =
            |log: &Log| log.exists && !NAMES.iter().any(|name| log.path.ends_with(name));
        let is_followed = |log: &Log| {
            is_rotated(log) && agent.standing(log.inode).is_some() && log.part.is_none()
        };
        if let Some(index) = self.files.iter().position(is_followed) {
            self.append_to(index, lines, life, rng);
        }
    }

    fn append_to(&mut self, index: usize, lines: &mut Vec<Line>, life: u32, rng: &mut Rng) {
        self.finish(index, lines);
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(1..9) {
            let start = bytes.len();
            let added = self.new_line(index, lines.len(), life, rng, &mut bytes);
            bytes.push(b'\n');
            lines.push(Line { end: added.end + (bytes.len() - start) as u64, ..added });
            self.files[index].size += (bytes.len() - start) as u64;
        }
        self.write(index, &bytes);
    }

    /// A line that begins at the end of the file.
    fn new_line(
        &self,
        index: usize,
        number: usize,
        life: u32,
        rng: &mut Rng,
        bytes: &mut Vec<u8>,
    ) -> Line {
        let refused_by = (rng.u32(..1_000) < self.refused_lines).then(|| rng.usize(..self.outputs));
        let mark = match refused_by {
            Some(0) => 'A',
            Some(_) => 'B',
            None => '-',
        };
        let mut text = format!("{number:0DIGITS$} {mark}{}", "x".repeat(rng.usize(..60)));
        bytes.extend_from_slice(text.as_bytes());
        if rng.u32(..1_000) < self.unreadable_lines {
            bytes.push(0xff);
            text.push('\u{FFFD}');
        }
        let log = &self.files[index];
        Line {
            text,
            content: log.content,
            end: log.size,
            is_needed: true,
            is_kept: false,
            was_read: false,
            life,
            refused_by,
        }
    }

    /// Appends the beginning of a line.
    pub(super) fn append_part(&mut self, lines: &mut Vec<Line>, life: u32, rng: &mut Rng) {
        let index = self.named(rng);
        self.finish(index, lines);
        let mut bytes = Vec::new();
        let begun = self.new_line(index, lines.len(), life, rng, &mut bytes);
        let log = &mut self.files[index];
        log.size += bytes.len() as u64;
        log.part = Some(lines.len());
        lines.push(Line { end: log.size, ..begun });
        self.write(index, &bytes);
    }

    /// Ends the line that was begun.
    fn finish(&mut self, index: usize, lines: &mut [Line]) {
        let log = &mut self.files[index];
        if let Some(part) = log.part.take() {
            log.size += 2;
            lines[part].text.push('!');
            lines[part].end = log.size;
            self.write(index, b"!\n");
        }
    }

    fn write(&self, index: usize, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).open(&self.files[index].path).unwrap();
        file.write_all(bytes).unwrap();
        // The time here is not the file system's.
        file.set_modified(clock::system_time()).unwrap();
    }

    /// Renames a file.
    pub(super) fn rotate(&mut self, lines: &mut [Line], agent: &Agent<'_>, rng: &mut Rng) {
        let index = self.named(rng);
        self.observe(agent);
        if self.finds_rotated || rng.bool() {
            self.finish(index, lines);
        }
        self.rotations += 1;
        let log = &mut self.files[index];
        let name = log.path.file_name().unwrap().to_str().unwrap().to_owned();
        let path = self.folder.join(format!("{name}.{}", self.rotations));
        fs::rename(&log.path, &path).unwrap();
        log.path = path;
        log.is_found = self.finds_rotated;
        let is_lost = !log.is_found && !log.is_registered && agent.standing(log.inode).is_none();
        if is_lost {
            give_up(lines, log.content, |_| true);
        }
    }

    /// Cuts a file, as `copytruncate` does; `has_arrived`: whether a line is everywhere where it belongs.
    pub(super) fn truncate(
        &mut self,
        lines: &mut [Line],
        agent: &Agent<'_>,
        has_arrived: &dyn Fn(usize) -> bool,
        rng: &mut Rng,
    ) {
        let index = self.named(rng);
        self.observe(agent);
        self.contents += 1;
        let log = &mut self.files[index];
        if log.size == 0 {
            return;
        }
        let file = OpenOptions::new().write(true).open(&log.path).unwrap();
        file.set_len(0).unwrap();
        file.set_modified(clock::system_time()).unwrap();
        let read_to = log.read_to(agent).unwrap_or_default();
        for (number, line) in lines.iter_mut().enumerate() {
            if line.content == log.content && line.is_needed && !line.is_kept {
                line.was_read = line.end <= read_to;
                line.is_needed = line.was_read || has_arrived(number);
            }
        }
        log.content = self.contents;
        (log.size, log.part, log.is_registered) = (0, None, false);
        log.cut = agent.standing(log.inode).map(|standing| standing.number);
    }

    /// Removes a file.
    pub(super) fn remove(
        &mut self,
        lines: &mut [Line],
        agent: &Agent<'_>,
        has_arrived: &dyn Fn(usize) -> bool,
        rng: &mut Rng,
    ) {
        let index = self.named(rng);
        self.observe(agent);
        let log = &mut self.files[index];
        fs::remove_file(&log.path).unwrap();
        log.exists = false;
        if agent.standing(log.inode).is_none() {
            give_up(lines, log.content, |number| !has_arrived(number));
        }
    }

    /// A run of the agent ends, of which `agent` is what it knew. `is_sure`: all that it read lies on the disk.
    pub(super) fn end_life(
        &mut self,
        lines: &mut [Line],
        agent: &Agent<'_>,
        end: End,
        is_sure: bool,
        has_arrived: &dyn Fn(usize) -> bool,
    ) {
        self.observe(agent);
        for (number, line) in lines.iter_mut().enumerate() {
            if !line.is_needed || line.is_kept {
                continue;
            }
            let log = self.files.iter().find(|log| log.content == line.content);
            let was_read = line.was_read
                || log.is_some_and(|log| match agent.standing(log.inode) {
                    Some(_) => log.read_to(agent).is_some_and(|to| line.end <= to),
                    None => log.was_followed,
                });
            line.is_kept = is_sure && end != End::PowerCut && was_read;
            let is_found = log.is_some_and(|log| log.exists && (log.is_found || log.is_registered));
            line.is_needed = line.is_kept || is_found || has_arrived(number);
        }
        for log in &mut self.files {
            log.was_followed = false;
            log.cut = None;
        }
    }

    /// All files, and how far they were read.
    pub(super) fn describe(&self, agent: &Agent<'_>) -> String {
        let logs = self.files.iter();
        let rows = logs.map(|log| format!("  {log:?}\n    {:?}", agent.standing(log.inode)));
        rows.collect::<Vec<_>>().join("\n")
    }

    /// Ends all lines that were begun, where there is somebody to end them.
    pub(super) fn finish_all(&mut self, lines: &mut [Line]) {
        for index in 0..self.files.len() {
            if self.files[index].exists && self.files[index].is_found {
                self.finish(index, lines);
            }
        }
    }
}

/// These lines of a content need not arrive any more.
fn give_up(lines: &mut [Line], content: usize, is_lost: impl Fn(usize) -> bool) {
    for (number, line) in lines.iter_mut().enumerate() {
        if line.content == content && !line.is_kept && is_lost(number) {
            line.is_needed = false;
        }
    }
}

//! Appends numbered lines to a file and rotates it by renaming, as container runtimes do.

use crate::Mix;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A log file and the number of its next line.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    mix: Mix,
    file: File,
    next: u64,
    rotations: u32,
    bytes: Vec<u8>,
    /// The last piece of a line in two, for the next write: a rotation may come between them.
    held: Vec<u8>,
}

impl Writer {
    /// Creates the file, empty, or goes on at its end.
    #[must_use]
    pub fn open(path: &Path, mix: Mix) -> Self {
        let file = append_to(path);
        let (bytes, held) = (Vec::new(), Vec::new());
        Self { path: path.to_owned(), mix, file, next: 0, rotations: 0, bytes, held }
    }

    /// The number of the first line that is written next, so that several files can share numbers.
    #[must_use]
    pub fn numbered_from(mut self, next: u64) -> Self {
        self.next = next;
        self
    }

    /// Appends `count` lines, in two writes that part in the middle of a line. If the last one has two pieces, the
    /// second one comes with the next call.
    pub fn write(&mut self, count: u64) {
        self.bytes.clear();
        self.bytes.append(&mut self.held);
        let mut last = 0;
        for number in self.next..self.next + count {
            last = self.bytes.len();
            self.mix.write(number, &mut self.bytes);
        }
        let piece =
            self.bytes[last..].iter().position(|byte| *byte == b'\n').map(|at| last + at + 1);
        if let Some(end) = piece.filter(|_| count > 0) {
            self.held = self.bytes.split_off(end);
        }
        let (first, second) = self.bytes.split_at(self.bytes.len() / 3);
        self.file.write_all(first).unwrap();
        self.file.write_all(second).unwrap();
        self.next += count;
    }

    /// Appends one line that has no number.
    pub fn write_line(&mut self, line: &str) {
        writeln!(self.file, "{line}").unwrap();
    }

    /// Renames the file to `NAME.1`, `NAME.2`, … and goes on in a new one.
    pub fn rotate(&mut self) {
        self.rotations += 1;
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(format!(".{}", self.rotations));
        std::fs::rename(&self.path, rotated).unwrap();
        self.file = append_to(&self.path);
    }

    /// How many lines were written: the number of the next one.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}

fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tally;

    #[test]
    fn rotation_keeps_every_line_in_one_of_the_files() {
        let folder = crate::folder();
        let mut writer = Writer::open(&folder.path().join("app.log"), Mix::default());
        for _ in 0..3 {
            writer.write(10);
            writer.rotate();
        }
        writer.write(5);
        let mut tally = Tally::new(writer.next());
        for name in ["app.log.1", "app.log.2", "app.log.3", "app.log"] {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(text.ends_with('\n'));
            text.lines().for_each(|line| tally.count(line));
        }
        tally.assert_exactly_once();
    }
}

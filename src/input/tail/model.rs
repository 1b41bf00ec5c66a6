//! A seeded writer that does to its files all that happens to log files, against a `tail` that is held up, stopped and
//! killed: every line exactly once by its id, and what was cut or deleted unread is counted to the byte.
//! By the seed, lines come in pieces and are joined, and quiet files doze.
//!
//! The model knows of each log what was written to it, and of the `tail` only whether it follows a file and how far it
//! has come, where it is asked what is lost. `TAILWATER_TAIL_SEEDS=10000 cargo test --release --lib tail::model` runs
//! ten thousand schedules, `TAILWATER_TAIL_SEED=7` one of them.

use super::rig::Rig;
use super::*;
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

/// Writers, each with a name of its own.
const NAMES: [&str; 2] = ["a", "b"];

/// Rotated files that a writer keeps before it deletes the oldest.
const ROTATED_MAX: usize = 4;

/// Digits of a line's number, by which it is told from all others.
const NUMBER_LEN: usize = 5;

/// How often an inode is asked for again.
const REUSE_TRIES: usize = 8;

/// How logs are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `Path *.log`: a rotated file is found by no pattern any more.
    Plain,
    /// `Path *.log*`: it is found under its new name, and so is one that was packed.
    RotatedToo,
    /// `Path` finds links that lead to `pods/`, as the kubelet has it.
    Links,
}

/// What was written to one file, wherever it is now.
#[derive(Debug, Default)]
struct Log {
    /// Lines and where they end.
    lines: Vec<(String, u64)>,
    /// As much of an unfinished line as is there, ...
    partial: String,
    /// ... what it will be, and what is still to be written of it.
    whole: String,
    rest: String,
    size: u64,
    inode: u64,
    /// Where it lies; empty: it was deleted.
    path: PathBuf,
    is_packed: bool,
    /// Whether its row is known to be on the disk.
    is_known: bool,
}

/// One writer's files: the one that is written to, and the rotated ones, the youngest first.
#[derive(Debug, Default)]
struct Chain {
    current: Option<Log>,
    rotated: Vec<Log>,
    /// Number of the container, in `Layout::Links`.
    container: u32,
}

struct World {
    rig: Rig,
    rng: Rng,
    layout: Layout,
    /// Whether lines come in pieces, on two streams at a time, and are joined.
    joins: bool,
    /// Whether the kernel tells of nothing.
    is_polling: bool,
    chains: Vec<Chain>,
    /// Lines that must be there in the end.
    due: BTreeSet<String>,
    /// Whether what was deleted may not be safe yet.
    has_deleted: bool,
    /// Bytes that must be counted as lost.
    lost: u64,
    next: u32,
    reused: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let layout = match seed % 3 {
            0 => Layout::Plain,
            1 => Layout::RotatedToo,
            _ => Layout::Links,
        };
        let path = match layout {
            Layout::Plain => "@/*.log",
            Layout::RotatedToo => "@/*.log*",
            Layout::Links => "@/links/*.log",
        };
        let is_polling = rng.u8(..4) == 0;
        let mut rig = Rig::new(&[
            ("Path", path),
            ("DB", "@/positions.db"),
            ("DB.Sync", "off"),
            ("DB.Journal_Mode", "MEMORY"),
            ("Read_from_Head", "on"),
            ("Refresh_Interval", "1"),
            ("Rotate_Wait", "1"),
            ("Inotify_Watcher", if is_polling { "off" } else { "on" }),
        ]);
        let joins = seed / 3 % 2 == 1;
        if joins {
            rig.properties.push(("Multiline.Parser".to_owned(), "pieces".to_owned()));
        }
        if seed / 6 % 2 == 1 {
            // Whatever is quiet dozes.
            rig.openings.wanted = rng.usize(..3);
        }
        rig.is_attended = true;
        rig.leaving_open_max = [1, 2, 3, 512][rng.usize(..4)];
        fs::create_dir(rig.path("pods")).unwrap();
        fs::create_dir(rig.path("links")).unwrap();
        rig.start();
        let chains = NAMES.map(|_| Chain::default()).into();
        Self {
            rig,
            rng,
            layout,
            joins,
            is_polling,
            chains,
            due: BTreeSet::new(),
            has_deleted: false,
            lost: 0,
            next: 0,
            reused: 0,
        }
    }

    /// Where the file lies that writer `index` writes to.
    fn path(&self, index: usize) -> PathBuf {
        let name = NAMES[index];
        match self.layout {
            Layout::Plain | Layout::RotatedToo => self.rig.path(&format!("{name}.log")),
            Layout::Links => {
                let container = self.chains[index].container;
                self.rig.path(&format!("pods/{name}-{container}.log"))
            }
        }
    }

    /// The name of its rotated file number `back`.
    fn rotated_path(&self, index: usize, back: usize, is_packed: bool) -> PathBuf {
        let mut path = self.path(index).into_os_string();
        path.push(format!(".{}", back + 1));
        if is_packed {
            path.push(".gz");
        }
        path.into()
    }

    fn is_running(&self) -> bool {
        self.rig.tail.is_some()
    }

    /// The file that writer `index` writes to; made if there is none.
    fn current(&mut self, index: usize) -> &mut Log {
        if self.chains[index].current.is_none() {
            let path = self.path(index);
            fs::write(&path, "").unwrap();
            let inode = path.metadata().unwrap().ino();
            if self.layout == Layout::Links {
                let link = self.rig.path(&format!("links/{}.log", NAMES[index]));
                let new = self.rig.path("links/new");
                symlink(&path, &new).unwrap();
                fs::rename(new, link).unwrap();
            }
            self.chains[index].current = Some(Log { inode, path, ..Log::default() });
        }
        self.chains[index].current.as_mut().unwrap()
    }

    fn line(&mut self) -> String {
        self.next += 1;
        // Now and then lines begin and end alike, as headers do.
        let width = if self.rng.bool() { 40 } else { self.rng.usize(..60) };
        format!("{:0NUMBER_LEN$} {}", self.next, "x".repeat(width))
    }

    /// Writes `text` to a file that lies where it says.
    fn append(log: &mut Log, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(&log.path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        log.size += text.len() as u64;
    }

    /// Ends the unfinished line of a log.
    fn finish(log: &mut Log, due: &mut BTreeSet<String>) {
        let rest = std::mem::take(&mut log.rest);
        if !rest.is_empty() {
            Self::append(log, &rest);
            log.partial.clear();
            let line = std::mem::take(&mut log.whole);
            due.insert(line.clone());
            log.lines.push((line, log.size));
        }
    }

    /// What lines look like in the file, and which of them is whole behind each piece.
    fn pieces(&mut self, lines: Vec<String>) -> Vec<(String, Option<String>)> {
        if !self.joins {
            return lines.into_iter().map(|line| (format!("{line}\n"), Some(line))).collect();
        }
        let mut streams = [VecDeque::new(), VecDeque::new()];
        for line in lines {
            let stream = self.rng.usize(..2);
            let mut rest = line.as_str();
            for _ in 0..self.rng.usize(..3) {
                // A parser has no field for what is empty.
                let (piece, behind) = rest.split_at(self.rng.usize(1..rest.len() - 1));
                streams[stream].push_back((piece_of(stream, 'P', piece), None));
                rest = behind;
                if rest.len() < 3 {
                    break;
                }
            }
            streams[stream].push_back((piece_of(stream, 'F', rest), Some(line.clone())));
        }
        let mut pieces = Vec::new();
        while streams.iter().any(|stream| !stream.is_empty()) {
            pieces.extend(streams[self.rng.usize(..2)].pop_front());
        }
        pieces
    }

    /// Writes whole lines, and sometimes a part of one.
    fn write(&mut self, index: usize) {
        let count = self.rng.usize(1..8);
        let lines: Vec<_> = (0..count).map(|_| self.line()).collect();
        let pieces = self.pieces(lines);
        let partial = (self.rng.u8(..3) == 0).then(|| self.line());
        let partial = partial.map(|line| {
            let text: String =
                self.pieces(vec![line.clone()]).into_iter().map(|(text, _)| text).collect();
            // One that ends where its file does is a line of its own, and must have its number.
            let shortest = if self.joins { 1 } else { NUMBER_LEN };
            let (part, rest) = text.split_at(self.rng.usize(shortest..text.len() - 1));
            (part.to_owned(), line, rest.to_owned())
        });
        self.current(index);
        let Self { chains, due, .. } = self;
        let log = chains[index].current.as_mut().unwrap();
        Self::write_to(log, due, pieces);
        if let Some((part, line, rest)) = partial {
            Self::append(log, &part);
            (log.partial, log.whole, log.rest) = (part, line, rest);
        }
    }

    fn write_to(log: &mut Log, due: &mut BTreeSet<String>, pieces: Vec<(String, Option<String>)>) {
        Self::finish(log, due);
        for (text, line) in pieces {
            Self::append(log, &text);
            if let Some(line) = line {
                due.insert(line.clone());
                log.lines.push((line, log.size));
            }
        }
    }

    /// Goes on writing to a file that was rotated away, as a process does that has not opened the new one yet.
    fn write_late(&mut self, index: usize) {
        let line = self.line();
        let pieces = self.pieces(vec![line]);
        let Self { chains, due, rig, .. } = self;
        let Some(log) = chains[index].rotated.first_mut() else { return };
        let is_open = rig.followed(log.inode).is_some();
        if is_open && !log.is_packed && log.path.exists() {
            Self::write_to(log, due, pieces);
        }
    }

    /// Has the `tail` turn, with no room for anything, until it follows the writer's file; without a `tail`, says
    /// whether it did.
    fn is_followed(&mut self, index: usize) -> bool {
        let Some(log) = &self.chains[index].current else { return false };
        let (inode, size, mut is_known) = (log.inode, log.size, log.is_known);
        if self.is_running() && log.size > 0 {
            self.rig.recorder.is_full = true;
            for _ in 0..20 {
                self.rig.turn(Duration::from_millis(500));
                let reader = self.rig.reader(inode);
                let is_awake = self.rig.followed(inode).is_some();
                is_known = reader.is_some_and(|reader| is_awake || reader.seen == size);
                if is_known {
                    break;
                }
            }
            self.rig.recorder.is_full = false;
            assert!(is_known, "never followed");
        }
        let log = self.chains[index].current.as_mut().unwrap();
        log.is_known = is_known;
        is_known
    }

    /// Rotates as logrotate does: `x.log` to `x.log.1`, that to `x.log.2`, or as a container that starts anew.
    fn rotate(&mut self, index: usize) {
        if !self.is_followed(index) {
            return;
        }
        if self.layout == Layout::Links && self.rng.bool() {
            // The file stays where it is; the link comes to lead elsewhere.
            Self::finish(self.chains[index].current.as_mut().unwrap(), &mut self.due);
            self.chains[index].current = None;
            self.chains[index].container += 1;
            self.chains[index].rotated.clear();
            self.current(index);
            return;
        }
        if self.chains[index].rotated.len() >= ROTATED_MAX {
            self.delete_oldest(index);
        }
        self.shift(index);
        if self.rng.bool() {
            self.current(index);
        }
    }

    /// `x.log` to `x.log.1`, that to `x.log.2`.
    fn shift(&mut self, index: usize) {
        let Self { chains, due, .. } = self;
        Self::finish(chains[index].current.as_mut().unwrap(), due);
        let log = self.chains[index].current.take().unwrap();
        self.chains[index].rotated.insert(0, log);
        for back in (0..self.chains[index].rotated.len()).rev() {
            let to = self.rotated_path(index, back, self.chains[index].rotated[back].is_packed);
            let log = &mut self.chains[index].rotated[back];
            if log.path.as_os_str().is_empty() {
                continue;
            }
            fs::rename(&log.path, &to).unwrap();
            log.path = to;
        }
    }

    /// Rotates again before the `tail` had a turn: of the file in between, it hears only when its name is gone.
    fn rotate_unseen(&mut self, index: usize) {
        // Nobody tells of names that are gone while nobody looks, nor where sizes are looked at instead.
        if !self.is_running() || self.is_polling || !self.is_followed(index) {
            return;
        }
        let rotations = self.rng.usize(2..4);
        for _ in 0..rotations {
            self.write(index);
            self.shift(index);
        }
        if self.rng.bool() {
            self.current(index);
        }
        // Once it has heard of them, they are as all others.
        self.rig.recorder.is_full = true;
        for _ in 0..20 {
            self.rig.turn(Duration::from_millis(40));
        }
        self.rig.recorder.is_full = false;
        while self.chains[index].rotated.len() > ROTATED_MAX {
            self.delete_oldest(index);
        }
    }

    /// Packs a rotated file as gzip does: the packed one is whole before the other goes.
    fn pack(&mut self, index: usize) {
        let count = self.chains[index].rotated.len();
        if count == 0 {
            return;
        }
        let back = self.rng.usize(..count);
        let to = self.rotated_path(index, back, true);
        let is_slow = self.is_running() && self.rng.bool();
        let log = &mut self.chains[index].rotated[back];
        if log.is_packed || log.path.as_os_str().is_empty() {
            return;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&fs::read(&log.path).unwrap()).unwrap();
        fs::write(&to, encoder.finish().unwrap()).unwrap();
        let from = std::mem::replace(&mut log.path, to);
        log.is_packed = true;
        if is_slow {
            self.rig.turn(Duration::from_millis(300));
        }
        fs::remove_file(from).unwrap();
    }

    /// Deletes the oldest rotated file. What is deleted while it is not open must have been read.
    fn delete_oldest(&mut self, index: usize) {
        self.all_is_safe();
        // After a kill, what nobody had written down would rightly count as lost with it.
        self.rig.commit();
        if let Some(log) = self.chains[index].rotated.pop()
            && !log.path.as_os_str().is_empty()
        {
            fs::remove_file(log.path).unwrap();
        }
    }

    /// Deletes the file that is written to, unread: it stays open until it is read.
    fn delete(&mut self, index: usize) {
        if !self.is_running() || !self.is_followed(index) {
            return;
        }
        let is_bounded = self.rig.leaving_open_max < NAMES.len() + ROTATED_MAX;
        if self.joins && is_bounded {
            // Where others that are open wait for a next line, it is this one that is closed.
            return;
        }
        let mut log = self.chains[index].current.take().unwrap();
        if self.joins || is_bounded {
            // One of several deleted files with something unread may be closed.
            Self::finish(&mut log, &mut self.due);
        } else if !log.partial.is_empty() {
            // It ends where the file does.
            self.due.insert(log.partial);
        }
        fs::remove_file(&log.path).unwrap();
        self.has_deleted = true;
        self.rig.drain();
        if self.rng.bool() {
            self.current(index);
        }
    }

    /// Deletes the file that is written to and has another one get its inode.
    fn reuse(&mut self, index: usize) {
        let Self { chains, due, .. } = self;
        if let Some(log) = &mut chains[index].current {
            Self::finish(log, due);
        }
        self.all_is_safe();
        let Some(log) = self.chains[index].current.take() else { return };
        fs::remove_file(&log.path).unwrap();
        if self.is_running() {
            for _ in 0..8 {
                self.rig.turn(Duration::from_secs(1));
            }
        }
        let mut strangers = Vec::new();
        for number in 0..REUSE_TRIES {
            let inode = self.current(index).inode;
            if inode == log.inode {
                self.reused += 1;
                break;
            }
            let stranger = self.rig.path(&format!("stranger-{number}"));
            fs::rename(self.path(index), &stranger).unwrap();
            strangers.push(stranger);
            self.chains[index].current = None;
        }
        for stranger in strangers {
            fs::remove_file(stranger).unwrap();
        }
        self.write(index);
    }

    /// Cuts the file that is written to, with or without a copy made before, and with or without unread lines in it.
    fn cut(&mut self, index: usize) {
        self.finish_joined(index);
        self.all_is_safe();
        if !self.is_running() {
            return;
        }
        let is_unread = self.rng.bool();
        if is_unread {
            self.write(index);
        }
        if !self.is_followed(index) {
            return;
        }
        if is_unread {
            // It is seen how far the file reaches, and not read.
            self.rig.recorder.is_full = true;
            self.rig.turn(Duration::from_secs(3));
            self.rig.recorder.is_full = false;
        }
        let has_copy = self.layout != Layout::RotatedToo && self.rng.bool();
        if has_copy {
            if self.rng.bool() {
                // Nobody looks between this and the copying.
                self.write(index);
            }
            self.finish_joined(index);
        }
        self.cut_now(index, has_copy);
        if self.rng.bool() {
            self.write(index);
        }
        self.rig.drain();
    }

    /// Of a record that is not whole, what was read is handed over when the rest is cut away: not for this model.
    fn finish_joined(&mut self, index: usize) {
        let Self { chains, due, joins: true, .. } = self else { return };
        if let Some(log) = &mut chains[index].current {
            Self::finish(log, due);
        }
    }

    fn cut_now(&mut self, index: usize, has_copy: bool) {
        let copy = self.rig.path(&format!("{}.copy-{}", self.path(index).display(), self.next));
        let log = self.chains[index].current.as_mut().unwrap();
        let offset = self.rig.reader(log.inode).unwrap().offset;
        if has_copy {
            fs::copy(&log.path, copy).unwrap();
            if !log.partial.is_empty() && offset < log.size {
                self.due.insert(std::mem::take(&mut log.partial));
            }
        } else {
            self.lost += log.size - offset;
            for (line, end) in &log.lines {
                if *end > offset {
                    self.due.remove(line);
                }
            }
        }
        fs::OpenOptions::new().write(true).open(&log.path).unwrap().set_len(0).unwrap();
        log.partial.clear();
        log.rest.clear();
        log.lines.clear();
        log.size = 0;
        log.is_known = false;
    }

    /// Stops, and while nobody looks, cuts or deletes a file with unread lines of which the `tail` knew.
    fn lose_while_down(&mut self, index: usize) {
        if !self.is_running() {
            return;
        }
        self.finish_joined(index);
        self.all_is_safe();
        self.write(index);
        if !self.is_followed(index) {
            return;
        }
        self.has_deleted = false;
        self.rig.stop();
        let log = self.chains[index].current.take().unwrap();
        let safe = self.safe_offset(&log);
        self.lost += log.size - safe;
        for (line, _) in log.lines.iter().filter(|(_, end)| *end > safe) {
            self.due.remove(line);
        }
        if self.rng.bool() {
            fs::remove_file(&log.path).unwrap();
            self.rig.start();
        } else {
            fs::write(&log.path, "").unwrap();
            let (path, inode) = (log.path, log.inode);
            self.chains[index].current = Some(Log { inode, path, ..Log::default() });
            self.write(index);
            self.rig.start();
        }
        self.rig.drain();
    }

    /// The position that was committed for a log.
    fn safe_offset(&self, log: &Log) -> u64 {
        let database = rusqlite::Connection::open(self.rig.path("positions.db")).unwrap();
        let sql = "SELECT offset FROM in_tail_files WHERE inode = ?1";
        let offset = database.query_row(sql, [log.inode.cast_signed()], |row| row.get::<_, i64>(0));
        offset.unwrap().cast_unsigned()
    }

    /// Ends the `tail` one way or the other, and of what was sent and not answered, some arrived.
    fn end(&mut self) {
        if !self.is_running() {
            return;
        }
        // A file that only its descriptor leads to is gone with it.
        if std::mem::take(&mut self.has_deleted) {
            self.all_is_safe();
        }
        for chain in &mut self.chains {
            if let Some(log) = &mut chain.current {
                // An empty file has no row; one that had its inode may have.
                log.is_known = log.size > 0 && self.rig.reader(log.inode).is_some();
            }
        }
        let open: Vec<_> = self.rig.recorder.open.drain(..).collect();
        for (_, _, sent) in open {
            if self.rng.bool() {
                self.rig.store(sent);
            }
        }
        if self.rng.bool() { self.rig.kill() } else { self.rig.stop() }
    }

    fn step(&mut self) {
        let index = self.rng.usize(..NAMES.len());
        let kind = self.rng.u32(..100);
        if !self.is_running() && self.rng.u8(..4) == 0 {
            self.rig.start();
        }
        println!("{index} {kind} {}", if self.is_running() { "" } else { "while nobody looks" });
        match kind {
            0..30 => self.write(index),
            30..34 => self.write_late(index),
            34..44 => self.rotate(index),
            44..52 => self.pack(index),
            52..55 => self.delete(index),
            55..57 => self.reuse(index),
            57..61 => self.cut(index),
            61..63 => self.lose_while_down(index),
            63..70 => self.end(),
            70..75 => self.rotate_unseen(index),
            _ if !self.is_running() => {}
            75..84 => {
                self.rig.recorder.is_full = self.rng.bool();
                self.rig.turn(Duration::from_millis(self.rng.u64(..700)));
                self.rig.recorder.is_full = false;
            }
            84..92 => {
                let count = self.rng.usize(..4);
                self.rig.settle(count);
            }
            92..96 => self.rig.commit(),
            _ => self.rig.drain(),
        }
    }

    /// Reads and settles everything. All that is due must have come.
    fn all_is_safe(&mut self) {
        if !self.is_running() {
            self.rig.start();
        }
        self.rig.drain();
        self.rig.settle(usize::MAX);
        // Files that are gone are closed, which ends their last lines.
        for _ in 0..3 {
            self.rig.turn(Duration::from_secs(2));
        }
        self.rig.drain();
        self.rig.settle(usize::MAX);
        self.check();
    }

    fn check(&self) {
        let mut stored: HashMap<&str, u32> = HashMap::new();
        for body in self.rig.stored.values() {
            let (_, line) = body.strip_suffix("\"}").unwrap().rsplit_once('"').unwrap();
            *stored.entry(line).or_default() += 1;
        }
        let missing: Vec<_> =
            self.due.iter().filter(|line| !stored.contains_key(line.as_str())).collect();
        assert!(missing.is_empty(), "lost: {missing:#?} of {:#?}", self.chains);
        let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
        assert!(doubled.is_empty(), "doubled: {doubled:#?} of {:#?}", self.chains);
        let strange: Vec<_> = stored.keys().filter(|line| !self.due.contains(**line)).collect();
        assert!(strange.is_empty(), "invented: {strange:#?}");
        assert_eq!(self.rig.metrics.lost_bytes.value(), self.lost, "bytes lost");
    }
}

/// A piece of a container's line.
fn piece_of(stream: usize, tag: char, text: &str) -> String {
    format!("2021-01-01T00:00:00.1Z {} {tag} {text}\n", ["stdout", "stderr"][stream])
}

/// Runs one schedule; how often an inode was used again.
fn simulate(seed: u64) -> u32 {
    println!("seed {seed}: TAILWATER_TAIL_SEED={seed} cargo test --lib tail::model");
    let mut world = World::new(seed);
    let steps = world.rng.usize(20..80);
    for _ in 0..steps {
        world.step();
    }
    for index in 0..NAMES.len() {
        let World { chains, due, .. } = &mut world;
        if let Some(log) = &mut chains[index].current {
            World::finish(log, due);
        }
    }
    world.all_is_safe();
    world.reused
}

#[test]
fn every_line_exactly_once_whatever_happens_to_its_file() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    if let Some(seed) = number("TAILWATER_TAIL_SEED") {
        simulate(seed);
        return;
    }
    let seeds = number("TAILWATER_TAIL_SEEDS").unwrap_or(200);
    let reused: u32 = (0..seeds).map(simulate).sum();
    println!("{seeds} schedules, {reused} inodes used again");
}

//! A seeded writer against a `tail` that is restarted and killed: every line exactly once, by its id.

use super::*;
use crate::config::{Diagnostics, Location, Section, SectionKind};
use crate::record::{Batch, Id, IdStream, write_json};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

/// A record as an output gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    id: Id,
    body: String,
    source: SourceId,
}

/// An intake that keeps what it is given and settles it when it is told to.
#[derive(Default)]
struct Recorder {
    /// What was handed over and is not settled, in order: a read's end and its records.
    open: VecDeque<(SourceId, u64, Vec<Sent>)>,
    /// Where each source has come to: reads must leave no gap.
    ends: HashMap<SourceId, u64>,
    is_full: bool,
}

impl Intake for Recorder {
    fn take(&mut self, batch: Batch<'_>) {
        let source = batch.source.id;
        if let Some(end) = self.ends.insert(source, batch.to) {
            assert_eq!(end, batch.from, "a gap between two reads");
        }
        assert!(batch.from < batch.to);
        let ids = IdStream::new(&batch.source.key, &batch.tag);
        let mut sent = Vec::new();
        for record in &batch.records {
            assert!(batch.from <= record.from && record.from < record.to && record.to <= batch.to);
            let mut body = Vec::new();
            write_json(&record.fields, &mut body);
            let time = if record.own_time { record.time } else { batch.source.first_seen };
            let id = ids.id(time, record.from, record.to, record.ordinal);
            sent.push(Sent { id, body: String::from_utf8(body).unwrap(), source });
        }
        self.open.push_back((source, batch.to, sent));
    }

    fn is_full(&self) -> bool {
        self.is_full
    }
}

/// A folder, a `tail` on it, and a store that absorbs repeats by id.
struct Rig {
    home: TempDir,
    properties: Vec<(String, String)>,
    tail: Option<Tail>,
    metrics: Arc<InputMetrics>,
    recorder: Recorder,
    stored: HashMap<Id, String>,
    now: Instant,
}

impl Rig {
    fn new(properties: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_str().unwrap();
        let place = |(key, value): &(&str, &str)| ((*key).to_owned(), value.replace('@', root));
        Self {
            properties: properties.iter().map(place).collect(),
            home,
            tail: None,
            metrics: Arc::default(),
            recorder: Recorder::default(),
            stored: HashMap::new(),
            now: Instant::now(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn open(&self) -> Result<Tail, TailError> {
        let location = Location::command_line();
        let mut section = Section::new(SectionKind::Input, location.clone());
        for (key, value) in &self.properties {
            section.push(key, value, location.clone());
        }
        let mut diagnostics = Diagnostics::default();
        let options = TailOptions::read(&mut section, &mut diagnostics);
        Tail::open(options, "t.*", None, 0, Arc::clone(&self.metrics))
    }

    fn start(&mut self) {
        self.tail = Some(self.open().unwrap());
    }

    /// Ends the `tail`, which writes its positions.
    fn stop(&mut self) {
        self.tail = None;
        self.recorder = Recorder::default();
    }

    /// As `kill -9`: positions that are not written are gone, and so is what is not settled.
    fn kill(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.positions.lose();
        }
        self.stop();
    }

    /// One turn, `pause` after the last one. Waits a little where the database's thread is awaited.
    fn turn(&mut self, pause: Duration) -> Turn {
        self.now += pause;
        let tail = self.tail.as_mut().unwrap();
        let turn = tail.turn(self.now, &mut self.recorder);
        if matches!(turn, Turn::Wait(_)) {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let descriptor = tail.wake_on(false).unwrap();
            let limit = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
            poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)).unwrap();
        }
        turn
    }

    /// Turns, with a scan and a look at all sizes, until everything that is there was read.
    fn drain(&mut self) {
        self.turn(Duration::from_secs(2));
        for _ in 0..2_000 {
            let turn = self.turn(Duration::from_millis(30));
            let tail = self.tail.as_ref().unwrap();
            let is_read = |file: &Followed| match &file.stage {
                Stage::Empty => file.file.metadata().unwrap().len() == 0,
                Stage::Registering => false,
                Stage::Reading(reader) => file.file.metadata().unwrap().len() == reader.seen,
            };
            if turn != Turn::More && tail.files.values().all(is_read) {
                return;
            }
        }
        panic!("never read to the end: {:?}", self.tail.as_ref().unwrap().files);
    }

    /// Whether this file is registered: one that comes and goes between two looks was never seen.
    fn is_followed(&self, name: &str) -> bool {
        let Ok(status) = self.path(name).metadata() else { return false };
        let tail = self.tail.as_ref().unwrap();
        let number = tail.places.get(&Place::of(&status));
        let file = number.and_then(|number| tail.files.get(number));
        file.is_some_and(|file| matches!(file.stage, Stage::Reading(_)))
    }

    /// Settles the oldest `count` reads.
    fn settle(&mut self, count: usize) {
        for _ in 0..count {
            let Some((source, to, sent)) = self.recorder.open.pop_front() else { return };
            self.store(sent);
            self.tail.as_mut().unwrap().safe(source, to);
        }
    }

    fn store(&mut self, sent: Vec<Sent>) {
        for one in sent {
            let known = self.stored.entry(one.id).or_insert_with(|| one.body.clone());
            assert_eq!(*known, one.body, "one id for two records");
        }
    }

    /// What the store holds, in the order of the bodies.
    fn bodies(&self) -> Vec<&str> {
        let mut bodies: Vec<_> = self.stored.values().map(String::as_str).collect();
        bodies.sort_unstable();
        bodies
    }

    /// Reads and settles everything; then the store must hold just these lines.
    fn expect(&mut self, lines: &[&str]) {
        for _ in 0..500 {
            self.drain();
            self.settle(usize::MAX);
            if self.stored.len() >= lines.len() {
                break;
            }
        }
        self.drain();
        self.settle(usize::MAX);
        let mut expected: Vec<_> =
            lines.iter().map(|line| format!("{{\"log\":\"{line}\"}}")).collect();
        expected.sort_unstable();
        let bodies = self.bodies();
        let lost: Vec<_> =
            expected.iter().filter(|line| !bodies.contains(&line.as_str())).collect();
        assert!(lost.is_empty(), "lost: {lost:#?}");
        assert_eq!(bodies.len(), expected.len(), "doubled or invented");
    }
}

/// The writer's view of its files.
struct Writer {
    rng: Rng,
    lines: Vec<String>,
    /// Per name, what an unfinished line holds so far.
    partial: BTreeMap<&'static str, String>,
    /// Files that were cut and perhaps not looked at since. If one is renamed before, and the process killed, nothing
    /// tells it from a stranger that got its inode.
    cut: HashSet<&'static str>,
    rotations: usize,
}

const NAMES: [&str; 2] = ["a.log", "b.log"];

impl Writer {
    fn name(&mut self) -> &'static str {
        NAMES[self.rng.usize(..NAMES.len())]
    }

    fn new_line(&mut self) -> String {
        let width = self.rng.usize(..60);
        format!("{:05} {}", self.lines.len(), "x".repeat(width))
    }

    fn finish(&mut self, rig: &Rig, name: &'static str) {
        if let Some(partial) = self.partial.remove(name) {
            rig.append(name, "!\n");
            self.lines.push(format!("{partial}!"));
        }
    }

    fn step(&mut self, rig: &mut Rig) {
        let name = self.name();
        match self.rng.u32(..100) {
            0..35 => {
                self.finish(rig, name);
                for _ in 0..self.rng.usize(1..10) {
                    let line = self.new_line();
                    rig.append(name, format!("{line}\n"));
                    self.lines.push(line);
                }
            }
            35..45 => {
                self.finish(rig, name);
                let line = self.new_line();
                rig.append(name, &line);
                self.partial.insert(name, line);
                // Numbers are taken from what is finished: this one must not come again.
                self.finish(rig, name);
            }
            45..55 => {
                self.finish(rig, name);
                if rig.is_followed(name) && !self.cut.contains(name) {
                    self.rotations += 1;
                    rig.rename(name, &format!("{name}.{}", self.rotations));
                }
            }
            55..60 => {
                self.finish(rig, name);
                self.all_is_safe(rig);
                if let Ok(file) = OpenOptions::new().write(true).open(rig.path(name)) {
                    file.set_len(0).unwrap();
                    self.cut.insert(name);
                }
            }
            60..63 => {
                self.finish(rig, name);
                self.all_is_safe(rig);
                let _absent = fs::remove_file(rig.path(name));
            }
            63..78 => {
                rig.recorder.is_full = self.rng.bool();
                rig.turn(Duration::from_millis(self.rng.u64(..300)));
                rig.recorder.is_full = false;
            }
            78..88 => rig.settle(self.rng.usize(..4)),
            88..94 => {
                // Of what was sent and not answered, some arrived.
                let open: Vec<_> = rig.recorder.open.drain(..).collect();
                for (_, _, sent) in open {
                    if self.rng.bool() {
                        rig.store(sent);
                    }
                }
                rig.kill();
                rig.start();
            }
            94..97 => {
                rig.stop();
                rig.start();
            }
            _ => {
                rig.drain();
                self.cut.clear();
            }
        }
    }

    /// What is cut away or deleted unread is gone for good, so it must have been read before.
    fn all_is_safe(&mut self, rig: &mut Rig) {
        let lines: Vec<_> = self.lines.iter().map(String::as_str).collect();
        rig.expect(&lines);
    }
}

fn simulate(seed: u64, path: &str) {
    println!("seed {seed} path {path}");
    let mut rig = Rig::new(&[("Path", path), ("DB", "@/positions.db"), ("Read_from_Head", "on")]);
    rig.properties.push(("Refresh_Interval".into(), "1".into()));
    rig.start();
    let mut writer = Writer {
        rng: Rng::with_seed(seed),
        lines: Vec::new(),
        partial: BTreeMap::new(),
        cut: HashSet::new(),
        rotations: 0,
    };
    for _ in 0..80 {
        writer.step(&mut rig);
    }
    for name in NAMES {
        writer.finish(&rig, name);
    }
    writer.all_is_safe(&mut rig);
    assert!(!writer.lines.is_empty());
}

#[test]
fn every_line_exactly_once_whatever_happens() {
    let seeds = std::env::var("TAILWATER_SEEDS").map_or(12, |count| count.parse().unwrap());
    for seed in 0..seeds {
        simulate(seed, if seed % 2 == 0 { "@/*.log" } else { "@/*.log*" });
    }
}

const HEAD: (&str, &str) = ("Read_from_Head", "on");
const DB: (&str, &str) = ("DB", "@/positions.db");
const PATH: (&str, &str) = ("Path", "@/*.log");

/// A running rig.
fn rig(properties: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(properties);
    rig.properties.push(("Refresh_Interval".into(), "1".into()));
    rig.start();
    rig
}

#[test]
fn without_head_only_what_is_new_is_read() {
    let mut rig = Rig::new(&[PATH, DB]);
    rig.append("old.log", "old\n");
    rig.start();
    rig.drain();
    rig.append("old.log", "1\n");
    rig.append("later.log", "2\n");
    rig.expect(&["1", "2"]);
    rig.stop();
    // While nobody looks, one file is rotated.
    let clock = std::fs::metadata(rig.path("positions.db")).unwrap().modified().unwrap();
    rig.rename("old.log", "old.log.1");
    rig.append("old.log.1", "3\n");
    rig.append("old.log", "4\n");
    let created = rig.path("old.log").metadata().unwrap().created();
    assert!(created.is_ok_and(|created| created + CREATED_SLACK > clock));
    rig.start();
    rig.expect(&["1", "2", "3", "4"]);
}

#[test]
fn a_file_by_two_names_is_followed_once_and_behind_a_link_as_well() {
    let mut rig = rig(&[("Path", "@/links/*.log, @/*.log"), HEAD]);
    fs::create_dir_all(rig.path("pods")).unwrap();
    fs::create_dir_all(rig.path("links")).unwrap();
    rig.append("pods/0.log", "1\n");
    std::os::unix::fs::symlink(rig.path("pods/0.log"), rig.path("links/x.log")).unwrap();
    fs::hard_link(rig.path("pods/0.log"), rig.path("y.log")).unwrap();
    rig.expect(&["1"]);
    fs::remove_file(rig.path("y.log")).unwrap();
    rig.drain();
    rig.append("pods/0.log", "2\n");
    rig.rename("pods/0.log", "pods/0.log.1");
    rig.append("pods/0.log.1", "3\n");
    rig.append("pods/0.log", "4\n");
    rig.expect(&["1", "2", "3", "4"]);
}

#[test]
fn a_rotated_file_is_read_to_its_end_however_long_that_takes() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.recorder.is_full = true;
    rig.append("a.log", "2\nno newline");
    rig.rename("a.log", "a.log.1");
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.tail.as_ref().unwrap().files.len(), 1);
    rig.recorder.is_full = false;
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.tail.as_ref().unwrap().files.len(), 0);
    assert_eq!((rig.metrics.files_opened.value(), rig.metrics.files_closed.value()), (1, 1));
    rig.expect(&["1", "2", "no newline"]);
}

#[test]
fn a_closed_file_that_is_not_settled_is_read_again_after_a_crash() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n2\n");
    rig.drain();
    rig.rename("a.log", "a.log.1");
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.metrics.files_closed.value(), 1);
    rig.kill();
    rig.start();
    rig.expect(&["1", "2"]);
}

#[test]
fn a_truncated_file_begins_anew() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n2\n3\n");
    rig.expect(&["1", "2", "3"]);
    fs::write(rig.path("a.log"), "4\n").unwrap();
    rig.expect(&["1", "2", "3", "4"]);
    // Longer than before when it is looked at, but not the same.
    fs::write(rig.path("a.log"), "5\n6\n7\n8\n").unwrap();
    rig.expect(&["1", "2", "3", "4", "5", "6", "7", "8"]);
    rig.stop();
    fs::write(rig.path("a.log"), "9\n").unwrap();
    rig.start();
    rig.expect(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(rig.metrics.files_truncated.value(), 2);
}

#[test]
fn a_database_of_fluent_bit_is_gone_on_with() {
    let mut rig = Rig::new(&[PATH, DB, HEAD]);
    rig.append("a.log", "old 1\nold 2\nnew\n");
    rig.append("reused.log", "all\n");
    let inode = |name: &str| Place::of(&rig.path(name).metadata().unwrap()).inode;
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    // As a release without `offset_marker` made it.
    database
        .execute_batch(&format!(
            "CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER,
               inode INTEGER, created INTEGER, rotated INTEGER DEFAULT 0);
             INSERT INTO in_tail_files (name, offset, inode, created) VALUES
               ('{root}/a.log', 12, {a}, 1), ('{root}/reused.log', 5000, {reused}, 1),
               ('{root}/gone.log', 7, 1, 1), ('/elsewhere/x.log', 7, 2, 1);",
            root = rig.home.path().display(),
            a = inode("a.log"),
            reused = inode("reused.log"),
        ))
        .unwrap();
    drop(database);
    rig.start();
    rig.expect(&["new", "all"]);
    rig.stop();
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    let rows = "SELECT name, offset, offset_marker, offset_marker_size FROM in_tail_files ORDER BY name";
    let mut statement = database.prepare(rows).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    });
    let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    let marker = |text: &str| xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed();
    let path = |name: &str| rig.path(name).to_str().unwrap().to_owned();
    let (a, reused) = (marker("old 1\nold 2\nnew\n"), marker("all\n"));
    let expected = [
        ("/elsewhere/x.log".to_owned(), 7, 0, 0),
        (path("a.log"), 16, a, 16),
        (path("reused.log"), 4, reused, 4),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_database_that_cannot_be_used_is_said_with_what_to_do() {
    let mut rig = Rig::new(&[PATH, DB]);
    let mut check = |rig: &Rig, expected: &str| {
        let message = rig.open().unwrap_err().to_string();
        let message = message.replace(rig.home.path().to_str().unwrap(), "");
        assert!(message.contains(expected), "{message}");
    };
    fs::write(rig.path("positions.db"), "this is no database ".repeat(100)).unwrap();
    check(&rig, "/positions.db: file is not a database; restore it, or move it away");
    fs::remove_file(rig.path("positions.db")).unwrap();
    let holder = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    check(&rig, "/positions.db: database is locked; another process holds it");
    drop(holder);
    rig.properties[1].1 = rig.path("none/positions.db").to_str().unwrap().to_owned();
    check(&rig, "the folder /none does not exist; create it or change `DB`");
}

#[test]
fn the_same_inode_under_another_name_can_be_another_file() {
    let mut rig = rig(&[PATH, DB, HEAD, ("DB.Compare_Filename", "on"), ("Path_Key", "p")]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.settle(9);
    rig.stop();
    rig.rename("a.log", "b.log");
    rig.start();
    rig.drain();
    rig.settle(9);
    assert_eq!(rig.bodies().len(), 2, "{:?}", rig.bodies());
}

#[test]
fn long_lines_do_not_stop_a_file() {
    let long = "x".repeat(600_000);
    let check = |properties: &[(&str, &str)], expected: &[String]| {
        let mut properties = properties.to_vec();
        properties.extend([PATH, HEAD]);
        let mut rig = rig(&properties);
        rig.append("a.log", format!("before\n{long}"));
        rig.drain();
        rig.append("a.log", format!("{long}\nafter\n"));
        rig.drain();
        rig.settle(usize::MAX);
        let mut expected = expected.to_vec();
        expected.extend([r#"{"log":"before"}"#.to_owned(), r#"{"log":"after"}"#.to_owned()]);
        expected.sort_unstable();
        assert_eq!(rig.bodies(), expected);
        (rig.metrics.long_line_skipped.value(), rig.metrics.long_line_truncated.value())
    };
    assert_eq!(check(&[("Skip_Long_Lines", "on")], &[]), (1, 0));
    let cut = "x".repeat(32_767);
    assert_eq!(check(&[("Truncate_Long_Lines", "on")], &[format!(r#"{{"log":"{cut}"}}"#)]), (0, 1));
    assert_eq!(check(&[], &[format!(r#"{{"log":"{cut}","log_truncated":true}}"#)]), (0, 1));
    let whole = format!(r#"{{"log":"{long}{long}"}}"#);
    assert_eq!(check(&[("Buffer_Max_Size", "2M")], &[whole]), (0, 0));
}

#[test]
fn the_process_may_end_when_all_is_read() {
    let mut rig = Rig::new(&[PATH, DB, HEAD, ("Exit_On_Eof", "on")]);
    rig.append("a.log", "1\n");
    rig.append("b.log", "");
    rig.start();
    let is_done = (0..500).any(|_| rig.turn(Duration::from_millis(30)) == Turn::Done);
    assert!(is_done);
    rig.settle(9);
    assert_eq!(rig.bodies(), [r#"{"log":"1"}"#]);
}

#[test]
fn what_cannot_be_read_is_counted_once_and_does_not_stop_the_others() {
    let mut rig = rig(&[PATH, HEAD]);
    std::os::unix::fs::symlink("loop.log", rig.path("loop.log")).unwrap();
    fs::create_dir(rig.path("folder.log")).unwrap();
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    assert_eq!(rig.metrics.unreadable_files.value(), 1);
    fs::remove_file(rig.path("loop.log")).unwrap();
    rig.append("loop.log", "2\n");
    rig.expect(&["1", "2"]);
}

#[test]
fn a_write_wakes_and_a_file_that_appears_as_well() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut rig = rig(&[("Path", "@/new/*/x.log"), HEAD]);
    rig.drain();
    let wakes = |rig: &mut Rig| {
        // Events are listened to again when nothing happened for a while.
        for _ in 0..5 {
            rig.turn(Duration::from_millis(30));
        }
        let path = rig.path("new/1/x.log");
        if path.exists() {
            fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"2\n").unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let descriptor = rig.tail.as_ref().unwrap().wake_on().unwrap();
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)).unwrap() == 1
    };
    assert!(wakes(&mut rig), "a folder appears");
    rig.append("new/1/x.log", "1\n");
    rig.expect(&["1"]);
    assert!(wakes(&mut rig), "a line is written");
    rig.expect(&["1", "2"]);
}

#[test]
fn without_inotify_files_are_polled() {
    let mut rig = rig(&[PATH, HEAD, ("Inotify_Watcher", "off")]);
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "2\n");
    rig.append("a.log", "3\n");
    rig.expect(&["1", "2", "3"]);
}

#[test]
fn a_line_says_where_it_came_from() {
    let mut rig = rig(&[PATH, HEAD, ("Path_Key", "p"), ("Offset_Key", "o"), ("Key", "k")]);
    rig.append("a.log", "1\n2\n");
    rig.drain();
    rig.rename("a.log", "b.log");
    rig.append("b.log", "3\n");
    rig.drain();
    rig.settle(9);
    let path = rig.path("a.log").to_str().unwrap().to_owned();
    let line = |offset: u64, text: &str| format!(r#"{{"p":"{path}","o":{offset},"k":"{text}"}}"#);
    assert_eq!(rig.bodies(), [line(0, "1"), line(2, "2"), line(4, "3")]);
}

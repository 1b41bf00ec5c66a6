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

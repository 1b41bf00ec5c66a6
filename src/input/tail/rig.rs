//! What the tests of `tail` run: a folder, a `tail` on it, and a store that absorbs repeats by id.

use super::file::Reader;
use super::positions::Clerk;
use super::*;
use crate::config::{Diagnostics, Location, MultilineParser, Section, SectionKind, Severity};
use crate::parser::fixture;
use crate::parser::multiline::MultilineParsers;
use crate::record::{Batch, Id, IdStream, Tag, write_json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;
use tempfile::TempDir;

/// A record as an output gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    id: Id,
    pub body: String,
    source: SourceId,
    pub from: u64,
    pub to: u64,
}

/// An intake that keeps what it is given and settles it when it is told to.
#[derive(Default)]
pub(super) struct Recorder {
    /// What was handed over and is not settled, in order: a read's end and its records.
    pub open: VecDeque<(SourceId, u64, Vec<Sent>)>,
    /// Where each source has come to: reads must leave no gap.
    ends: HashMap<SourceId, u64>,
    pub is_full: bool,
    /// Tags of which a filter wants to know something first.
    pub awaited: HashSet<String>,
    /// How often that was asked.
    pub asked: usize,
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
            let body = String::from_utf8(body).unwrap();
            sent.push(Sent { id, body, source, from: record.from, to: record.to });
        }
        self.open.push_back((source, batch.to, sent));
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn awaits(&mut self, tag: &Tag) -> bool {
        self.asked += 1;
        self.awaited.contains(tag.as_str())
    }
}

/// Parsers that `Parser` and its like can name.
const PARSERS: [&str; 4] = [
    "Name cri\n Format regex\n Time_Key time\n Time_Format %Y-%m-%dT%H:%M:%S.%L%z\n Time_Keep on\n \
     Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$",
    "Name docker\n Format json\n Time_Key time\n Time_Format %Y-%m-%dT%H:%M:%S.%L\n Time_Keep on",
    "Name first\n Format regex\n Regex ^(?<level>[A-Z]+) (?<text>.*)$",
    "Name more\n Format regex\n Regex ^and (?<second>.*)$",
];

/// Multiline parsers beside those that are built in.
const MULTILINE_PARSERS: [&str; 4] = [
    "Name begins\n Type regex\n Rule \"start_state\" \"/^[A-Z]/\" \"cont\"\n \
     Rule \"cont\" \"/^[^A-Z]/\" \"cont\"\n Flush_Timeout 1000",
    "Name until\n Type endswith\n Match_String .",
    "Name pieces\n Type equal\n Match_String F\n Parser cri\n Key_Content message\n Key_Pattern logtag\n \
     Key_Group stream\n Flush_Timeout 86400000",
    "Name explodes\n Type regex\n Rule \"start_state\" \"/^begin/\" \"cont\"\n \
     Rule \"cont\" \"/^(?:(x|xx)+)+(?!.)$b/\" \"cont\"",
];

/// A folder, a `tail` on it, and a store that absorbs repeats by id.
pub(super) struct Rig {
    pub home: TempDir,
    pub properties: Vec<(String, String)>,
    pub tail: Option<Tail>,
    /// Who does the work of the database, if not a thread.
    clerk: Option<Clerk>,
    /// Whether that is done between turns, so that one run is as another.
    pub is_attended: bool,
    /// How many leaving files the `tail` keeps open.
    pub leaving_open_max: usize,
    /// How many others.
    pub openings: Openings,
    pub metrics: Arc<InputMetrics>,
    pub recorder: Recorder,
    pub stored: HashMap<Id, String>,
    /// `multiline_buffer_limit`
    pub joined_max: u64,
    pub now: Instant,
}

impl Rig {
    pub(super) fn new(properties: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_str().unwrap();
        let place = |(key, value): &(&str, &str)| ((*key).to_owned(), value.replace('@', root));
        Self {
            properties: properties.iter().map(place).collect(),
            home,
            tail: None,
            clerk: None,
            is_attended: false,
            leaving_open_max: LEAVING_OPEN_MAX,
            openings: Openings::of_process(),
            metrics: Arc::default(),
            recorder: Recorder::default(),
            stored: HashMap::new(),
            joined_max: 0,
            now: Instant::now(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn open(&self) -> Result<Tail, TailError> {
        self.open_with(Positions::in_database)
    }

    fn open_with(
        &self,
        begin: impl FnOnce(Database) -> io::Result<Positions>,
    ) -> Result<Tail, TailError> {
        let location = Location::command_line();
        let mut section = Section::new(SectionKind::Input, location.clone());
        for (key, value) in &self.properties {
            section.push(key, value, location.clone());
        }
        let mut diagnostics = Diagnostics::default();
        let options = TailOptions::read(&mut section, &mut diagnostics);
        let parsers = fixture::parsers(&PARSERS, &mut diagnostics);
        let definitions = MULTILINE_PARSERS.iter().filter_map(|lines| {
            let section = fixture::section(SectionKind::MultilineParser, lines);
            MultilineParser::read(section, &mut diagnostics)
        });
        let definitions: Vec<_> = definitions.collect();
        let multiline = MultilineParsers::build(&definitions, &parsers, &mut diagnostics);
        let means = Means { parsers: &parsers, multiline: &multiline, bytes_max: self.joined_max };
        let parser = options.parser.as_deref().map(|name| Arc::clone(parsers.get(name).unwrap()));
        let joining = options.joining(parser.as_ref(), means, &section, &mut diagnostics);
        assert_eq!(diagnostics.report(Severity::Warning), "");
        let joining = joining.unwrap();
        let metrics = Arc::clone(&self.metrics);
        Tail::open_with(options, "t.*", parser, joining, 0, metrics, begin)
    }

    pub(super) fn start(&mut self) {
        let mut tail = if self.is_attended {
            let mut clerk = None;
            let begin = |database| {
                let (positions, its_clerk) = Positions::with_clerk(database)?;
                clerk = Some(its_clerk);
                Ok(positions)
            };
            let tail = self.open_with(begin).unwrap();
            self.clerk = clerk;
            tail
        } else {
            self.open().unwrap()
        };
        tail.leaving_open_max = self.leaving_open_max;
        tail.openings = self.openings;
        self.tail = Some(tail);
    }

    /// Writes positions, as a second does that goes by.
    pub(super) fn commit(&mut self) {
        self.clerk.as_mut().unwrap().commit_now();
    }

    /// Ends the `tail`, which writes its positions.
    pub(super) fn stop(&mut self) {
        self.tail = None;
        if let Some(mut clerk) = self.clerk.take() {
            assert!(clerk.work_now().is_break());
        }
        self.recorder = Recorder::default();
    }

    /// As `kill -9`: positions that are not written are gone, and so is what is not settled.
    pub(super) fn kill(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.positions.lose();
        }
        self.clerk = None;
        self.stop();
    }

    /// One turn, `pause` after the last one. Waits a little where the database's thread is awaited.
    pub(super) fn turn(&mut self, pause: Duration) -> Turn {
        self.now += pause;
        let tail = self.tail.as_mut().unwrap();
        let turn = tail.turn(self.now, &mut self.recorder);
        if let Some(clerk) = &mut self.clerk {
            assert!(clerk.work_now().is_continue());
        } else if matches!(turn, Turn::Wait(_)) {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let descriptor = tail.wake_on(false).unwrap();
            let limit = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
            poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)).unwrap();
        }
        turn
    }

    /// Turns, with a scan and a look at all sizes, until everything that is there was read.
    pub(super) fn drain(&mut self) {
        self.turn(Duration::from_secs(2));
        for _ in 0..2_000 {
            let turn = self.turn(Duration::from_millis(30));
            if turn != Turn::More && self.is_read() {
                return;
            }
        }
        let tail = self.tail.as_ref().unwrap();
        panic!("never read to the end: {:?}, resting: {:?}", tail.files, tail.resting);
    }

    /// The file of this inode, if it is open.
    pub(super) fn followed(&self, inode: u64) -> Option<&Followed> {
        let tail = self.tail.as_ref()?;
        let (_, number) = tail.places.iter().find(|(place, _)| place.inode == inode)?;
        tail.files.get(number)
    }

    /// How far the file of this inode was read, if it is registered; it may doze.
    pub(super) fn reader(&self, inode: u64) -> Option<&Reader> {
        let tail = self.tail.as_ref()?;
        let (_, number) = tail.places.iter().find(|(place, _)| place.inode == inode)?;
        let dozing = tail.dozing.get(number).map(|dozing| &dozing.stage);
        match tail.files.get(number).map(|followed| &followed.stage).or(dozing)? {
            Stage::Reading(reader) => Some(reader),
            Stage::Empty | Stage::Registering => None,
        }
    }

    /// Whether everything that is there was read.
    pub(super) fn is_read(&self) -> bool {
        let is_read = |file: &Followed| match &file.stage {
            Stage::Empty => file.file.len().unwrap() == 0,
            Stage::Registering => false,
            Stage::Reading(reader) => {
                file.is_read_elsewhere() || file.file.len().unwrap() == reader.seen
            }
        };
        let tail = self.tail.as_ref().unwrap();
        tail.resting.is_empty() && tail.files.values().all(is_read)
    }

    /// Whether this file is registered: one that comes and goes between two looks was never seen.
    pub(super) fn is_followed(&self, name: &str) -> bool {
        let Ok(status) = self.path(name).metadata() else { return false };
        let tail = self.tail.as_ref().unwrap();
        let number = tail.places.get(&Place::of(&status));
        let file = number.and_then(|number| tail.files.get(number));
        file.is_some_and(|file| matches!(file.stage, Stage::Reading(_)))
    }

    /// Settles the oldest `count` reads.
    pub(super) fn settle(&mut self, count: usize) {
        for _ in 0..count {
            let Some((source, to, sent)) = self.recorder.open.pop_front() else { return };
            self.store(sent);
            self.tail.as_mut().unwrap().safe(source, to);
        }
    }

    pub(super) fn store(&mut self, sent: Vec<Sent>) {
        for one in sent {
            let known = self.stored.entry(one.id).or_insert_with(|| one.body.clone());
            assert_eq!(*known, one.body, "one id for two records");
        }
    }

    /// What the store holds, in the order of the bodies.
    pub(super) fn bodies(&self) -> Vec<&str> {
        let mut bodies: Vec<_> = self.stored.values().map(String::as_str).collect();
        bodies.sort_unstable();
        bodies
    }

    /// Reads and settles everything; then the store must hold just these lines.
    pub(super) fn expect(&mut self, lines: &[&str]) {
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

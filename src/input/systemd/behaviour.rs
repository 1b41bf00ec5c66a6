//! Turns of the input on recorded journals.

use super::*;
use crate::config::{Diagnostics, Location, Section, SectionKind};
use crate::metrics::Registry;
use crate::record::Value;
use std::time::SystemTime;
use tempfile::TempDir;

/// Takes batches, as far as it has room.
#[derive(Default)]
struct Recorder {
    messages: Vec<String>,
    batches: Vec<(SourceId, u64)>,
    is_full: bool,
}

impl Intake for Recorder {
    fn take(&mut self, batch: Batch<'_>) {
        for record in &batch.records {
            assert!(batch.from <= record.from && record.to <= batch.to);
            let message = record.fields.iter().find(|field| field.key() == "MESSAGE").unwrap();
            let Value::Str(text) = message.value() else { panic!("{message:?}") };
            self.messages.push(text.chars().take(5).collect());
        }
        self.batches.push((batch.source.id, batch.to));
    }

    fn is_full(&self) -> bool {
        self.is_full
    }
}

/// A journal of recorded files, and its input.
struct Rig {
    folder: TempDir,
    metrics: Arc<InputMetrics>,
    input: Systemd,
    recorder: Recorder,
}

impl Rig {
    /// `None`: this machine has no libsystemd, and the input says so.
    fn new(file: &str, properties: &[(&str, &str)]) -> Option<Self> {
        let folder = tailwater_testing::folder();
        put(&folder, file);
        let mut section = Section::new(SectionKind::Input, Location::command_line());
        for (key, value) in [&[("Path", folder.path().to_str().unwrap())], properties].concat() {
            section.push(key, value, Location::command_line());
        }
        let options = SystemdOptions::read(&mut section, &mut Diagnostics::default());
        let metrics = Registry::new(SystemTime::UNIX_EPOCH).input("journal", "systemd");
        match Systemd::open(&options, "*", 0, Arc::clone(&metrics)) {
            Ok(input) => Some(Self { folder, metrics, input, recorder: Recorder::default() }),
            Err(SystemdError::NoLibrary { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn turn(&mut self, now: Instant) -> Turn {
        self.input.turn(now, &mut self.recorder)
    }

    /// Has turns at this moment until it waits; the messages that came.
    fn read(&mut self, now: Instant) -> Vec<String> {
        while self.turn(now) == Turn::More {}
        std::mem::take(&mut self.recorder.messages)
    }
}

/// Lays a recorded file into the journal at once.
fn put(folder: &TempDir, file: &str) {
    let path = format!("{}/tests/fixtures/journal/{file}.journal.zst", env!("CARGO_MANIFEST_DIR"));
    let bytes = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let new = folder.path().join("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, folder.path().join(format!("{file}.journal"))).unwrap();
}

const ALL: [&str; 5] = ["first", "two\nl", "bytes", "zzzzz", "last"];

#[test]
fn after_a_failure_it_goes_on_behind_the_last_entry() {
    let Some(mut rig) = Rig::new("boots", &[("Max_Entries", "2")]) else { return };
    let now = crate::clock::instant();
    while rig.recorder.messages.len() < 2 {
        rig.turn(now);
    }
    rig.input.fail(&io::Error::other("of a test"), now);
    assert_eq!(rig.metrics.journal_errors.value(), 1);
    assert_eq!(rig.read(now), ALL[..2]);
    assert_eq!(rig.read(now + RETRY_PAUSE), ALL[2..]);
    assert_eq!(rig.metrics.lost_cursors.value(), 0);
}

#[test]
fn what_fails_at_one_place_is_passed_over_in_the_end() {
    let Some(mut rig) = Rig::new("boots", &[("Max_Entries", "1")]) else { return };
    let mut now = crate::clock::instant();
    while rig.recorder.messages.is_empty() {
        rig.turn(now);
    }
    // Each failure comes before an entry could be read: a second has 2^10 milliseconds.
    for _ in 0..FAILURES_TO_PASS_A_SECOND {
        rig.input.fail(&io::Error::other("of a test"), now);
        now += RETRY_PAUSE;
    }
    assert_eq!(rig.read(now), ["first", "bytes", "zzzzz", "last"]);
}

/// Three at one place, and then leaps of 2, 4, … 1024 ms.
const FAILURES_TO_PASS_A_SECOND: u32 = 3 + 10;

#[test]
fn while_the_buffer_is_full_nothing_is_read_and_deleted_files_are_kept() {
    let Some(mut rig) = Rig::new("boots", &[("Max_Entries", "1")]) else { return };
    let now = crate::clock::instant();
    while rig.recorder.messages.is_empty() {
        rig.turn(now);
    }
    rig.recorder.is_full = true;
    std::fs::remove_file(rig.folder.path().join("boots.journal")).unwrap();
    put(&rig.folder, "later");
    assert_eq!(rig.turn(now), Turn::More);
    assert_eq!(rig.input.wake_on(true).map(|_| ()), None);
    assert_eq!(rig.recorder.messages, ALL[..1]);
    rig.recorder.is_full = false;
    let mut expected = ALL.to_vec();
    expected.extend(["later", "later"]);
    let mut read = rig.read(now);
    // The new file is heard of when the old one is read.
    read.extend(rig.read(now));
    assert_eq!(read, expected);
}

#[test]
fn the_position_follows_what_is_settled() {
    let Some(mut rig) = Rig::new("boots", &[]) else { return };
    let now = crate::clock::instant();
    assert_eq!(rig.read(now), ALL);
    let batches = rig.recorder.batches.clone();
    // One for each unit in its turn; the boots are parted, and a long entry ends a batch.
    let sources: Vec<_> = batches.iter().map(|(source, _)| source.number).collect();
    assert_eq!(sources, [1, 1, 1, 2, 2]);
    let settle = |rig: &mut Rig, (source, to): (SourceId, u64)| {
        rig.input.marks.settle(source.number, to).map(|cursor| cursor.number)
    };
    assert_eq!(settle(&mut rig, batches[4]), None);
    assert_eq!(settle(&mut rig, batches[1]), None);
    assert_eq!(settle(&mut rig, batches[2]), Some(5));
}

//! A journal that `systemd-journal-remote` writes, in a real OpenSearch: every entry once, whole, though its files are
//! rotated and deleted and the agent is killed; and each field as `journalctl` has it.
//!
//! The long form: `TAILWATER_JOURNAL_ENTRIES=200000 cargo test --release --test e2e journal`.

use crate::servers::Server;
use crate::{ARRIVAL_MAX, TURN, arrived, start_agent, write_out};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tailwater_testing::{Agent, Tally, pause, until};

/// Entries, unless `TAILWATER_JOURNAL_ENTRIES` says how many.
const ENTRIES: u64 = 20_000;

/// Files that the journal is rotated through.
const FILES: u64 = 8;

/// Boots in all.
const BOOTS: u64 = 5;

/// Entries a second, so that kills find the agent at work.
const PACE: u64 = 4_000;

/// Milliseconds that an agent lives.
const LIFE: std::ops::Range<u64> = 300..1_500;

/// What is written with every export: the time of the first entry, in microseconds.
const START: u64 = 1_750_000_000_000_000;

/// Bytes of a large field; each file has one.
const LARGE: usize = 1 << 20;

/// Where Debian and Fedora have it: it is in nobody's `PATH`.
const WRITERS: [&str; 2] =
    ["/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"];

#[test]
fn every_entry_of_a_journal_arrives_once_and_as_journalctl_has_it() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let entries = std::env::var("TAILWATER_JOURNAL_ENTRIES");
    let entries = entries.map_or(ENTRIES, |text| text.parse().unwrap());
    let server = Server::start("opensearch", "/_cluster/health");
    let folder = tailwater_testing::folder();
    let dir = folder.path();
    std::fs::create_dir(dir.join("journal")).unwrap();
    let conf = include_str!("journal.conf")
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &server.port().to_string());
    std::fs::write(dir.join("fluent-bit.conf"), conf).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = server.search_client();
    let count = || runtime.block_on(arrived::count(&client, "journal"));
    let began = Instant::now();
    let (agent, kills) = write_and_kill(dir, entries, &count);
    let limit = ARRIVAL_MAX + Duration::from_millis(entries);
    let all = until(limit, || {
        let all = count() >= entries;
        if !all {
            pause(Duration::from_millis(200));
        }
        all
    });
    let seconds = began.elapsed().as_secs_f32();
    // What is doubled comes soon after.
    pause(Duration::from_secs(1));
    let log = agent.stderr();
    assert_eq!(agent.terminate(ARRIVAL_MAX).code, Some(0));
    count();
    let mut tally = Tally::new(entries);
    runtime.block_on(arrived::each_document(&client, "journal", |document| {
        check_document(&document.fields);
        tally.count(document.fields["MESSAGE"].as_str().unwrap());
    }));
    write_out(&format!("journal: {} in {seconds:.1} s, {kills} kills\n", tally.verdict()));
    assert!(all, "{log}");
    tally.assert_exactly_once();
    drop(server);
    let compared = compare(dir);
    write_out(&format!("journal: {compared} entries as journalctl has them\n"));
    assert!(compared > entries / 2, "{compared} entries are left to compare");
    drop(turn);
}

/// Writes the journal, and kills agents that read it meanwhile. The last agent, and how many were killed.
fn write_and_kill(dir: &Path, entries: u64, count: &impl Fn() -> u64) -> (Agent, u64) {
    let seed = fastrand::u64(..);
    write_out(&format!("journal: seed {seed}\n"));
    let mut random = fastrand::Rng::with_seed(seed);
    let written = AtomicU64::new(0);
    let per_file = entries / FILES;
    let mut kills = 0;
    let mut agent = start_agent(dir);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_journal(dir, entries, &written));
        while !writer.is_finished() {
            pause(Duration::from_millis(random.u64(LIFE)));
            std::mem::replace(&mut agent, start_agent(dir)).kill9();
            kills += 1;
        }
    });
    assert_eq!(written.into_inner(), entries);
    // A vacuum deletes what was read, and perhaps what the position names.
    let limit = ARRIVAL_MAX + Duration::from_millis(entries);
    let arrived = until(limit, || {
        pause(Duration::from_millis(200));
        count() > per_file * 2
    });
    assert!(arrived, "{}", agent.stderr());
    std::fs::remove_file(rotated(dir, 0)).unwrap();
    agent.kill9();
    let agent = start_agent(dir);
    kills += 1;
    (agent, kills)
}

/// Where the file of that number is when it is full.
fn rotated(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("journal/system@{file}.journal"))
}

/// Writes entries through `systemd-journal-remote`, a part into each file, which is then renamed.
fn write_journal(dir: &Path, entries: u64, written: &AtomicU64) {
    let writer = WRITERS.iter().find(|path| Path::new(path).exists());
    let writer = writer.unwrap_or(&"systemd-journal-remote, of the Debian package of that name");
    let current = dir.join("journal/system.journal");
    let per_file = entries / FILES;
    let began = Instant::now();
    for file in 0..FILES {
        let mut child = Command::new(writer)
            .arg("--split-mode=none")
            .arg(format!("--output={}", current.display()))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(File::create(dir.join("writer.log")).unwrap())
            .spawn()
            .unwrap();
        let mut exports = child.stdin.take().unwrap();
        let last = if file == FILES - 1 { entries } else { (file + 1) * per_file };
        for number in file * per_file..last {
            let is_large = number == file * per_file;
            exports.write_all(&export(number, entries, is_large)).unwrap();
            if number.is_multiple_of(100) {
                let due = Duration::from_millis(number * 1_000 / PACE);
                pause(due.saturating_sub(began.elapsed()));
            }
            written.fetch_add(1, Ordering::Relaxed);
        }
        drop(exports);
        let ended = child.wait().unwrap();
        let log = std::fs::read_to_string(dir.join("writer.log")).unwrap();
        assert!(ended.success() && log.contains("Finishing after writing"), "{log}");
        std::fs::rename(&current, rotated(dir, file)).unwrap();
    }
}

/// The fields of an entry: some twice, some of bytes that are no text, some large.
fn fields(number: u64, is_large: bool) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = vec![
        ("_SYSTEMD_UNIT", format!("unit-{}.service", number % 7).into_bytes()),
        ("PRIORITY", (number % 8).to_string().into_bytes()),
        ("MESSAGE", format!("an entry\nof two lines, é, seq={number}").into_bytes()),
        ("PADDING", "x".repeat(usize::try_from(1 + number % 500).unwrap()).into_bytes()),
    ];
    if number.is_multiple_of(10) {
        let shift = u8::try_from(number % 256).unwrap();
        fields.push(("BINARY", (0..=255).map(|byte: u8| byte.wrapping_add(shift)).collect()));
    }
    if number.is_multiple_of(13) {
        fields.push(("TAGS", b"one".to_vec()));
        fields.push(("TAGS", format!("{number}").into_bytes()));
        fields.push(("TAGS", b"\0three".to_vec()));
    }
    if is_large {
        // Words, of which hardly one comes twice: it is not packed to nothing.
        let mut text = String::with_capacity(LARGE);
        let mut random = fastrand::Rng::with_seed(number);
        while text.len() + 20 <= LARGE {
            write!(text, "{:x} ", random.u64(..)).unwrap();
        }
        text.push_str(&"z".repeat(LARGE - text.len()));
        fields.push(("LARGE", text.into_bytes()));
    }
    fields
}

/// An entry in the export format: <https://systemd.io/JOURNAL_EXPORT_FORMATS/>.
fn export(number: u64, entries: u64, is_large: bool) -> Vec<u8> {
    let boot = number * BOOTS / entries;
    let since_boot = number - boot * entries / BOOTS;
    let mut out = format!(
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={:032x}\n",
        START + number * 1_000,
        1_000_000 + since_boot * 1_000,
        boot + 1
    )
    .into_bytes();
    for (name, value) in fields(number, is_large) {
        out.extend_from_slice(format!("{name}\n").as_bytes());
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        out.extend_from_slice(&value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// The document of an entry is all that was written, and nothing else.
fn check_document(document: &Value) {
    let number = Tally::number(document["MESSAGE"].as_str().unwrap()).unwrap();
    let mut expected = Map::new();
    for (name, value) in fields(number, document.get("LARGE").is_some()) {
        let value = json!(String::from_utf8_lossy(&value));
        match expected.get_mut(name) {
            None => drop(expected.insert(name.to_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    let mut found = document.as_object().unwrap().clone();
    for added in ["@timestamp", "_BOOT_ID"] {
        assert!(found.remove(added).is_some(), "{document}");
    }
    // The journal has values in the order in which it saw each for the first time.
    for values in [&mut expected, &mut found].into_iter().filter_map(|it| it.get_mut("TAGS")) {
        values.as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    assert!(found == expected, "{number}: {found:?}");
}

/// Reads what is left of the journal with both programs; how many entries were the same.
fn compare(dir: &Path) -> u64 {
    let conf = "[SERVICE]\n    Flush 0.1\n[INPUT]\n    Name systemd\n    Tag t\n    Path journal\n[OUTPUT]\n    Name file\n    \
                Match *\n    Path .\n    File read\n    Format plain\n";
    std::fs::write(dir.join("fluent-bit.conf"), conf).unwrap();
    let journal = Command::new("journalctl")
        .args(["--no-pager", "--all", "-o", "json", "-D"])
        .arg(dir.join("journal"))
        .stdout(File::create(dir.join("shown")).unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(journal.success());
    let lines = |name: &str| {
        let file = BufReader::new(File::open(dir.join(name)).unwrap());
        file.lines().map(|line| line.unwrap())
    };
    let shown = lines("shown").count();
    let agent = start_agent(dir);
    let read = until(ARRIVAL_MAX, || {
        pause(Duration::from_millis(100));
        dir.join("read").exists() && lines("read").count() >= shown
    });
    assert!(read, "{}", agent.stderr());
    assert_eq!(agent.terminate(ARRIVAL_MAX).code, Some(0));
    let mut compared = 0;
    for (shown, read) in lines("shown").zip(lines("read")) {
        let shown: Map<String, Value> = serde_json::from_str(&shown).unwrap();
        let mut expected = Map::new();
        for (name, value) in shown.into_iter().filter(|(name, _)| !name.starts_with("__")) {
            expected.insert(name, as_text(value));
        }
        let read: Map<String, Value> = serde_json::from_str(&read).unwrap();
        assert!(read == expected, "{read:?}\nis not\n{expected:?}");
        compared += 1;
    }
    assert_eq!(compared, lines("read").count());
    compared as u64
}

/// `journalctl` writes what is no printable text as an array of bytes, and several values as an array of those.
fn as_text(value: Value) -> Value {
    let Value::Array(values) = value else { return value };
    if values.iter().all(Value::is_u64) {
        let bytes: Vec<u8> =
            values.iter().map(|it| u8::try_from(it.as_u64().unwrap()).unwrap()).collect();
        return json!(String::from_utf8_lossy(&bytes));
    }
    Value::Array(values.into_iter().map(as_text).collect())
}

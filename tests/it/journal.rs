//! The journal: entries as records, positions, and journals in which something is wrong.
//!
//! The files are recorded (`tests/fixtures/journal`); what reads them is this machine's libsystemd. On a machine without
//! one, each test sees that this is said.

use crate::endpoints::{metrics, service};
use crate::{LIMIT, PROGRAM, Place, STDOUT, counters, es};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use rustix::fs::{Gid, chown};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tailwater_testing::{Agent, BulkStore, Faults, free_port, until};

const SERVICE: &str = "[SERVICE]\n    Flush 0.2\n    Grace 5\n";

/// How many bytes of what a record says are shown.
const SHOWN: usize = 40;

/// What stands in a journal file before the number of the place where its first array of entries is: `entry_array_offset`
/// of the header.
const ENTRY_ARRAY_AT: usize = 176;

/// A place for an input with these properties, with a journal in a folder of that name.
fn place(properties: &str, files: &[&str]) -> Place {
    let place = Place::new(&[SERVICE, &input(properties), STDOUT].concat());
    std::fs::create_dir(place.path("journal")).unwrap();
    for file in files {
        put(&place, file);
    }
    place
}

fn input(properties: &str) -> String {
    let properties = properties.replace("; ", "\n    ");
    format!(
        "[INPUT]\n    Name systemd\n    Alias journal\n    Tag host.*\n    Path @DIR@/journal\n    {properties}\n"
    )
}

/// A recorded file.
fn recorded(file: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/journal/{file}.journal.zst", env!("CARGO_MANIFEST_DIR"));
    zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()
}

/// Lays a file into the journal at once, as one that is moved there.
fn put(place: &Place, file: &str) {
    put_bytes(place, file, &recorded(file));
}

fn put_bytes(place: &Place, file: &str, bytes: &[u8]) {
    place.write("new", bytes);
    std::fs::rename(place.path("new"), place.path(&format!("journal/{file}.journal"))).unwrap();
}

/// Whether this machine has what journals are read with.
fn has_library() -> bool {
    let folders = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].map(Path::new);
    let below = folders.iter().flat_map(|folder| folder.read_dir().into_iter().flatten().flatten());
    let below = below
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let all = folders.iter().map(|folder| folder.to_path_buf()).chain(below);
    all.into_iter().any(|folder| folder.join("libsystemd.so.0").exists())
}

/// Starts the agent; `None`: there is no libsystemd here, and it said so.
#[track_caller]
fn start(place: &Place) -> Option<Agent> {
    if has_library() {
        return Some(place.start());
    }
    check_without_library(place.start());
    None
}

#[track_caller]
fn check_without_library(agent: Agent) {
    let ended = agent.wait(LIMIT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let says = ["cannot load libsystemd", "`libsystemd0`", "`systemd-libs`"];
    assert!(says.iter().all(|says| ended.stderr.contains(says)), "{}", ended.stderr);
}

/// Waits until so many records came, and ends the agent; the records, and what it said.
#[track_caller]
fn records(agent: Agent, count: usize) -> (Vec<Value>, String) {
    let arrived = until(LIMIT, || agent.stdout().lines().count() >= count);
    assert!(arrived, "{} of {count}: {}", agent.stdout(), agent.stderr());
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    (records.collect(), ended.stderr)
}

/// The messages of the next run.
#[track_caller]
fn messages(place: &Place, count: usize) -> Option<Vec<String>> {
    let (records, _) = records(start(place)?, count);
    Some(records.iter().map(|record| shown(&record["MESSAGE"])).collect())
}

fn shown(value: &Value) -> String {
    value.as_str().unwrap().chars().take(SHOWN).filter(|letter| *letter != 'z').collect()
}

/// The records of `boots` with these properties.
#[track_caller]
fn check(properties: &str, count: usize, expected: &Expect) {
    let place = place(properties, &["boots"]);
    let Some(agent) = start(&place) else { return };
    let (records, _) = records(agent, count);
    let lines = records.iter().map(|record| {
        let text = record.to_string().replace(&"z".repeat(1_000_000), "z…");
        format!("{text}\n")
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn entries_are_records() {
    check(
        "DB @DIR@/p.db",
        5,
        &expect![[r#"
        {"MESSAGE":"first","PRIORITY":"6","_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_PID":"42","_SYSTEMD_UNIT":"sshd.service","date":1700000000.0}
        {"MESSAGE":"two\nlines","PRIORITY":"3","TAG":["a\u0000b","c"],"_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_SYSTEMD_UNIT":"cron.service","date":1700000001.0}
        {"MESSAGE":"bytes �\u0000�","PID":"2","PRIORITY":"6","_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_PID":"1","date":1700000002.0}
        {"MESSAGE":"z…","PRIORITY":"6","_BOOT_ID":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","_SYSTEMD_UNIT":"sshd.service","date":1700000003.0}
        {"MESSAGE":"last","PRIORITY":"6","_BOOT_ID":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","_SYSTEMD_UNIT":"sshd.service","date":1700000004.0}
    "#]],
    );
}

#[test]
fn names_are_as_asked() {
    check(
        "Strip_Underscores On; Lowercase On; Max_Fields 3",
        5,
        &expect![[r#"
        {"boot_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","date":1700000000.0,"pid":"42","systemd_unit":"sshd.service"}
        {"boot_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","date":1700000001.0,"priority":"3","systemd_unit":"cron.service"}
        {"boot_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","date":1700000002.0,"message":"bytes �\u0000�","priority":"6"}
        {"boot_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","date":1700000003.0,"priority":"6","systemd_unit":"sshd.service"}
        {"boot_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","date":1700000004.0,"priority":"6","systemd_unit":"sshd.service"}
    "#]],
    );
}

#[test]
fn filters_are_one_or_all() {
    let units = "Systemd_Filter _SYSTEMD_UNIT=cron.service; Systemd_Filter PRIORITY=3";
    check(
        &format!("{units}; Systemd_Filter _PID=42"),
        2,
        &expect![[r#"
        {"MESSAGE":"first","PRIORITY":"6","_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_PID":"42","_SYSTEMD_UNIT":"sshd.service","date":1700000000.0}
        {"MESSAGE":"two\nlines","PRIORITY":"3","TAG":["a\u0000b","c"],"_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_SYSTEMD_UNIT":"cron.service","date":1700000001.0}
    "#]],
    );
    check(
        &format!("{units}; Systemd_Filter_Type AND; Max_Entries 1"),
        1,
        &expect![[r#"
        {"MESSAGE":"two\nlines","PRIORITY":"3","TAG":["a\u0000b","c"],"_BOOT_ID":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","_SYSTEMD_UNIT":"cron.service","date":1700000001.0}
    "#]],
    );
}

#[test]
fn a_restart_goes_on_behind_the_last_entry() {
    let place = place("DB @DIR@/p.db", &["boots"]);
    let Some(first) = messages(&place, 5) else { return };
    assert_eq!(first.len(), 5);
    // As Fluent Bit finds it.
    let database = Connection::open(place.path("p.db")).unwrap();
    let cursors: Vec<String> = database
        .prepare("SELECT cursor FROM in_systemd_cursor")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        cursors,
        [cursor(
            5,
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "f4434",
            "60a24185b4900",
            "a3c4da8dbe0da3f8"
        )]
    );
    drop(database);
    put(&place, "later");
    assert_eq!(messages(&place, 2).unwrap(), ["later one", "later two"]);
}

/// A cursor of `boots`.
fn cursor(number: u64, boot: &str, monotonic: &str, time: &str, hash: &str) -> String {
    format!(
        "s=d49a6f0dbb1a4a808983430fc6e0804f;i={number};b={boot};m={monotonic};t={time};x={hash}"
    )
}

/// The second entry's.
fn second() -> String {
    cursor(2, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "f4628", "60a24182d8240", "b58cc88c9e018e94")
}

/// Makes the database as Fluent Bit does, with these cursors.
fn write_cursors(place: &Place, cursors: &[&str]) {
    let database = Connection::open(place.path("p.db")).unwrap();
    let table =
        "CREATE TABLE IF NOT EXISTS in_systemd_cursor (  cursor  TEXT NOT NULL,  updated INTEGER);";
    database.execute_batch(table).unwrap();
    for cursor in cursors {
        database.execute("INSERT INTO in_systemd_cursor VALUES (?1, 5)", [cursor]).unwrap();
    }
}

/// What is read of these files with this position of Fluent Bit's, and whether it was said that its entry is gone.
#[track_caller]
fn check_resumed(cursors: &[&str], files: &[&str], expected: &[&str], is_gone: bool) {
    let place = place("DB @DIR@/p.db", files);
    write_cursors(&place, cursors);
    let Some(agent) = start(&place) else { return };
    let (records, said) = records(agent, expected.len());
    let messages: Vec<_> = records.iter().map(|record| shown(&record["MESSAGE"])).collect();
    assert_eq!(messages, expected);
    assert_eq!(
        said.contains("going on from its time") || said.contains("goes on from its time"),
        is_gone,
        "{said}"
    );
}

const BEHIND_SECOND: [&str; 3] = ["bytes \u{FFFD}\0\u{FFFD}", "", "last"];

#[test]
fn a_database_of_fluent_bit_is_gone_on_with() {
    check_resumed(&[&second()], &["boots"], &BEHIND_SECOND, false);
    check_resumed(
        &["(null)", &second()],
        &["boots", "later"],
        &[&BEHIND_SECOND[..], &["later one", "later two"]].concat(),
        false,
    );
    check_resumed(&["(null)"], &["later"], &["later one", "later two"], false);
}

#[test]
fn an_entry_that_is_gone_is_gone_on_from_by_its_time() {
    check_resumed(&[&second()], &["later"], &["later one", "later two"], true);
    // The same entry in another file, as after journald moved what it had in memory to the disk.
    check_resumed(&[&second()], &["copy"], &BEHIND_SECOND, false);
    // A number that was given anew after a power cut.
    let other = second().replace(";i=2;b=a", ";i=4;b=c");
    check_resumed(&[&other], &["boots"], &[&["two\nlines"], &BEHIND_SECOND[..]].concat(), true);
}

#[test]
fn from_the_tail_only_what_is_new_is_read_also_over_a_restart() {
    let place = place("DB @DIR@/p.db; Read_From_Tail On", &["boots"]);
    let Some(agent) = start(&place) else { return };
    let written = until(LIMIT, || {
        let database = Connection::open(place.path("p.db")).unwrap();
        let count = database
            .query_row("SELECT count(*) FROM in_systemd_cursor", [], |row| row.get::<_, i64>(0));
        count.is_ok_and(|count| count == 1)
    });
    assert!(written, "{}", agent.stderr());
    agent.kill9();
    put(&place, "later");
    assert_eq!(messages(&place, 2).unwrap(), ["later one", "later two"]);
}

#[test]
fn behind_the_end_of_nothing_everything_is_new() {
    let filter = "Read_From_Tail On; Systemd_Filter _SYSTEMD_UNIT=later.service";
    for (properties, files) in [("Read_From_Tail On", &[][..]), (filter, &["boots"][..])] {
        let place = place(&format!("DB @DIR@/p.db; {properties}"), files);
        let Some(agent) = start(&place) else { return };
        assert!(until(LIMIT, || place.path("p.db").exists()), "{}", agent.stderr());
        // It begins to read when it has said that it cannot yet, or at once.
        let is_reading = || !files.is_empty() || agent.stderr().contains("there is no journal in");
        assert!(until(LIMIT, is_reading), "{}", agent.stderr());
        put(&place, "later");
        let (records, _) = records(agent, 2);
        assert_eq!(records.len(), 2, "{properties}");
    }
}

#[test]
fn files_that_come_and_go_are_followed() {
    let place = place("DB @DIR@/p.db", &[]);
    let Some(agent) = start(&place) else { return };
    let said = until(LIMIT, || agent.stderr().contains("there is no journal in"));
    assert!(said, "{}", agent.stderr());
    put(&place, "boots");
    assert!(until(LIMIT, || agent.stdout().lines().count() == 5), "{}", agent.stderr());
    std::fs::remove_file(place.path("journal/boots.journal")).unwrap();
    put(&place, "later");
    let (records, _) = records(agent, 7);
    assert_eq!(records.len(), 7);
}

#[test]
fn an_entry_that_is_read_again_is_known_by_its_id() {
    let store = BulkStore::start(Faults::default());
    let place = Place::new(&[SERVICE, &input(""), &es(store.port(), "")].concat());
    std::fs::create_dir(place.path("journal")).unwrap();
    put(&place, "boots");
    // Without a `DB`, each run reads all.
    for run in 1..3 {
        let Some(agent) = start(&place) else { return };
        let sent = until(LIMIT, || store.count() == 5 && store.repeats() >= 5 * (run - 1));
        assert!(sent, "{} {}: {}", store.count(), store.repeats(), agent.stderr());
        assert_eq!(agent.terminate(LIMIT).code, Some(0));
    }
    assert_eq!(store.count(), 5);
}

#[test]
fn without_libsystemd_only_this_input_does_not_start() {
    let place = place("", &["boots"]);
    place.write("libsystemd.so.0", b"no library");
    let folder = format!("LD_LIBRARY_PATH={}", place.dir().display());
    let run = |arguments: &[&str]| {
        let arguments = [&[&folder, PROGRAM], arguments].concat();
        Agent::start(Path::new("env"), place.dir(), &arguments)
    };
    check_without_library(run(&["-c", "fluent-bit.conf"]));
    let ended = run(&["-c", "fluent-bit.conf", "--dry-run"]).wait(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let agent = run(&["-i", "dummy", "-o", "stdout"]);
    assert!(until(LIMIT, || agent.stdout().contains("dummy")), "{}", agent.stderr());
}

/// A journal of `boots` and a bad file: what is said of that, while the rest is read.
#[track_caller]
fn check_bad(name: &str, bytes: &[u8], says: &str) {
    let port = free_port();
    let place = Place::new(&[&service(port), &input(""), STDOUT].concat());
    std::fs::create_dir(place.path("journal")).unwrap();
    put(&place, "boots");
    put_bytes(&place, name, bytes);
    let Some(agent) = start(&place) else { return };
    let file = format!("{name}.journal");
    let is_said = || agent.stderr().lines().any(|line| line.contains(says) && line.contains(&file));
    assert!(until(LIMIT, is_said), "{}", agent.stderr());
    assert!(until(LIMIT, || agent.stdout().lines().count() >= 5), "{}", agent.stdout());
    let counted =
        || counters::read(&metrics(port), "tailwater_input_unreadable_files_total", "journal");
    assert!(until(LIMIT, || counted() == Some(1)), "{:?}", counted());
    assert!(!agent.stderr().contains("boots.journal"), "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
}

#[test]
fn damaged_files_are_told_by_name_and_the_others_are_read() {
    let whole = recorded("later");
    check_bad("cut", &whole[..100_000], "it is cut short: 100000 bytes are left of");
    check_bad("head", &whole[..50], "it does not begin as a journal file does");
    check_bad(
        "foreign",
        b"2023-11-14 a line of text\n",
        "it does not begin as a journal file does",
    );
    // The kind of the object that lists the entries.
    let mut flipped = whole.clone();
    let at = u64::from_le_bytes(flipped[ENTRY_ARRAY_AT..][..8].try_into().unwrap());
    flipped[usize::try_from(at).unwrap()] ^= 0x40;
    check_bad("flipped", &flipped, "libsystemd cannot read it, or not to its end");
}

/// Runs as a user who is not root, in a folder that this one may enter.
fn start_as_nobody(place: &Place) -> Agent {
    let open = |name: &str, mode| {
        std::fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
    };
    open(".", 0o755);
    std::fs::copy(PROGRAM, place.path("tailwater")).unwrap();
    let program = place.path("tailwater");
    let user = ["--reuid=65532", "--regid=65532", "--clear-groups"];
    let arguments = [&user[..], &[program.to_str().unwrap(), "-c", "fluent-bit.conf"]].concat();
    Agent::start(Path::new("setpriv"), place.dir(), &arguments)
}

/// Only root can become somebody else.
#[test]
fn who_may_not_read_is_told_which_group_may() {
    /// `adm`, everywhere.
    const GROUP: u32 = 4;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 || !has_library() {
        return;
    }
    let place = place("", &["boots"]);
    let file = place.path("journal/boots.journal");
    chown(&file, None, Some(Gid::from_raw(GROUP))).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let agent = start_as_nobody(&place);
    let says = [
        "boots.journal",
        "no permission to read it; this process lacks the group `",
        "SupplementaryGroups=",
    ];
    let said = until(LIMIT, || says.iter().all(|says| agent.stderr().contains(says)));
    assert!(said, "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    // The folder itself: Fluent Bit does not start either.
    let folder = place.path("journal");
    chown(&folder, None, Some(Gid::from_raw(GROUP))).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    let ended = start_as_nobody(&place).wait(LIMIT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("this process lacks the group `"), "{}", ended.stderr);
}

#[test]
fn what_is_cut_and_passed_over_is_counted() {
    let port = free_port();
    let place = Place::new(&[&service(port), &input("DB @DIR@/p.db"), STDOUT].concat());
    std::fs::create_dir(place.path("journal")).unwrap();
    let mut bytes = recorded("long");
    let at = bytes.windows(11).position(|part| part == b"PRIORITY=6\0").unwrap();
    bytes[at + 8] = b'#';
    put_bytes(&place, "long", &bytes);
    write_cursors(&place, &[&second().replace("t=60a24182d8240", "t=1")]);
    let Some(agent) = start(&place) else { return };
    assert!(until(LIMIT, || agent.stdout().ends_with('\n')), "{}", agent.stderr());
    let record: Value = serde_json::from_str(agent.stdout().trim()).unwrap();
    assert_eq!(record["MESSAGE"].as_str().unwrap().len(), 4 << 20);
    assert_eq!(record.as_object().unwrap().len(), 3, "date, _BOOT_ID and MESSAGE");
    for metric in ["cut_fields", "broken_fields", "lost_cursors"] {
        let name = format!("tailwater_input_{metric}_total");
        assert_eq!(counters::read(&metrics(port), &name, "journal"), Some(1), "{name}");
    }
}

/// What Fluent Bit refuses.
#[test]
fn what_is_no_journal_ends_the_start() {
    let check = |properties: &str, says: &str| {
        let place = place(properties, &[]);
        let ended = place.start().wait(LIMIT);
        assert_eq!(ended.code, Some(1), "{properties}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{properties}: {}", ended.stderr);
    };
    check("Systemd_Filter unit=x", "`unit=x` is no `FIELD=value`");
    check("Systemd_Filter_Type xor", "none of or, and");
    let two = place("DB p.db\n[INPUT]\n    Name systemd\n    Tag b\n    DB p.db", &[]);
    let ended = two.finish(&["-c", "fluent-bit.conf", "--dry-run"]);
    let says = "input `systemd.1`: another input keeps its position in `p.db`";
    assert!(ended.code == Some(0) && ended.stderr.contains(says), "{}", ended.stderr);
    let missing = place("", &[]);
    std::fs::remove_dir(missing.path("journal")).unwrap();
    let ended = missing.start().wait(LIMIT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("journal is no folder: No such file"), "{}", ended.stderr);
}

//! A position database that Fluent Bit wrote is gone on from.

use crate::{LIMIT, Place, SERVICE, es, tail, tally, wait_for};
use rusqlite::{Connection, params};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tailwater_testing::{BulkStore, Faults, Mix, Writer, until};
use xxhash_rust::xxh3::xxh3_64;

/// Fluent Bit 5.1's table (plugins/in_tail/tail_sql.h); older ones lack the last two columns.
const SCHEMA: &str = "CREATE TABLE in_tail_files (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER, inode INTEGER, created INTEGER,
    rotated INTEGER DEFAULT 0";

/// How many bytes before the offset its marker is a hash of.
const MARKER_BYTES: usize = 32;

/// Writes 100 lines of which Fluent Bit has read 40, and checks that so many arrive.
fn check(marker: Option<u64>, expected: std::ops::Range<u64>) {
    let store = BulkStore::start(Faults::default());
    let place = Place::new(
        &[SERVICE, &tail("@DIR@/*.log", "    Parser cri"), &es(store.port(), "")].concat(),
    );
    let log = place.path("app.log");
    let mut writer = Writer::open(&log, Mix::default());
    writer.write(40);
    let read = std::fs::read(&log).unwrap();
    writer.write(60);
    let table = Connection::open(place.path("positions.db")).unwrap();
    let (path, inode) = (log.to_str().unwrap(), std::fs::metadata(&log).unwrap().ino());
    let (inode, offset) = (i64::try_from(inode).unwrap(), i64::try_from(read.len()).unwrap());
    if let Some(disturb) = marker {
        table
            .execute_batch(&format!(
                "{SCHEMA}, offset_marker INTEGER DEFAULT 0, offset_marker_size INTEGER DEFAULT 0);"
            ))
            .unwrap();
        let marker = xxh3_64(&read[read.len() - MARKER_BYTES..]) ^ disturb;
        table
            .execute(
                "INSERT INTO in_tail_files (name, offset, inode, created, offset_marker, offset_marker_size)
                 VALUES (?1, ?2, ?3, 1700000000, ?4, ?5)",
                params![path, offset, inode, marker.cast_signed(), MARKER_BYTES.cast_signed()],
            )
            .unwrap();
    } else {
        table.execute_batch(&format!("{SCHEMA});")).unwrap();
        table
            .execute(
                "INSERT INTO in_tail_files (name, offset, inode, created) VALUES (?1, ?2, ?3, 1700000000)",
                params![path, offset, inode],
            )
            .unwrap();
    }
    drop(table);
    let agent = place.start();
    wait_for(&store, expected.end - expected.start, &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let verdict = tally(&store.documents(), expected.end).verdict();
    assert_eq!(verdict.missing, (0..expected.start).collect::<Vec<_>>(), "{verdict}");
    assert!(verdict.doubled.is_empty(), "{verdict}");

    let table = Connection::open(place.path("positions.db")).unwrap();
    let position: i64 = table
        .query_row("SELECT offset FROM in_tail_files WHERE inode = ?1", [inode], |row| row.get(0))
        .unwrap();
    assert_eq!(position.cast_unsigned(), std::fs::metadata(&log).unwrap().len());
}

#[test]
fn reading_goes_on_at_the_offset() {
    check(Some(0), 40..100);
}

#[test]
fn a_database_of_an_older_version_is_taken_too() {
    check(None, 40..100);
}

/// The bytes before the offset are others: it is another file that got the same inode.
#[test]
fn an_offset_into_another_file_is_not_gone_on_from() {
    check(Some(1), 0..100);
}

/// Tries it and goes back: Fluent Bit finds its own table with our position in it, reads on from there, and the
/// agent then from where Fluent Bit came to.
#[test]
fn fluent_bit_can_go_on_and_so_can_the_agent_after_it() {
    let store = BulkStore::start(Faults::default());
    let conf = [SERVICE, &tail("@DIR@/*.log", "    Parser cri"), &es(store.port(), "")].concat();
    let place = Place::new(&conf);
    let log = place.path("app.log");
    let mut writer = Writer::open(&log, Mix::default());
    writer.write(40);
    let agent = place.start();
    wait_for(&store, 40, &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));

    let table = Connection::open(place.path("positions.db")).unwrap();
    let columns: String = table
        .query_row(
            "SELECT group_concat(name, ' ') FROM pragma_table_info('in_tail_files')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(columns, "id name offset inode created rotated offset_marker offset_marker_size");
    let inode = std::fs::metadata(&log).unwrap().ino();
    let row: (i64, String, i64, i64, i64) = table
        .query_row(
            "SELECT id, name, offset, offset_marker, offset_marker_size FROM in_tail_files WHERE inode = ?1",
            [i64::try_from(inode).unwrap()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .unwrap();
    let marker = |read: &[u8]| xxh3_64(&read[read.len() - MARKER_BYTES..]).cast_signed();
    let offset = |read: &[u8]| i64::try_from(read.len()).unwrap();
    let read = std::fs::read(&log).unwrap();
    let (name, size) = (log.to_str().unwrap().to_owned(), MARKER_BYTES.cast_signed() as i64);
    assert_eq!(row, (row.0, name, offset(&read), marker(&read), size));

    writer.write(30);
    let read = std::fs::read(&log).unwrap();
    table
        .execute(
            "UPDATE in_tail_files SET offset = ?1, offset_marker = ?2, offset_marker_size = ?3 WHERE id = ?4",
            params![offset(&read), marker(&read), size, row.0],
        )
        .unwrap();
    drop(table);
    writer.write(30);
    let agent = place.start();
    wait_for(&store, 70, &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let verdict = tally(&store.documents(), 100).verdict();
    assert_eq!((verdict.missing, verdict.doubled), ((40..70).collect(), vec![]));
}

/// Makes a database of a good one by `spoil`, and checks that the agent says `expected` and reads nothing.
fn check_refused(spoil: impl Fn(&Path), expected: &str) {
    let place = Place::new(&[SERVICE, &tail("@DIR@/*.log", ""), crate::STDOUT].concat());
    place.write("app.log", b"line\n");
    let agent = place.start();
    assert!(until(LIMIT, || agent.stdout().contains("line")), "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let path = place.path("positions.db");
    spoil(&path);
    let ended = place.start_humbly().wait(LIMIT);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(path.to_str().unwrap()), "{}", ended.stderr);
    assert!(ended.stderr.contains(expected), "`{expected}` is not in: {}", ended.stderr);
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let query =
        |path: &Path, sql: &str| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let half = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    check_refused(half, "move it away to begin anew");
    check_refused(
        |path| std::fs::write(path, vec![b'x'; 9000]).unwrap(),
        "move it away to begin anew",
    );
    let folder = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    };
    check_refused(folder, "let this user read and write it");
    let closed = |mode: u32| {
        move |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap()
    };
    check_refused(closed(0o444), "let this user read and write it");
    check_refused(closed(0o000), "let this user read and write it");
    let newer = |path: &Path| query(path, "UPDATE tailwater_node SET version = 99");
    check_refused(newer, "use the newer tailwater, or another `DB`");
    let foreign = |path: &Path| {
        query(path, "DROP TABLE in_tail_files; CREATE TABLE in_tail_files (x INTEGER)");
    };
    check_refused(foreign, "or choose another `DB`");
}

#[test]
fn a_corrupt_database_is_never_a_silent_start_from_zero() {
    let place = Place::new(&[SERVICE, &tail("@DIR@/*.log", ""), crate::STDOUT].concat());
    place.write("app.log", b"line\n");
    place.write("positions.db", &b"this is no database at all. ".repeat(200));
    let ended = place.finish(&["-c", "fluent-bit.conf"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("positions.db"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

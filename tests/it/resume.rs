//! A position database that Fluent Bit wrote is gone on from.

use crate::{LIMIT, Place, SERVICE, es, tail, tally, wait_for};
use rusqlite::{Connection, params};
use std::os::unix::fs::MetadataExt;
use tailwater_testing::{BulkStore, Faults, Mix, Writer};
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

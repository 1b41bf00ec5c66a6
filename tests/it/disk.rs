//! What waits on the disk: it outlives the agent, its source and the outage.

use crate::{LIMIT, Place, SERVICE, STDOUT, counters, endpoints, es, tail, tally, wait_for};
use rusqlite::Connection;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tailwater_testing::{BulkStore, Faults, Kind, Mix, Writer, free_port, pause, until};

/// Lines of a test.
const LINES: u64 = 3_000;

/// Pieces in which they are written where there are to be several chunks.
const PIECES: u64 = 10;

fn service(more: &str) -> String {
    format!("{SERVICE}    storage.path @DIR@/storage\n{more}")
}

fn on_disk(path: &str) -> String {
    tail(path, "    Parser cri\n    storage.type filesystem")
}

/// Chunk files below a folder.
fn chunks(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |path: &Path| {
        let is_chunk = path.extension().is_some_and(|it| it == "chunk");
        if path.is_dir() { chunks(path) } else { usize::from(is_chunk) }
    };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}

fn write_lines(place: &Place) {
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    writer.write(LINES);
}

/// Syncs of an agent whose store takes everything at once, over some seconds.
fn syncs_while_it_keeps_up() -> u64 {
    let (store, port) = (BulkStore::start(Faults::default()), free_port());
    let storage = "    storage.path @DIR@/storage\n".to_owned();
    let input = on_disk("@DIR@/app.log");
    let configuration = [endpoints::service(port), storage, input, es(store.port(), "")];
    let place = Place::new(&configuration.concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    for _ in 0..30 {
        writer.write(LINES / 30);
        pause(Duration::from_millis(100));
    }
    wait_for(&store, LINES, &agent);
    assert!(until(LIMIT, || chunks(&place.path("storage")) == 0), "what was delivered stays");
    counters::read(&endpoints::metrics(port), "tailwater_storage_syncs_total", "").unwrap()
}

/// A machine that stalls for as long as a sync waits makes an agent fall behind, so that several runs count.
#[test]
fn an_agent_that_keeps_up_never_syncs() {
    assert!((0..5).any(|_| syncs_while_it_keeps_up() == 0));
}

/// The only position in the database.
fn position(place: &Place) -> Option<u64> {
    let table = Connection::open(place.path("positions.db")).unwrap();
    let found = table.query_row("SELECT offset FROM in_tail_files", [], |row| row.get::<_, i64>(0));
    found.ok().map(|offset| u64::try_from(offset).unwrap())
}

/// The log file is gone before the store is back: only the disk has its lines.
#[test]
fn what_waits_on_disk_outlives_its_source_and_a_kill() {
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let filters = "[FILTER]\n    Name parser\n    Match *\n    Key_Name log\n    Parser json-log\n";
    let configuration =
        [service(""), on_disk("@DIR@/app.log"), filters.to_owned(), es(store.port(), "")];
    let place = Place::new(&configuration.concat());
    write_lines(&place);
    let agent = place.start();
    // A position passes them once they are synced.
    assert!(until(LIMIT, || chunks(&place.path("storage/out")) > 0), "nothing is on the disk");
    let size = std::fs::metadata(place.path("app.log")).unwrap().len();
    assert!(until(LIMIT, || position(&place) == Some(size)), "no position is committed");
    agent.kill9();
    std::fs::remove_file(place.path("app.log")).unwrap();
    // A comment decides nothing, and so not whose the backlog is.
    place.configure(&configuration.concat().replace("Index lines", "Index lines  # for now"));
    store.listen();
    let agent = place.start();
    wait_for(&store, LINES, &agent);
    assert!(until(LIMIT, || chunks(&place.path("storage")) == 0), "what was delivered stays");
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    tally(&store.documents(), LINES).assert_exactly_once();
}

/// No `storage.path`: what one output owes goes to a folder beside the database.
#[test]
fn an_output_that_is_away_for_the_whole_run_does_not_hold_up_the_other() {
    let kind = Kind::OpenSearch("3.9.0");
    let up = BulkStore::refusing(kind, Faults::default());
    let away = BulkStore::refusing(kind, Faults::default());
    up.listen();
    let input = tail("@DIR@/app.log", "    Parser cri\n    Mem_Buf_Limit 100K");
    // As in many a ConfigMap, which the folder's name must not take for a part of the path.
    let input = input.replace("positions.db", "positions.db  # position record");
    let place =
        Place::new(&[SERVICE.to_owned(), input, es(up.port(), ""), es(away.port(), "")].concat());
    write_lines(&place);
    let agent = place.start();
    wait_for(&up, LINES, &agent);
    assert!(chunks(&place.path("positions.db.buffer")) > 0, "nothing was moved to the disk");
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    assert_eq!(away.count(), 0);
    away.listen();
    let agent = place.start();
    wait_for(&away, LINES, &agent);
    assert!(until(LIMIT, || chunks(&place.path("positions.db.buffer")) == 0), "something stays");
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    for store in [&up, &away] {
        tally(&store.documents(), LINES).assert_exactly_once();
    }
}

/// What stands before the damage is delivered, what it took is counted, and nothing else suffers.
#[test]
fn a_damaged_chunk_loses_what_the_damage_took_and_says_how_much() {
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let place = Place::new(&[service(""), on_disk("@DIR@/app.log"), es(store.port(), "")].concat());
    write_lines(&place);
    let agent = place.start();
    let size = std::fs::metadata(place.path("app.log")).unwrap().len();
    assert!(until(LIMIT, || position(&place) == Some(size)), "no position is committed");
    agent.kill9();
    let folder = std::fs::read_dir(place.path("storage/out")).unwrap().next().unwrap().unwrap();
    let chunk = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&chunk, bytes).unwrap();
    store.listen();
    let agent = place.start();
    assert!(until(LIMIT, || chunks(&place.path("storage/out")) == 0), "the chunk is not settled");
    assert_eq!(chunks(&place.path("storage/corrupt")), 1);
    let ended = agent.terminate(LIMIT);
    let lost = LINES - store.count() as u64;
    assert!(0 < lost && lost < LINES, "{lost} lost");
    assert!(ended.stderr.contains(&format!("dropped={lost}")), "{}", ended.stderr);
}

/// The limit of one output drops its oldest records, says how many, and leaves the other alone.
#[test]
fn a_limit_drops_the_oldest_of_one_output_alone() {
    let kind = Kind::OpenSearch("3.9.0");
    let up = BulkStore::refusing(kind, Faults::default());
    let away = BulkStore::refusing(kind, Faults::default());
    up.listen();
    let limited = es(away.port(), "    Alias limited\n    storage.total_limit_size 300K\n");
    let place =
        Place::new(&[service(""), on_disk("@DIR@/app.log"), es(up.port(), ""), limited].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    for piece in 1..=PIECES {
        writer.write(LINES / PIECES);
        wait_for(&up, LINES / PIECES * piece, &agent);
    }
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0));
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains("output=\"limited\"") && line.contains("dropped="));
    let dropped =
        line.and_then(|line| line.rsplit_once("dropped=")).map(|(_, count)| count.parse::<u64>());
    let dropped = dropped.unwrap().unwrap();
    assert!(0 < dropped && dropped < LINES, "{}", ended.stderr);
    away.listen();
    let agent = place.start();
    wait_for(&away, LINES - dropped, &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    let verdict = tally(&away.documents(), LINES).verdict();
    assert_eq!(verdict.missing, (0..dropped).collect::<Vec<_>>(), "{verdict}");
    tally(&up.documents(), LINES).assert_exactly_once();
}

/// `storage.backlog.flush_on_shutdown`: the end waits for what an earlier run left, as long as `Grace` lasts.
#[test]
fn an_end_waits_for_the_backlog_if_it_is_told_to() {
    check_end("on", |code, stored| assert_eq!((code, stored), (Some(0), LINES)));
    check_end("off", |code, stored| {
        assert_eq!(code, Some(0));
        assert!(stored < LINES, "{stored} lines arrived, though nobody waited for them");
    });
}

/// Leaves a backlog, and ends the next agent as soon as it sends the first of it to a slow store.
#[track_caller]
fn check_end(flush: &str, verdict: impl Fn(Option<i32>, u64)) {
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let option = format!("    storage.backlog.flush_on_shutdown {flush}\n");
    let parts = [service(&option), on_disk("@DIR@/app.log"), es(store.port(), "")];
    let place = Place::new(&parts.concat().replace("Grace           5", "Grace           60"));
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    for piece in 1..=PIECES {
        writer.write(LINES / PIECES);
        assert!(until(LIMIT, || chunks(&place.path("storage/out")) as u64 == piece));
    }
    agent.kill9();
    store.change(Faults { delay: Duration::from_millis(300), ..Faults::default() });
    store.listen();
    let agent = place.start();
    assert!(until(LIMIT, || store.count() > 0), "{}", agent.stderr());
    let ended = agent.terminate(LIMIT);
    verdict(ended.code, store.count() as u64);
}

/// What cannot work is said before anything is read.
#[test]
fn a_folder_that_cannot_be_used_ends_the_start() {
    let start = |place: &Place| {
        let ended = place.finish(&["-c", "fluent-bit.conf"]);
        (ended.code, ended.stderr)
    };
    let conf = [service(""), on_disk("@DIR@/app.log"), STDOUT.to_owned()].concat();
    let place = Place::new(&conf);
    place.write("storage", b"a file");
    check_refused(start(&place), "`storage.path` is to be a folder of its own");
    let place = Place::new(&conf);
    std::fs::create_dir(place.path("storage")).unwrap();
    std::fs::set_permissions(place.path("storage"), Permissions::from_mode(0o555)).unwrap();
    let ended = place.start_humbly().wait(LIMIT);
    check_refused((ended.code, ended.stderr), "give the agent's user the right to write there");
    let place = Place::new(&conf);
    place.write("app.log", b"a line\n");
    let first = place.start();
    // Written with the first chunk, and held by then.
    let is_held =
        || std::fs::read(place.path("storage/tailwater.lock")).is_ok_and(|held| !held.is_empty());
    assert!(until(LIMIT, is_held), "{}", first.stderr());
    check_refused(start(&place), "another agent uses this `storage.path`: give each its own");
    first.kill9();
}

#[track_caller]
fn check_refused((code, said): (Option<i32>, String), why: &str) {
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

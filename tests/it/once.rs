//! Nothing lost and nothing doubled, whatever goes wrong on the way.
//!
//! The long form: `TAILWATER_CHAOS_SECONDS=30 cargo test --release --test it once`.

use crate::{LIMIT, Place, SERVICE, es, tail, tally};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tailwater_testing::{
    BulkStore, Faults, LokiStore, Mix, Tally, Writer, pause, until, write_continuously,
};

/// Short enough for every run of the tests; the promise is about thirty.
const SECONDS: u64 = 5;

fn seconds() -> u64 {
    std::env::var("TAILWATER_CHAOS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap())
}

/// Some lines no parser can read: they have no time of their own.
const MIX: Mix = Mix { plain_every: 10, unreadable_every: 50, line_bytes: 400, start: None };

const FILTERS: &str = "
[FILTER]
    Name parser
    Match *
    Key_Name log
    Parser json-log
    Reserve_Data On

[FILTER]
    Name modify
    Match *
    Rename log message
    Remove stream
";

/// Lines of a file before it is rotated: several rotations between two kills.
const ROTATION: u64 = 700;

/// Writes, rotates and kills for a while, then lets the agent finish; `complete` says whether so many
/// lines are in the store. Returns how many were written.
fn chaos(place: &Place, rotation: u64, complete: impl Fn(u64) -> bool) -> u64 {
    let stop = AtomicBool::new(false);
    let mut writer = Writer::open(&place.path("app.log"), MIX);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            write_continuously(&mut writer, 40, Duration::from_millis(20), rotation, &stop);
            writer.next()
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds()) {
            let agent = place.start();
            pause(Duration::from_secs(1));
            agent.kill9();
        }
        stop.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    let agent = place.start();
    // What is missing after this will never come: the verdict names it.
    let all = until(LIMIT, || complete(written));
    if all {
        // What is doubled comes soon after.
        pause(Duration::from_secs(2));
    }
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    written
}

fn seed() -> u64 {
    let seed = fastrand::u64(..);
    // Shown when the test fails.
    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("seed {seed}\n")).unwrap();
    seed
}

#[test]
fn es_that_fails_in_every_way_gets_every_line_once() {
    let store = BulkStore::start(Faults::all(0.05, seed()));
    let place = Place::new(
        &[SERVICE, &tail("@DIR@/app.log*", "    Parser cri"), FILTERS, &es(store.port(), "")]
            .concat(),
    );
    let written = chaos(&place, ROTATION, |written| store.count() as u64 >= written);
    tally(&store.documents(), written).assert_exactly_once();
}

/// What waits lies on the disk: a position may pass what no store has yet.
#[test]
fn what_waits_on_disk_arrives_once_too() {
    let store = BulkStore::start(Faults::all(0.05, seed()));
    let service = format!("{SERVICE}    storage.path @DIR@/storage\n");
    let input = tail("@DIR@/app.log*", "    Parser cri\n    storage.type filesystem");
    let place = Place::new(&[&service, &input, FILTERS, &es(store.port(), "")].concat());
    let written = chaos(&place, ROTATION, |written| store.count() as u64 >= written);
    tally(&store.documents(), written).assert_exactly_once();
}

/// As the kubelet rotates: the new name no longer matches `Path`. A file whose whole life falls between a kill and
/// the next start is one that nobody can know of, so each lives longer than a start takes on a busy machine.
#[test]
fn a_rotated_file_that_no_longer_matches_is_read_to_its_end() {
    let store = BulkStore::start(Faults::all(0.05, seed()));
    let place = Place::new(
        &[SERVICE, &tail("@DIR@/*.log", "    Parser cri"), FILTERS, &es(store.port(), "")].concat(),
    );
    let written = chaos(&place, 4_000, |written| store.count() as u64 >= written);
    tally(&store.documents(), written).assert_exactly_once();
}

/// Loki knows a line again by its time, so the lines that have none are left out here.
#[test]
fn loki_that_fails_in_every_way_gets_every_line_once() {
    let store = LokiStore::start(Faults::all(0.05, seed()));
    let output = format!(
        "\n[OUTPUT]\n    Name loki\n    Match *\n    Host 127.0.0.1\n    Port {}\n    Labels job=test\n",
        store.port()
    );
    let drop = "\n[FILTER]\n    Name grep\n    Match *\n    Exclude log ^no.line\n";
    let place = Place::new(
        &[SERVICE, &tail("@DIR@/app.log*", "    Parser cri"), drop, FILTERS, &output].concat(),
    );
    let readable = |written| (0..written).filter(|number| !MIX.is_unreadable(*number)).count();
    let written = chaos(&place, ROTATION, |written| store.count() >= readable(written));
    let mut tally = Tally::new(written);
    for entry in store.entries() {
        tally.count(&entry.line);
    }
    let verdict = tally.verdict();
    let expected: Vec<_> = (0..written).filter(|number| MIX.is_unreadable(*number)).collect();
    assert_eq!(verdict.missing, expected, "{verdict}");
    assert_eq!(store.count(), readable(written), "{verdict}");
    assert_eq!((verdict.doubled.len(), verdict.strangers), (0, 0), "{verdict}");
}

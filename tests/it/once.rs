//! Nothing lost and nothing doubled, whatever goes wrong on the way.
//!
//! The long form, a million lines in a minute: `TAILWATER_CHAOS_SECONDS=60 cargo test --release --test it once::`.

use crate::{Place, SERVICE, es, tail, tally};
use tailwater_testing::{BulkStore, Chaos, Faults, LokiStore, Mix, Tally};

/// Short enough for every run of the tests; the promise is about a minute.
const SECONDS: u64 = 5;

/// Lines a second: a little more than a million in a minute, and what an agent without optimization keeps up with on
/// a busy machine.
const PACE: u64 = if cfg!(debug_assertions) { 2_000 } else { 17_000 };

/// For Loki, where a push that is to be sent again holds up all that come after it.
const PACE_IN_ORDER: u64 = 2_000;

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

/// Every line that an agent with such inputs is to bring to an `es` that fails in every way is there once.
fn check(chaos: &Chaos, service: &str, path: &str, properties: &str) {
    check_with(chaos, service, path, &format!("    Parser cri\n{properties}"));
}

/// The same, with all properties of the input.
fn check_with(chaos: &Chaos, service: &str, path: &str, properties: &str) {
    let store = BulkStore::start(Faults::all(chaos.seed));
    let input = tail(path, properties);
    let place = Place::new(&[service, &input, FILTERS, &es(store.port(), "")].concat());
    let has_all = |lines| store.count() as u64 >= lines;
    let written = chaos.run(&place.path("app.log"), || place.start(), has_all);
    let tally = tally(&store.documents(), written);
    chaos.tell(&tally.verdict().to_string());
    tally.assert_exactly_once();
}

#[test]
fn what_waits_in_memory_arrives_once() {
    let chaos = Chaos::new("memory", SECONDS, PACE);
    check(&chaos, SERVICE, "@DIR@/app.log*", "");
}

/// A position may pass what no store has yet.
#[test]
fn what_waits_on_disk_arrives_once() {
    let chaos = Chaos::new("filesystem", SECONDS, PACE);
    let service = format!("{SERVICE}    storage.path @DIR@/storage\n");
    check(&chaos, &service, "@DIR@/app.log*", "    storage.type filesystem\n");
}

/// As the kubelet rotates: the new name no longer matches `Path`. A file whose whole life falls between a kill and
/// the next start is one that nobody can know of, so each lives longer than several starts take on a busy machine.
#[test]
fn a_rotated_file_that_no_longer_matches_is_read_to_its_end() {
    let chaos = Chaos { rotate_every: PACE * 3, ..Chaos::new("rotated away", SECONDS, PACE) };
    check(&chaos, SERVICE, "@DIR@/*.log", "");
}

/// Every third line comes in two pieces, and with many a rotation the second one in another file.
#[test]
fn a_line_in_pieces_arrives_whole_and_once() {
    let mix = Mix { split_every: 3, ..Chaos::MIX };
    let chaos = Chaos { mix, rotate_every: PACE * 3, ..Chaos::new("pieces", SECONDS, PACE) };
    check_with(&chaos, SERVICE, "@DIR@/*.log", "    multiline.parser docker, cri\n");
}

/// Loki knows a line again by its time, so the lines that have none are left out here.
#[test]
fn loki_that_fails_in_every_way_gets_every_line_once() {
    let chaos = Chaos::new("loki", SECONDS, PACE_IN_ORDER);
    let store = LokiStore::start(Faults::all(chaos.seed));
    let output = format!(
        "\n[OUTPUT]\n    Name loki\n    Match *\n    Host 127.0.0.1\n    Port {}\n    Labels job=test\n",
        store.port()
    );
    let drop = "\n[FILTER]\n    Name grep\n    Match *\n    Exclude log ^no.line\n";
    let place = Place::new(
        &[SERVICE, &tail("@DIR@/app.log*", "    Parser cri"), drop, FILTERS, &output].concat(),
    );
    let is_unreadable = |number: &u64| Chaos::MIX.is_unreadable(*number);
    let readable = |lines| (0..lines).filter(|number| !is_unreadable(number)).count();
    let has_all = |lines| store.count() >= readable(lines);
    let written = chaos.run(&place.path("app.log"), || place.start(), has_all);
    let mut tally = Tally::new(written);
    for entry in store.entries() {
        tally.count(&entry.line);
    }
    // As if they had come.
    (0..written).filter(is_unreadable).for_each(|number| tally.count(&format!("seq={number}")));
    assert_eq!(store.count(), readable(written));
    chaos.tell(&tally.verdict().to_string());
    tally.assert_exactly_once();
}

//! Real Loki that is away for a while, or takes less a second than is written. These tests mostly wait, and so run beside
//! the others.
//!
//! The long form: `TAILWATER_OUTAGE_SECONDS=60 cargo test --release --test e2e outage`.

use crate::place::Place;
use crate::servers::Server;
use crate::{ARRIVAL_MAX, arrived, write_out};
use std::time::{Duration, Instant};
use tailwater_testing::{Tally, pause, until};

/// Half a megabyte a second, and no more at once.
const LIMITS: &[&str] = &["ingestion_rate_mb=0.5", "ingestion_burst_size_mb=0.5"];

/// How long Loki is away, unless `TAILWATER_OUTAGE_SECONDS` says how long.
const OUTAGE: Duration = Duration::from_secs(10);

/// Lines a step of the writer, and how often it takes one.
const STEP: u64 = 200;
const PACE: Duration = Duration::from_millis(100);

#[test]
fn loki_is_stopped_for_a_while() {
    let mut loki = Server::start("loki", "/ready");
    let mut place = Place::new();
    place.start("", &output(&loki));
    let mut written = write_for(&place, 0, Duration::from_secs(2));
    assert!(until(ARRIVAL_MAX, || taken(&place) > 0), "{}", place.log());
    loki.stop();
    written = write_for(&place, written, outage());
    let before = taken(&place);
    loki.start_again();
    written = write_for(&place, written, Duration::from_secs(2));
    let began = Instant::now();
    let lines = wait_for(&place, &loki, written);
    let seconds = began.elapsed().as_secs_f32();
    assert!(before < written, "nothing was left to be sent after the outage");
    let retries = place.counted("fluentbit_output_retries_total");
    assert!(retries > 0, "no try failed");
    place.end();
    check(
        &place,
        &lines,
        written,
        &format!("Loki stopped: {retries} tries failed, all there {seconds:.1} s after"),
    );
}

/// Each push is more than it ever takes at once.
#[test]
fn loki_takes_less_than_is_written() {
    const LINES: u64 = 10_000;
    let loki = Server::start_with("loki", "/ready", LIMITS);
    let mut place = Place::new();
    place.write(0..LINES, |_| PADDING);
    place.start("", &output(&loki));
    let lines = wait_for(&place, &loki, LINES);
    let retries = place.counted("fluentbit_output_retries_total");
    assert!(retries > 0, "no push was refused");
    place.end();
    check(&place, &lines, LINES, &format!("Loki limited: {retries} pushes put off"));
}

const PADDING: &str =
    r#","message":"GET /api/v1/orders/7 200 in 12 ms for a customer who is not named here""#;

fn output(loki: &Server) -> String {
    format!("    Name loki\n    Port {}\n    Labels job=test\n", loki.port())
}

fn outage() -> Duration {
    let seconds = std::env::var("TAILWATER_OUTAGE_SECONDS").ok();
    seconds.map_or(OUTAGE, |seconds| Duration::from_secs(seconds.parse().unwrap()))
}

/// Writes lines for so long; the number of the next.
fn write_for(place: &Place, mut next: u64, time: Duration) -> u64 {
    let began = Instant::now();
    while began.elapsed() < time {
        place.write(next..next + STEP, |_| PADDING);
        next += STEP;
        pause(PACE);
    }
    next
}

fn taken(place: &Place) -> u64 {
    place.counted("fluentbit_output_proc_records_total")
}

/// Waits until there are so many lines. While Loki writes them to its store, a query finds only some of them.
fn wait_for(place: &Place, loki: &Server, count: u64) -> Vec<arrived::Line> {
    let mut lines = Vec::new();
    let arrived = || {
        pause(Duration::from_millis(500));
        if taken(place) < count {
            return false;
        }
        let query =
            arrived::lines(loki.port(), "%7Bjob%3D%22test%22%7D", place.time(0), place.time(count));
        lines = place.block_on(query);
        lines.len() as u64 >= count
    };
    assert!(until(ARRIVAL_MAX, arrived), "not all arrives; the agent said:\n{}", place.log());
    lines
}

fn check(place: &Place, lines: &[arrived::Line], count: u64, what: &str) {
    let mut tally = Tally::new(count);
    for line in lines {
        tally.count(&line.text);
        let number = Tally::number(&line.text).unwrap();
        assert_eq!(line.time, place.time(number), "{}", line.text);
    }
    write_out(&format!("{what}: {}\n", tally.verdict()));
    tally.assert_exactly_once();
}

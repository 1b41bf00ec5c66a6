//! SIGHUP: another configuration takes over, and no line is lost or doubled; a wrong one changes nothing.

use crate::endpoints::{http, metrics};
use crate::{LIMIT, Place, SERVICE, es, tail, tally, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use tailwater_testing::{Agent, BulkStore, Faults, Mix, Writer, free_port, pause, until};

/// Between two reloads.
const PACE: Duration = Duration::from_millis(300);

const RELOADED: &str = "the new configuration is in place";

fn hang_up(agent: &Agent) {
    let id = Pid::from_raw(i32::try_from(agent.id()).unwrap()).unwrap();
    kill_process(id, Signal::HUP).unwrap();
}

#[track_caller]
fn wait_for_log(agent: &Agent, text: &str, count: usize) {
    let said = until(LIMIT, || agent.stderr().matches(text).count() >= count);
    assert!(said, "`{text}` was not said {count} times:\n{}", agent.stderr());
}

/// How long the agent is reloaded again and again.
fn time() -> Duration {
    let seconds = std::env::var("TAILWATER_RELOAD_SECONDS").ok().map(|text| text.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// Reloads under load, the configuration being another one each time; whatever the store lost of its answers.
fn check(service: &str, input: &str, faults: Faults) {
    let store = BulkStore::start(faults);
    let conf = |variant: u64| {
        let filter =
            format!("\n[FILTER]\n    Name modify\n    Match *\n    Add variant of-{variant}-\n");
        let service = format!("{SERVICE}    Hot_Reload On\n{service}");
        [service, tail("@DIR@/app.log*", input), filter, es(store.port(), "")].concat()
    };
    let place = Place::new(&conf(0));
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    let (began, mut reloads) = (Instant::now(), 0);
    while began.elapsed() < time() {
        let next = began.elapsed() + PACE;
        while began.elapsed() < next {
            writer.write(50);
            pause(Duration::from_millis(5));
        }
        if reloads % 3 == 0 {
            writer.rotate();
        }
        reloads += 1;
        place.configure(&conf(reloads));
        hang_up(&agent);
    }
    // The one that is written last.
    writer.write(1_000);
    writer.rotate();
    wait_for_log(&agent, RELOADED, 2);
    wait_for(&store, writer.next(), &agent);
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let documents = store.documents();
    tally(&documents, writer.next()).assert_exactly_once();
    let has = |variant: &u64| {
        let mark = format!("of-{variant}-");
        documents.iter().any(|document| document.source.contains(&mark))
    };
    // Where several were asked for during one, the last of them counts.
    assert!((0..=reloads).filter(has).count() >= 2, "no record came by another configuration");
}

#[test]
fn reloads_under_load_lose_and_double_nothing() {
    check("", "", Faults::default());
}

#[test]
fn reloads_while_the_store_fails_lose_and_double_nothing() {
    let faults = Faults { unavailable: 0.2, lost_answers: 0.2, seed: 7, ..Faults::default() };
    check("    storage.path @DIR@/buffer\n", "    storage.type filesystem\n", faults);
}

/// What is wrong is said with its line; records go on arriving, by the old configuration and from the same process.
#[test]
fn a_wrong_configuration_changes_nothing() {
    let store = BulkStore::start(Faults::default());
    let service = format!("{SERVICE}    Hot_Reload On\n");
    let good = [service, tail("@DIR@/app.log", ""), es(store.port(), "")].concat();
    let place = Place::new(&good);
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    let mut expected = 0;
    let mut write = |store: &BulkStore, agent: &Agent| {
        writer.write(100);
        expected += 100;
        wait_for(store, expected, agent);
    };
    write(&store, &agent);
    place.configure(&good.replace("Read_from_Head", "Read_from_Haed"));
    hang_up(&agent);
    wait_for_log(&agent, "fluent-bit.conf:", 1);
    wait_for_log(&agent, "did you mean `Read_from_Head`", 1);
    write(&store, &agent);
    // One that is right as far as it can be read, and does not start.
    place.configure(&good.replace("@DIR@/positions.db", "@DIR@/nowhere/positions.db"));
    hang_up(&agent);
    wait_for_log(&agent, "does not start: the one before goes on", 1);
    write(&store, &agent);
    place.configure(&good);
    hang_up(&agent);
    wait_for_log(&agent, RELOADED, 1);
    write(&store, &agent);
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    tally(&store.documents(), expected).assert_exactly_once();
    assert_eq!(store.repeats(), 0, "records were sent twice");
}

/// As in Fluent Bit. SIGHUP would end a process that knows nothing of it.
#[test]
fn without_hot_reload_nothing_happens() {
    let store = BulkStore::start(Faults::default());
    let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), &es(store.port(), "")].concat());
    let mut writer = Writer::open(&place.path("app.log"), Mix::default());
    let agent = place.start();
    writer.write(10);
    wait_for(&store, 10, &agent);
    place.configure("broken");
    hang_up(&agent);
    wait_for_log(&agent, "`Hot_Reload` is off", 1);
    writer.write(10);
    wait_for(&store, 20, &agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
}

/// A stop that is asked for during a reload is one, and the port of the HTTP server passes on; reloads are counted.
#[test]
fn a_stop_ends_a_reload_and_reloads_are_counted() {
    let port = free_port();
    let service = format!("{SERVICE}{}", http(port));
    let place = Place::new(&[&service, &tail("@DIR@/app.log", ""), crate::STDOUT].concat());
    place.write("app.log", b"line\n");
    for wait in 0..8 {
        let agent = place.run(&["-Y", "-c", "fluent-bit.conf"]);
        let counted = |reloads: u64| {
            let line = format!("\nfluentbit_hot_reloaded_times {reloads}\n");
            until(LIMIT, || metrics(port).contains(&line))
        };
        assert!(counted(0), "{}", agent.stderr());
        hang_up(&agent);
        assert!(counted(1), "{}", agent.stderr());
        hang_up(&agent);
        pause(Duration::from_millis(wait * 3));
        let ended = agent.terminate(LIMIT);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

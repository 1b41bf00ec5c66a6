//! A backlog of any size comes back in little memory, oldest first, while inputs read on.
//!
//! ```text
//! TAILWATER_BACKLOG_GB=10 cargo test --release --test it backlog -- --nocapture
//! ```

use crate::{LIMIT, Place, tail};
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tailwater_testing::{Agent, Mix, Numbered, PARSERS, Writer, memory_peak, pause, until};

/// What waits, unless `TAILWATER_BACKLOG_GB` says more: some dozens of chunks.
const BACKLOG_BYTES: u64 = 48 << 20;

/// Written, read and removed before the next: not all of the log has to fit on the disk beside the backlog.
const LOG_BYTES: u64 = 512 << 20;

/// More memory than this is never resident, whatever waits; without optimisation the program itself takes more.
const MEMORY_KIB_MAX: u64 = if cfg!(debug_assertions) { 64 << 10 } else { 40 << 10 };

/// Lines of two chunks that are under way at once, and of one more that has just been settled.
const GAP_MAX: u64 = 3 * (5 << 19) / 400;

fn backlog_bytes() -> u64 {
    let gigabytes = std::env::var("TAILWATER_BACKLOG_GB").ok();
    gigabytes.map_or(BACKLOG_BYTES, |count| count.parse::<u64>().unwrap() << 30)
}

/// Longer than all of it takes.
fn limit() -> Duration {
    LIMIT + Duration::from_secs(backlog_bytes() >> 22)
}

fn configuration(bulk: &Numbered, loki: &Numbered) -> String {
    let service = "
[SERVICE]
    Flush           1
    Grace           5
    Parsers_File    parsers.conf
    Scheduler.Base  1
    Scheduler.Cap   1
    storage.path    @DIR@/storage
";
    let input = tail("@DIR@/*.log", "    Parser cri\n    storage.type filesystem");
    let output = |name: &str, store: &Numbered, more: &str| {
        let port = store.port();
        format!(
            "\n[OUTPUT]\n    Name {name}\n    Match *\n    Host 127.0.0.1\n    Port {port}\n{more}"
        )
    };
    let bulk = output("es", bulk, "    Suppress_Type_Name On\n");
    let loki = output("loki", loki, "    Labels job=backlog\n    Line_Format json\n");
    [service, &input, &bulk, &loki].concat()
}

/// Where the file of this name stands.
fn position(place: &Place, name: &str) -> u64 {
    let table = Connection::open(place.path("positions.db")).unwrap();
    let query = "SELECT offset FROM in_tail_files WHERE name = ?1";
    let path = place.path(name);
    let found = table.query_row(query, [path.to_str().unwrap()], |row| row.get::<_, i64>(0));
    found.map_or(0, |offset| u64::try_from(offset).unwrap())
}

/// Chunks and bytes in the folder of the output of this plugin.
fn waiting(place: &Place, plugin: &str) -> (u64, u64) {
    let folders = place.path("storage/out").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(plugin);
    let folder = folders.into_iter().find(|path| is_it(path)).unwrap();
    let sizes = folder.read_dir().unwrap().map(|entry| entry.unwrap().metadata());
    // A chunk may be settled meanwhile.
    let sizes = sizes.filter_map(Result::ok).map(|status| status.len());
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

/// Lets so much pile up that no store takes; how many lines that are.
fn pile_up(place: &Place, agent: &Agent, bytes: u64) -> u64 {
    let mix = Mix::default();
    let lines_each = LOG_BYTES.min(bytes) / mix.line_bytes as u64;
    let mut lines = 0;
    for piece in 0.. {
        let name = format!("old-{piece}.log");
        let mut writer = Writer::open(&place.path(&name), mix).numbered_from(lines);
        while writer.next() < lines + lines_each {
            writer.write(1_000);
        }
        lines = writer.next();
        let size = std::fs::metadata(place.path(&name)).unwrap().len();
        let is_safe = until(limit(), || position(place, &name) == size);
        assert!(is_safe, "{name} is not on the disk; the agent said:\n{}", agent.stderr());
        std::fs::remove_file(place.path(&name)).unwrap();
        if waiting(place, "loki").1 >= bytes {
            break;
        }
    }
    lines
}

/// Chunk files that the agent has open.
fn open_chunks(agent: &Agent) -> usize {
    let files = Path::new("/proc").join(agent.id().to_string()).join("fd").read_dir().unwrap();
    let paths = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    paths.filter(|path| path.to_string_lossy().contains(".chunk")).count()
}

fn check_memory(agent: &Agent) -> u64 {
    let peak = memory_peak(agent.id()).unwrap();
    assert!(peak <= MEMORY_KIB_MAX, "{peak} KiB were resident");
    peak
}

#[test]
fn a_backlog_comes_back_oldest_first_in_little_memory_while_inputs_read_on() {
    let (bulk, loki) = (Numbered::refusing(), Numbered::refusing());
    let place = Place::new(&configuration(&bulk, &loki));
    place.write("parsers.conf", PARSERS.as_bytes());
    let agent = place.start();
    let old = pile_up(&place, &agent, backlog_bytes());
    let (chunks, bytes) = waiting(&place, "es");
    // However many wait, no descriptor is spent on them.
    assert!(until(LIMIT, || open_chunks(&agent) == 0), "{} are open", open_chunks(&agent));
    let peak_before = check_memory(&agent);
    agent.kill9();

    bulk.listen();
    loki.listen();
    let began = Instant::now();
    let agent = place.start();
    let stop = AtomicBool::new(false);
    let (mut is_half, mut is_new_safe, mut is_drained) = (false, false, false);
    let mut writer = Writer::open(&place.path("new.log"), Mix::default()).numbered_from(old);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                writer.write(100);
                pause(Duration::from_millis(50));
            }
        });
        is_half = until(limit(), || bulk.count() >= old / 2);
        // What is new becomes safe on the disk while the old waits.
        bulk.hold();
        is_new_safe = until(limit(), || position(&place, "new.log") > 0) && bulk.count() < old;
        bulk.release();
        is_drained = until(limit(), || bulk.count().min(loki.count()) >= old);
        stop.store(true, Ordering::Relaxed);
    });
    let drained = began.elapsed();
    let said = agent.stderr();
    assert!(is_half && is_new_safe && is_drained, "{is_half} {is_new_safe} {is_drained}\n{said}");
    let lines = writer.next();
    let all = until(limit(), || bulk.count() == lines && loki.count() == lines);
    assert!(all, "{} and {} of {lines}", bulk.count(), loki.count());
    assert!(until(LIMIT, || waiting(&place, "es").0 + waiting(&place, "loki").0 == 0));
    let peak = check_memory(&agent);
    assert_eq!(agent.terminate(LIMIT).code, Some(0));

    let (bulk, loki) = (bulk.seen(), loki.seen());
    println!(
        "{} MB in {chunks} chunks: peak {peak_before} KiB while they came, {peak} KiB after; first sent {:?} after the \
         start, all after {drained:?}",
        bytes >> 20,
        bulk.first.unwrap() - began,
    );
    assert_eq!((loki.gap, bulk.strangers + loki.strangers), (0, 0));
    assert!(bulk.gap <= GAP_MAX, "{} lines", bulk.gap);
}

//! A file that never ends does not hold up the others.

use crate::{LIMIT, Place};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tailwater_testing::{pause, until};

const FLUSH: Duration = Duration::from_secs(1);

/// What the chatty file gets in a second, as far as the machine can write that.
const CHATTY_BYTES: usize = 50_000_000;

const CONF: &str = "
[SERVICE]
    Flush 1
    Grace 1

[INPUT]
    Name           tail
    Path           @DIR@/logs/*.log
    Tag            *
    Read_from_Head On
    DB             @DIR@/positions.db

[OUTPUT]
    Name   file
    Match  *quiet*
    Path   @DIR@
    File   arrived
    Format plain

[OUTPUT]
    Name  null
    Match *chatty*
";

/// So long at most, or it would fill the disk.
const CHAT_MAX: Duration = Duration::from_secs(30);

/// Goes on until it is told to stop, a tenth of a second's worth at a time.
fn chat(path: &Path, is_over: &AtomicBool) {
    let part = format!("{}\n", "and so on ".repeat(39)).repeat(CHATTY_BYTES / 10 / 391);
    let mut file = File::create(path).unwrap();
    let start = Instant::now();
    while !is_over.load(Ordering::Relaxed) && start.elapsed() < CHAT_MAX {
        let began = Instant::now();
        file.write_all(part.as_bytes()).unwrap();
        pause(Duration::from_millis(100).saturating_sub(began.elapsed()));
    }
}

/// Half of the lines may be late: that is the machine, which does other things as well.
#[test]
fn a_quiet_file_is_not_held_up_by_a_chatty_one() {
    let place = Place::new(CONF);
    std::fs::create_dir(place.path("logs")).unwrap();
    let mut quiet =
        OpenOptions::new().create(true).append(true).open(place.path("logs/quiet.log")).unwrap();
    let is_over = AtomicBool::new(false);
    let mut delays: Vec<Duration> = std::thread::scope(|scope| {
        let chatter = scope.spawn(|| chat(&place.path("logs/chatty.log"), &is_over));
        let agent = place.start();
        let delay = |number: usize| {
            let line = format!("quiet line {number}\n");
            quiet.write_all(line.as_bytes()).unwrap();
            let began = Instant::now();
            let has_arrived = || {
                let text = std::fs::read_to_string(place.path("arrived")).unwrap_or_default();
                text.contains(line.trim_end())
            };
            let arrived = until(LIMIT, has_arrived);
            is_over.fetch_or(!arrived, Ordering::Relaxed);
            assert!(arrived, "line {number} did not arrive: {}", agent.stderr());
            began.elapsed()
        };
        let delays = (0..5).map(delay).collect();
        is_over.store(true, Ordering::Relaxed);
        chatter.join().unwrap();
        assert_eq!(agent.terminate(LIMIT).code, Some(0));
        delays
    });
    delays.sort_unstable();
    assert!(delays[delays.len() / 2] <= FLUSH + Duration::from_secs(1), "{delays:?}");
}

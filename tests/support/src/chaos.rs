//! Writes, rotates and kills for a while: what an agent must come through without a line lost or doubled.

use crate::{Agent, Mix, Writer, pause, until, write_out};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often lines are written.
const TICK: Duration = Duration::from_millis(20);

/// Milliseconds from one kill to the next; an agent lives for the least of them, however late it started.
const BETWEEN_KILLS: RangeInclusive<u64> = 300..=2_000;

/// How often a store is asked what it has: the asking costs a real one some of its time.
const LOOK: Duration = Duration::from_millis(200);

/// In so many seconds, so many kills must find lines outstanding: three in four of those that the times between them give.
const KILLS: u64 = 40;
const KILLS_SECONDS: u64 = 60;

/// Once the writing ended, the last agent may take as long as the writing took, and this.
const END_MAX: Duration = Duration::from_mins(1);

/// A writer that keeps its pace, and an agent that is killed again and again.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    /// Of the test, before all that is told.
    pub name: &'static str,
    /// The same seed gives the agents the same lives; also for [`crate::Faults`].
    pub seed: u64,
    /// How long lines are written and agents killed.
    pub seconds: u64,
    /// The pace of the writer.
    pub lines_per_second: u64,
    /// The file is renamed when it has so many lines.
    pub rotate_every: u64,
    /// What the lines look like.
    pub mix: Mix,
}

impl Chaos {
    /// Some of the lines no parser can read: they have no time of their own.
    pub const MIX: Mix =
        Mix { plain_every: 10, unreadable_every: 50, split_every: 0, line_bytes: 400, start: None };

    /// With a seed of its own, which is told. It lasts as long as `TAILWATER_CHAOS_SECONDS` says, else `seconds`; the
    /// file is renamed about as often as the agent is killed, and long enough for many reads.
    #[must_use]
    pub fn new(name: &'static str, seconds: u64, lines_per_second: u64) -> Self {
        let asked = std::env::var("TAILWATER_CHAOS_SECONDS");
        let seconds = asked.map_or(seconds, |text| text.parse().unwrap());
        let seed = fastrand::u64(..);
        let (rotate_every, mix) = (lines_per_second, Self::MIX);
        let chaos = Self { name, seed, seconds, lines_per_second, rotate_every, mix };
        chaos.tell(&format!("seed {seed}"));
        chaos
    }

    /// Tells a figure of this test.
    pub fn tell(&self, figure: &str) {
        write_out(&format!("{}: {figure}\n", self.name));
    }

    /// Writes to `log` and kills what `start` starts, then lets a last agent finish. `has_all` says whether so many
    /// lines are in the store. Returns how many were written.
    ///
    /// Fails unless enough kills found lines outstanding: written, and not in the store.
    pub fn run(&self, log: &Path, start: impl Fn() -> Agent, has_all: impl Fn(u64) -> bool) -> u64 {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let written = AtomicU64::new(0);
        let (mut kills, mut outstanding) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| self.write(log, &written));
            let mut kill_at = Instant::now();
            // The last kill comes as the writing ends, or what it is to find outstanding would have arrived.
            let end = kill_at + Duration::from_secs(self.seconds);
            while kill_at < end {
                let agent = start();
                // By the clock, so that what else a busy machine does between two kills leaves their number alone.
                kill_at = end.min(kill_at + Duration::from_millis(random.u64(BETWEEN_KILLS)));
                let life_min = Duration::from_millis(*BETWEEN_KILLS.start());
                pause(kill_at.saturating_duration_since(Instant::now()).max(life_min));
                let before = written.load(Ordering::Relaxed);
                agent.kill9();
                kills += 1;
                outstanding += u64::from(!has_all(before));
            }
        });
        let written = written.into_inner();
        self.tell(&format!(
            "{written} lines, {kills} kills, {outstanding} of them while lines were outstanding"
        ));
        let enough = self.seconds * KILLS / KILLS_SECONDS;
        assert!(outstanding >= enough, "not the {enough} kills that make the test");
        self.finish(start(), || has_all(written));
        written
    }

    /// Keeps the pace by the clock: what a busy machine delays is written with what comes next.
    fn write(&self, log: &Path, written: &AtomicU64) {
        let mut writer = Writer::open(log, self.mix);
        let (began, end) = (Instant::now(), Duration::from_secs(self.seconds));
        let mut rotated_at = 0;
        while began.elapsed() < end {
            pause(TICK);
            let time = u64::try_from(began.elapsed().min(end).as_millis()).unwrap();
            writer.write(time * self.lines_per_second / 1_000 - writer.next());
            written.store(writer.next(), Ordering::Relaxed);
            if writer.next() - rotated_at >= self.rotate_every {
                writer.rotate();
                rotated_at = writer.next();
            }
        }
        // What is left of the last line.
        writer.write(0);
    }

    /// A last agent does what is left.
    fn finish(&self, agent: Agent, has_all: impl Fn() -> bool) {
        let limit = END_MAX + Duration::from_secs(self.seconds);
        let has_all = || {
            let all = has_all();
            if !all {
                pause(LOOK);
            }
            all
        };
        // What is missing after this will never come: the verdict names it.
        if until(limit, has_all) {
            // What is doubled comes soon after.
            pause(Duration::from_secs(2));
        }
        let ended = agent.terminate(END_MAX);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

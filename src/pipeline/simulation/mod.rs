//! The whole agent under a writer that rotates, cuts and removes files, stores and a disk that fail, crashes and power
//! cuts: in one thread, in time of its own, and the same again for the same seed.
//!
//! | file | holds |
//! |---|---|
//! | `weather` | what a seed decides beforehand |
//! | `logs` | the files, and which lines must arrive |
//! | `store` | stores that answer as they like, and what they were sent |
//! | `life` | one run of the agent, made of its real parts |
//!
//! What is real: `tail` on real files with its real database, the router, the buffer, the couriers with the output
//! `opensearch` and its HTTP. What is not: the clock, the disk of the buffer, the network. Checked are, at every step,
//! that counters add up, that no id has two lines and that lines are first sent in the order of their file; and in the
//! end that each line is stored once by each store, or is a dead letter there, or was dropped and counted.
//!
//! `TAILWATER_SIMULATION_SEEDS=20000` runs so many seeds, `=500..600` those; `TAILWATER_SIMULATION_SEED=7` runs one and
//! tells what happens in it. A failure names its seed.

mod life;
mod logs;
mod store;
mod weather;

use crate::buffer::{Access, ChunkReader, Fault, Frames, Simulated, Storage as _};
use crate::clock;
use crate::input::tail::Standing;
use fastrand::Rng;
use life::{Database, Ground, Life};
use logs::{Agent, End, Logs};
use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Book, Mood, Run, Store};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, sleep_until};
use weather::{Action, Weather};

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 60;

/// Since the epoch when a simulation begins.
const BEGIN: Duration = Duration::from_secs(1_753_000_000);

/// Time for all that is left to be delivered once nothing goes wrong any more: some tries, each after the longest wait.
const END_MAX: Duration = Duration::from_mins(30);

/// The agent is looked at so often at least, of its own time.
const LOOK: Duration = Duration::from_millis(100);

/// Files in memory where the system has such: a simulation writes a lot and keeps nothing.
const MEMORY: &str = "/dev/shm";

/// Everything.
struct World {
    ground: Ground,
    book: Book,
    logs: Logs,
    rng: Rng,
    life: Option<Life>,
    /// The number of the last run.
    lives: u32,
    /// By output: records that earlier runs dropped without a refusal.
    dropped: Vec<u64>,
    /// Whether it tells what happens.
    tells: bool,
    began: Instant,
    _home: TempDir,
}

impl World {
    fn new(seed: u64, tells: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let weather = Weather::draw(&mut rng);
        if tells {
            println!("{weather:#?}");
        }
        let home = if Path::new(MEMORY).is_dir() {
            tempfile::tempdir_in(MEMORY)
        } else {
            tempfile::tempdir()
        };
        let home = home.unwrap();
        let folder = home.path().to_owned();
        let book = Book::default();
        // Where two chunks are under way, what holds up one of them lets the other go first.
        let is_ordered = weather.concurrency == 1
            || weather.chances.refuse == 0
                && weather.chances.reset == 0
                && weather.keepalive
                && !weather.has(Action::Mood)
                && weather.disk_is_well();
        let store = |number| {
            let Weather { chances, body_max, .. } = weather;
            Store::new(number, rng.fork(), chances, body_max, is_ordered, &book)
        };
        let stores = (0..weather.outputs).map(store).collect();
        let disk = if weather.has_links { Simulated::new() } else { Simulated::without_links() };
        Self {
            logs: Logs::new(folder.join("logs"), &weather),
            dropped: vec![0; weather.outputs],
            ground: Ground {
                durable: Arc::new(Mutex::new(Database::new(folder.join("positions.db")))),
                folder,
                disk,
                stores,
                weather,
            },
            book,
            rng,
            life: None,
            lives: 0,
            tells,
            began: Instant::now(),
            _home: home,
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            println!("{:>12.3?} {}", self.began.elapsed(), what());
        }
    }

    /// Starts the agent, unless the disk has something against it.
    fn start(&mut self) {
        self.life = Life::start(&self.ground, &mut self.rng);
        if let Some(life) = &self.life {
            self.lives += 1;
            let run = Run { life: self.lives, has_backlog: life.has_backlog };
            self.ground.stores.iter().for_each(|store| store.begin(run));
            self.tell(|| format!("started: {run:?}"));
        } else {
            self.tell(|| "did not start".to_owned());
        }
    }

    /// Lets time pass.
    async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let mut wake = until;
            if let Some(life) = &mut self.life {
                wake = wake.min(Instant::from_std(life.step())).min(Instant::now() + LOOK);
                if life.is_over() {
                    return self.end_life(End::Stop).await;
                }
            }
            let now = Instant::now();
            if now >= until {
                return;
            }
            sleep_until(wake.max(now + Duration::from_millis(1))).await;
        }
    }

    /// Does what the weather brings next.
    async fn act(&mut self) {
        let action = self.ground.weather.next(&mut self.rng);
        self.tell(|| format!("{action:?}"));
        match action {
            Action::Append
            | Action::AppendPart
            | Action::AppendLate
            | Action::Rotate
            | Action::Truncate
            | Action::Remove => self.write(action),
            Action::Pass => {
                let longest = 1 << self.rng.u32(0..12);
                let time = Duration::from_millis(self.rng.u64(1..=longest));
                self.pass(time).await;
            }
            Action::PassLong => {
                let time = Duration::from_secs(self.rng.u64(1..60));
                self.pass(time).await;
            }
            Action::Mood => {
                let store = self.rng.usize(..self.ground.stores.len());
                let moods =
                    [Mood::Well, Mood::Away, Mood::Says(429), Mood::Says(503), Mood::Says(500)];
                self.ground.stores[store].set_mood(moods[self.rng.usize(..moods.len())]);
            }
            Action::FailOnce => {
                let nth = self.ground.disk.operations() + self.rng.u64(..20);
                let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other];
                self.ground.disk.fail(Fault::Once(nth, kinds[self.rng.usize(..kinds.len())]));
            }
            Action::FillDisk => {
                let room = self.rng.u64(..3_000);
                self.ground.disk.resize(Some(self.ground.disk.used() + room));
            }
            Action::EmptyDisk => self.ground.disk.resize(None),
            Action::Kill => self.crash(End::Kill).await,
            Action::CutPower => self.crash(End::PowerCut).await,
            Action::Stop => {
                if let Some(life) = &self.life {
                    let grace = Duration::from_millis(self.rng.u64(..6_000));
                    life.stop(grace);
                    self.pass(grace + Duration::from_secs(1)).await;
                }
            }
        }
        if self.life.is_none() && self.rng.u8(..3) > 0 {
            self.start();
        }
    }

    fn write(&mut self, action: Action) {
        let Self { logs, rng, life, lives, book, ground, .. } = self;
        let stores = &ground.stores;
        let standing = life.as_ref().map(|life| |inode| life.standing(inode));
        let agent =
            Agent { standing: standing.as_ref().map(|it| it as &dyn Fn(u64) -> Option<Standing>) };
        let mut lines = book.lock().unwrap();
        let arrived = arrived(stores, lines.len());
        let has_arrived = |number: usize| arrived.contains(&number);
        match action {
            Action::AppendPart => logs.append_part(&mut lines, *lives, rng),
            Action::AppendLate => logs.append_late(&mut lines, *lives, &agent, rng),
            Action::Rotate => logs.rotate(&mut lines, &agent, rng),
            Action::Truncate => logs.truncate(&mut lines, &agent, &has_arrived, rng),
            Action::Remove => logs.remove(&mut lines, &agent, &has_arrived, rng),
            _ => logs.append(&mut lines, *lives, rng),
        }
    }

    /// Takes the agent away in the middle of what it does.
    async fn crash(&mut self, end: End) {
        let Some(life) = &mut self.life else { return };
        if self.rng.bool() {
            let nth = self.ground.disk.operations() + self.rng.u64(..12);
            self.ground.disk.fail(Fault::Killed(nth));
            life.step();
        }
        self.end_life(end).await;
        if self.rng.u8(..4) == 0 {
            // Once more, while it puts in order what it finds.
            let nth = self.ground.disk.operations() + self.rng.u64(..40);
            self.ground.disk.fail(Fault::Killed(nth));
            if let Some(life) = Life::start(&self.ground, &mut self.rng) {
                // It did not come to that: the run is too short to do anything.
                life.end(End::Kill, &self.ground.disk).await;
            }
            self.wake(end);
        }
    }

    /// The run is over: what is left of it, and of the lines that it held.
    async fn end_life(&mut self, end: End) {
        let Some(life) = self.life.take() else { return };
        self.tell(|| format!("ends: {end:?}"));
        for (dropped, metrics) in self.dropped.iter_mut().zip(&life.outputs) {
            *dropped += metrics.dropped_records.value() - metrics.refused_records.value();
        }
        {
            let standing = |inode| life.standing(inode);
            let agent = Agent { standing: Some(&standing) };
            let weather = &self.ground.weather;
            let is_sure = weather.on_disk && weather.disk_is_well();
            let mut lines = self.book.lock().unwrap();
            let arrived = arrived(&self.ground.stores, lines.len());
            let has_arrived = |number: usize| arrived.contains(&number);
            self.logs.end_life(&mut lines, &agent, end, is_sure, &has_arrived);
        }
        life.end(end, &self.ground.disk).await;
        // What was on its way to a store arrives.
        sleep(Duration::from_millis(1)).await;
        self.wake(end);
    }

    /// The machine is there for the next run.
    fn wake(&mut self, end: End) {
        if end == End::PowerCut {
            self.ground.disk.after_power_cut(self.rng.u64(..));
            if self.rng.bool() {
                self.ground.durable.lock().unwrap().restore();
            }
        } else {
            self.ground.disk.after_kill();
        }
    }

    /// From here on nothing goes wrong, and everything must come to an end.
    async fn come_to_an_end(&mut self) {
        self.tell(|| "nothing goes wrong any more".to_owned());
        self.ground.disk.fail(Fault::Once(0, io::ErrorKind::Other));
        self.ground.disk.resize(None);
        self.ground.stores.iter().for_each(Store::heal);
        self.logs.finish_all(&mut self.book.lock().unwrap());
        if self.life.is_none() {
            self.start();
        }
        let began = Instant::now();
        self.pass(Duration::from_secs(20)).await;
        while !self.life.as_ref().unwrap().is_quiet() {
            if began.elapsed() >= END_MAX {
                self.tell_files();
                let life = self.life.as_ref().unwrap();
                panic!("it never becomes quiet: {}", life.state());
            }
            self.pass(Duration::from_secs(1)).await;
            self.check();
        }
        self.pass(Duration::from_secs(20)).await;
        self.check();
        self.tell_files();
        self.life.as_ref().unwrap().stop(Duration::from_secs(1));
        self.pass(Duration::from_secs(2)).await;
        assert!(self.life.is_none(), "it does not stop");
        self.start();
        self.pass(Duration::from_secs(20)).await;
        self.check();
        self.tell_files();
        let again = self.life.as_ref().unwrap().input.records.value();
        assert_eq!(again, 0, "records read again after all was settled");
    }

    fn tell_files(&self) {
        let life = self.life.as_ref();
        let standing = |inode| life.and_then(|life| life.standing(inode));
        self.tell(|| self.logs.describe(&Agent { standing: Some(&standing) }));
    }

    /// What must be so at every moment.
    fn check(&self) {
        let mut complaints: Vec<_> =
            self.ground.stores.iter().flat_map(Store::complaints).collect();
        complaints.extend(self.life.iter().flat_map(Life::complaints));
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// What must have become of each line.
    fn judge(&self) {
        let weather = &self.ground.weather;
        let letters = self.letters();
        let lines = self.book.lock().unwrap();
        let mut wrong = Vec::new();
        for (output, store) in self.ground.stores.iter().enumerate() {
            let may_drop = weather.retry_limit.is_some()
                || weather.disk_bytes_max.is_some() && output + 1 == weather.outputs;
            let mut missing = Vec::new();
            for (number, line) in lines.iter().enumerate() {
                let is_refused = line.refused_by == Some(output);
                let is_letter = letters.contains(&(output, number));
                let may_be_letter = is_refused || weather.retry_limit.is_some();
                let is_there = match store.copies(number) {
                    0 => is_letter && may_be_letter || is_refused && !weather.keeps_rejected,
                    1 => true,
                    copies => {
                        wrong.push(format!("{number} is there {copies} times"));
                        true
                    }
                };
                if is_letter && !may_be_letter {
                    wrong.push(format!("{number} is a dead letter"));
                }
                if line.is_needed && !is_there {
                    missing.push(number);
                }
            }
            let dropped = if may_drop { self.dropped[output] } else { 0 };
            if missing.len() as u64 > dropped {
                wrong
                    .push(format!("output {output} lacks {missing:?}, and {dropped} were dropped"));
            }
        }
        assert!(wrong.is_empty(), "of {} lines: {wrong:#?}", lines.len());
    }

    /// The dead letters: output and line.
    fn letters(&self) -> HashSet<(usize, usize)> {
        let disk = &self.ground.disk;
        let names = life::names(self.ground.weather.outputs);
        let mut letters = HashSet::new();
        for path in disk.paths() {
            if path.parent() != Some(&life::rejected())
                || path.extension().is_none_or(|it| it != "chunk")
            {
                continue;
            }
            let mut reader = ChunkReader::new(disk.open(&path, Access::Read).unwrap()).unwrap();
            let output = names.iter().position(|name| reader.header().outputs == [name.as_str()]);
            while let Some(entry) = reader.next_entry().unwrap() {
                let mut frame = Vec::new();
                reader.append_frame(&entry, &mut frame).unwrap();
                for record in Frames::new(&frame).flatten() {
                    let text = str::from_utf8(record.json).unwrap();
                    let text = text.split_once("\"log\":\"").unwrap().1;
                    letters.insert((output.unwrap(), store::number_of(text)));
                }
            }
        }
        letters
    }
}

/// The lines that every store has.
fn arrived(stores: &[Store], lines: usize) -> HashSet<usize> {
    (0..lines).filter(|line| stores.iter().all(|store| store.copies(*line) > 0)).collect()
}

/// Runs one seed; all that happened, in a number.
fn simulate(seed: u64, tells: bool) -> Vec<u64> {
    println!("TAILWATER_SIMULATION_SEED={seed}");
    // What the agent draws by chance.
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        clock::simulate(Some(BEGIN));
        let mut world = World::new(seed, tells);
        world.start();
        for _ in 0..world.ground.weather.steps {
            world.act().await;
            world.check();
        }
        world.come_to_an_end().await;
        world.judge();
        world.end_life(End::Stop).await;
        clock::simulate(None);
        world.ground.stores.iter().map(Store::trace).collect()
    })
}

/// The seeds to run.
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("TAILWATER_SIMULATION_SEEDS") else { return 0..SEEDS };
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

#[test]
fn every_line_is_stored_once_whatever_happens() {
    if let Ok(seed) = std::env::var("TAILWATER_SIMULATION_SEED") {
        simulate(seed.parse().unwrap(), true);
        return;
    }
    for seed in seeds() {
        simulate(seed, false);
    }
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..5 {
        assert_eq!(simulate(seed, false), simulate(seed, false));
    }
}

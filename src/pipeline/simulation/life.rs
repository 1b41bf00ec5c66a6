//! One run of the agent: its real parts, put together around a simulated disk and simulated stores.

use super::logs::End;
use super::store::Store;
use super::weather::Weather;
use crate::buffer::{
    Checksum, Fault, OutputName, Parcel, REJECTED, Recovered, RejectedFolder, Settler, Shelf,
    ShelfOptions, Simulated, Unsynced,
};
use crate::clock;
use crate::config::{Diagnostics, Location, NetOptions, Section, SectionKind, TlsOptions};
use crate::input::tail::{Attended, Standing, TailOptions};
use crate::input::{Input, Intake, Turn};
use crate::mailbox::{self, Sender};
use crate::metrics::{InputMetrics, OutputMetrics, Registry};
use crate::net::{Backoff, Client, Endpoint};
use crate::output::opensearch::{Bulk, BulkOptions, Product};
use crate::output::{Courier, Policy};
use crate::pipeline::router::{Deliver, Outlet, Router, Share};
use crate::pipeline::spool::{Spool, SpoolOptions, is_synced};
use crate::pipeline::{Control, InputSlot, Pipeline};
use crate::record::{Match, SourceId};
use fastrand::Rng;
use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where the buffer lies on the simulated disk.
const ROOT: &str = "buffer";

/// The folders of the outputs.
pub(super) fn names(count: usize) -> Vec<OutputName> {
    ["a", "b"].into_iter().take(count).map(OutputName::from_alias).collect()
}

/// What outlives a run.
pub(super) struct Ground {
    pub folder: PathBuf,
    pub disk: Simulated,
    pub stores: Vec<Store>,
    pub weather: Weather,
    /// What a power cut leaves of the position database.
    pub durable: Arc<Mutex<Database>>,
}

/// The files of a position database.
#[derive(Debug, Default)]
pub(super) struct Database {
    path: PathBuf,
    /// By what follows the path.
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, files: Vec::new() }
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Keeps the files as they are.
    fn keep(&mut self) {
        let read = |suffix| Some((suffix, fs::read(self.file(suffix)).ok()?));
        self.files = ["", "-wal"].into_iter().filter_map(read).collect();
    }

    /// Puts the files back that were kept.
    pub(super) fn restore(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _absent = fs::remove_file(self.file(suffix));
        }
        for (suffix, bytes) in &self.files {
            fs::write(self.file(suffix), bytes).unwrap();
        }
    }
}

type Slot = Arc<Mutex<Option<Attended>>>;

type Syncs = Arc<Mutex<VecDeque<(u64, Unsynced)>>>;

/// The agent while it runs.
pub(super) struct Life {
    pipeline: Pipeline,
    attended: Slot,
    pub input: Arc<InputMetrics>,
    pub outputs: Vec<Arc<OutputMetrics>>,
    /// Records that each output was handed.
    handed: Arc<[AtomicU64]>,
    /// Whether it found chunks on the disk.
    pub has_backlog: bool,
    shelf: Option<Arc<Shelf>>,
    /// Chunks that are to be synced.
    syncs: Syncs,
    synced: Sender<u64>,
    control: Sender<Control>,
    stop: watch::Sender<bool>,
    couriers: JoinSet<()>,
    rng: Rng,
    is_over: bool,
}

/// The `tail` as the pipeline has it.
struct Handle {
    attended: Slot,
    wakes: OwnedFd,
    pace: u8,
    rng: Rng,
    durable: Arc<Mutex<Database>>,
}

impl Input for Handle {
    fn turn(&mut self, now: Instant, intake: &mut dyn Intake) -> Turn {
        let mut slot = self.attended.lock().unwrap();
        let attended = slot.as_mut().unwrap();
        if self.rng.u8(..100) < self.pace && attended.work() {
            self.durable.lock().unwrap().keep();
        }
        attended.tail().turn(now, intake)
    }

    fn safe(&mut self, source: SourceId, to: u64) {
        self.attended.lock().unwrap().as_mut().unwrap().tail().safe(source, to);
    }

    fn wake_on(&self, _full: bool) -> Option<BorrowedFd<'_>> {
        Some(self.wakes.as_fd())
    }
}

impl Life {
    /// Starts the agent; `None` if it finds that the disk fails.
    pub(super) fn start(ground: &Ground, rng: &mut Rng) -> Option<Self> {
        let Ground { folder, disk, stores, weather, durable } = ground;
        let names = names(weather.outputs);
        let opened = if weather.has_storage {
            let options = shelf_options(weather);
            let storage = Arc::new(disk.clone());
            let (shelf, found) = Shelf::open(storage, &options, &names).ok()?;
            Some((Arc::new(shelf), found))
        } else {
            None
        };
        let mut registry = Registry::new(SystemTime::UNIX_EPOCH);
        let input = registry.input("tail.0", "tail");
        let outputs: Vec<_> =
            names.iter().map(|name| registry.output(name.as_str(), "opensearch")).collect();
        let (settled_sender, settled) = mailbox::channel().unwrap();
        let (synced_sender, synced) = mailbox::channel().unwrap();
        let (control, control_receiver) = mailbox::channel().unwrap();
        let (stop, stopping) = watch::channel(false);
        let handed: Arc<[AtomicU64]> = names.iter().map(|_| AtomicU64::new(0)).collect();
        let next_number = opened.as_ref().map_or(0, |(_, found)| found.next_number);
        let numbers = Arc::new(AtomicU64::new(next_number));
        let mut couriers = JoinSet::new();
        let mut outlets = Vec::new();
        for (number, store) in stores.iter().enumerate() {
            let settler = Settler::new(number, settled_sender.clone());
            let mut courier = courier(number, store, weather, &outputs[number], settler);
            if let Some((chunks, _)) = opened.as_ref().filter(|_| weather.keeps_rejected) {
                courier = courier.with_dead_letters(Arc::new(RejectedFolder {
                    shelf: Arc::clone(chunks),
                    output: names[number].clone(),
                    numbers: Arc::clone(&numbers),
                    bytes_max: None,
                }));
            }
            let (sender, chunks) = unbounded_channel();
            couriers.spawn(courier.run(chunks, stopping.clone()));
            outlets.push(outlet(number, sender, &handed));
        }
        let attended = Attended::open(tail_options(folder, weather), "t.*", Arc::clone(&input));
        durable.lock().unwrap().keep();
        let (slots, attended) = slots(attended, weather, durable, rng);
        let share = Share::new(weather.mem_buf_limit, Arc::clone(&input));
        let share = if weather.on_disk { share.on_disk() } else { share };
        let router = Router::new(Vec::new(), outlets, vec![share], weather.flush);
        let syncs = Syncs::default();
        let is_waited_for = |(_, found): &(_, Recovered)| {
            found.backlog.values().any(|chunks: &Vec<_>| !chunks.is_empty())
        };
        let has_backlog = opened.as_ref().is_some_and(is_waited_for);
        let shelf = opened.as_ref().map(|(chunks, _)| Arc::clone(chunks));
        let router = match opened {
            Some(opened) => on_disk(router, opened, numbers, &syncs, weather),
            None => router,
        };
        Some(Self {
            pipeline: Pipeline::new(slots, router, settled, synced, control_receiver),
            attended,
            input,
            outputs,
            handed,
            has_backlog,
            shelf,
            syncs,
            synced: synced_sender,
            control,
            stop,
            couriers,
            rng: rng.fork(),
            is_over: false,
        })
    }

    /// Does all that there is to do now, what is to be synced at its leisure; returns when there is more.
    pub(super) fn step(&mut self) -> Instant {
        let now = clock::instant();
        while self.rng.bool() {
            let next = self.syncs.lock().unwrap().pop_front();
            let (Some((number, unsynced)), Some(chunks)) = (next, &self.shelf) else { break };
            if is_synced(chunks, &unsynced) {
                self.synced.send(number);
            }
        }
        if self.pipeline.step(now).is_break() {
            self.is_over = true;
            return now;
        }
        self.pipeline.wait(now, Duration::ZERO);
        self.pipeline.wake_at(now)
    }

    /// Asks it to end within this time.
    pub(super) fn stop(&self, grace: Duration) {
        self.control.send(Control::Stop(grace));
        self.stop.send_replace(true);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Ends it.
    pub(super) async fn end(mut self, end: End, disk: &Simulated) {
        let attended = self.attended.lock().unwrap().take().unwrap();
        match end {
            End::Stop => attended.end(),
            End::Kill | End::PowerCut => attended.kill(),
        }
        // What else it would do, it does not.
        disk.fail(Fault::Killed(0));
        drop(self.pipeline);
        self.couriers.shutdown().await;
    }

    /// How far it has read the file of this inode.
    pub(super) fn standing(&self, inode: u64) -> Option<Standing> {
        self.attended.lock().unwrap().as_ref()?.standing(inode)
    }

    /// Whether nothing is left to read, to deliver or to write down.
    pub(super) fn is_quiet(&self) -> bool {
        let is_read = self.attended.lock().unwrap().as_ref().is_some_and(Attended::is_idle);
        is_read && self.is_delivered()
    }

    /// What it is not done with.
    pub(super) fn state(&self) -> String {
        let is_read = self.attended.lock().unwrap().as_ref().is_some_and(Attended::is_idle);
        let counts = (0..self.outputs.len()).map(|output| (self.done(output), self.handed(output)));
        let counts: Vec<_> = counts.collect();
        format!("read {is_read}, done of handed {counts:?}, {:?}", self.pipeline.router)
    }

    /// Whether all that was read is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        let is_done = |output| self.done(output) == self.handed(output);
        self.pipeline.router.is_settled() && (0..self.outputs.len()).all(is_done)
    }

    fn handed(&self, output: usize) -> u64 {
        self.handed[output].load(Ordering::Relaxed)
    }

    /// Records that an output is done with.
    fn done(&self, output: usize) -> u64 {
        let metrics = &self.outputs[output];
        metrics.proc_records.value() + metrics.conflicts.value() + metrics.dropped_records.value()
    }

    /// What of its counters does not add up.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let records = self.input.records.value();
        for (output, metrics) in self.outputs.iter().enumerate() {
            let (done, handed) = (self.done(output), self.handed(output));
            let mut check = |is_right: bool, what: &str| {
                if !is_right {
                    let counts = format!("in {records}, handed {handed}, done {done}");
                    complaints.push(format!("output {output}: {what} ({counts})"));
                }
            };
            check(done <= handed, "more is done than there was");
            check(metrics.conflicts.value() == 0, "our own id is a conflict");
            check(metrics.damaged_records.value() == 0, "records are damaged");
            let refused = metrics.refused_records.value();
            check(refused <= metrics.dropped_records.value(), "refused records are not dropped");
            check(self.has_backlog || handed <= records, "more is handed on than came in");
            if self.is_delivered() {
                check(self.has_backlog || handed == records, "in is not what was handed on");
            }
        }
        complaints
    }
}

/// The way to an output, which counts what goes there.
fn outlet(number: usize, sender: UnboundedSender<Parcel>, handed: &Arc<[AtomicU64]>) -> Outlet {
    let handed = Arc::clone(handed);
    let deliver: Deliver = Box::new(move |parcel| {
        handed[number].fetch_add(parcel.count.into(), Ordering::Relaxed);
        drop(sender.send(parcel));
    });
    Outlet { matches: Some(Match::Wildcard("*".to_owned())), deliver }
}

/// Lets the router use the disk; what is to be synced waits in `syncs`.
fn on_disk(
    router: Router,
    (chunks, mut found): (Arc<Shelf>, Recovered),
    numbers: Arc<AtomicU64>,
    syncs: &Syncs,
    weather: &Weather,
) -> Router {
    let syncs = Arc::clone(syncs);
    let ask_sync = Box::new(move |number, unsynced| {
        syncs.lock().unwrap().push_back((number, unsynced));
    });
    let survivors = std::mem::take(&mut found.survivors);
    let names = names(weather.outputs);
    let spool = Spool::new(chunks, names, survivors, spool_options(weather), ask_sync);
    router.with_spool(spool, numbers, &found, weather.waits_for_backlog)
}

fn slots(
    attended: Attended,
    weather: &Weather,
    durable: &Arc<Mutex<Database>>,
    rng: &mut Rng,
) -> (Vec<InputSlot>, Slot) {
    let mut attended = attended;
    let wakes = attended.tail().wake_on(false).unwrap().try_clone_to_owned().unwrap();
    let attended = Arc::new(Mutex::new(Some(attended)));
    let handle = Handle {
        attended: Arc::clone(&attended),
        wakes,
        pace: weather.clerk_pace,
        rng: rng.fork(),
        durable: Arc::clone(durable),
    };
    (vec![InputSlot::new("tail.0".to_owned(), Box::new(handle))], attended)
}

fn courier(
    number: usize,
    store: &Store,
    weather: &Weather,
    metrics: &Arc<OutputMetrics>,
    settler: Settler,
) -> Courier {
    let types = if weather.has_types { "off" } else { "on" };
    let mut diagnostics = Diagnostics::default();
    let mut section = section(SectionKind::Output, &[("Suppress_Type_Name", types)]);
    let options = BulkOptions::read(&mut section, &mut diagnostics);
    let name = format!("opensearch.{number}");
    let bulk = Bulk::build(&name, Product::OpenSearch, &options, &section, &mut diagnostics);
    let net = NetOptions {
        io_timeout: Duration::from_secs(10),
        keepalive: weather.keepalive,
        ..NetOptions::default()
    };
    let endpoint = Endpoint { host: "store".to_owned(), port: 9200 };
    let client = Client::new(endpoint, &net, &TlsOptions::default(), None, &mut Vec::new());
    let policy = Policy {
        concurrency: weather.concurrency,
        retry_limit: weather.retry_limit,
        disk_bytes_max: weather.disk_bytes_max.filter(|_| number + 1 == weather.outputs),
        backoff: Backoff { base: Duration::from_secs(1), cap: weather.backoff_cap },
    };
    let client = client.unwrap().over(store.line());
    let metrics = Arc::clone(metrics);
    Courier::new(name, Box::new(bulk.unwrap()), client, policy, metrics, settler)
}

fn section(kind: SectionKind, entries: &[(&str, &str)]) -> Section {
    let mut section = Section::new(kind, Location::command_line());
    for (key, value) in entries {
        section.push(key, value, Location::command_line());
    }
    section
}

fn tail_options(folder: &Path, weather: &Weather) -> TailOptions {
    let pattern = if weather.finds_rotated { "*.log*" } else { "*.log" };
    let path = folder.join("logs").join(pattern);
    let entries = [
        ("Path", path.to_str().unwrap().to_owned()),
        ("DB", folder.join("positions.db").to_str().unwrap().to_owned()),
        ("Read_from_Head", "on".to_owned()),
        ("Refresh_Interval", weather.refresh.to_string()),
        ("Rotate_Wait", weather.rotate_wait.to_string()),
        ("Inotify_Watcher", weather.inotify.to_string()),
    ];
    let entries = entries.each_ref().map(|(key, value)| (*key, value.as_str()));
    TailOptions::read(&mut section(SectionKind::Input, &entries), &mut Diagnostics::default())
}

fn shelf_options(weather: &Weather) -> ShelfOptions {
    let checksum = if weather.has_checksum { Checksum::Crc32c } else { Checksum::None };
    ShelfOptions { checksum, ..ShelfOptions::new(ROOT) }
}

fn spool_options(weather: &Weather) -> SpoolOptions {
    SpoolOptions {
        sync_wait: weather.sync_wait,
        chunks_up_max: weather.chunks_up_max,
        keeps_reserve: weather.keeps_reserve,
        spill_bytes_max: weather.spill_bytes_max,
    }
}

/// Where dead letters lie on the simulated disk.
pub(super) fn rejected() -> PathBuf {
    Path::new(ROOT).join(REJECTED)
}

//! Chunks on a disk that fails, under agents that are killed and machines that lose power.

use super::*;
use crate::record::{Id, Nanos};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

const NOW: Nanos = 1_753_000_000_000_000_000;

const ROOT: &str = "buffer";

/// Index of an output.
const A: usize = 0;
/// Index of the other.
const B: usize = 1;

fn names() -> [OutputName; 2] {
    ["a", "b"].map(OutputName::from_alias)
}

fn folder(output: usize) -> Folder {
    Folder::Output(names()[output].clone())
}

fn options(checksum: Checksum) -> ShelfOptions {
    ShelfOptions { checksum, ..ShelfOptions::new(ROOT) }
}

fn open(disk: &Simulated, checksum: Checksum) -> Result<(Shelf, Recovered), DiskError> {
    Shelf::open(Arc::new(disk.clone()), &options(checksum), &names())
}

/// A frame of one record, which is number `n` of its source.
fn frame(n: u64) -> Vec<u8> {
    let header =
        FrameHeader { source: [7; 16], from: n * 10, to: n * 10 + 10, count: 1, tag: "kube.x" };
    let json =
        format!("{{\"n\":{n},\"log\":\"{}\"}}", "x".repeat(usize::try_from(n % 50).unwrap()));
    let record = Encoded { time: NOW, id: Id::from_bytes([9; 20]), json: json.as_bytes() };
    let mut out = Vec::new();
    append_some(&header, [record].into_iter(), &mut out);
    out
}

/// The numbers of the records in these frames, which must be what was written.
fn numbers(frames: &[u8]) -> Vec<u64> {
    let mut whole = Vec::new();
    let numbers = Frames::new(frames).map(|frame| frame.header.from / 10);
    let numbers: Vec<_> = numbers.inspect(|n| whole.extend(frame(*n))).collect();
    assert_eq!(whole, frames, "frames that nobody wrote");
    numbers
}

/// What is known of a record.
#[derive(Clone, Debug, Default)]
struct Fact {
    chunk: u64,
    routes: Vec<usize>,
    /// It was appended without an error.
    appended: bool,
    /// And synced since.
    synced: bool,
    /// An output has begun to settle it.
    settling: [bool; 2],
    /// And has done so without an error.
    settled: [bool; 2],
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    PowerCut(u64),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(&'static [usize]),
    Append,
    Sync,
    Seal,
    Settle(usize),
    Spill(&'static [usize]),
    Reject,
    DropOldest(usize),
}

/// An agent's buffer, and what must be true of it.
struct World {
    disk: Simulated,
    shelf: Shelf,
    open: Option<ChunkFile>,
    /// Sealed, and still to be synced.
    sealed: Vec<Unsynced>,
    next_number: u64,
    /// By record.
    facts: Vec<Fact>,
    /// Dead letters that were written without an error.
    rejected: BTreeSet<u64>,
}

impl World {
    fn new(disk: Simulated) -> Self {
        let (shelf, found) = open(&disk, Checksum::Crc32c).unwrap();
        let next_number = found.next_number;
        let (facts, rejected) = (Vec::new(), BTreeSet::new());
        Self { disk, shelf, open: None, sealed: Vec::new(), next_number, facts, rejected }
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// A record that is about to be written.
    fn fact(&mut self, chunk: u64, routes: &[usize]) -> u64 {
        self.facts.push(Fact { chunk, routes: routes.to_vec(), ..Fact::default() });
        self.facts.len() as u64 - 1
    }

    fn outputs(routes: &[usize]) -> Arc<[OutputName]> {
        routes.iter().map(|output| names()[*output].clone()).collect()
    }

    fn of_chunk(&mut self, number: u64) -> impl Iterator<Item = &mut Fact> {
        self.facts.iter_mut().filter(move |fact| fact.chunk == number)
    }

    fn step(&mut self, step: Step) -> Result<(), DiskError> {
        match step {
            Step::Open(routes) => {
                self.step(Step::Seal)?;
                let number = self.take_number();
                self.open = Some(self.shelf.open_chunk(number, Self::outputs(routes), NOW)?);
            }
            Step::Append => self.append()?,
            Step::Sync => {
                let open = self.open.as_ref().map(ChunkFile::unsynced);
                for unsynced in self.sealed.clone().iter().chain(&open) {
                    let number = unsynced.number();
                    let appended: Vec<_> =
                        self.of_chunk(number).map(|fact| fact.appended).collect();
                    self.shelf.sync(unsynced)?;
                    let facts = self.of_chunk(number).zip(appended);
                    facts.for_each(|(fact, appended)| fact.synced |= appended);
                }
                self.sealed.clear();
            }
            Step::Seal => {
                let Some(mut chunk) = self.open.take() else { return Ok(()) };
                let result = self.shelf.seal(&mut chunk);
                self.sealed.push(chunk.unsynced());
                if result.is_err() {
                    self.open = Some(chunk);
                }
                result?;
            }
            Step::Settle(output) => {
                let folder = folder(output);
                let Some(oldest) = self.shelf.chunks(&folder).first().copied() else {
                    return Ok(());
                };
                self.of_chunk(oldest.number).for_each(|fact| fact.settling[output] = true);
                self.shelf.settle(&folder, oldest.number)?;
                self.of_chunk(oldest.number).for_each(|fact| fact.settled[output] = true);
            }
            Step::Spill(routes) => self.spill(routes)?,
            Step::Reject => {
                let number = self.take_number();
                let frame = frame(number);
                let refused = Refused { reason: "mapping", frame: &frame, count: 1 };
                self.shelf.reject(number, &names()[A], NOW, &[refused])?;
                self.rejected.insert(number);
            }
            Step::DropOldest(output) => {
                let folder = folder(output);
                let chunks = self.shelf.chunks(&folder);
                let spared = chunks.first().map(|stored| stored.number);
                for stored in chunks.get(1..2).unwrap_or_default() {
                    self.of_chunk(stored.number).for_each(|fact| fact.settling[output] = true);
                }
                let dropped = self.shelf.drop_oldest(&folder, |number| Some(number) == spared)?;
                assert_eq!(dropped, chunks.get(1).copied());
                if let Some(stored) = dropped {
                    self.of_chunk(stored.number).for_each(|fact| fact.settled[output] = true);
                }
            }
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), DiskError> {
        let Some(mut chunk) = self.open.take() else { return Ok(()) };
        let routes: Vec<_> = [A, B]
            .into_iter()
            .filter(|output| chunk.outputs().contains(&names()[*output]))
            .collect();
        let n = self.fact(chunk.number(), &routes);
        let result = self.shelf.append(&mut chunk, &frame(n), 1);
        self.open = Some(chunk);
        result?;
        self.facts.last_mut().unwrap().appended = true;
        Ok(())
    }

    fn spill(&mut self, routes: &[usize]) -> Result<(), DiskError> {
        let number = self.take_number();
        let written = [self.fact(number, routes), self.fact(number, routes)];
        let frames = written.map(frame).concat();
        let outputs = Self::outputs(routes);
        let unsynced = self.shelf.spill(number, outputs, NOW, Frames::new(&frames))?;
        self.sealed.push(unsynced);
        self.of_chunk(number).for_each(|fact| fact.appended = true);
        Ok(())
    }

    /// What lies in the folder of an output, which holds nothing twice and everything in order.
    fn present(&self, output: usize) -> BTreeSet<u64> {
        let folder = folder(output);
        let mut all = Vec::new();
        let chunks = self.shelf.chunks(&folder);
        for Stored { number, records, .. } in &chunks {
            let loaded = self.shelf.load(&folder, *number).unwrap().unwrap();
            assert_eq!(loaded.damage, None);
            let numbers = numbers(&loaded.frames);
            assert_eq!(
                (numbers.len(), u64::from(loaded.count)),
                (usize::try_from(*records).unwrap(), *records)
            );
            all.extend(numbers);
        }
        let size = self.shelf.size(&folder);
        assert_eq!((size.chunks, size.records), (chunks.len() as u64, all.len() as u64));
        let count = all.len();
        let all: BTreeSet<_> = all.into_iter().collect();
        assert_eq!(all.len(), count, "something is there twice");
        all
    }

    /// The process ends, and another starts, killed itself at this operation of its start, if any.
    fn restart(mut self, end: End, killed_at: Option<u64>) -> Self {
        let disk = self.disk.clone();
        let begin_anew = |disk: &Simulated| match end {
            End::Kill => disk.after_kill(),
            End::PowerCut(seed) => disk.after_power_cut(seed),
        };
        begin_anew(&disk);
        if let Some(nth) = killed_at {
            disk.fail(Fault::Killed(disk.operations() + nth));
            drop(open(&disk, Checksum::Crc32c));
            begin_anew(&disk);
        }
        let (next, found) = open(&disk, Checksum::Crc32c).unwrap();
        (self.shelf, self.next_number) = (next, found.next_number);
        (self.open, self.sealed) = (None, Vec::new());
        self.check(end, &found);
        self
    }

    /// Checks what a start found against what is known, and learns from it.
    fn check(&mut self, end: End, found: &Recovered) {
        for output in [A, B] {
            let present = self.present(output);
            let others: Vec<_> = names().into_iter().collect();
            for (n, fact) in (0..).zip(&self.facts) {
                let is_present = present.contains(&n);
                let is_certain = fact.synced || (fact.appended && end == End::Kill);
                if fact.routes.contains(&output) {
                    if is_certain && !fact.settling[output] {
                        assert!(is_present, "{n} of {output} is lost: {fact:?}");
                    }
                    if fact.settled[output] && end == End::Kill {
                        assert!(!is_present, "{n} of {output} is back: {fact:?}");
                    }
                } else {
                    assert!(!is_present, "{n} of {output} went astray: {fact:?}");
                }
                let routes = fact.routes.iter().map(|route| &others[*route]);
                let key = RouteKey::new(routes, &others[output]);
                let ranges = found.survivors.ranges(&[7; 16], "kube.x", key);
                let covers = ranges.is_some_and(|ranges| ranges.cover(n * 10, n * 10 + 10));
                assert_eq!(covers, is_present, "{n} of {output}");
            }
        }
        let present = [A, B].map(|output| self.present(output));
        for (n, fact) in (0..).zip(&mut self.facts) {
            let is_there = [A, B].map(|output| present[output].contains(&n));
            // Where it is not, it is over, whatever it was; were it to come back, that would be wrong.
            (fact.settling, fact.settled) = (is_there.map(|is| !is), is_there.map(|is| !is));
            fact.appended |= is_there.contains(&true);
            fact.synced |= is_there.contains(&true);
        }
        for number in &self.rejected {
            let loaded = self.shelf.load(&Folder::Rejected, *number).unwrap().unwrap();
            assert_eq!(numbers(&loaded.frames), [*number]);
        }
        let backlog = &found.backlog;
        for output in [A, B] {
            assert_eq!(backlog[&names()[output]], self.shelf.chunks(&folder(output)));
        }
        let highest = backlog.values().flatten().map(|stored| stored.number).max();
        assert!(highest.is_none_or(|highest| highest < found.next_number));
    }
}

/// Everything that is done to a buffer, in short.
const SCRIPT: &[Step] = &[
    Step::Open(&[A, B]),
    Step::Append,
    Step::Append,
    Step::Sync,
    Step::Append,
    Step::Seal,
    Step::Settle(A),
    Step::Open(&[A]),
    Step::Append,
    Step::Seal,
    Step::Spill(&[B]),
    Step::Reject,
    Step::Sync,
    Step::Settle(B),
    Step::Spill(&[A, B]),
    Step::Spill(&[A, B]),
    Step::DropOldest(B),
    Step::Open(&[B, A]),
    Step::Append,
    Step::Append,
];

/// A disk with links and one without, each anew for every run.
const DISKS: [fn() -> Simulated; 2] = [Simulated::new, Simulated::without_links];

/// How many operations all of this takes.
fn operations(disk: Simulated, run: impl FnOnce(Simulated) -> World) -> u64 {
    run(disk).disk.operations()
}

#[test]
fn the_nth_operation_fails_and_nothing_is_lost() {
    for disk in DISKS {
        for nth in 0..operations(disk(), run) {
            for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
                let mut world = World::new(disk());
                world.disk.fail(Fault::Once(world.disk.operations() + nth, kind));
                let mut first = None;
                for step in SCRIPT {
                    if let Err(error) = world.step(*step) {
                        first.get_or_insert(error.source.kind());
                        // The next time it goes well, or there is nothing left to be done; a sync that
                        // failed stays so.
                        drop(world.step(*step));
                    }
                }
                assert!(first.is_none_or(|first| first == kind));
                world.disk.fail(Fault::Once(u64::MAX, kind));
                // What the process believes, and then what the next one finds.
                let present = [A, B].map(|output| world.present(output));
                let world = world.restart(End::Kill, None);
                let again = [A, B].map(|output| world.present(output));
                for (before, after) in present.iter().zip(&again) {
                    assert!(
                        before.is_subset(after),
                        "operation {nth}, {kind}: {before:?} {after:?}"
                    );
                }
            }
        }
    }
}

fn run(disk: Simulated) -> World {
    let mut world = World::new(disk);
    for step in SCRIPT {
        world.step(*step).unwrap();
    }
    world
}

/// Runs the script up to this operation, where the process ends.
fn run_until(disk: Simulated, nth: u64) -> World {
    let mut world = World::new(disk);
    world.disk.fail(Fault::Killed(world.disk.operations() + nth));
    for step in SCRIPT {
        if world.step(*step).is_err() {
            break;
        }
    }
    world
}

const ENDS: [End; 6] = [
    End::Kill,
    End::PowerCut(1),
    End::PowerCut(2),
    End::PowerCut(3),
    End::PowerCut(4),
    End::PowerCut(5),
];

#[test]
fn a_process_ends_at_any_operation_and_the_next_finds_what_is_certain() {
    for disk in DISKS {
        for nth in 0..operations(disk(), run) {
            for end in ENDS {
                let world = run_until(disk(), nth).restart(end, None);
                let once = [A, B].map(|output| world.present(output));
                // Again, and nothing changes.
                let world = world.restart(End::Kill, None);
                assert_eq!([A, B].map(|output| world.present(output)), once, "{nth} {end:?}");
                // All of it is synced; at most, what was settled is back.
                let world = world.restart(End::PowerCut(nth), None);
                for (output, once) in [A, B].into_iter().zip(once) {
                    assert!(once.is_subset(&world.present(output)), "{nth} {end:?}");
                }
            }
        }
    }
}

#[test]
fn a_start_is_cut_off_at_any_operation_and_the_next_ends_as_well() {
    // A start over a full buffer takes about as many operations as filling it did.
    let all = operations(Simulated::new(), run);
    for nth in (0..all).step_by(7) {
        for killed_at in 0..all {
            for end in [End::Kill, End::PowerCut(killed_at)] {
                run_until(Simulated::new(), nth).restart(end, Some(killed_at));
            }
        }
    }
}

/// When all is settled, numbers begin anew; a name that a power cut brings back must not be taken for a link of the
/// new chunk's.
#[test]
fn a_number_is_used_again_only_when_its_last_use_is_over() {
    for seed in 0..50 {
        let mut world = World::new(Simulated::new());
        let settled = [Step::Open(&[A]), Step::Append, Step::Seal, Step::Sync, Step::Settle(A)];
        for step in settled {
            world.step(step).unwrap();
        }
        let mut world = world.restart(End::Kill, None);
        for step in [Step::Open(&[A]), Step::Append, Step::Sync] {
            world.step(step).unwrap();
        }
        world.restart(End::PowerCut(seed), None);
    }
}

/// `TAILWATER_SEEDS=1000` tries as many lives.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("TAILWATER_SEEDS").ok();
    0..count.map_or(60, |count| count.parse().unwrap())
}

#[test]
fn a_long_life_with_all_that_can_happen() {
    for seed in seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = if seed % 4 == 0 { Simulated::without_links() } else { Simulated::new() };
        let mut world = World::new(disk);
        for life in 0..12 {
            let until = world.disk.operations() + random.u64(..150);
            let fault = match random.u32(..3) {
                0 => Fault::Once(until, ErrorKind::StorageFull),
                1 => Fault::Once(until, ErrorKind::Other),
                _ => Fault::Killed(until),
            };
            world.disk.fail(fault);
            for _ in 0..random.u32(..80) {
                let steps = [
                    Step::Open([&[A][..], &[B], &[A, B]][random.usize(..3)]),
                    Step::Sync,
                    Step::Seal,
                    Step::Settle(random.usize(..2)),
                    Step::Spill([&[A][..], &[B], &[A, B]][random.usize(..3)]),
                    Step::Reject,
                    Step::DropOldest(random.usize(..2)),
                ];
                let step = if random.bool() { Step::Append } else { steps[random.usize(..7)] };
                if world.step(step).is_err() && matches!(fault, Fault::Killed(_)) {
                    break;
                }
            }
            let end = if random.bool() { End::Kill } else { End::PowerCut(random.u64(..)) };
            let killed_at = random.bool().then(|| random.u64(..60));
            let told = std::panic::AssertUnwindSafe(|| world.restart(end, killed_at));
            world = match std::panic::catch_unwind(told) {
                Ok(world) => world,
                Err(cause) => {
                    println!("seed {seed}, life {life}, {fault:?}, {end:?}, {killed_at:?}");
                    std::panic::resume_unwind(cause)
                }
            };
        }
    }
}

#[test]
fn what_settles_before_its_sync_is_due_is_never_synced() {
    let mut world = World::new(Simulated::new());
    let before = world.disk.syncs();
    for _ in 0..10 {
        for step in
            [Step::Open(&[A, B]), Step::Append, Step::Seal, Step::Settle(A), Step::Settle(B)]
        {
            world.step(step).unwrap();
        }
    }
    assert_eq!(world.disk.syncs(), before);
    assert_eq!(world.disk.paths(), [Path::new(ROOT).join("tailwater.lock")]);
}

#[test]
fn two_agents_do_not_share_a_buffer() {
    let disk = Simulated::new();
    let _held = open(&disk, Checksum::Crc32c).unwrap();
    let error = open(&disk, Checksum::Crc32c).unwrap_err().to_string();
    assert!(error.starts_with("cannot lock `buffer/tailwater.lock`: "), "{error}");
    assert!(
        error.ends_with("; another agent uses this `storage.path`: give each its own"),
        "{error}"
    );
}

/// A sealed chunk for `a` of records 0 and 1, and one behind it of record 2.
fn two_chunks(checksum: Checksum) -> (Simulated, std::path::PathBuf) {
    let disk = Simulated::new();
    let (shelf, _) = open(&disk, checksum).unwrap();
    for (number, records) in [(0, 0..2), (1, 2..3)] {
        let mut chunk = shelf.open_chunk(number, World::outputs(&[A]), NOW).unwrap();
        for n in records {
            shelf.append(&mut chunk, &frame(n), 1).unwrap();
        }
        shelf.seal(&mut chunk).unwrap();
    }
    let path = Path::new(ROOT).join("out/a/00000000000000000000.chunk");
    (disk, path)
}

/// Starts over a chunk that was changed, and reads all there is.
fn read_changed(bytes: &[u8], checksum: Checksum, end: End) -> (Vec<u64>, bool) {
    let (disk, path) = two_chunks(checksum);
    if end != End::Kill {
        disk.after_power_cut(0);
        // Synced, so that nothing else is missing.
        disk.put(&Path::new(ROOT).join("out/a/00000000000000000001.chunk"), &{
            let (disk, _) = two_chunks(checksum);
            disk.bytes(&Path::new(ROOT).join("out/a/00000000000000000001.chunk")).unwrap()
        });
    }
    disk.put(&path, bytes);
    let (shelf, found) = open(&disk, checksum).unwrap();
    let mut all = Vec::new();
    let mut is_damaged = found.corrupt > 0;
    for stored in &found.backlog[&names()[A]] {
        let loaded = shelf.load(&folder(A), stored.number).unwrap().unwrap();
        is_damaged |= loaded.damage.is_some();
        all.extend(Frames::new(&loaded.frames).map(|frame| frame.header.from / 10));
        if checksum == Checksum::Crc32c {
            numbers(&loaded.frames);
        }
    }
    let aside = disk.paths().iter().any(|path| path.starts_with("buffer/corrupt"));
    assert_eq!(aside, is_damaged);
    (all, is_damaged)
}

#[test]
fn every_flipped_bit_is_seen_and_the_rest_goes_on() {
    for checksum in [Checksum::Crc32c, Checksum::None] {
        let (disk, path) = two_chunks(checksum);
        let whole = disk.bytes(&path).unwrap();
        assert_eq!(read_changed(&whole, checksum, End::Kill), (vec![0, 1, 2], false));
        assert_eq!(read_changed(&whole, checksum, End::PowerCut(0)), (vec![0, 1, 2], false));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for end in [End::Kill, End::PowerCut(0)] {
                let (all, is_damaged) = read_changed(&bytes, checksum, end);
                assert_eq!(all.last(), Some(&2), "bit {bit}");
                if checksum == Checksum::Crc32c && end == End::Kill {
                    assert!(
                        is_damaged && [&[2][..], &[0, 2]].contains(&&*all),
                        "bit {bit}: {all:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_what_is_whole() {
    let (disk, path) = two_chunks(Checksum::Crc32c);
    let whole = disk.bytes(&path).unwrap();
    let entry = whole.len() - 8 - frame(1).len();
    for cut in 0..whole.len() {
        let (all, is_damaged) = read_changed(&whole[..cut], Checksum::Crc32c, End::PowerCut(0));
        let expected: &[u64] = if cut < entry { &[2] } else { &[0, 2] };
        assert_eq!((&*all, is_damaged), (expected, false), "cut at {cut}");
        // Nothing cuts a sealed chunk while the machine is up.
        let (all, is_damaged) = read_changed(&whole[..cut], Checksum::Crc32c, End::Kill);
        assert_eq!((&*all, is_damaged), (expected, cut != entry), "cut at {cut}");
        let mut zeros = whole[..cut].to_vec();
        zeros.resize(whole.len(), 0);
        let (all, _) = read_changed(&zeros, Checksum::Crc32c, End::PowerCut(0));
        assert_eq!(&*all, expected, "zeros from {cut}");
    }
}

#[test]
fn folders_without_an_output_are_kept_and_told() {
    let (disk, _) = two_chunks(Checksum::Crc32c);
    let other = [OutputName::from_alias("c")];
    let (shelf, found) =
        Shelf::open(Arc::new(disk.clone()), &options(Checksum::Crc32c), &other).unwrap();
    assert_eq!(found.unclaimed.keys().map(OutputName::as_str).collect::<Vec<_>>(), ["a"]);
    let size = found.unclaimed[&names()[A]];
    assert_eq!((size.chunks, size.records), (2, 3));
    assert_eq!(found.backlog, BTreeMap::from([(other[0].clone(), Vec::new())]));
    assert!(found.survivors.is_empty());
    drop(shelf);
    // It comes back, and so do its records.
    let (_, found) = open(&disk, Checksum::Crc32c).unwrap();
    assert_eq!(found.backlog[&names()[A]].len(), 2);
}

/// A chunk file of version 1 as `tests/fixtures/chunk-v1/` keeps it.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chunk-v1");
    std::fs::read(folder.join(name)).unwrap()
}

/// Files on users' disks look like this: what is written may never change, and what was is read for ever.
#[test]
fn the_bytes_of_a_chunk_are_frozen() {
    let disk = Simulated::new();
    for (checksum, name) in
        [(Checksum::Crc32c, "delivery.chunk"), (Checksum::None, "without_checksums.chunk")]
    {
        let disk = Simulated::new();
        let (shelf, _) = open(&disk, checksum).unwrap();
        let frames = [frame(3), frame(4)].concat();
        shelf.spill(5, World::outputs(&[A, B]), NOW, Frames::new(&frames)).unwrap();
        let path = Path::new(ROOT).join("out/b/00000000000000000005.chunk");
        assert_eq!(disk.bytes(&path).unwrap(), fixture(name), "{name}");
        let loaded = shelf.load(&folder(A), 5).unwrap().unwrap();
        assert_eq!((loaded.frames, loaded.count), (frames, 2));
    }
    let (shelf, _) = open(&disk, Checksum::Crc32c).unwrap();
    let refused = Refused { reason: "mapping", frame: &frame(6), count: 1 };
    shelf.reject(7, &names()[A], NOW, &[refused, refused]).unwrap();
    let path = Path::new(ROOT).join("rejected/00000000000000000007.chunk");
    assert_eq!(disk.bytes(&path).unwrap(), fixture("dead_letter.chunk"));
}

//! Wires the stages, and runs the one thread that touches records.

mod agent;
mod build;
mod filter_slot;
mod lags;
mod ledger;
mod output_folder;
mod plugins;
mod reload;
mod router;
#[cfg(test)]
mod simulation;
mod spool;
mod storage;
mod walk;

pub use agent::{Agent, RunError};
pub use build::{Plan, StartError};
pub use plugins::{CATALOG, OpenError};
pub use reload::{Reread, Watch, run};

use crate::buffer::Settled;
use crate::clock;
use crate::input::{Input, Turn};
use crate::mailbox::Receiver;
use router::Router;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::warn;

/// Without anything else to wait for, the thread looks around this often.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What the rest of the agent tells the pipeline.
#[derive(Debug)]
pub(crate) enum Control {
    /// Say that it still comes round: between two steps, never within one.
    Beat(oneshot::Sender<()>),
    /// Stop reading, deliver what was read within this time, then end.
    Stop(Duration),
    /// End at once: nothing that was read can be delivered any more.
    End,
}

/// The pipeline: inputs take turns, the router takes what they read.
#[derive(Debug)]
pub(crate) struct Pipeline {
    inputs: Vec<InputSlot>,
    router: Router,
    settled: Receiver<Settled>,
    /// Numbers of chunks that are synced.
    synced: Receiver<u64>,
    control: Receiver<Control>,
    phase: Phase,
}

/// An input with its state.
pub(crate) struct InputSlot {
    name: String,
    input: Box<dyn Input>,
    turn: Turn,
    /// Whether it holds all that it may of the buffer, as of its last turn.
    full: bool,
}

impl fmt::Debug for InputSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputSlot").field("name", &self.name).finish_non_exhaustive()
    }
}

impl InputSlot {
    /// An input that wants its first turn.
    pub(crate) fn new(name: String, input: Box<dyn Input>) -> Self {
        Self { name, input, turn: Turn::More, full: false }
    }

    /// Whether the input wants a turn now, and may have it.
    fn is_ready(&self, now: Instant) -> bool {
        match self.turn {
            Turn::More => !self.full,
            Turn::Wait(until) => until <= now,
            Turn::Done => false,
        }
    }

    /// The next moment at which it wants a turn without any event.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        match self.turn {
            Turn::More => (!self.full).then_some(now),
            Turn::Wait(until) => Some(until),
            Turn::Done => None,
        }
    }
}

/// How far the end has come.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Inputs are read.
    Reading,
    /// Every input came to its end: what was read is delivered, however long that takes.
    Draining,
    /// Asked to stop: what was read is delivered until this moment.
    Stopping(Instant),
}

impl Pipeline {
    /// A pipeline that has not read anything yet.
    fn new(
        inputs: Vec<InputSlot>,
        router: Router,
        settled: Receiver<Settled>,
        synced: Receiver<u64>,
        control: Receiver<Control>,
    ) -> Self {
        Self { inputs, router, settled, synced, control, phase: Phase::Reading }
    }

    /// Runs until every input is at its end and all is delivered, or until it is told to stop. Dropping
    /// the inputs then commits their positions. How many chunks in memory are not delivered.
    pub(crate) fn run(mut self) -> usize {
        while self.step(clock::instant()).is_continue() {
            let now = clock::instant();
            self.wait(now, self.wake_at(now).saturating_duration_since(now));
        }
        let (in_memory, _) = self.router.left();
        in_memory
    }

    /// Does all that there is to do now, without waiting; whether that was the end.
    fn step(&mut self, now: Instant) -> ControlFlow<()> {
        for settled in self.settled.drain() {
            self.router.settle(&settled);
        }
        for synced in self.synced.drain() {
            self.router.synced(synced);
        }
        for control in self.control.drain() {
            match control {
                Control::Beat(answer) => {
                    let _nobody_waits = answer.send(());
                }
                Control::Stop(grace) => self.phase = Phase::Stopping(now + grace),
                Control::End => return ControlFlow::Break(()),
            }
        }
        if let Phase::Reading = self.phase {
            self.take_turns(now);
            if self.inputs.iter().all(|slot| slot.turn == Turn::Done) {
                self.phase = Phase::Draining;
            }
        }
        match self.phase {
            Phase::Reading => self.router.seal_due(now),
            Phase::Draining | Phase::Stopping(_) => self.router.seal_all(),
        }
        self.router.relieve();
        self.router.sync_due(now);
        self.tell_safe();
        if !self.is_over(now) {
            return ControlFlow::Continue(());
        }
        // What is not delivered stays on the disk, if that is where it lies.
        self.router.sync_all();
        self.tell_safe();
        ControlFlow::Break(())
    }

    /// Lets every input read that wants to and may.
    fn take_turns(&mut self, now: Instant) {
        for (index, slot) in self.inputs.iter_mut().enumerate() {
            let full = self.router.is_full(index);
            if slot.full && !full && slot.turn != Turn::Done {
                slot.turn = Turn::More;
            }
            slot.full = full;
            if slot.is_ready(now) {
                slot.turn = slot.input.turn(now, &mut self.router.port(index));
                slot.full = self.router.is_full(index);
            }
        }
    }

    /// Tells the inputs which positions became safe.
    fn tell_safe(&mut self) {
        for (source, to) in self.router.take_safe() {
            if let Some(slot) = self.inputs.get_mut(source.input as usize) {
                slot.input.safe(source, to);
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Draining => self.router.is_settled(),
            Phase::Stopping(_) if self.router.is_settled() => true,
            Phase::Stopping(deadline) if deadline <= now => {
                let (in_memory, on_disk) = self.router.left();
                warn!(
                    in_memory,
                    on_disk,
                    "`Grace` is over with chunks left: those on disk are sent after the next start, those in memory \
                     are read again, as far as their input keeps a position"
                );
                true
            }
            Phase::Reading | Phase::Stopping(_) => false,
        }
    }

    /// Sleeps until something settled, an input has something to read, or this time is up.
    fn wait(&mut self, now: Instant, timeout: Duration) {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.settled.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.synced.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
        ];
        let fixed = fds.len();
        let mut polled = Vec::with_capacity(self.inputs.len());
        if let Phase::Reading = self.phase {
            for (index, slot) in self.inputs.iter().enumerate() {
                let full = self.router.is_full(index);
                if let (Turn::Wait(_) | Turn::More, Some(fd)) =
                    (slot.turn, slot.input.wake_on(full))
                {
                    fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                    polled.push(index);
                }
            }
        }
        // A signal ends the wait early, which the loop takes for one more look around.
        let _interrupted = poll(&mut fds, Timespec::try_from(timeout).ok().as_ref());
        let woken = fds.iter().skip(fixed).map(|fd| !fd.revents().is_empty());
        let woken: Vec<usize> =
            woken.zip(polled).filter_map(|(woken, index)| woken.then_some(index)).collect();
        for index in woken {
            if let Some(slot) = self.inputs.get_mut(index) {
                slot.turn = Turn::Wait(now);
            }
        }
    }

    /// The next moment at which there is something to do without any event.
    fn wake_at(&self, now: Instant) -> Instant {
        let mut at = now + WAIT_MAX;
        match self.phase {
            Phase::Reading => {
                let inputs = self.inputs.iter().filter_map(|slot| slot.wake_at(now));
                at = inputs.fold(at, Instant::min);
            }
            Phase::Draining => {}
            Phase::Stopping(deadline) => at = at.min(deadline),
        }
        self.router.next_due().map_or(at, |due| at.min(due))
    }
}

#[cfg(test)]
mod tests {
    use super::router::{Deliver, Outlet, Share};
    use super::*;
    use crate::buffer::{Parcel, Settler};
    use crate::input::Intake;
    use crate::mailbox::{self, Sender};
    use crate::metrics::Registry;
    use crate::record::{Batch, Field, Fields, Match, Record, Source, SourceId, Tag, Value};
    use bumpalo::Bump;
    use std::os::fd::BorrowedFd;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::sync::{Arc, Mutex};
    use std::thread::{self, JoinHandle};
    use std::time::SystemTime;

    const HOUR: Duration = Duration::from_hours(1);

    /// Shorter than [`WAIT_MAX`], so that a wake-up which is missed is noticed.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Reads one record a turn.
    struct Lines {
        left: u64,
        at: u64,
        /// What it says when there are none left.
        last: Turn,
        seen: Arc<Seen>,
        bell: Receiver<()>,
    }

    /// What a test sees of it.
    #[derive(Default)]
    struct Seen {
        turns: AtomicUsize,
        safe: Mutex<Vec<u64>>,
    }

    impl Input for Lines {
        fn turn(&mut self, _now: Instant, intake: &mut dyn Intake) -> Turn {
            self.seen.turns.fetch_add(1, Ordering::SeqCst);
            self.bell.drain().for_each(drop);
            if self.left == 0 {
                return self.last;
            }
            if intake.is_full() {
                return Turn::More;
            }
            let bump = Bump::new();
            let source =
                Source { id: SourceId { input: 0, number: 0 }, key: [1; 16], first_seen: 5 };
            let mut batch = Batch::new(&bump, Tag::new("t"), source, self.at);
            let (from, to) = (self.at, self.at + 1);
            let mut fields = Fields::new_in(&bump);
            fields.push(Field::new("log", Value::Str("line")));
            batch.to = to;
            batch.records.push(Record { time: 9, own_time: true, from, to, ordinal: 0, fields });
            intake.take(batch);
            self.at = to;
            self.left -= 1;
            Turn::More
        }

        fn safe(&mut self, _source: SourceId, to: u64) {
            self.seen.safe.lock().unwrap().push(to);
        }

        fn wake_on(&self, _full: bool) -> Option<BorrowedFd<'_>> {
            Some(self.bell.as_fd())
        }
    }

    /// A running pipeline of one input and one output.
    struct Rig {
        chunks: mpsc::Receiver<Parcel>,
        settler: Settler,
        control: Sender<Control>,
        bell: Sender<()>,
        seen: Arc<Seen>,
        thread: JoinHandle<usize>,
    }

    impl Rig {
        /// `lines` to read, then `last`; `limit` of the buffer; `flush`.
        fn start(lines: u64, last: Turn, limit: usize, flush: Duration) -> Self {
            let (bell, receiver) = mailbox::channel().unwrap();
            let seen = Arc::<Seen>::default();
            let input = Lines { left: lines, at: 0, last, seen: Arc::clone(&seen), bell: receiver };
            let (sender, chunks) = mpsc::channel();
            // The end of a test may come before the pipeline's.
            let deliver: Deliver = Box::new(move |chunk| drop(sender.send(chunk)));
            let outlet = Outlet { matches: Some(Match::Wildcard("*".to_owned())), deliver };
            let metrics = Registry::new(SystemTime::UNIX_EPOCH).input("lines.0", "lines");
            let router =
                Router::new(Vec::new(), vec![outlet], vec![Share::new(limit, metrics)], flush);
            let (settled_sender, settled) = mailbox::channel().unwrap();
            let (control, control_receiver) = mailbox::channel().unwrap();
            let slots = vec![InputSlot::new("lines.0".to_owned(), Box::new(input))];
            let (_synced_sender, synced) = mailbox::channel().unwrap();
            let pipeline = Pipeline::new(slots, router, settled, synced, control_receiver);
            let thread = thread::spawn(move || pipeline.run());
            let settler = Settler::new(0, settled_sender);
            Self { chunks, settler, control, bell, seen, thread }
        }

        fn chunk(&self) -> Parcel {
            self.chunks.recv_timeout(PATIENCE).unwrap()
        }

        fn turns(&self) -> usize {
            self.seen.turns.load(Ordering::SeqCst)
        }

        /// Waits for the pipeline's end; where its source was safe then.
        fn end(self) -> Option<u64> {
            // The end drops what sends chunks.
            let end = self.chunks.recv_timeout(PATIENCE).map(|chunk| chunk.number);
            assert_eq!(end, Err(RecvTimeoutError::Disconnected));
            self.thread.join().unwrap();
            let safe = self.seen.safe.lock().unwrap();
            assert!(safe.is_sorted());
            safe.last().copied()
        }
    }

    #[test]
    fn a_paused_input_goes_on_as_soon_as_there_is_room_and_its_end_is_the_end() {
        const LINES: u64 = 50;
        // Each line fills the buffer.
        let rig = Rig::start(LINES, Turn::Done, 1, HOUR);
        for line in 0..LINES {
            let chunk = rig.chunk();
            assert_eq!(chunk.number, line);
            assert!(rig.chunks.try_recv().is_err(), "read on while the buffer was full");
            rig.settler.settle(chunk.number);
        }
        let seen = Arc::clone(&rig.seen);
        assert_eq!(rig.end(), Some(LINES));
        // One a line and one for the end: a paused input is not asked again and again.
        assert_eq!(seen.turns.load(Ordering::SeqCst) as u64, LINES + 1);
    }

    #[test]
    fn a_paused_input_still_hears_its_bell() {
        let rig = Rig::start(2, Turn::Done, 1, HOUR);
        let chunk = rig.chunk();
        for turn in 2..10 {
            rig.bell.send(());
            let began = Instant::now();
            while rig.turns() < turn {
                assert!(began.elapsed() < PATIENCE, "the bell was not heard");
                thread::yield_now();
            }
        }
        assert!(rig.chunks.try_recv().is_err());
        rig.settler.settle(chunk.number);
        rig.settler.settle(rig.chunk().number);
        assert_eq!(rig.end(), Some(2));
    }

    #[test]
    fn what_waits_for_flush_is_sent_when_its_time_is_over() {
        let waiting = Turn::Wait(Instant::now() + HOUR);
        let rig = Rig::start(3, waiting, 1 << 20, Duration::from_millis(50));
        let mut lines = 0;
        while lines < 3 {
            let chunk = rig.chunk();
            lines += chunk.count;
            rig.settler.settle(chunk.number);
        }
        rig.control.send(Control::Stop(HOUR));
        assert_eq!(rig.end(), Some(3));
    }

    #[test]
    fn a_stop_sends_what_was_read_and_ends_when_that_is_settled() {
        let rig = Rig::start(3, Turn::Wait(Instant::now() + HOUR), 1 << 20, HOUR);
        let began = Instant::now();
        while rig.turns() < 4 {
            assert!(began.elapsed() < PATIENCE, "the input has no turns");
            thread::yield_now();
        }
        assert!(rig.chunks.try_recv().is_err());
        rig.control.send(Control::Stop(HOUR));
        let chunk = rig.chunk();
        assert_eq!(chunk.count, 3);
        rig.settler.settle(chunk.number);
        assert_eq!(rig.end(), Some(3));
    }

    /// An output that never settles holds up the end for `grace` and no longer, in any state.
    fn check_grace(last: Turn, grace: Duration) {
        let rig = Rig::start(1, last, 1, HOUR);
        let chunk = rig.chunk();
        let began = Instant::now();
        rig.control.send(Control::Stop(grace));
        assert_eq!(rig.end(), None);
        let time = began.elapsed();
        assert!((grace..PATIENCE).contains(&time), "took {time:?}");
        drop(chunk);
    }

    #[test]
    fn an_output_that_is_away_holds_up_the_end_for_grace_only() {
        for last in [Turn::Done, Turn::More, Turn::Wait(Instant::now())] {
            check_grace(last, Duration::ZERO);
            check_grace(last, Duration::from_millis(50));
        }
    }
}

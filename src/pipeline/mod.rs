//! Wires the stages, and runs the one thread that touches records.

mod agent;
mod build;
mod filter_slot;
mod ledger;
mod plugins;
mod router;

pub use agent::{Agent, RunError};
pub use build::{Plan, StartError};
pub use plugins::{CATALOG, OpenError};

use crate::buffer::Settled;
use crate::input::{Input, Turn};
use crate::mailbox::Receiver;
use router::Router;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use tracing::warn;

/// Without anything else to wait for, the thread looks around this often.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What the rest of the agent tells the pipeline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    /// Stop reading, deliver what was read within this time, then end.
    Stop(Duration),
}

/// The pipeline: inputs take turns, the router takes what they read.
#[derive(Debug)]
pub(crate) struct Pipeline {
    inputs: Vec<InputSlot>,
    router: Router,
    settled: Receiver<Settled>,
    control: Receiver<Control>,
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
        control: Receiver<Control>,
    ) -> Self {
        Self { inputs, router, settled, control }
    }

    /// Runs until every input is at its end and all is delivered, or until it is told to stop. Dropping
    /// the inputs then commits their positions.
    pub(crate) fn run(mut self) {
        let mut phase = Phase::Reading;
        loop {
            let now = Instant::now();
            for settled in self.settled.drain() {
                self.router.settle(&settled);
            }
            for Control::Stop(grace) in self.control.drain() {
                phase = Phase::Stopping(now + grace);
            }
            if let Phase::Reading = phase {
                self.take_turns(now);
                if self.inputs.iter().all(|slot| slot.turn == Turn::Done) {
                    phase = Phase::Draining;
                }
            }
            match phase {
                Phase::Reading => self.router.seal_due(now),
                Phase::Draining | Phase::Stopping(_) => self.router.seal_all(),
            }
            self.tell_safe();
            if self.is_over(phase, now) {
                return;
            }
            self.wait(phase);
        }
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

    fn is_over(&self, phase: Phase, now: Instant) -> bool {
        match phase {
            Phase::Draining => self.router.is_settled(),
            Phase::Stopping(_) if self.router.is_settled() => true,
            Phase::Stopping(deadline) if deadline <= now => {
                warn!(
                    "`Grace` is over; what is not delivered will be read again from its position"
                );
                true
            }
            Phase::Reading | Phase::Stopping(_) => false,
        }
    }

    /// Sleeps until something settled, an input has something to read, or a time is up.
    fn wait(&mut self, phase: Phase) {
        let now = Instant::now();
        let timeout = self.wake_at(phase, now).saturating_duration_since(now);
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.settled.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
        ];
        let fixed = fds.len();
        let mut polled = Vec::with_capacity(self.inputs.len());
        if let Phase::Reading = phase {
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
    fn wake_at(&self, phase: Phase, now: Instant) -> Instant {
        let mut at = now + WAIT_MAX;
        match phase {
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

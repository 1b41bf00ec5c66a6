//! What a seed decides before anything happens: how the agent is set up, and how often what goes wrong.
//!
//! Each kind of trouble is left out of a third of the seeds, and its weight differs in the others: what hides behind
//! much trouble of one kind is seen where there is little of it (swarm testing).

use fastrand::Rng;
use std::time::Duration;

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Append,
    AppendPart,
    AppendLate,
    Rotate,
    Truncate,
    Remove,
    Pass,
    PassLong,
    Mood,
    FailOnce,
    FillDisk,
    EmptyDisk,
    Kill,
    CutPower,
    Stop,
}

/// Chances of what one request meets, of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chances {
    pub refuse: u32,
    pub busy: u32,
    pub fail: u32,
    pub reset: u32,
    pub lose: u32,
    pub cut: u32,
    pub silence: u32,
    /// Of each record.
    pub item_busy: u32,
}

/// How one seed's world is.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub(super) struct Weather {
    pub outputs: usize,
    /// `storage.type filesystem`.
    pub on_disk: bool,
    /// `storage.path`.
    pub has_storage: bool,
    pub keeps_rejected: bool,
    pub concurrency: usize,
    pub retry_limit: Option<u32>,
    /// `storage.total_limit_size` of the last output.
    pub disk_bytes_max: Option<u64>,
    pub mem_buf_limit: usize,
    pub spill_bytes_max: Option<u64>,
    pub sync_wait: Duration,
    pub chunks_up_max: usize,
    pub keeps_reserve: bool,
    pub waits_for_backlog: bool,
    pub has_links: bool,
    pub has_checksum: bool,
    pub has_types: bool,
    pub keepalive: bool,
    pub flush: Duration,
    pub backoff_cap: Duration,
    pub inotify: bool,
    /// Whether `Path` finds a rotated file by its new name.
    pub finds_rotated: bool,
    pub refresh: u64,
    pub rotate_wait: u64,
    /// Of a hundred turns, so many find the database's work done.
    pub clerk_pace: u8,
    pub chances: Chances,
    /// Bytes of a body beyond which a store says 413.
    pub body_max: Option<usize>,
    /// Of a thousand lines, so many are refused by a store.
    pub refused_lines: u32,
    pub unreadable_lines: u32,
    pub actions: Vec<(Action, u32)>,
    pub steps: usize,
}

impl Weather {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        use Action as A;
        let has_storage = rng.u8(..4) > 0;
        let on_disk = has_storage && rng.u8(..3) > 0;
        let actions = [
            (A::AppendPart, 6),
            (A::AppendLate, 4),
            (A::Rotate, 5),
            (A::Truncate, 3),
            (A::Remove, 2),
            (A::PassLong, 5),
            (A::Mood, 8),
            (A::FailOnce, 6),
            (A::FillDisk, 3),
            (A::Kill, 6),
            (A::CutPower, 4),
            (A::Stop, 3),
        ];
        let mut actions: Vec<_> =
            actions.into_iter().map(|(action, usual)| (action, seldom(rng, usual))).collect();
        if !has_storage {
            actions.retain(|(action, _)| !matches!(action, A::FailOnce | A::FillDisk));
        }
        let cuts_power =
            actions.iter().any(|(action, weight)| *action == A::CutPower && *weight > 0);
        actions.extend([(A::Append, 20), (A::Pass, 20), (A::EmptyDisk, 6)]);
        Self {
            outputs: 1 + rng.usize(..2),
            on_disk,
            has_storage,
            keeps_rejected: has_storage && rng.bool(),
            concurrency: 1 + rng.usize(..2),
            retry_limit: (rng.u8(..6) == 0).then(|| rng.u32(..4)),
            disk_bytes_max: (has_storage && rng.u8(..6) == 0).then(|| rng.u64(500..8_000)),
            mem_buf_limit: 1 << rng.u32(10..18),
            spill_bytes_max: rng.bool().then(|| rng.u64(1_000..100_000)),
            sync_wait: if rng.bool() { Duration::from_secs(1) } else { Duration::ZERO },
            chunks_up_max: rng.usize(..5),
            keeps_reserve: rng.bool(),
            waits_for_backlog: rng.bool(),
            has_links: rng.u8(..5) > 0,
            // Without one nobody can tell what a power cut took.
            has_checksum: cuts_power || rng.bool(),
            has_types: rng.bool(),
            keepalive: rng.u8(..4) > 0,
            flush: Duration::from_millis(rng.u64(100..3_000)),
            backoff_cap: Duration::from_secs(rng.u64(1..8)),
            inotify: rng.u8(..8) == 0,
            finds_rotated: rng.bool(),
            refresh: rng.u64(1..10),
            rotate_wait: rng.u64(1..6),
            clerk_pace: rng.u8(20..=100),
            chances: Chances {
                refuse: seldom(rng, 50),
                busy: seldom(rng, 100),
                fail: seldom(rng, 100),
                reset: seldom(rng, 100),
                lose: seldom(rng, 100),
                cut: seldom(rng, 100),
                silence: seldom(rng, 10),
                item_busy: seldom(rng, 100),
            },
            body_max: (rng.u8(..4) == 0).then(|| rng.usize(800..4_000)),
            refused_lines: seldom(rng, 100),
            unreadable_lines: seldom(rng, 50),
            actions,
            steps: rng.usize(20..90),
        }
    }

    /// What happens next.
    pub(super) fn next(&self, rng: &mut Rng) -> Action {
        let total: u32 = self.actions.iter().map(|(_, weight)| weight).sum();
        let mut at = rng.u32(..total);
        for (action, weight) in &self.actions {
            match at.checked_sub(*weight) {
                None => return *action,
                Some(rest) => at = rest,
            }
        }
        Action::Pass
    }

    /// Whether something of this kind happens at all.
    pub(super) fn has(&self, wanted: Action) -> bool {
        self.actions.iter().any(|(action, weight)| *action == wanted && *weight > 0)
    }

    /// Whether the disk takes everything that it is given.
    pub(super) fn disk_is_well(&self) -> bool {
        !self.has(Action::FailOnce) && !self.has(Action::FillDisk)
    }
}

/// Up to `usual`; zero in a third of all cases.
fn seldom(rng: &mut Rng, usual: u32) -> u32 {
    if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=usual) }
}

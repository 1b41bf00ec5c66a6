//! What goes wrong at a store, drawn by seed so that a failure can be had again.

use std::sync::Mutex;
use std::time::Duration;

/// How often each thing goes wrong, as a share of requests (`0.05` = one in twenty).
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The same seed gives the same draws.
    pub seed: u64,
    /// Stored, then the connection ends without an answer.
    pub lost_answers: f64,
    /// 429 for the whole request, nothing stored.
    pub too_many: f64,
    /// 429 for items of a request whose others are stored, as a share of all items: they come a third of a request at a
    /// time, since a shard whose queue is full refuses all that is its own.
    pub items_too_many: f64,
    /// 503 for the whole request, nothing stored.
    pub unavailable: f64,
    /// The connection is reset, nothing stored.
    pub resets: f64,
    /// Every answer waits this long.
    pub delay: Duration,
}

impl Faults {
    /// Everything at once: what nothing may be lost or doubled under.
    #[must_use]
    pub fn all(seed: u64) -> Self {
        Self {
            seed,
            lost_answers: 0.05,
            too_many: 0.05,
            items_too_many: 0.01,
            unavailable: 0.05,
            resets: 0.05,
            delay: Duration::ZERO,
        }
    }
}

/// Of a request in which some items are refused, every so-manieth is.
const ITEMS_REFUSED: u8 = 3;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    LoseAnswer,
    None,
    RefuseAll,
    RefuseSome,
    Reset,
    Unavailable,
}

#[derive(Debug)]
pub(crate) struct Dice {
    faults: Mutex<Faults>,
    random: Mutex<fastrand::Rng>,
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(faults.seed));
        Self { faults: Mutex::new(faults), random }
    }

    pub(crate) fn change(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// Draws the fate of one request, after its delay.
    pub(crate) fn roll(&self) -> Fault {
        let faults = *self.faults.lock().unwrap();
        if !faults.delay.is_zero() {
            crate::pause(faults.delay);
        }
        let mut drawn = self.random.lock().unwrap().f64();
        let table = [
            (faults.lost_answers, Fault::LoseAnswer),
            (faults.too_many, Fault::RefuseAll),
            (faults.items_too_many * f64::from(ITEMS_REFUSED), Fault::RefuseSome),
            (faults.unavailable, Fault::Unavailable),
            (faults.resets, Fault::Reset),
        ];
        for (share, fault) in table {
            if drawn < share {
                return fault;
            }
            drawn -= share;
        }
        Fault::None
    }

    /// Whether one item of a request in which some are refused is among them.
    pub(crate) fn refuses_item(&self) -> bool {
        self.random.lock().unwrap().u8(..ITEMS_REFUSED) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_and_a_seed_repeats() {
        let draw = || {
            let dice = Dice::new(Faults::all(7));
            (0..10_000).map(|_| dice.roll()).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        let share = |wanted: Fault| {
            let count = drawn.iter().filter(|fault| **fault == wanted).count();
            (count + 50) / 100
        };
        let kinds = [Fault::LoseAnswer, Fault::RefuseAll, Fault::Unavailable, Fault::Reset];
        assert_eq!(kinds.map(share), [5; 4]);
        assert_eq!(share(Fault::RefuseSome), 3);
    }

    #[test]
    fn items_are_refused_a_third_of_a_request_at_a_time() {
        let dice = Dice::new(Faults::all(7));
        let refused = (0..10_000).filter(|_| dice.refuses_item()).count();
        assert_eq!((refused + 50) / 100, 33);
    }
}

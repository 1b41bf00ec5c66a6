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
    /// 429: half of them for the whole request, half for about every third item of it.
    pub too_many: f64,
    /// 503 for the whole request, nothing stored.
    pub unavailable: f64,
    /// The connection is reset, nothing stored.
    pub resets: f64,
    /// Every answer waits this long.
    pub delay: Duration,
}

impl Faults {
    /// All four kinds at one share.
    #[must_use]
    pub fn all(share: f64, seed: u64) -> Self {
        let delay = Duration::ZERO;
        Self {
            seed,
            lost_answers: share,
            too_many: share,
            unavailable: share,
            resets: share,
            delay,
        }
    }
}

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
            (faults.too_many / 2.0, Fault::RefuseAll),
            (faults.too_many / 2.0, Fault::RefuseSome),
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
        self.random.lock().unwrap().u8(..) < 85
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_and_a_seed_repeats() {
        let draw = || {
            let dice = Dice::new(Faults::all(0.05, 7));
            (0..10_000).map(|_| dice.roll()).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        let faulty = drawn.iter().filter(|fault| **fault != Fault::None).count();
        assert!((1800..2200).contains(&faulty), "{faulty} of 10000 for four kinds at 5 %");
    }
}

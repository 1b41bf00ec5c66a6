//! Positions that may only be written together, since a record has lines in all of their files.

/// Files whose positions wait for one another. Bounded by the records that two files have lines of: a few at each
/// rotation.
#[derive(Debug, Default)]
pub(super) struct Knots(Vec<Vec<Tied>>);

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tied {
    /// The file's number.
    pub number: u64,
    /// Its row.
    pub row: i64,
    /// Its position may not be written before it stands here.
    pub needs: u64,
    /// Where it may stand.
    pub reached: u64,
}

/// What of a position that moved is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Just that.
    Alone,
    /// Nothing yet.
    Nothing,
    /// These, together.
    All(Vec<Tied>),
}

impl Knots {
    /// Ties two files to each other, and to all that they are tied to.
    pub(super) fn tie(&mut self, one: Tied, other: Tied) {
        let is_in = |knot: &mut Vec<Tied>| {
            knot.iter().any(|it| it.number == one.number || it.number == other.number)
        };
        let mut knot: Vec<Tied> = self.0.extract_if(.., is_in).flatten().collect();
        for new in [one, other] {
            if let Some(known) = knot.iter_mut().find(|known| known.number == new.number) {
                known.needs = known.needs.max(new.needs);
                known.reached = known.reached.max(new.reached);
            } else {
                knot.push(new);
            }
        }
        self.0.push(knot);
    }

    /// Whether a file is tied.
    pub(super) fn hold(&self, number: u64) -> bool {
        self.0.iter().flatten().any(|tied| tied.number == number)
    }

    /// A file's position may stand at `to`.
    pub(super) fn reach(&mut self, number: u64, to: u64) -> Due {
        for (index, knot) in self.0.iter_mut().enumerate() {
            let Some(tied) = knot.iter_mut().find(|tied| tied.number == number) else { continue };
            tied.reached = tied.reached.max(to);
            return if knot.iter().all(|tied| tied.reached >= tied.needs) {
                Due::All(self.0.swap_remove(index))
            } else {
                Due::Nothing
            };
        }
        Due::Alone
    }

    /// A file's position does not matter any more.
    pub(super) fn release(&mut self, number: u64) {
        for knot in &mut self.0 {
            knot.retain(|tied| tied.number != number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tied(number: u64, needs: u64, reached: u64) -> Tied {
        Tied { number, row: i64::try_from(number).unwrap() * 10, needs, reached }
    }

    #[test]
    fn positions_wait_for_each_other() {
        let mut knots = Knots::default();
        assert_eq!(knots.reach(1, 5), Due::Alone);
        knots.tie(tied(1, 100, 20), tied(2, 0, 30));
        knots.tie(tied(2, 0, 40), tied(3, 7, 0));
        assert!(knots.hold(1) && knots.hold(3) && !knots.hold(4));
        assert_eq!(knots.reach(3, 9), Due::Nothing);
        assert_eq!(knots.reach(2, 50), Due::Nothing);
        assert_eq!(knots.reach(4, 50), Due::Alone);
        let all = vec![tied(1, 100, 120), tied(2, 0, 50), tied(3, 7, 9)];
        assert_eq!(knots.reach(1, 120), Due::All(all));
        assert_eq!(knots.reach(1, 130), Due::Alone);
        knots.tie(tied(1, 100, 20), tied(2, 0, 30));
        knots.release(1);
        assert_eq!(knots.reach(2, 31), Due::All(vec![tied(2, 0, 31)]));
    }
}

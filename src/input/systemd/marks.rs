//! What of the journal was handed over and is not settled: how far the position may follow.

use super::cursor::Cursor;
use std::collections::VecDeque;

/// Places in the order in which entries were read. The position may come to stand at the last one before the first
/// that is not settled.
///
/// Bounded by the buffer: what is not settled holds bytes there, and settled places behind it fold into one.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

/// The end of a turn, or of a stretch.
#[derive(Debug)]
struct Mark {
    /// The stretch that it lies in: numbers ascend.
    stretch: u64,
    /// Where in it: ascends within a stretch.
    to: u64,
    /// The last entry before it.
    cursor: Cursor,
    is_settled: bool,
}

impl Marks {
    /// Notes where reading stands: behind the entry of `cursor`, which is where the stretch reached `to`.
    pub(super) fn push(&mut self, stretch: u64, to: u64, cursor: Cursor) {
        let is_new = self.0.back().is_none_or(|last| (last.stretch, last.to) < (stretch, to));
        if is_new {
            self.0.push_back(Mark { stretch, to, cursor, is_settled: false });
        }
    }

    /// Everything of the stretch before `to` is settled. Returns where the position may stand now, if that moved it.
    pub(super) fn settle(&mut self, stretch: u64, to: u64) -> Option<Cursor> {
        let behind = self.0.partition_point(|mark| (mark.stretch, mark.to) <= (stretch, to));
        for index in (0..behind).rev() {
            let Some(mark) = self.0.get_mut(index) else { break };
            if mark.stretch != stretch || mark.is_settled {
                break;
            }
            mark.is_settled = true;
        }
        self.fold(behind);
        let mut safe = None;
        while let Some(mark) = self.0.pop_front_if(|mark| mark.is_settled) {
            safe = Some(mark.cursor);
        }
        safe
    }

    /// Drops the settled marks around `behind` that another settled one stands behind.
    fn fold(&mut self, behind: usize) {
        let is_settled = |marks: &VecDeque<Mark>, index: usize| {
            marks.get(index).is_some_and(|mark| mark.is_settled)
        };
        let mut index = behind;
        while index > 0 && is_settled(&self.0, index - 1) {
            index -= 1;
            if is_settled(&self.0, index + 1) {
                self.0.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(number: u64) -> Cursor {
        Cursor::parse(&format!("s=1;i={number:x};b=2;m=3;t=4;x=5")).unwrap()
    }

    fn pushed(places: &[(u64, u64)]) -> Marks {
        let mut marks = Marks::default();
        for (number, (stretch, to)) in (1..).zip(places) {
            marks.push(*stretch, *to, cursor(number));
        }
        marks
    }

    #[test]
    fn the_position_waits_for_the_first_that_is_open() {
        let mut marks = pushed(&[(0, 10), (0, 20), (1, 5), (2, 7)]);
        assert_eq!(marks.settle(1, 5), None);
        assert_eq!(marks.settle(0, 9), None);
        assert_eq!(marks.settle(0, 10), Some(cursor(1)));
        assert_eq!(marks.settle(0, 20), Some(cursor(3)));
        assert_eq!(marks.settle(2, 7), Some(cursor(4)));
        assert!(marks.0.is_empty());
    }

    #[test]
    fn a_later_end_settles_the_earlier_ones() {
        let mut marks = pushed(&[(0, 10), (0, 20), (0, 30)]);
        assert_eq!(marks.settle(0, 25), Some(cursor(2)));
        marks.push(0, 30, cursor(9));
        assert_eq!(marks.settle(0, 30), Some(cursor(3)));
    }

    #[test]
    fn what_is_settled_behind_an_open_one_takes_no_room() {
        let mut marks = pushed(&[(0, 1)]);
        for number in 1..1000 {
            marks.push(number, 1, cursor(number + 1));
            assert_eq!(marks.settle(number, 1), None);
            assert_eq!(marks.0.len(), 2);
        }
        // In any order.
        let mut marks = pushed(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
        for stretch in [1, 3, 2] {
            assert_eq!(marks.settle(stretch, 1), None);
        }
        assert_eq!(marks.0.len(), 2);
        assert_eq!(marks.settle(0, 1), Some(cursor(4)));
    }
}

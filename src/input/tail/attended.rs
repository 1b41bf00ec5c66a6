//! A `tail` for simulations: the work of its database is done when it is told to, on the same thread.

use super::positions::Clerk;
use super::*;

/// A `tail` with who works for it.
pub(crate) struct Attended {
    tail: Tail,
    clerk: Clerk,
}

/// How far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The number of its source: another one once it was found to be cut.
    pub number: u64,
    /// Whether its row is on the disk; then everything before this was handed over, ...
    pub offset: Option<u64>,
    /// ... and everything before this was seen.
    pub seen: u64,
}

impl Attended {
    /// Opens it, as instance 0, without a parser.
    pub(crate) fn open(options: TailOptions, tag: &str, metrics: Arc<InputMetrics>) -> Self {
        let mut clerk = None;
        let begin = |database| {
            let (positions, its_clerk) = Positions::with_clerk(database)?;
            clerk = Some(its_clerk);
            Ok(positions)
        };
        let tail = Tail::open_with(options, tag, None, None, 0, metrics, begin).unwrap();
        Self { tail, clerk: clerk.unwrap() }
    }

    /// Does what the thread of the database would; whether that put everything so far on the disk.
    pub(crate) fn work(&mut self) -> bool {
        let before = self.clerk.registered;
        assert!(self.clerk.work_now().is_continue());
        before < self.clerk.registered
    }

    /// The `tail` itself.
    pub(crate) fn tail(&mut self) -> &mut Tail {
        &mut self.tail
    }

    /// Ends it as the agent does: what is known is written.
    pub(crate) fn end(self) {
        let Self { tail, mut clerk } = self;
        drop(tail);
        assert!(clerk.work_now().is_break());
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(self) {
        drop(self.clerk);
    }

    /// How far it has come with the file of this inode; `None`: it does not follow it.
    pub(crate) fn standing(&self, inode: u64) -> Option<Standing> {
        let (place, number) = self.tail.places.iter().find(|(place, _)| place.inode == inode)?;
        let followed = self.tail.files.get(number)?;
        debug_assert_eq!(followed.place, *place);
        Some(match &followed.stage {
            Stage::Reading(reader) => {
                Standing { number: *number, offset: Some(reader.offset), seen: reader.seen }
            }
            Stage::Empty | Stage::Registering => {
                Standing { number: *number, offset: None, seen: 0 }
            }
        })
    }

    /// Whether everything that is there was read, and every file closed that is gone.
    pub(crate) fn is_idle(&self) -> bool {
        self.tail.files.values().all(|followed| {
            let size = followed.file.len().unwrap();
            followed.leaving.is_none()
                && match &followed.stage {
                    Stage::Empty => size == 0,
                    Stage::Registering => false,
                    Stage::Reading(reader) => size == reader.offset,
                }
        })
    }
}

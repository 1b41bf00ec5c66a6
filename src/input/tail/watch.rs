//! What wakes the input: inotify on folders, and the bell of the positions.
//!
//! A folder's watch tells of every file in it, so that there are as many watches as folders, however many files
//! there are, and an event names what it is about: only that is looked at.

use super::discovery::{Folder, or_here};
use inotify::{Event, EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of events that are read at once: some 200 of a busy file, which are then one.
const EVENT_BYTES: usize = 8 << 10;

/// Reads of events in one turn; what is left wakes the next turn.
const EVENT_READS_MAX: usize = 16;

/// Renamed files that are remembered until they are looked at: more than are rotated between two looks. Beyond it the
/// oldest are forgotten, which does harm only to those that nobody follows yet.
const DEPARTED_MAX: usize = 1_024;

/// What is asked of a folder's watch.
const FOLDER_EVENTS: WatchMask = WatchMask::CREATE
    .union(WatchMask::DELETE)
    .union(WatchMask::MODIFY)
    .union(WatchMask::MOVE)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Numbers of files that changed.
    pub changed: BTreeSet<u64>,
    /// Numbers of files whose names may lead elsewhere now.
    pub moved: BTreeSet<u64>,
    /// Names that came or went.
    pub touched: BTreeSet<PathBuf>,
    /// A folder went away: look which files there are.
    pub scan: bool,
    /// Events were lost: look at everything.
    pub overflow: bool,
    /// Whether anything happened at all.
    pub any: bool,
}

/// Watches folders and files, as far as the system lets us.
pub(super) struct Watcher {
    epoll: OwnedFd,
    /// `None`: `Inotify_Watcher off`, or the system refused.
    inotify: Option<Inotify>,
    watches: Option<Watches>,
    /// Whether events wake the input.
    is_armed: bool,
    /// Whether something is not watched, so that it must be polled.
    is_blind: bool,
    folders: HashMap<WatchDescriptor, Watched>,
    /// Where each followed file lies: under the name that was found for it, and where a link leads to.
    spots: HashMap<u64, Vec<Spot>>,
    /// A file that was just renamed, until it is told where to.
    moving: Option<Moving>,
    /// Files that went from a name that matters, in the order in which they went; at most [`DEPARTED_MAX`].
    departed: Vec<Departed>,
    buffer: Vec<u8>,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    folder: WatchDescriptor,
    name: Arc<OsStr>,
}

/// A file that was renamed. Nobody may have seen it yet: its name is gone before the event is heard.
#[derive(Clone, Debug)]
pub(super) struct Departed {
    /// As what `Path` may have found it, ...
    pub names: Vec<PathBuf>,
    /// ... or the followed file in whose place it lay.
    pub number: Option<u64>,
    /// Where it lies now, as far as events told.
    spot: Spot,
}

/// A file between its two names.
struct Moving {
    /// What tells which they are.
    cookie: u32,
    /// It is followed, or another one that had the name.
    number: Option<u64>,
    departed: Option<Departed>,
}

/// A folder that is watched.
#[derive(Debug, Default)]
struct Watched {
    path: PathBuf,
    /// In which names something may appear, ...
    wanted: Vec<Folder>,
    /// ... and the followed files that lie there.
    files: HashMap<Arc<OsStr>, u64>,
}

impl Watched {
    /// As what `Path` may find what has this name here.
    fn names_of(&self, name: &OsStr) -> Vec<PathBuf> {
        let text = name.to_string_lossy();
        let wanted = self.wanted.iter().filter(|folder| folder.names.matches(&text));
        wanted.map(|folder| folder.link.clone().unwrap_or_else(|| folder.path.join(name))).collect()
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("folders", &self.folders.len()).finish_non_exhaustive()
    }
}

impl Watcher {
    /// A watcher that also wakes for `bell`. Without inotify everything is to be polled.
    pub(super) fn new(bell: BorrowedFd<'_>, wants_inotify: bool) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, bell, EventData::new_u64(0), EventFlags::IN)?;
        let mut watcher = Self {
            epoll,
            inotify: None,
            watches: None,
            is_armed: false,
            is_blind: !wants_inotify,
            folders: HashMap::new(),
            spots: HashMap::new(),
            moving: None,
            departed: Vec::new(),
            buffer: Vec::new(),
        };
        if wants_inotify {
            match Inotify::init() {
                Ok(inotify) => {
                    watcher.watches = Some(inotify.watches());
                    watcher.inotify = Some(inotify);
                    watcher.buffer = vec![0; EVENT_BYTES];
                    watcher.arm()?;
                }
                Err(error) => watcher.go_blind(&error),
            }
        }
        Ok(watcher)
    }

    /// What becomes readable when there is something to do.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Whether some changes come without an event.
    pub(super) fn is_blind(&self) -> bool {
        self.is_blind
    }

    /// Whether events wake the input now.
    pub(super) fn is_armed(&self) -> bool {
        self.is_armed || self.inotify.is_none()
    }

    /// Lets events wake the input.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        if let Some(inotify) = &self.inotify
            && !self.is_armed
        {
            epoll::add(&self.epoll, inotify, EventData::new_u64(1), EventFlags::IN)?;
            self.is_armed = true;
        }
        Ok(())
    }

    /// Lets events gather without waking the input.
    pub(super) fn disarm(&mut self) -> io::Result<()> {
        if let Some(inotify) = &self.inotify
            && self.is_armed
        {
            epoll::delete(&self.epoll, inotify)?;
            self.is_armed = false;
        }
        Ok(())
    }

    /// Takes the events that have gathered.
    pub(super) fn take(&mut self) -> Events {
        let mut events = Events::default();
        let Some(mut inotify) = self.inotify.take() else { return events };
        let mut buffer = mem::take(&mut self.buffer);
        for _ in 0..EVENT_READS_MAX {
            let Ok(batch) = inotify.read_events(&mut buffer) else { break };
            for event in batch {
                events.any = true;
                self.hear(&event, &mut events);
            }
        }
        self.buffer = buffer;
        self.inotify = Some(inotify);
        events
    }

    fn hear(&mut self, event: &Event<&OsStr>, events: &mut Events) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            events.overflow = true;
        }
        if event.mask.intersects(EventMask::IGNORED | EventMask::MOVE_SELF) {
            self.lose_folder(event, events);
        }
        let Some(watched) = self.folders.get_mut(&event.wd) else { return };
        let Some(name) = event.name else { return };
        if event.mask.contains(EventMask::MODIFY) {
            let number = watched.files.get(name);
            events.changed.extend(number);
            if number.is_some() {
                return;
            }
            // Perhaps one that was too old so far.
        }
        let names = watched.names_of(name);
        events.touched.extend(names.iter().cloned());
        let number = watched.files.get(name).copied();
        events.moved.extend(number);
        if !event.mask.contains(EventMask::ISDIR) {
            self.track(
                event,
                Spot { folder: event.wd.clone(), name: Arc::from(name) },
                names,
                number,
            );
        }
    }

    /// Keeps track of a file that is renamed, perhaps several times before anybody looks. `names` and `number` are what
    /// the event's name leads to.
    fn track(
        &mut self,
        event: &Event<&OsStr>,
        spot: Spot,
        names: Vec<PathBuf>,
        number: Option<u64>,
    ) {
        // Whatever lay there lies there no more.
        let known = self.departed.iter().position(|departed| departed.spot == spot);
        let known = known.map(|index| self.departed.remove(index));
        if event.mask.contains(EventMask::MOVED_FROM) {
            let matters = number.is_some() || !names.is_empty();
            let new = matters.then_some(Departed { names, number, spot });
            self.moving = Some(Moving { cookie: event.cookie, number, departed: known.or(new) });
        } else if event.mask.contains(EventMask::MOVED_TO)
            && let Some(Moving { cookie, number, departed }) = self.moving.take()
            && cookie == event.cookie
        {
            if let Some(departed) = departed {
                if self.departed.len() == DEPARTED_MAX {
                    self.departed.remove(0);
                }
                self.departed.push(Departed { spot: spot.clone(), ..departed });
            }
            if let Some(number) = number {
                // It is written to under its new name.
                self.enter(number, spot);
            }
        }
    }

    /// Files that were renamed since the last look, and where they lie now; those that went first in front.
    pub(super) fn take_departed(&mut self) -> Vec<(Departed, PathBuf)> {
        let departed = mem::take(&mut self.departed).into_iter();
        let path = |spot: &Spot| Some(self.folders.get(&spot.folder)?.path.join(&*spot.name));
        departed.filter_map(|it| path(&it.spot).map(|path| (it, path))).collect()
    }

    /// They were not found where they should be: events that are still to come tell where to they were renamed again.
    pub(super) fn keep_departed(&mut self, departed: Vec<Departed>) {
        self.departed = departed;
    }

    /// A folder is gone, or lies elsewhere.
    fn lose_folder(&mut self, event: &Event<&OsStr>, events: &mut Events) {
        let Some(watched) = self.folders.remove(&event.wd) else { return };
        events.moved.extend(watched.files.values());
        // In a folder that is watched itself, its end has a name, unless it may come again.
        events.scan |= event.mask.contains(EventMask::MOVE_SELF) || !watched.wanted.is_empty();
        if !event.mask.contains(EventMask::IGNORED) {
            unwatch(self.watches.as_mut(), &event.wd);
        }
    }

    /// Watches these folders as well; whether one of them was not watched before.
    pub(super) fn watch_folders(&mut self, folders: Vec<Folder>) -> bool {
        let mut is_new = false;
        for folder in folders {
            let known = self.folders.len();
            let Some(watch) = self.watch(&folder.path) else { continue };
            is_new |= known < self.folders.len();
            // Two paths may lead to one folder.
            if let Some(watched) = self.folders.get_mut(&watch)
                && !watched.wanted.contains(&folder)
            {
                watched.wanted.push(folder);
            }
        }
        is_new
    }

    /// Watches these folders, those where followed files lie, and no others; whether one of them is new.
    pub(super) fn watch_only(&mut self, folders: Vec<Folder>) -> bool {
        for watched in self.folders.values_mut() {
            watched.wanted.clear();
        }
        let is_new = self.watch_folders(folders);
        let is_needed = |watched: &Watched| !watched.wanted.is_empty() || !watched.files.is_empty();
        let watches = &mut self.watches;
        self.folders.retain(|watch, watched| {
            let is_needed = is_needed(watched);
            if !is_needed {
                unwatch(watches.as_mut(), watch);
            }
            is_needed
        });
        is_new
    }

    /// Listens for changes of a file that was found as `path` and lies at `real`.
    pub(super) fn follow(&mut self, number: u64, path: &Path, real: &Path) {
        self.leave(number);
        for path in [path, real] {
            if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
                && let Some(folder) = self.watch(folder)
            {
                self.enter(number, Spot { folder, name: Arc::from(name) });
            }
        }
    }

    fn enter(&mut self, number: u64, spot: Spot) {
        let Some(watched) = self.folders.get_mut(&spot.folder) else { return };
        watched.files.insert(Arc::clone(&spot.name), number);
        let spots = self.spots.entry(number).or_default();
        if !spots.contains(&spot) {
            spots.push(spot);
        }
    }

    /// The file has another number now.
    pub(super) fn renumber(&mut self, number: u64, new: u64) {
        for spot in self.take_spots(number) {
            self.enter(new, spot);
        }
    }

    /// Where a file lies, as far as events told; the newest name first.
    pub(super) fn whereabouts(&self, number: u64) -> Vec<PathBuf> {
        let spots = self.spots.get(&number).into_iter().flatten().rev();
        let path = |spot: &Spot| Some(self.folders.get(&spot.folder)?.path.join(&*spot.name));
        spots.filter_map(path).collect()
    }

    /// Listens for changes of a file no more.
    pub(super) fn leave(&mut self, number: u64) {
        self.take_spots(number);
    }

    fn take_spots(&mut self, number: u64) -> Vec<Spot> {
        let spots = self.spots.remove(&number).unwrap_or_default();
        for Spot { folder, name } in &spots {
            if let Some(watched) = self.folders.get_mut(folder)
                // Another file may have its name.
                && watched.files.get(name) == Some(&number)
            {
                watched.files.remove(name);
            }
        }
        spots
    }

    fn watch(&mut self, folder: &Path) -> Option<WatchDescriptor> {
        match self.watches.as_mut()?.add(or_here(folder), FOLDER_EVENTS) {
            Ok(watch) => {
                let new = || Watched { path: folder.to_path_buf(), ..Watched::default() };
                self.folders.entry(watch.clone()).or_insert_with(new);
                Some(watch)
            }
            // It went away in the meantime; the next scan will tell.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                None
            }
            Err(error) => {
                self.go_blind(&error);
                None
            }
        }
    }

    /// Says once that changes have to be looked for.
    fn go_blind(&mut self, error: &io::Error) {
        if !self.is_blind {
            self.is_blind = true;
            tracing::warn!(
                %error,
                "not everything can be watched: files are polled instead; raise fs.inotify.max_user_watches \
                 and max_user_instances"
            );
        }
    }
}

/// Ends a watch. It fails if the kernel ended it before: its file is gone.
fn unwatch(watches: Option<&mut Watches>, watch: &WatchDescriptor) {
    if let Some(watches) = watches {
        let _gone = watches.remove(watch.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glob::Pattern;

    #[test]
    fn what_cannot_be_watched_is_polled_and_the_rest_watched() {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", home.path().join("loop")).unwrap();
        let folder = |path: PathBuf| Folder { path, names: Pattern::new("*").unwrap(), link: None };
        // Stands for the bell.
        let bell = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut watcher = Watcher::new(bell.as_fd(), true).unwrap();
        watcher.watch_folders(vec![folder(home.path().join("gone"))]);
        assert!(!watcher.is_blind(), "one that is not there is not watched");
        let folders = ["loop", ""].map(|name| folder(home.path().join(name)));
        watcher.watch_folders(folders.into());
        assert!(watcher.is_blind());
        std::fs::write(home.path().join("a"), "").unwrap();
        assert_eq!(watcher.take().touched, BTreeSet::from([home.path().join("a")]));
    }
}

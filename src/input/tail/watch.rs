//! What wakes the input: inotify on folders and files, and the bell of the positions.

use super::discovery::Folder;
use glob::Pattern;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Bytes of events that are read at once: some 200 of a busy file, which are then one.
const EVENT_BYTES: usize = 8 << 10;

/// Reads of events in one turn; what is left wakes the next turn.
const EVENT_READS_MAX: usize = 16;

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Numbers of files that changed; may repeat.
    pub changed: Vec<u64>,
    /// Names may have changed: look which files there are.
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
    folders: HashMap<WatchDescriptor, Vec<Pattern>>,
    files: HashMap<WatchDescriptor, u64>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("files", &self.files.len()).finish_non_exhaustive()
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
            files: HashMap::new(),
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
        let Some(inotify) = &mut self.inotify else { return events };
        for _ in 0..EVENT_READS_MAX {
            let Ok(batch) = inotify.read_events(&mut self.buffer) else { break };
            for event in batch {
                events.any = true;
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    events.overflow = true;
                } else if event.mask.contains(EventMask::IGNORED) {
                    // The watch is gone with its folder or file.
                    self.folders.remove(&event.wd);
                    self.files.remove(&event.wd);
                } else if let Some(number) = self.files.get(&event.wd) {
                    events.changed.push(*number);
                    events.scan |= !event.mask.contains(EventMask::MODIFY);
                } else if let (Some(patterns), Some(name)) =
                    (self.folders.get(&event.wd), event.name.and_then(|name| name.to_str()))
                {
                    events.scan |= patterns.iter().any(|pattern| pattern.matches(name));
                }
            }
        }
        events
    }

    /// Watches these folders for new names, and leaves the others.
    pub(super) fn watch_folders(&mut self, folders: Vec<Folder>) {
        let mut wanted: HashMap<PathBuf, Vec<Pattern>> = HashMap::new();
        for folder in folders {
            wanted.entry(folder.path).or_default().push(folder.names);
        }
        let mut watched = HashMap::with_capacity(wanted.len());
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR;
        for (path, patterns) in wanted {
            if let Some(watch) = self.watch(&path, mask) {
                // Two names may lead to one folder.
                watched.entry(watch).or_insert_with(Vec::new).extend(patterns);
            }
        }
        for watch in self.folders.keys().filter(|watch| !watched.contains_key(watch)) {
            unwatch(self.watches.as_mut(), watch);
        }
        self.folders = watched;
    }

    /// Watches an open file, whatever its name is now.
    pub(super) fn watch_file(
        &mut self,
        file: &impl AsRawFd,
        number: u64,
    ) -> Option<WatchDescriptor> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mask = WatchMask::MODIFY | WatchMask::ATTRIB | WatchMask::MOVE_SELF;
        let watch = self.watch(Path::new(&path), mask)?;
        self.files.insert(watch.clone(), number);
        Some(watch)
    }

    /// The file behind `watch` has another number now.
    pub(super) fn renumber(&mut self, watch: &WatchDescriptor, number: u64) {
        if let Some(known) = self.files.get_mut(watch) {
            *known = number;
        }
    }

    /// Watches a file no more.
    pub(super) fn unwatch_file(&mut self, watch: &WatchDescriptor) {
        if self.files.remove(watch).is_some() {
            unwatch(self.watches.as_mut(), watch);
        }
    }

    fn watch(&mut self, path: &Path, mask: WatchMask) -> Option<WatchDescriptor> {
        match self.watches.as_mut()?.add(path, mask) {
            Ok(watch) => Some(watch),
            // It went away in the meantime; the next scan will tell.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
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

//! Where files stand: registers them before they are read, commits how far they are safe.
//!
//! With a `DB`, a thread of its own does all SQLite work and looks at the files' beginnings, so that
//! no disk ever holds up the pipeline. Registrations that come together share a transaction; positions
//! are gathered for [`COMMIT_PAUSE`] and share one. When nothing changes, the thread sleeps.

use super::content::Content;
use super::database::{
    Candidate, Database, Position, Registration, Replaced, Row, Start, source_key,
};
use super::discovery::Patterns;
use super::marker::{Head, Marker};
use super::trace::{Tracer, are_alike};
use crate::clock;
use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(test)]
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// How long positions are gathered before they are written: what a `kill -9` makes to be read again.
/// What the database refused is tried again after as long.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

/// Registrations that share a transaction: bounds how long the first of them waits for the others.
const REGISTRATIONS_MAX: usize = 256;

/// No row has this number: SQLite begins with 1.
const NO_ROW: i64 = 0;

/// Names a file between a request and its answer.
pub(super) type Ticket = u64;

/// What comes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// The file may be read.
    Registered(Ticket, Registration),
    /// There is nothing in it yet by which it could be told from another; ask again when there is.
    Empty(Ticket),
    /// It cannot be read; ask again later.
    Refused(Ticket, io::Error),
    /// A file that no `Path` finds any more has bytes which are not safe yet: it was renamed or packed while nobody
    /// looked, or copied and cut.
    Orphan(Arc<Content>, PathBuf, Registration),
    /// So many bytes went away unread: a file was cut or written anew.
    Lost(u64),
    /// A file went away while nobody looked, and with it so many bytes that had been seen and are not safe; what was
    /// written to it afterwards, nobody knows.
    Gone(PathBuf, u64),
    /// It is written down that what was open at these ends of lines was closed.
    Cut(Ticket, Vec<u64>),
    /// There are no more of those: the answer to a sweep.
    Swept,
    /// The database refused something.
    Failed,
}

/// Where files stand.
#[derive(Debug)]
pub(super) struct Positions {
    answers: Receiver<Answer>,
    /// Readable when answers have come.
    bell: Arc<OwnedFd>,
    keeper: Keeper,
}

/// Who keeps them.
#[derive(Debug)]
enum Keeper {
    /// Nobody beyond the end of the process.
    Memory { run: [u8; 16], next_row: i64, answer: Sender<Answer> },
    /// A database, on its own thread.
    Thread {
        commands: Option<Sender<Command>>,
        dirty: Dirty,
        thread: Option<JoinHandle<()>>,
        #[cfg(test)]
        is_dead: Arc<AtomicBool>,
    },
}

/// Positions that are not written yet, by row.
type Dirty = Arc<Mutex<HashMap<i64, u64>>>;

/// What the thread is asked to do.
#[derive(Debug)]
enum Command {
    Register(Ticket, Candidate),
    Rename(i64, PathBuf),
    /// Where the file itself lies, by a name that no `Path` finds.
    Relocate(i64, PathBuf),
    /// The file is open again.
    Reopen(i64, Arc<Content>),
    /// What is open at these ends of lines is closed.
    Cut(Ticket, i64, Vec<u64>),
    /// The file is closed; its position may still move.
    Close(i64),
    /// Nothing will be asked about it again.
    Forget(i64),
    Sweep(Patterns, HashSet<u64>),
    /// There are dirty positions.
    Dirty,
}

impl Positions {
    /// Positions that last as long as the process: without `DB`.
    pub(super) fn in_memory() -> io::Result<Self> {
        let mut run = [0; 16];
        getrandom::fill(&mut run).map_err(io::Error::other)?;
        let (answer, answers) = channel();
        let keeper = Keeper::Memory { run, next_row: 1, answer };
        Ok(Self { answers, bell: bell()?, keeper })
    }

    /// Positions in a database.
    pub(super) fn in_database(database: Database) -> io::Result<Self> {
        let (mut positions, clerk) = Self::with_clerk(database)?;
        if let Keeper::Thread { thread, .. } = &mut positions.keeper {
            let named = std::thread::Builder::new().name("positions".into());
            *thread = Some(named.spawn(|| clerk.run())?);
        }
        Ok(positions)
    }

    /// Positions in a database, and who is to do its work.
    pub(super) fn with_clerk(database: Database) -> io::Result<(Self, Clerk)> {
        let (commands, asked) = channel();
        let (answer, answers) = channel();
        let bell = bell()?;
        let dirty = Dirty::default();
        let clerk = Clerk {
            database,
            asked,
            answer,
            bell: Arc::clone(&bell),
            dirty: Arc::clone(&dirty),
            files: HashMap::new(),
            waiting: Vec::new(),
            cuts: Vec::new(),
            due: None,
            is_failing: false,
            #[cfg(test)]
            registered: 0,
            #[cfg(test)]
            is_dead: Arc::default(),
        };
        let keeper = Keeper::Thread {
            commands: Some(commands),
            dirty,
            thread: None,
            #[cfg(test)]
            is_dead: Arc::clone(&clerk.is_dead),
        };
        Ok((Self { answers, bell, keeper }, clerk))
    }

    /// What becomes readable when an answer has come.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The answers that have come.
    pub(super) fn answers(&self) -> Vec<Answer> {
        let mut count = [0; 8];
        // Nothing to read only means that the bell did not ring.
        let _silent = rustix::io::read(&self.bell, &mut count);
        self.answers.try_iter().collect()
    }

    /// Asks for a file to be registered; an [`Answer`] follows.
    pub(super) fn register(&mut self, ticket: Ticket, candidate: Candidate) {
        match &mut self.keeper {
            Keeper::Thread { .. } => self.ask(Command::Register(ticket, candidate)),
            Keeper::Memory { run, next_row, answer } => {
                let lost = candidate.replaces.as_ref().map_or(0, Replaced::unread);
                let found = match register_in_memory(run, *next_row, &candidate) {
                    Ok(Some(registration)) => Answer::Registered(ticket, registration),
                    Ok(None) => Answer::Empty(ticket),
                    Err(error) => Answer::Refused(ticket, error),
                };
                *next_row += 1;
                if answer.send(Answer::Lost(lost)).is_ok() && answer.send(found).is_ok() {
                    ring(&self.bell);
                }
            }
        }
    }

    /// Everything of the rows' files before the offsets is safe; they are written together.
    pub(super) fn safe(&self, positions: impl IntoIterator<Item = (i64, u64)>) {
        let Keeper::Thread { dirty, .. } = &self.keeper else { return };
        let mut dirty = dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let was_clean = dirty.is_empty();
        dirty.extend(positions);
        drop(dirty);
        if was_clean {
            self.ask(Command::Dirty);
        }
    }

    /// Asks for it to be written down that what was open at these ends of lines was closed; an [`Answer`] follows.
    pub(super) fn cut(&self, ticket: Ticket, row: i64, ends: Vec<u64>) {
        match &self.keeper {
            Keeper::Thread { .. } => self.ask(Command::Cut(ticket, row, ends)),
            Keeper::Memory { answer, .. } => {
                if answer.send(Answer::Cut(ticket, ends)).is_ok() {
                    ring(&self.bell);
                }
            }
        }
    }

    /// Wakes the input.
    pub(super) fn ring(&self) {
        ring(&self.bell);
    }

    /// The file has another name now.
    pub(super) fn rename(&self, row: i64, name: PathBuf) {
        self.ask(Command::Rename(row, name));
    }

    /// The file lies elsewhere now, by a name that no `Path` finds.
    pub(super) fn relocate(&self, row: i64, name: PathBuf) {
        self.ask(Command::Relocate(row, name));
    }

    /// A file that was closed is read again.
    pub(super) fn reopen(&self, row: i64, file: Arc<Content>) {
        self.ask(Command::Reopen(row, file));
    }

    /// The file is not read any more; its position may still move.
    pub(super) fn close(&self, row: i64) {
        self.ask(Command::Close(row));
    }

    /// The file is gone and all of it is safe.
    pub(super) fn forget(&self, row: i64) {
        self.ask(Command::Forget(row));
    }

    /// After the first scan, which found the inodes `present`: looks for the files that the database knows
    /// under these patterns and that were not found. What was renamed is an [`Answer::Orphan`], what is
    /// gone is forgotten; an [`Answer::Swept`] ends it.
    pub(super) fn sweep(&self, patterns: Patterns, present: HashSet<u64>) {
        match &self.keeper {
            Keeper::Thread { .. } => self.ask(Command::Sweep(patterns, present)),
            Keeper::Memory { answer, .. } => {
                if answer.send(Answer::Swept).is_ok() {
                    ring(&self.bell);
                }
            }
        }
    }

    /// Forgets what is not written, and does nothing more of what was asked, as a crash does.
    #[cfg(test)]
    pub(super) fn lose(&mut self) {
        if let Keeper::Thread { is_dead, .. } = &mut self.keeper {
            is_dead.store(true, Ordering::SeqCst);
        }
    }

    fn ask(&self, command: Command) {
        if let Keeper::Thread { commands: Some(commands), .. } = &self.keeper
            && commands.send(command).is_err()
        {
            tracing::error!("the thread of the position database has ended: positions stand still");
        }
    }
}

/// Writes what is still to be written.
impl Drop for Positions {
    fn drop(&mut self) {
        if let Keeper::Thread { commands, thread, .. } = &mut self.keeper {
            drop(commands.take());
            if let Some(thread) = thread.take()
                && thread.join().is_err()
            {
                tracing::error!("the thread of the position database broke down");
            }
        }
    }
}

/// Who owns the database: on a thread of its own, but in simulations.
pub(super) struct Clerk {
    database: Database,
    asked: Receiver<Command>,
    answer: Sender<Answer>,
    bell: Arc<OwnedFd>,
    dirty: Dirty,
    /// Registered files by row.
    files: HashMap<i64, Entry>,
    /// Registrations not done yet: as many as there are files unregistered, each asked for once.
    waiting: Vec<(Ticket, Candidate)>,
    /// Cuts not written yet: one of a file at a time.
    cuts: Vec<(Ticket, i64, Vec<u64>)>,
    /// When positions are written next, and what was refused is tried again.
    due: Option<Instant>,
    /// Whether the last write was refused: said once.
    is_failing: bool,
    /// Files that were registered so far.
    #[cfg(test)]
    pub(super) registered: u64,
    /// Whether the process is said to have been killed.
    #[cfg(test)]
    is_dead: Arc<AtomicBool>,
}

/// A registered file.
struct Entry {
    /// For the marker; `None` once the file is closed.
    file: Option<Arc<Content>>,
    path: PathBuf,
    inode: u64,
    /// How far the file reached when that was last written down.
    size: u64,
}

impl Entry {
    fn new(file: Arc<Content>, path: PathBuf) -> Self {
        let inode = inode_of(&file);
        Self { file: Some(file), path, inode, size: 0 }
    }

    /// How far the file reaches now. Of what is packed nothing is lost by accident.
    fn reach(&self) -> Option<u64> {
        self.file.as_ref().filter(|file| !file.is_packed())?.len().ok()
    }
}

impl Clerk {
    fn run(mut self) {
        loop {
            let command = match self.due {
                None => self.asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => {
                    self.asked.recv_timeout(due.saturating_duration_since(clock::instant()))
                }
            };
            #[cfg(test)]
            if self.is_dead.load(Ordering::SeqCst) {
                return;
            }
            if self.work(command).is_break() {
                return;
            }
        }
    }

    /// Does the work that has come, without waiting for more; whether that was the end.
    #[cfg(test)]
    pub(super) fn work_now(&mut self) -> ControlFlow<()> {
        loop {
            match self.asked.try_recv() {
                Ok(command) => self.work(Ok(command))?,
                Err(TryRecvError::Empty) => return self.work(Err(RecvTimeoutError::Timeout)),
                Err(TryRecvError::Disconnected) => {
                    return self.work(Err(RecvTimeoutError::Disconnected));
                }
            }
        }
    }

    /// Writes positions now, as after a second.
    #[cfg(test)]
    pub(super) fn commit_now(&mut self) {
        self.commit();
    }

    /// Does the work that has come, if any, and what is due; whether that was the end.
    fn work(&mut self, command: Result<Command, RecvTimeoutError>) -> ControlFlow<()> {
        let is_over = matches!(command, Err(RecvTimeoutError::Disconnected));
        if let Ok(command) = command {
            self.obey(command);
        }
        if is_over || self.due.is_some_and(|due| due <= clock::instant()) {
            self.commit();
            self.due = None;
        }
        if is_over {
            self.note_sizes();
        }
        self.register();
        self.cut();
        if !self.waiting.is_empty() || !self.cuts.is_empty() || self.is_dirty() {
            self.due = self.due.or(Some(clock::instant() + COMMIT_PAUSE));
        }
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Does one command, and the registrations that came with it.
    fn obey(&mut self, command: Command) {
        let mut next = Some(command);
        while let Some(command) = next {
            match command {
                Command::Register(ticket, candidate) => self.waiting.push((ticket, candidate)),
                other => {
                    // What follows a registration may be about its row.
                    self.register();
                    self.obey_at_once(other);
                }
            }
            let is_room = self.waiting.len() < REGISTRATIONS_MAX;
            next = if is_room { self.asked.try_recv().ok() } else { None };
        }
    }

    fn obey_at_once(&mut self, command: Command) {
        match command {
            Command::Register(..) | Command::Dirty => {}
            Command::Rename(row, name) => {
                if let Some(entry) = self.files.get_mut(&row) {
                    entry.path.clone_from(&name);
                    let result = self.database.rename(row, &name);
                    self.note("note the new name of a file", result);
                }
            }
            Command::Relocate(row, name) => {
                let result = self.database.relocate(row, &name);
                self.note("note the new place of a file", result);
            }
            // Another file goes on with it: a packed copy, recognised in the meantime.
            Command::Reopen(row, _) | Command::Forget(row) if self.is_open(row) => {}
            Command::Reopen(row, file) => {
                if let Some(entry) = self.files.get_mut(&row) {
                    *entry =
                        Entry { size: entry.size, ..Entry::new(file, mem::take(&mut entry.path)) };
                }
            }
            Command::Cut(ticket, row, ends) => self.cuts.push((ticket, row, ends)),
            Command::Close(row) => {
                if let Some(entry) = self.files.get_mut(&row) {
                    let reach = entry.reach().unwrap_or(entry.size);
                    entry.file = None;
                    let result = self.database.note_sizes([(row, reach)].into_iter());
                    self.note("write the size of a file", result);
                }
            }
            Command::Forget(row) => {
                // Another file's position may stand where it does because of this one's.
                self.commit();
                self.discard(row);
                let result = self.database.delete(row);
                self.note("delete the row of a file that is gone", result);
            }
            Command::Sweep(patterns, present) => {
                self.sweep(&patterns, &present);
                self.reply(Answer::Swept);
            }
        }
    }

    fn register(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.part_from_replaced();
        let mut waiting = mem::take(&mut self.waiting);
        let files: Vec<_> = waiting.iter().map(|(_, one)| Arc::clone(&one.file)).collect();
        waiting
            .retain_mut(|(ticket, candidate)| !self.recognise_packed(*ticket, candidate, &files));
        let candidates: Vec<_> = waiting.iter().map(|(_, candidate)| candidate.clone()).collect();
        match self.database.register(&candidates) {
            Ok(answers) => {
                for ((ticket, candidate), registration) in waiting.into_iter().zip(answers) {
                    if let Some(replaced) = candidate.replaces {
                        self.trace_replaced(&replaced, &candidate);
                    }
                    let answer = match registration {
                        Ok(Some(registration)) => {
                            self.enter(registration.row, candidate.file, candidate.path);
                            Answer::Registered(ticket, registration)
                        }
                        Ok(None) => Answer::Empty(ticket),
                        Err(error) => Answer::Refused(ticket, error),
                    };
                    self.reply(answer);
                }
                self.note("register files", Ok(()));
            }
            Err(error) => {
                self.waiting = waiting;
                self.note("register files, which wait unread", Err(error));
            }
        }
    }

    /// Writes the cuts that wait.
    fn cut(&mut self) {
        if self.cuts.is_empty() {
            return;
        }
        let result = self.database.cut(self.cuts.iter().map(|(_, row, ends)| (*row, &**ends)));
        if result.is_ok() {
            for (ticket, _, ends) in mem::take(&mut self.cuts) {
                self.reply(Answer::Cut(ticket, ends));
            }
        }
        self.note("write where records are parted", result);
    }

    fn enter(&mut self, row: i64, file: Arc<Content>, path: PathBuf) {
        #[cfg(test)]
        {
            self.registered += 1;
        }
        self.files.insert(row, Entry::new(file, path));
    }

    /// Writes down where files stood that were replaced in place. What they hold now says nothing about that.
    fn part_from_replaced(&mut self) {
        let mut has_any = false;
        for (_, candidate) in &mut self.waiting {
            let Some(replaced) = &mut candidate.replaces else { continue };
            has_any = true;
            let Some(entry) = self.files.get_mut(&replaced.row) else { continue };
            if entry.file.is_some() && entry.inode != inode_of(&candidate.file) {
                // A packed copy goes on with it.
                replaced.row = NO_ROW;
            } else {
                entry.file = None;
            }
        }
        if has_any {
            self.commit();
        }
    }

    /// What a file held that was replaced in place: it may have been copied before, as `copytruncate` does it.
    fn trace_replaced(&mut self, replaced: &Replaced, candidate: &Candidate) {
        self.discard(replaced.row);
        let mut end = replaced.offset;
        if let Some((row, file, path)) = self.copy_of(replaced, candidate) {
            end = file.measure().unwrap_or(0).max(end);
            self.adopt(row, file, path, &self.inodes());
        } else {
            let result = self.database.delete(replaced.row);
            self.note("delete the row of a file that was cut", result);
        }
        self.reply(Answer::Lost(replaced.reach.saturating_sub(end)));
    }

    /// The copy of a file that was replaced, if there is something unread in it, and the row to go on with. What was
    /// written between the last look and the copying, nobody knew of: only the copy tells.
    fn copy_of(
        &self,
        replaced: &Replaced,
        candidate: &Candidate,
    ) -> Option<(Row, Content, PathBuf)> {
        let row = self.database.row(replaced.row).ok()??;
        let inode = candidate.file.metadata().ok()?.ino();
        let is_it = |file: &Content| {
            file.metadata().is_ok_and(|status| status.ino() != inode)
                && replaced.stands_in(file)
                && file.measure().is_ok_and(|end| end > replaced.offset)
        };
        let (file, path) = Tracer::default().by_content(&row.real_path(), is_it)?;
        Some((row, file, path))
    }

    /// Whether a packed file that `Path` finds holds what another file held: then its row goes on with it, if that
    /// one is gone. If not, being open or one of those that are `coming`, nothing is read of the packed one.
    fn recognise_packed(
        &mut self,
        ticket: Ticket,
        candidate: &mut Candidate,
        coming: &[Arc<Content>],
    ) -> bool {
        if !candidate.file.is_packed() {
            return false;
        }
        let Ok(rows) = self.database.rows() else { return false };
        let Ok(status) = candidate.file.metadata() else { return false };
        let is_other = |row: &&Row| {
            row.inode != status.ino()
                && (are_alike(Path::new(row.path()), &candidate.path)
                    || are_alike(&row.real_path(), &candidate.path))
        };
        let is_open = |row: &Row| {
            self.is_open(row.id)
                || coming.iter().any(|file| {
                    file.metadata().is_ok_and(|status| status.ino() == row.inode)
                        && row.describes(file)
                })
        };
        if rows.iter().filter(is_other).any(|row| is_open(row) && row.is_copied_in(&candidate.file))
        {
            candidate.start = Start::Elsewhere;
            return false;
        }
        let is_it = |row: &Row| is_other(&row) && !is_open(row) && row.describes(&candidate.file);
        let Some(row) = rows.into_iter().find(is_it) else { return false };
        let Ok(Some(registration)) = self.database.resume(row, &candidate.file) else {
            return false;
        };
        self.enter(registration.row, Arc::clone(&candidate.file), candidate.path.clone());
        self.reply(Answer::Registered(ticket, registration));
        true
    }

    /// Whether a file is open that goes on with this row.
    fn is_open(&self, row: i64) -> bool {
        self.files.get(&row).is_some_and(|entry| entry.file.is_some())
    }

    /// The inodes of the files that are open.
    fn inodes(&self) -> HashSet<u64> {
        let open = self.files.values().filter(|entry| entry.file.is_some());
        open.map(|entry| entry.inode).collect()
    }

    /// Drops what is known of a row that goes. SQLite gives its number to a new one, which must not inherit the
    /// old one's position.
    fn discard(&mut self, row: i64) {
        self.files.remove(&row);
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).remove(&row);
    }

    /// Writes the dirty positions; they stay dirty if that fails.
    fn commit(&mut self) {
        let dirty = mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        for row in dirty.keys() {
            if let Some(entry) = self.files.get_mut(row) {
                entry.size = entry.reach().unwrap_or(entry.size);
            }
        }
        // Rows that are gone belong to files that were replaced: where those stood means nothing now.
        let known = dirty.iter().filter_map(|(row, offset)| {
            let entry = self.files.get(row)?;
            // Of a packed file, that is not worth unpacking it twice.
            let file = entry.file.as_ref().filter(|file| !file.is_packed());
            let marker = file.map(|file| Marker::before(file, *offset));
            let marker = marker.and_then(Result::ok).unwrap_or_default();
            let Entry { path, inode, size, .. } = entry;
            let (row, offset, inode, size) = (*row, *offset, *inode, *size);
            Some(Position { row, name: path, inode, offset, marker, size })
        });
        let positions: Vec<_> = known.collect();
        if positions.is_empty() {
            return;
        }
        let result = self.database.commit(&positions);
        if result.is_err() {
            let mut again = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
            for (row, offset) in dirty {
                again.entry(row).or_insert(offset);
            }
        }
        self.note("write positions", result);
    }

    fn is_dirty(&self) -> bool {
        !self.dirty.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes down how far files reach: should they go while nobody looks, that was lost.
    fn note_sizes(&mut self) {
        let changed = self.files.iter_mut().filter_map(|(row, entry)| {
            let size = entry.reach()?;
            (mem::replace(&mut entry.size, size) != size).then_some((*row, size))
        });
        let result = self.database.note_sizes(changed);
        self.note("write the sizes of files", result);
    }

    fn sweep(&mut self, patterns: &Patterns, present: &HashSet<u64>) {
        let rows = match self.database.rows() {
            Ok(rows) => rows,
            Err(error) => return self.note("look for files that were renamed", Err(error)),
        };
        let mut read = self.inodes();
        read.extend(present);
        let mut tracer = Tracer::default();
        for row in rows {
            let is_ours = patterns.select(Path::new(row.path()));
            if !is_ours || present.contains(&row.inode) || self.files.contains_key(&row.id) {
                continue;
            }
            if let Some((file, path)) = trace(&row, &mut tracer) {
                self.adopt(row, file, path, &read);
            } else if let Some(error) = tracer.take_failure() {
                tracing::error!(
                    path = row.path(),
                    %error,
                    "cannot look what became of a file; its position is kept for the next start"
                );
            } else if Path::new(row.path()).parent().is_some_and(Path::is_dir) {
                // If the folder is away as well, it may only be not mounted yet.
                let result = self.database.delete(row.id);
                self.note("delete the row of a file that is gone", result);
                self.reply(Answer::Gone(PathBuf::from(row.path()), row.unread()));
            }
        }
    }

    /// Goes on with a row in a file that no `Path` finds, and hands it over; unless that is one of those that are
    /// `read` already, as files of their own.
    fn adopt(&mut self, row: Row, file: Content, path: PathBuf, read: &HashSet<u64>) {
        let file = Arc::new(file);
        if file.metadata().is_ok_and(|status| read.contains(&status.ino())) {
            let result = self.database.delete(row.id);
            return self.note("delete the row of a file that was copied", result);
        }
        match self.database.resume(row, &file) {
            Ok(Some(registration)) => {
                self.enter(registration.row, Arc::clone(&file), path.clone());
                let renamed = self.database.rename(registration.row, &path);
                self.note("note the new name of a file", renamed);
                self.reply(Answer::Orphan(file, path, registration));
            }
            Ok(None) => {}
            Err(error) => self.note("register a file that was renamed", Err(error)),
        }
    }

    fn reply(&self, answer: Answer) {
        // Nobody listens any more when the input has ended.
        if self.answer.send(answer).is_ok() {
            ring(&self.bell);
        }
    }

    /// Says a failure once, and once that it is over.
    fn note(&mut self, what: &str, result: rusqlite::Result<()>) {
        match result {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the position database works again");
            }
            Ok(()) => {}
            Err(error) => {
                self.reply(Answer::Failed);
                if !mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "the position database could not {what}; trying again");
                }
            }
        }
    }
}

/// The inode of a file; 0, which none has, if it does not say.
fn inode_of(file: &Content) -> u64 {
    file.metadata().map_or(0, |status| status.ino())
}

/// The file that a row is about, or one that holds the same, beside its last name or where its link led to.
fn trace(row: &Row, tracer: &mut Tracer) -> Option<(Content, PathBuf)> {
    let real_path = row.real_path();
    let renamed = tracer.by_inode(&real_path, row.inode).filter(|(file, _)| row.describes(file));
    renamed.or_else(|| tracer.by_content(&real_path, |file| row.describes(file)))
}

/// A registration that only this process knows.
fn register_in_memory(
    run: &[u8; 16],
    row: i64,
    candidate: &Candidate,
) -> io::Result<Option<Registration>> {
    let file = &candidate.file;
    let head = Head::read(file)?;
    if head.len == 0 {
        return Ok(None);
    }
    let offset = match candidate.start {
        _ if candidate.replaces.is_some() => 0,
        Start::Head | Start::Elsewhere => 0,
        Start::End => file.measure()?,
        Start::At(offset) => offset.min(file.measure()?),
    };
    Ok(Some(Registration {
        row,
        offset,
        marker: Marker::before(file, offset)?,
        head,
        // The row's number is never used again in this run.
        key: source_key(run, file.metadata()?.ino(), xxh3_128(&row.to_le_bytes()), 0),
        first_seen: clock::now(),
        path: candidate.path.clone(),
        cuts: Vec::new(),
    }))
}

fn bell() -> io::Result<Arc<OwnedFd>> {
    use rustix::event::{EventfdFlags, eventfd};
    Ok(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
}

fn ring(bell: &OwnedFd) {
    // Refused only while it is full of rings that nobody heard: it rings then as well.
    let _rings = rustix::io::write(bell, &1_u64.to_le_bytes());
}

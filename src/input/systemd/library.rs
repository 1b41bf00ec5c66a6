//! libsystemd's journal reader, loaded when it is first needed, behind an interface that is safe to use.
//!
//! What each function means: <https://www.freedesktop.org/software/systemd/man/latest/sd-journal.html>.
#![expect(unsafe_code, reason = "a C library is called; all that is unsafe in tailwater is here")]

use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::OnceLock;

/// The name that it has had since 2012.
const NAME: &str = "libsystemd.so.0";

/// `SD_JOURNAL_LOCAL_ONLY`: what other machines sent here is left out, as in Fluent Bit.
const LOCAL_ONLY: c_int = 1;

/// `SD_JOURNAL_INVALIDATE`.
const INVALIDATE: c_int = 2;

/// `sd_journal`.
#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

/// Makes a table of functions, and what loads it.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) -> $answer:ty;)*) => {
        /// The functions that are used. An answer below zero is an `errno`, negated.
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) -> $answer,)*
        }

        impl Functions {
            fn of(library: &Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the types are those of `systemd/sd-journal.h`, which never change.
                    $($name: unsafe { *library.get(stringify!($name))? },)*
                })
            }
        }
    };
}

functions! {
    sd_journal_open: fn(*mut *mut Handle, c_int) -> c_int;
    sd_journal_open_directory: fn(*mut *mut Handle, *const c_char, c_int) -> c_int;
    sd_journal_open_files: fn(*mut *mut Handle, *const *const c_char, c_int) -> c_int;
    sd_journal_close: fn(*mut Handle) -> ();
    sd_journal_add_match: fn(*mut Handle, *const c_void, usize) -> c_int;
    sd_journal_add_conjunction: fn(*mut Handle) -> c_int;
    sd_journal_add_disjunction: fn(*mut Handle) -> c_int;
    sd_journal_set_data_threshold: fn(*mut Handle, usize) -> c_int;
    sd_journal_get_fd: fn(*mut Handle) -> c_int;
    sd_journal_process: fn(*mut Handle) -> c_int;
    sd_journal_get_timeout: fn(*mut Handle, *mut u64) -> c_int;
    sd_journal_seek_head: fn(*mut Handle) -> c_int;
    sd_journal_seek_tail: fn(*mut Handle) -> c_int;
    sd_journal_seek_realtime_usec: fn(*mut Handle, u64) -> c_int;
    sd_journal_seek_cursor: fn(*mut Handle, *const c_char) -> c_int;
    sd_journal_next: fn(*mut Handle) -> c_int;
    sd_journal_next_skip: fn(*mut Handle, u64) -> c_int;
    sd_journal_previous: fn(*mut Handle) -> c_int;
    sd_journal_get_cursor: fn(*mut Handle, *mut *mut c_char) -> c_int;
    sd_journal_get_data: fn(*mut Handle, *const c_char, *mut *const c_void, *mut usize) -> c_int;
    sd_journal_restart_data: fn(*mut Handle) -> ();
    sd_journal_enumerate_data: fn(*mut Handle, *mut *const c_void, *mut usize) -> c_int;
}

unsafe extern "C" {
    /// Frees what the library allocated for its caller.
    fn free(pointer: *mut c_void);
}

/// The library, loaded once; why not, if it cannot be.
fn functions() -> Result<&'static Functions, String> {
    static LOADED: OnceLock<Result<Functions, String>> = OnceLock::new();
    let load = || {
        // SAFETY: this library's initialisers only set up state of its own.
        let library = unsafe { Library::new(NAME) }.map_err(|error| error.to_string())?;
        let functions = Functions::of(&library).map_err(|error| error.to_string());
        // Stays for as long as its functions: for ever.
        let _stays = Box::leak(Box::new(library));
        functions
    };
    LOADED.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// Why a journal cannot be opened.
#[derive(Debug)]
pub(super) enum Unopened {
    /// The library cannot be loaded, for this reason.
    NoLibrary(String),
    /// It refused.
    Refused(io::Error),
}

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seek<'a> {
    /// Before the oldest entry.
    Head,
    /// Behind the newest.
    Tail,
    /// Before the first entry of this moment or later: microseconds since the epoch.
    Time(u64),
    /// Before the entry of this cursor, or where it would be.
    Cursor(&'a CStr),
}

/// An open journal: all files of a folder as one sequence of entries, and a place in it.
pub(super) struct Journal {
    functions: &'static Functions,
    /// Owned: opened by this, closed when it is dropped.
    handle: NonNull<Handle>,
    /// Owned by the handle, and the same for as long as that lives; -1: there is none.
    fd: RawFd,
}

// SAFETY: the library binds a handle to no thread; it may be used from any, from one at a time. All that uses it
// takes `&mut self`.
unsafe impl Send for Journal {}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal of a folder; `None`: the one of this machine.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, Unopened> {
        let functions = functions().map_err(Unopened::NoLibrary)?;
        let folder = folder.map(c_path).transpose().map_err(Unopened::Refused)?;
        let mut journal = Self::opened(functions, |handle| match &folder {
            // SAFETY: `handle` is where the library may write a pointer, and `folder` ends with NUL and outlives the
            // call.
            Some(folder) => unsafe {
                (functions.sd_journal_open_directory)(handle, folder.as_ptr(), 0)
            },
            // SAFETY: `handle` is where the library may write a pointer.
            None => unsafe { (functions.sd_journal_open)(handle, LOCAL_ONLY) },
        })?;
        // SAFETY: the handle is open.
        let fd = journal.call(|functions, handle| unsafe { (functions.sd_journal_get_fd)(handle) });
        journal.fd = fd.map_err(Unopened::Refused)?;
        Ok(journal)
    }

    /// Opens one file alone, for a look; nothing tells of what is written to it.
    pub(super) fn open_file(path: &Path) -> Result<Self, Unopened> {
        let functions = functions().map_err(Unopened::NoLibrary)?;
        let path = c_path(path).map_err(Unopened::Refused)?;
        let paths = [path.as_ptr(), ptr::null()];
        // SAFETY: `handle` is where the library may write a pointer, `paths` ends with a null pointer, and its text with
        // NUL; both outlive the call.
        Self::opened(functions, |handle| unsafe {
            (functions.sd_journal_open_files)(handle, paths.as_ptr(), 0)
        })
    }

    fn opened(
        functions: &'static Functions,
        open: impl FnOnce(*mut *mut Handle) -> c_int,
    ) -> Result<Self, Unopened> {
        let mut handle = ptr::null_mut();
        check(open(&raw mut handle)).map_err(Unopened::Refused)?;
        let handle = NonNull::new(handle).ok_or_else(|| {
            Unopened::Refused(io::Error::other("libsystemd gave no journal and no error"))
        })?;
        Ok(Self { functions, handle, fd: -1 })
    }

    /// Readable when files changed, came or went: then [`Journal::process`] is to be called.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: it is open for as long as the handle, and the handle for as long as `self`, which is borrowed.
        (self.fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(self.fd) })
    }

    /// Values that are packed are unpacked up to so many bytes, their name counted.
    pub(super) fn unpack_up_to(&mut self, bytes: usize) -> io::Result<()> {
        // SAFETY: the handle is open.
        self.call(|functions, handle| unsafe {
            (functions.sd_journal_set_data_threshold)(handle, bytes)
        })?;
        Ok(())
    }

    /// Takes only entries with this `FIELD=value`, or one that was or will be added.
    pub(super) fn add_match(&mut self, text: &str) -> io::Result<()> {
        // SAFETY: the library copies as many bytes as it is told to, which are there.
        self.call(|functions, handle| unsafe {
            (functions.sd_journal_add_match)(handle, text.as_ptr().cast(), text.len())
        })?;
        Ok(())
    }

    /// What is matched from here on must be fulfilled as well.
    pub(super) fn add_and(&mut self) -> io::Result<()> {
        // SAFETY: the handle is open.
        self.call(|functions, handle| unsafe { (functions.sd_journal_add_conjunction)(handle) })?;
        Ok(())
    }

    /// What is matched from here on may be fulfilled instead.
    pub(super) fn add_or(&mut self) -> io::Result<()> {
        // SAFETY: the handle is open.
        self.call(|functions, handle| unsafe { (functions.sd_journal_add_disjunction)(handle) })?;
        Ok(())
    }

    /// Notes what changed; whether files came or went. Those that went are closed by it.
    pub(super) fn process(&mut self) -> io::Result<bool> {
        // SAFETY: the handle is open.
        let change =
            self.call(|functions, handle| unsafe { (functions.sd_journal_process)(handle) })?;
        Ok(change == INVALIDATE)
    }

    /// Whether its descriptor does not tell of all changes: the files lie on a network, and are to be looked at.
    pub(super) fn must_be_asked(&mut self) -> io::Result<bool> {
        let mut timeout = u64::MAX;
        // SAFETY: `timeout` is where the library may write; it outlives the call.
        self.call(|functions, handle| unsafe {
            (functions.sd_journal_get_timeout)(handle, &raw mut timeout)
        })?;
        Ok(timeout != u64::MAX)
    }

    /// Goes to a place; [`Journal::next`] leads to the entry behind it.
    pub(super) fn seek(&mut self, to: Seek<'_>) -> io::Result<()> {
        // SAFETY: the handle is open, and a cursor ends with NUL and outlives the call.
        self.call(|functions, handle| unsafe {
            match to {
                Seek::Head => (functions.sd_journal_seek_head)(handle),
                Seek::Tail => (functions.sd_journal_seek_tail)(handle),
                Seek::Time(time) => (functions.sd_journal_seek_realtime_usec)(handle, time),
                Seek::Cursor(cursor) => (functions.sd_journal_seek_cursor)(handle, cursor.as_ptr()),
            }
        })?;
        Ok(())
    }

    /// Goes to the next entry; false: there is none yet.
    pub(super) fn next(&mut self) -> io::Result<bool> {
        // SAFETY: the handle is open.
        Ok(self.call(|functions, handle| unsafe { (functions.sd_journal_next)(handle) })? > 0)
    }

    /// Goes so many entries on, or as many as there are; whether there was one.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        // SAFETY: the handle is open.
        Ok(self
            .call(|functions, handle| unsafe { (functions.sd_journal_next_skip)(handle, count) })?
            > 0)
    }

    /// Goes to the entry before; false: there is none.
    pub(super) fn previous(&mut self) -> io::Result<bool> {
        // SAFETY: the handle is open.
        Ok(self.call(|functions, handle| unsafe { (functions.sd_journal_previous)(handle) })? > 0)
    }

    /// The cursor of the entry that it is at, instead of what was in `text`.
    pub(super) fn cursor(&mut self, text: &mut String) -> io::Result<()> {
        let mut cursor: *mut c_char = ptr::null_mut();
        // SAFETY: `cursor` is where the library may write a pointer; it outlives the call.
        self.call(|functions, handle| unsafe {
            (functions.sd_journal_get_cursor)(handle, &raw mut cursor)
        })?;
        text.clear();
        if !cursor.is_null() {
            // SAFETY: the library wrote text that ends with NUL and gave it to us; it is freed once, here.
            unsafe {
                text.push_str(&CStr::from_ptr(cursor).to_string_lossy());
                free(cursor.cast());
            }
        }
        Ok(())
    }

    /// The first value that the entry has of a field, with its name before it.
    pub(super) fn first_of(&mut self, name: &CStr) -> io::Result<Option<&[u8]>> {
        // SAFETY: the name ends with NUL; `data` and `len` are where the library may write, and outlive the call.
        let found = self.data(|functions, handle, data, len| unsafe {
            (functions.sd_journal_get_data)(handle, name.as_ptr(), data, len)
        });
        match found {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => {
                Ok(None)
            }
            found => found.map(|(_, data)| Some(data)),
        }
    }

    /// Makes [`Journal::field`] begin with the entry's first field.
    pub(super) fn rewind_fields(&mut self) {
        // SAFETY: the handle is open.
        unsafe { (self.functions.sd_journal_restart_data)(self.handle.as_ptr()) }
    }

    /// The entry's next field, `NAME=value`; `None` behind the last.
    pub(super) fn field(&mut self) -> io::Result<Option<&[u8]>> {
        // SAFETY: `data` and `len` are where the library may write, and outlive the call.
        let (found, data) = self.data(|functions, handle, data, len| unsafe {
            (functions.sd_journal_enumerate_data)(handle, data, len)
        })?;
        Ok((found > 0).then_some(data))
    }

    /// Calls a function that points to bytes of the entry.
    fn data(
        &mut self,
        ask: impl FnOnce(&Functions, *mut Handle, *mut *const c_void, *mut usize) -> c_int,
    ) -> io::Result<(c_int, &[u8])> {
        let mut data = ptr::null();
        let mut len = 0;
        let answer =
            self.call(|functions, handle| ask(functions, handle, &raw mut data, &raw mut len))?;
        if data.is_null() {
            return Ok((answer, &[]));
        }
        // SAFETY: the library points to `len` bytes that stay as they are until it is called again with this
        // handle, for which `self` would have to be borrowed anew.
        Ok((answer, unsafe { slice::from_raw_parts(data.cast(), len) }))
    }

    /// Calls a function with the handle.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "nobody else may use the handle meanwhile")]
    fn call(&mut self, ask: impl FnOnce(&Functions, *mut Handle) -> c_int) -> io::Result<c_int> {
        check(ask(self.functions, self.handle.as_ptr()))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nothing uses it behind this.
        unsafe { (self.functions.sd_journal_close)(self.handle.as_ptr()) }
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::from_raw_os_error(-answer)) } else { Ok(answer) }
}

//! `stdin` in a pipe of the shell: its end, its exit code, what a terminal shows of it, and input that is none.

use crate::{LIMIT, PROGRAM, Place, SERVICE, es};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tailwater_testing::{Agent, BulkStore, Ended, Faults, free_port, until};

const STDIN: &str = "\n[INPUT]\n    Name stdin\n    Tag t\n";

/// Runs with this on standard input until it ends by itself.
fn run(place: &Place, stdin: impl Into<Stdio>) -> Ended {
    let arguments = ["-c", "fluent-bit.conf"];
    Agent::start_with(Path::new(PROGRAM), place.dir(), &arguments, stdin.into()).wait(LIMIT)
}

/// A file with these lines, to be read.
fn file(place: &Place, lines: &str) -> File {
    place.write("lines", lines.as_bytes());
    File::open(place.path("lines")).unwrap()
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(said), "`{said}` is not what was said last: {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn the_exit_code_says_whether_all_was_delivered() {
    let store = BulkStore::start(Faults::default());
    store.refuse_documents_with("bad");
    let place = Place::new(&[SERVICE, STDIN, &es(store.port(), "")].concat());
    let lines = file(&place, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}");
    check(&run(&place, lines), 0, "records of this run");
    assert_eq!(store.count(), 3);
    let lines = file(&place, "{\"a\":\"bad\"}\n{\"a\":5}\n{\"a\":\"bad\"}\n");
    check(&run(&place, lines), 2, "not everything was delivered: `es.0` gave up 2 records");
    assert_eq!(store.count(), 4);
    // Kept is not delivered.
    place.configure(
        &[
            SERVICE,
            "    storage.path @DIR@/buffer\n    storage.keep.rejected On\n",
            STDIN,
            &es(store.port(), ""),
        ]
        .concat(),
    );
    let lines = file(&place, "{\"a\":\"bad\"}\n");
    check(&run(&place, lines), 2, "`es.0` gave up 1 records, of which 1 are kept as dead letters");
}

#[test]
fn what_a_signal_leaves_of_a_pipe_is_told() {
    let place = Place::new(
        &["[SERVICE]\n    Flush 0.2\n    Grace 0\n", STDIN, &es(free_port(), "")].concat(),
    );
    let arguments = ["-c", "fluent-bit.conf"];
    let mut agent = Agent::start_with(Path::new(PROGRAM), place.dir(), &arguments, Stdio::piped());
    let mut pipe = agent.stdin();
    pipe.write_all(b"{\"a\":1}\n").unwrap();
    assert!(until(LIMIT, || agent.stderr().contains("es.0")), "{}", agent.stderr());
    check(&agent.terminate(LIMIT), 2, "stopped before 1 chunks were delivered");
}

#[test]
fn input_that_is_none() {
    let place = Place::new(&[SERVICE, STDIN, crate::STDOUT].concat());
    check(&run(&place, Stdio::null()), 0, "records of this run");
    let closed = ["-c", "exec \"$0\" -c fluent-bit.conf <&-", PROGRAM];
    let agent = Agent::start(Path::new("sh"), place.dir(), &closed);
    check(&agent.wait(LIMIT), 0, "records of this run");
    let written = File::create(place.path("written")).unwrap();
    check(
        &run(&place, written),
        1,
        "input `stdin.0`: standard input cannot be read: it is open for writing only",
    );
    let folder = File::open(place.dir()).unwrap();
    check(&run(&place, folder), 1, "standard input cannot be read: it is a folder");
    let ended = run(&place, broken());
    check(&ended, 2, "not everything was delivered: `stdin.0` could not be read to its end");
    assert!(ended.stdout.contains("\"a\":1"), "{}", ended.stdout);
}

/// A connection that brings a line, and then breaks.
pub(crate) fn broken() -> OwnedFd {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut there, _) = listener.accept().unwrap();
    there.write_all(b"{\"a\":1}\n").unwrap();
    // An end with something unread is none that the other side may take for one.
    here.write_all(b"unread").unwrap();
    let mut line = [0; 8];
    assert!(until(LIMIT, || there.peek(&mut [0]).unwrap() > 0));
    assert!(until(LIMIT, || here.peek(&mut line).unwrap() == line.len()));
    drop(there);
    here.into()
}

/// `| head -1`
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let script = "yes '{\"a\":1}' | \"$0\" -i stdin -o stdout -p format=json_lines 2>log | head -1; exit ${PIPESTATUS[1]}";
    let place = Place::new("");
    let ended = Agent::start(Path::new("bash"), place.dir(), &["-c", script, PROGRAM]).wait(LIMIT);
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1), "{log}");
    assert!(log.contains("nobody reads the output any more") && !log.contains("panicked"), "{log}");
}

/// Standard error as a terminal, and what came there.
struct Terminal {
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let side = File::options().read(true).write(true).open(name).unwrap();
        let child = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(place.dir())
            .stdin(Stdio::piped())
            .stdout(File::create(place.path("out")).unwrap())
            .stderr(side)
            .spawn()
            .unwrap();
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let (mut terminal, mut buffer) = (File::from(terminal), [0; 4096]);
            // An error is the end: nobody has the other side any more.
            while let Ok(count) = terminal.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, seen }
    }

    fn raw(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().clone()).unwrap()
    }

    /// Ends the input, and waits until the program has ended.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(until(LIMIT, || self.child.try_wait().unwrap().is_some()), "{}", self.raw());
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.raw());
        self.raw()
    }
}

/// What a terminal shows in the end: of each line what was written behind the last return, which cleared it.
fn shown(raw: &str) -> Vec<&str> {
    raw.split("\r\n").map(|line| line.rsplit('\r').next().unwrap_or_default()).collect()
}

#[test]
fn a_terminal_shows_how_far_it_is_on_one_line() {
    let place = Place::new("");
    let arguments = ["-f", "0.1", "-i", "stdin", "-o", "stdout"];
    let mut terminal = Terminal::start(&place, &arguments);
    let pipe = terminal.child.stdin.as_mut().unwrap();
    pipe.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
    let counted = |terminal: &Terminal, text: &str| terminal.raw().matches(text).count() >= 2;
    assert!(
        until(LIMIT, || counted(&terminal, "2 records, 0/s, backlog: none")),
        "{}",
        terminal.raw()
    );
    let before = terminal.raw();
    assert!(!before.rsplit("\r\n").next().unwrap().contains('\n'), "{before}");
    let raw = terminal.end();
    let lines = shown(&raw);
    assert!(lines.iter().all(|line| !line.contains("backlog")), "{lines:?}");
    let last = lines.iter().rev().find(|line| !line.is_empty()).unwrap();
    assert!(last.starts_with("\x1b[K") && last.contains("records of this run"), "{lines:?}");
}

#[test]
fn nothing_is_drawn_for_who_wants_silence() {
    let place = Place::new("");
    let quiet = ["-q", "-f", "0.1", "-i", "stdin", "-o", "stdout"];
    let dummy = ["-f", "0.1", "-i", "dummy", "-p", "samples=1", "-o", "stdout"];
    for arguments in [&quiet[..], &dummy[..]] {
        let mut terminal = Terminal::start(&place, arguments);
        tailwater_testing::pause(std::time::Duration::from_millis(1_500));
        assert!(!terminal.raw().contains("backlog"), "{}", terminal.raw());
        terminal.child.kill().unwrap();
        terminal.child.wait().unwrap();
    }
}

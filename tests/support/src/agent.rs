//! The real program as a child process.

use crate::until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running agent; killed when dropped, with its last log lines shown if the test failed.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What an agent left behind.
#[derive(Debug)]
pub struct Ended {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to standard output.
    pub stdout: String,
    /// All it wrote to standard error.
    pub stderr: String,
}

impl Agent {
    /// Starts `program` in `folder`, where its output also goes to `stdout.N` and `stderr.N`.
    #[must_use]
    pub fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(program, folder, arguments, Stdio::null())
    }

    /// Like [`Agent::start`], with something on standard input.
    #[must_use]
    pub fn start_with(program: &Path, folder: &Path, arguments: &[&str], stdin: Stdio) -> Self {
        let run = (0..1000).find(|n| !folder.join(format!("stderr.{n}")).exists()).unwrap();
        let stdout = folder.join(format!("stdout.{run}"));
        let stderr = folder.join(format!("stderr.{run}"));
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env("TZ", "UTC")
            // The stores of a test are on this machine.
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stdin(stdin)
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self { child, stdout, stderr }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// The end of the pipe given as [`Stdio::piped`] to [`Agent::start_with`].
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("started with a piped standard input")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL: no code of the agent runs after this.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; it does not wait for it to do so.
    pub fn ask_to_stop(&self) {
        ask_to_stop(&self.child);
    }

    /// SIGTERM, then its end, which must come within `limit`.
    #[must_use]
    pub fn terminate(self, limit: Duration) -> Ended {
        self.ask_to_stop();
        self.wait(limit)
    }

    /// Its end, which must come by itself within `limit`.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Ended {
        let mut status: Option<ExitStatus> = None;
        let ended = until(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "the agent still runs after {limit:?}; it said:\n{}", self.stderr());
        Ended {
            code: status.and_then(|status| status.code()),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.stderr();
            let from = log.len().saturating_sub(4096);
            let tail = String::from_utf8_lossy(&log.as_bytes()[from..]).into_owned();
            std::io::Write::write_all(&mut std::io::stderr(), tail.as_bytes()).unwrap();
        }
        if self.is_running() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Sends SIGTERM to a child process.
pub fn ask_to_stop(child: &Child) {
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

//! What systemd is told, through a socket as it gives one.

use crate::{LIMIT, PROGRAM, Place, SERVICE, STDOUT, tail};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};
use tailwater_testing::{Agent, until};

/// `WATCHDOG_USEC`: after so long without a sign of life, systemd would end the process. It is given one twice as often.
const PATIENCE: Duration = Duration::from_millis(200);

/// The supervisor's end of the socket.
struct Supervisor {
    socket: UnixDatagram,
}

impl Supervisor {
    /// Starts the program as systemd does.
    fn start(place: &Place) -> (Self, Agent) {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE / 10)).unwrap();
        let address = format!("NOTIFY_SOCKET={}", path.display());
        let patience = format!("WATCHDOG_USEC={}", PATIENCE.as_micros());
        let arguments = [&*address, &*patience, PROGRAM, "-Y", "-c", "fluent-bit.conf"];
        (Self { socket }, Agent::start(Path::new("env"), place.dir(), &arguments))
    }

    /// The next message, unless none comes for a while.
    fn hear(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
    }

    /// Waits for a message with this line; all of it.
    #[track_caller]
    fn wait_for(&self, line: &str, agent: &Agent) -> String {
        let mut found = None;
        let came = until(LIMIT, || {
            found = self.hear().filter(|message| message.lines().any(|it| it == line));
            found.is_some()
        });
        assert!(came, "`{line}` was not told; the agent said:\n{}", agent.stderr());
        found.unwrap()
    }

    /// Whether there was a sign of life within this time.
    fn is_told_of_life(&self, time: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < time {
            if self.hear().is_some_and(|message| message == "WATCHDOG=1\n") {
                return true;
            }
        }
        false
    }
}

fn hang_up(agent: &Agent) {
    let id = Pid::from_raw(i32::try_from(agent.id()).unwrap()).unwrap();
    kill_process(id, Signal::HUP).unwrap();
}

#[test]
fn start_reload_and_end_are_told() {
    let conf = [SERVICE, &tail("@DIR@/app.log", ""), STDOUT].concat();
    let place = Place::new(&conf);
    let (supervisor, agent) = Supervisor::start(&place);
    let ready = supervisor.wait_for("READY=1", &agent);
    assert_eq!(ready, "READY=1\nSTATUS=running\n");
    supervisor.wait_for("WATCHDOG=1", &agent);

    hang_up(&agent);
    let reloading = supervisor.wait_for("RELOADING=1", &agent);
    let time = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(supervisor.wait_for("READY=1", &agent), ready);
    supervisor.wait_for("WATCHDOG=1", &agent);

    place.configure(&conf.replace("tail", "tial"));
    hang_up(&agent);
    supervisor.wait_for("RELOADING=1", &agent);
    let kept = supervisor.wait_for("READY=1", &agent);
    assert!(kept.contains("STATUS=the configuration on the disk cannot be used"), "{kept}");
    supervisor.wait_for("WATCHDOG=1", &agent);

    agent.ask_to_stop();
    supervisor.wait_for("STOPPING=1", &agent);
    assert_eq!(agent.wait(LIMIT).code, Some(0));
}

/// What the pipeline has to say goes into a pipe that nobody reads: it stands still within a step until somebody does.
/// Nothing else of the process does, so a sign of life could come only from elsewhere.
#[test]
fn a_pipeline_that_hangs_gives_no_sign_of_life() {
    let service = format!("{SERVICE}    Log_Level warn\n    Log_File @DIR@/log\n");
    let place = Place::new(&[&service, &tail("@DIR@/logs/*", ""), STDOUT].concat());
    let log = place.path("log");
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let open = || File::options().read(true).write(true).custom_flags(nonblocking).open(&log);
    let mut pipe = open().unwrap();
    std::fs::create_dir(place.path("logs")).unwrap();
    let (supervisor, agent) = Supervisor::start(&place);
    supervisor.wait_for("READY=1", &agent);
    assert!(supervisor.is_told_of_life(LIMIT), "{}", agent.stderr());

    while pipe.write(&[b'x'; 512]).is_ok() {}
    while pipe.write(b"x").is_ok() {}
    assert!(supervisor.is_told_of_life(LIMIT), "what does not log needs no pipe");
    // That it is no file is said in the log.
    std::fs::create_dir(place.path("logs/folder")).unwrap();
    let is_silent = || !supervisor.is_told_of_life(PATIENCE * 10);
    assert!(until(LIMIT, is_silent), "it hangs and was said to live");

    let mut said = vec![0; 1 << 20];
    let mut read = 0;
    let goes_on = until(LIMIT, || {
        while let Ok(count) = pipe.read(&mut said) {
            read += count;
        }
        supervisor.is_told_of_life(PATIENCE)
    });
    assert!(goes_on, "it does not go on after {read} bytes were read");
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
}

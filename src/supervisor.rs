//! What the supervisor that started the process is told: systemd's notify protocol (sd_notify(3)). Where nobody gave a
//! `NOTIFY_SOCKET`, nothing is said.

use sd_notify::NotifyState;
use std::time::Duration;
use tracing::warn;

/// What `systemctl status` shows as a rule.
pub const RUNNING: &str = "running";

/// What it shows until the next reload, where a configuration could not replace the running one.
pub const NOT_RELOADED: &str =
    "the configuration on the disk cannot be used, the log says why; the one before goes on";

/// Whether there is one that wants to be told.
pub fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The agent runs, after a start or a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A new configuration is read; [`ready`] ends that.
pub fn reloading() {
    let status = NotifyState::Status("reading the configuration again");
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, status]),
        Err(error) => warn!(%error, "there is no monotonic clock, which a reload is told by"),
    }
}

/// What was read is delivered, and then the process ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("delivering what was read")]);
}

/// The pipeline came round since this was said last.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// After how long without a sign of life the supervisor ends the process; `None` if it does not.
pub fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell the supervisor (`NOTIFY_SOCKET`)");
    }
}

//! The idle connections of one destination.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::NetOptions;
use super::pulse::Pulse;

/// More idle connections than any output has requests under way are not kept.
const IDLE_COUNT_MAX: usize = 16;
/// An idle connection that cannot take a request within this time still has old business to finish,
/// and is given up for a fresh one.
const READY_WAIT_MAX: Duration = Duration::from_millis(100);

/// An open connection and what its further use depends on.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) pulse: Pulse,
    /// Requests it has carried.
    pub(super) uses: u64,
}

/// Connections that wait for the next request, the one used last at the end.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// One permit per request under way. As a request takes an idle connection before it opens
    /// one, there are never more connections than permits.
    permits: Option<Arc<Semaphore>>,
    keep: bool,
    idle_time_max: Duration,
    /// Requests per connection; 0 = any number.
    uses_max: u64,
}

#[derive(Debug, Default)]
struct Idle {
    connections: Vec<(Instant, Connection)>,
    /// Whether a task is there that closes what was idle too long.
    swept: bool,
}

impl Pool {
    pub(super) fn new(net: &NetOptions) -> Arc<Self> {
        let limit = usize::try_from(net.max_worker_connections.max(0)).unwrap_or(usize::MAX);
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            idle: Mutex::default(),
            permits: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            keep: net.keepalive,
            idle_time_max: net.keepalive_idle_timeout,
            uses_max: net.keepalive_max_recycle.max(0).unsigned_abs(),
        })
    }

    /// Waits until `net.max_worker_connections` allows one more request.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(self.permits.as_ref()?);
        permits.acquire_owned().await.ok()
    }

    /// The connection used last that can take a request now.
    pub(super) async fn take(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.lock().connections.pop()?;
            if since.elapsed() >= self.idle_time_max {
                continue;
            }
            if let Ok(Ok(())) = timeout(READY_WAIT_MAX, connection.sender.ready()).await {
                return Some(connection);
            }
        }
    }

    /// Takes back a connection whose answer was read to the end.
    pub(super) fn put(self: &Arc<Self>, connection: Connection) {
        let used_up = self.uses_max > 0 && connection.uses >= self.uses_max;
        if !self.keep || used_up || connection.sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        if idle.connections.len() >= IDLE_COUNT_MAX {
            return;
        }
        idle.connections.push((Instant::now(), connection));
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), self.idle_time_max));
        }
    }

    /// Closes what was idle too long or was closed by the server. Returns when to look again;
    /// `None` when nothing is left.
    fn expire(&self) -> Option<Instant> {
        let mut idle = self.lock();
        idle.connections.retain(|(since, connection)| {
            since.elapsed() < self.idle_time_max && !connection.sender.is_closed()
        });
        let oldest = idle.connections.first().map(|&(since, _)| since + self.idle_time_max);
        idle.swept = oldest.is_some();
        oldest
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes idle connections on time; ends with the last of them, or with the pool.
async fn sweep(pool: Weak<Pool>, idle_time_max: Duration) {
    let mut pause = idle_time_max;
    loop {
        sleep(pause).await;
        let Some(next) = pool.upgrade().and_then(|pool| pool.expire()) else { return };
        pause = next.saturating_duration_since(Instant::now());
    }
}

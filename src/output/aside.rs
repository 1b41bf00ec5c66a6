//! Work that may block, beside the runtime's thread: reading and writing chunks on the disk.

use crate::clock;
use tokio::task::{JoinError, spawn_blocking};

/// Does `work` on another thread. An error: it panicked, which has ended the process, or the agent is at its end.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if clock::is_simulated() {
        return Ok(work());
    }
    spawn_blocking(work).await
}

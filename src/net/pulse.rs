//! A stream that notes when bytes last moved: what `net.io_timeout` is measured against.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

/// When bytes last moved on one connection.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    opened: Instant,
    /// Milliseconds from `opened` to the last byte.
    last: Arc<AtomicU64>,
    /// The first byte received, with [`RECEIVED`]; 0 before there was any.
    first: Arc<AtomicU16>,
}

/// Tells a first byte of 0 from none.
const RECEIVED: u16 = 0x100;

impl Pulse {
    pub(super) fn new() -> Self {
        Self { opened: Instant::now(), last: Arc::default(), first: Arc::default() }
    }

    /// Bytes moved, or a new wait begins, now.
    pub(super) fn beat(&self) {
        let millis = self.opened.elapsed().as_millis();
        self.last.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The first byte that the other side ever sent, which tells what it speaks.
    pub(super) fn first_byte(&self) -> Option<u8> {
        let first = self.first.load(Ordering::Relaxed);
        u8::try_from(first ^ RECEIVED).ok()
    }

    fn note_first(&self, byte: u8) {
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(RECEIVED | u16::from(byte), Ordering::Relaxed);
        }
    }

    fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Waits for `future` as long as bytes keep moving; `None` once none did for `limit`.
    pub(super) async fn wait<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        self.beat();
        let mut future = std::pin::pin!(future);
        loop {
            let deadline = self.last() + limit;
            if let Ok(output) = timeout_at(deadline, &mut future).await {
                return Some(output);
            }
            if self.last() + limit <= deadline {
                return None;
            }
        }
    }
}

/// `stream`, with each moved byte noted.
#[derive(Debug)]
pub(super) struct Pulsing<S> {
    pub(super) stream: S,
    pub(super) pulse: Pulse,
}

impl<S: AsyncRead + Unpin> AsyncRead for Pulsing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Some(&byte) = buffer.filled().get(before) {
            self.pulse.note_first(byte);
        }
        self.pulse.beat();
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pulsing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.pulse.beat();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.pulse.beat();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! The memory of request bodies: one buffer, written again once the last request is through.

use std::mem;

use hyper::body::Bytes;

/// One request body after the other in the same memory.
///
/// A handle to the last body is kept: once the client has let go of it, its memory is taken back
/// for the next one; while it is still being sent, the next body gets memory of its own.
#[derive(Debug, Default)]
pub struct BodyBuffer {
    last: Bytes,
    /// Length of the longest body so far: what to reserve when the memory is in use.
    longest: usize,
}

impl BodyBuffer {
    /// An empty buffer to write the next body into.
    pub fn start(&mut self) -> Vec<u8> {
        match mem::take(&mut self.last).try_into_mut() {
            Ok(mut bytes) => {
                bytes.clear();
                bytes.into()
            }
            Err(_in_use) => Vec::with_capacity(self.longest),
        }
    }

    /// The body as written into what [`start`](Self::start) gave, not copied.
    pub fn finish(&mut self, body: Vec<u8>) -> Bytes {
        self.longest = self.longest.max(body.len());
        self.last = Bytes::from(body);
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_once_the_body_is_dropped() {
        let mut buffer = BodyBuffer::default();
        let mut body = buffer.start();
        body.resize(2 << 20, b'a');
        let address = body.as_ptr();
        drop(buffer.finish(body));
        for _ in 0..3 {
            let mut body = buffer.start();
            assert!(body.is_empty());
            body.resize((2 << 20) - 1, b'b');
            assert_eq!(body.as_ptr(), address);
            assert_eq!(buffer.finish(body).len(), (2 << 20) - 1);
        }
    }

    #[test]
    fn a_body_in_use_is_left_alone() {
        let mut buffer = BodyBuffer::default();
        let mut write = |text: &[u8]| {
            let mut body = buffer.start();
            body.extend_from_slice(text);
            buffer.finish(body)
        };
        let first = write(b"first");
        let second = write(b"second");
        assert_eq!((&*first, &*second), (&b"first"[..], &b"second"[..]));
    }
}

//! A channel whose receiver is a file descriptor, so that one `poll` waits for messages and for files.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};

/// What rings the bell once: any number but zero, so that the byte order of eventfd(2) does not matter.
const ONE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

/// Both ends of a new channel. Its length is bounded by what its senders may have under way.
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = mpsc::channel();
    Ok((Sender { sender, bell: Arc::clone(&bell) }, Receiver { receiver, bell }))
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<T> {
    sender: mpsc::Sender<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Sender<T> {
    /// Sends, and wakes who polls the receiver. A message to a receiver that is gone is dropped: its
    /// thread has ended, and nobody is left to act on it.
    pub fn send(&self, message: T) {
        if self.sender.send(message).is_ok() {
            // The only error, a full counter, means that the bell rings already.
            let _rings = rustix::io::write(&self.bell, &ONE);
        }
    }
}

/// The receiving end: readable while there are messages.
#[derive(Debug)]
pub struct Receiver<T> {
    receiver: mpsc::Receiver<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Receiver<T> {
    /// Takes what has come so far, never waiting.
    pub fn drain(&self) -> impl Iterator<Item = T> {
        // The bell first: a message that comes in between rings it again.
        let mut count = [0; 8];
        let _silent_if_empty = rustix::io::read(&self.bell, &mut count);
        self.receiver.try_iter()
    }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn readable(receiver: &Receiver<u32>) -> bool {
        let mut fds = [PollFd::new(receiver, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn the_bell_rings_while_there_are_messages() {
        let (sender, receiver) = channel().unwrap();
        assert!(!readable(&receiver));
        sender.send(1);
        sender.clone().send(2);
        assert!(readable(&receiver));
        assert_eq!(receiver.drain().collect::<Vec<_>>(), [1, 2]);
        assert!(!readable(&receiver));
    }

    #[test]
    fn a_message_to_nobody_is_dropped() {
        let (sender, receiver) = channel().unwrap();
        drop(receiver);
        sender.send(1);
    }
}

//! A store that remembers of what it is given only the numbers, a bit each, so that a backlog of gigabytes can be
//! sent to it.

use crate::loki::read_push;
use crate::{Answer, Request, Server, Service, Tally};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// Takes `_bulk` and Loki's pushes.
#[derive(Debug)]
pub struct Numbered {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Seen>,
    /// Whether nothing is answered for now.
    is_held: Mutex<bool>,
    released: Condvar,
}

/// Which lines came, and how.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// A bit for each number.
    words: Vec<u64>,
    /// Of each number that came with an action, the hash of that: what names the document.
    actions: Vec<u64>,
    /// Lines that came again as another document.
    pub doubled: u64,
    /// Different numbers.
    pub count: u64,
    /// The highest number.
    highest: u64,
    /// How many numbers below the highest had not come yet, at most: none if they came in order. A request that is
    /// late counts only for its own lines, however far the others are by then.
    pub gap: u64,
    /// Lines without a number.
    pub strangers: u64,
    /// When the first came.
    pub first: Option<Instant>,
}

impl Seen {
    /// A document, and the action that says what it is called.
    fn add_document(&mut self, action: &str, text: &str) {
        let Some(number) = self.add(text) else { return };
        let index = usize::try_from(number).unwrap();
        if index >= self.actions.len() {
            self.actions.resize(index + 1, 0);
        }
        let mut hasher = DefaultHasher::new();
        action.hash(&mut hasher);
        let before = std::mem::replace(&mut self.actions[index], hasher.finish());
        self.doubled += u64::from(before != 0 && before != self.actions[index]);
    }

    fn add(&mut self, text: &str) -> Option<u64> {
        let Some(number) = Tally::number(text) else {
            self.strangers += 1;
            return None;
        };
        let index = usize::try_from(number / 64).unwrap();
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let bit = 1 << (number % 64);
        if self.words[index] & bit == 0 {
            self.words[index] |= bit;
            self.count += 1;
            self.highest = self.highest.max(number);
            self.gap = self.gap.max(self.highest + 1 - self.count);
        }
        Some(number)
    }
}

impl Numbered {
    /// A store that refuses connections until [`Numbered::listen`].
    #[must_use]
    pub fn refusing() -> Self {
        let state = Arc::<State>::default();
        let service: Arc<dyn Service> = Arc::clone(&state) as _;
        Self { server: Server::refusing(service), state }
    }

    /// Takes connections from now on.
    pub fn listen(&self) {
        self.server.listen();
    }

    /// Refuses connections from now on, and ends those that are open.
    pub fn refuse(&self) {
        self.server.refuse();
    }

    /// Lets requests wait from now on.
    pub fn hold(&self) {
        *self.state.is_held.lock().unwrap() = true;
    }

    /// Answers what waits, and all that comes.
    pub fn release(&self) {
        *self.state.is_held.lock().unwrap() = false;
        self.state.released.notify_all();
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// How many different lines came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.seen.lock().unwrap().count
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.state.seen.lock().unwrap().clone()
    }
}

impl Service for State {
    fn answer(&self, request: &Request) -> Answer {
        if request.method == "GET" {
            let body = br#"{"version":{"distribution":"opensearch","number":"3.9.0"}}"#;
            return Answer::Reply(200, body.to_vec());
        }
        let is_held = self.is_held.lock().unwrap();
        drop(self.released.wait_while(is_held, |is_held| *is_held).unwrap());
        let mut seen = self.seen.lock().unwrap();
        seen.first.get_or_insert_with(Instant::now);
        if request.path.contains("/_bulk") {
            let text = std::str::from_utf8(&request.body).unwrap();
            let mut lines = text.lines();
            // Each document follows its action.
            while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
                seen.add_document(action, document);
            }
            Answer::Reply(200, br#"{"took":30,"errors":false}"#.to_vec())
        } else {
            for entry in read_push(request).unwrap() {
                seen.add(&entry.line);
            }
            Answer::Reply(204, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_early_leaves_a_gap_and_what_comes_again_does_not() {
        let mut seen = Seen::default();
        for text in ["seq=0", "seq=1", "seq=1", "seq=2", "x"] {
            seen.add(text);
        }
        assert_eq!((seen.count, seen.gap, seen.strangers), (3, 0, 1));
        for text in ["seq=200", "seq=201", "seq=3"] {
            seen.add(text);
        }
        assert_eq!((seen.count, seen.gap), (6, 197));
    }

    #[test]
    fn what_comes_again_by_another_name_is_doubled() {
        let mut seen = Seen::default();
        for (name, text) in [("a", "seq=7"), ("b", "seq=8"), ("a", "seq=7"), ("c", "seq=8")] {
            seen.add_document(name, text);
        }
        assert_eq!((seen.count, seen.doubled), (2, 1));
    }
}

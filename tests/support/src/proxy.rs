//! Stands before a real store that speaks `_bulk`, and fails on purpose in its place.

use crate::bulk::{BUSY, befall, reply};
use crate::faults::{Dice, Fault};
use crate::http::{HEADERS_MAX, read_head};
use crate::{Answer, Faults, Request, Server, Service};
use serde_json::{Value, json};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A store that takes longer has lost its answer.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// A proxy on a port of its own. What it refuses or resets, the store never sees; an answer that it loses is
/// that to a request which the store carried out.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
}

#[derive(Debug)]
struct Forward {
    /// The store's, on 127.0.0.1.
    port: u16,
    dice: Dice,
}

impl Proxy {
    /// A proxy that listens, before the store on `port`.
    #[must_use]
    pub fn start(port: u16, faults: Faults) -> Self {
        Self { server: Server::start(Arc::new(Forward { port, dice: Dice::new(faults) })) }
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }
}

impl Service for Forward {
    fn answer(&self, request: &Request) -> Answer {
        if !request.path.contains("/_bulk") {
            return self.forward(request, &request.body);
        }
        let fault = self.dice.roll();
        befall(fault, || match fault {
            Fault::RefuseSome => self.forward_some(request),
            _ => self.forward(request, &request.body),
        })
    }
}

impl Forward {
    /// Lets a part of a request's actions through, each of which has a document, and answers for all.
    fn forward_some(&self, request: &Request) -> Answer {
        let lines: Vec<_> = request.body.split_inclusive(|byte| *byte == b'\n').collect();
        let actions: Vec<_> =
            lines.chunks(2).map(|action| (action, self.dice.refuses_item())).collect();
        let kept = actions.iter().filter(|(_, refused)| !refused);
        let body: Vec<u8> = kept.flat_map(|(action, _)| action.concat()).collect();
        let stored = if body.is_empty() {
            json!({"items": []})
        } else {
            match self.forward(request, &body) {
                Answer::Reply(200, stored) => serde_json::from_slice(&stored).unwrap(),
                answer => return answer,
            }
        };
        let mut stored = stored["items"].as_array().unwrap().iter();
        let mut item =
            |refused| if refused { item_refused() } else { stored.next().unwrap().clone() };
        let items: Vec<_> = actions.iter().map(|(_, refused)| item(*refused)).collect();
        reply(200, &json!({"errors": true, "items": items}))
    }

    /// What the store answers; a store that does not is an answer lost.
    fn forward(&self, request: &Request, body: &[u8]) -> Answer {
        self.ask(request, body).unwrap_or(Answer::Lost)
    }

    /// Asks on a connection of its own, in HTTP/1.0: so an answer says how long it is.
    fn ask(&self, request: &Request, body: &[u8]) -> io::Result<Answer> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        connection.set_read_timeout(Some(ANSWER_MAX))?;
        let Request { method, path, .. } = request;
        let (length, kind) = (body.len(), request.header("content-type"));
        let kind = kind.unwrap_or("application/json");
        let head = format!(
            "{method} {path} HTTP/1.0\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)?;
        read_answer(&mut BufReader::new(&connection))
    }
}

fn read_answer(reader: &mut BufReader<&TcpStream>) -> io::Result<Answer> {
    let head = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(&head).map_err(io::Error::other)?;
    let length = parsed.headers.iter().find_map(|header| {
        let is_length = header.name.eq_ignore_ascii_case("content-length");
        std::str::from_utf8(header.value).ok()?.parse().ok().filter(|_| is_length)
    });
    let mut body = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    reader.read_exact(&mut body)?;
    Ok(Answer::Reply(parsed.code.unwrap_or_default(), body))
}

fn item_refused() -> Value {
    json!({"create": {"status": 429, "error": {"type": BUSY, "reason": "on purpose"}}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BulkStore;

    /// Sends so many documents through; what is answered, and how many the store has then.
    fn check(faults: Faults, documents: usize) -> (Answer, usize) {
        let store = BulkStore::start(Faults::default());
        let proxy = Forward { port: store.port(), dice: Dice::new(faults) };
        let mut body = Vec::new();
        for id in 0..documents {
            writeln!(body, r#"{{"create":{{"_index":"a","_id":"{id}"}}}}"#).unwrap();
            writeln!(body, "{{}}").unwrap();
        }
        let path = "/_bulk?filter_path=errors,items.*.status".to_owned();
        let answer =
            proxy.answer(&Request { method: "POST".to_owned(), path, body, ..Request::default() });
        (answer, store.count())
    }

    #[test]
    fn what_is_refused_or_reset_does_not_reach_the_store() {
        let refused = |faults, expected| {
            let (answer, stored) = check(faults, 3);
            assert!(matches!(answer, Answer::Reply(status, _) if status == expected), "{answer:?}");
            assert_eq!(stored, 0);
        };
        refused(Faults { too_many: 1.0, ..Faults::default() }, 429);
        refused(Faults { unavailable: 1.0, ..Faults::default() }, 503);
        let (answer, stored) = check(Faults { resets: 1.0, ..Faults::default() }, 3);
        assert!(matches!(answer, Answer::Reset), "{answer:?}");
        assert_eq!(stored, 0);
    }

    #[test]
    fn what_is_let_through_is_stored_also_when_its_answer_is_lost() {
        let (answer, stored) = check(Faults::default(), 3);
        assert!(matches!(answer, Answer::Reply(200, _)), "{answer:?}");
        assert_eq!(stored, 3);
        let (answer, stored) = check(Faults { lost_answers: 1.0, ..Faults::default() }, 3);
        assert!(matches!(answer, Answer::Lost), "{answer:?}");
        assert_eq!(stored, 3);
    }

    #[test]
    fn items_that_are_refused_are_not_stored_and_the_others_are() {
        // One in three, so that each request has some.
        let faults = Faults { items_too_many: 1.0 / 3.0, ..Faults::default() };
        for documents in [1, 300] {
            let (answer, stored) = check(faults, documents);
            let Answer::Reply(200, body) = answer else { panic!("{answer:?}") };
            let body: Value = serde_json::from_slice(&body).unwrap();
            let items = body["items"].as_array().unwrap();
            let of = |status: u16| {
                items.iter().filter(|item| item["create"]["status"] == status).count()
            };
            assert_eq!((of(201), of(201) + of(429)), (stored, documents));
            assert!(documents == 1 || (1..documents).contains(&stored), "{stored}");
        }
    }
}

//! An HTTP/1.1 server with a thread a connection, short enough that its every fault is on purpose.

use flate2::read::{GzDecoder, ZlibDecoder};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// More header lines than any client or store sends.
pub(crate) const HEADERS_MAX: usize = 64;

/// One request, its body already unpacked.
#[derive(Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// After `Content-Encoding` was undone.
    pub body: Vec<u8>,
    /// Bytes of the body on the wire.
    pub wire_bytes: usize,
}

impl Request {
    /// The value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a request gets.
#[derive(Debug)]
pub enum Answer {
    /// The connection ends without an answer.
    Lost,
    /// A status and a JSON body.
    Reply(u16, Vec<u8>),
    /// The connection is reset.
    Reset,
    /// Lines that come one by one, until their sender is gone.
    Lines(Receiver<String>),
}

/// What stands behind a [`Server`].
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &Request) -> Answer;
}

/// A server on a port of its own, which it keeps also while it refuses connections.
pub struct Server {
    port: u16,
    /// Bound and never listening: nobody else gets the port while we refuse.
    _held: Socket,
    service: Arc<dyn Service>,
    listening: Mutex<Option<Listening>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Server on port {}", self.port)
    }
}

struct Listening {
    socket: Arc<Socket>,
    connections: Arc<Mutex<Vec<Weak<TcpStream>>>>,
    acceptor: JoinHandle<()>,
}

impl Server {
    /// A server that listens.
    #[must_use]
    pub fn start(service: Arc<dyn Service>) -> Self {
        let server = Self::refusing(service);
        server.listen();
        server
    }

    /// A server that refuses connections until [`Server::listen`].
    #[must_use]
    pub fn refusing(service: Arc<dyn Service>) -> Self {
        let held = bound(0);
        let port = held.local_addr().unwrap().as_socket_ipv4().unwrap().port();
        Self { port, _held: held, service, listening: Mutex::new(None) }
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes connections from now on.
    pub fn listen(&self) {
        let mut listening = self.listening.lock().unwrap();
        if listening.is_some() {
            return;
        }
        let socket = Arc::new(bound(self.port));
        socket.listen(128).unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let acceptor = std::thread::spawn({
            let (socket, connections) = (Arc::clone(&socket), Arc::clone(&connections));
            let service = Arc::clone(&self.service);
            move || accept(&socket, &connections, &service)
        });
        *listening = Some(Listening { socket, connections, acceptor });
    }

    /// Refuses connections from now on and ends those that are open.
    pub fn refuse(&self) {
        let Some(listening) = self.listening.lock().unwrap().take() else { return };
        // Ends the blocked accept(2).
        listening.socket.shutdown(Shutdown::Both).unwrap();
        listening.acceptor.join().unwrap();
        for connection in listening.connections.lock().unwrap().drain(..) {
            let Some(connection) = connection.upgrade() else { continue };
            // Those the client closed already are not connected any more.
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.refuse();
    }
}

fn bound(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))).unwrap();
    socket
}

fn accept(socket: &Socket, connections: &Mutex<Vec<Weak<TcpStream>>>, service: &Arc<dyn Service>) {
    while let Ok((connection, _)) = socket.accept() {
        // Its thread alone owns the connection, so that it decides how it ends.
        let connection = Arc::new(TcpStream::from(connection));
        connections.lock().unwrap().push(Arc::downgrade(&connection));
        let service = Arc::clone(service);
        // An error is a client that went away.
        std::thread::spawn(move || serve(&connection, &*service).ok());
    }
}

fn serve(connection: &TcpStream, service: &dyn Service) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, connection);
    let mut request = Request::default();
    let mut reply = Vec::new();
    while read_request(&mut reader, &mut request)? {
        match service.answer(&request) {
            Answer::Lost => break,
            Answer::Reply(status, body) => {
                reply.clear();
                write!(reply, "HTTP/1.1 {status} \r\ncontent-type: application/json\r\n")?;
                if status != 204 {
                    write!(reply, "content-length: {}\r\n", body.len())?;
                }
                reply.extend_from_slice(b"\r\n");
                reply.extend_from_slice(&body);
                (&*connection).write_all(&reply)?;
            }
            Answer::Lines(lines) => {
                (&*connection)
                    .write_all(b"HTTP/1.1 200 .\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for line in lines {
                    let size = line.len() + 1;
                    (&*connection).write_all(format!("{size:x}\r\n{line}\n\r\n").as_bytes())?;
                }
                (&*connection).write_all(b"0\r\n\r\n")?;
            }
            Answer::Reset => {
                // Closed with a linger of zero, a connection ends in a reset.
                return socket2::SockRef::from(connection).set_linger(Some(Duration::ZERO));
            }
        }
    }
    connection.shutdown(Shutdown::Both)
}

/// Reads one request into `request`, whose memory is used again; `false` at the end of the connection.
fn read_request(reader: &mut BufReader<&TcpStream>, request: &mut Request) -> io::Result<bool> {
    let Some(head) = read_head(reader)? else { return Ok(false) };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(&head).map_err(io::Error::other)?;
    parsed.method.unwrap_or_default().clone_into(&mut request.method);
    parsed.path.unwrap_or_default().clone_into(&mut request.path);
    request.headers.clear();
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request.headers.push((header.name.to_lowercase(), value));
    }
    read_body(reader, request)?;
    Ok(true)
}

/// All up to the empty line, and that; `None` at the end of the connection.
pub(crate) fn read_head(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let line_start = head.len();
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
        if matches!(&head[line_start..], b"\r\n" | b"\n") {
            return Ok(Some(head));
        }
    }
}

fn read_body(reader: &mut BufReader<&TcpStream>, request: &mut Request) -> io::Result<()> {
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let chunked = request.header("transfer-encoding") == Some("chunked");
    request.body.clear();
    if chunked {
        read_chunks(reader, &mut request.body)?;
    } else {
        request.body.resize(length.unwrap_or(0), 0);
        reader.read_exact(&mut request.body)?;
    }
    request.wire_bytes = request.body.len();
    let packed = |body: &mut Vec<u8>| std::mem::take(body);
    match request.header("content-encoding").map(str::to_lowercase).as_deref() {
        Some("gzip") => {
            let body = packed(&mut request.body);
            GzDecoder::new(&*body).read_to_end(&mut request.body)?;
        }
        Some("deflate") => {
            let body = packed(&mut request.body);
            ZlibDecoder::new(&*body).read_to_end(&mut request.body)?;
        }
        _ => {}
    }
    Ok(())
}

fn read_chunks(reader: &mut BufReader<&TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let length = line.trim().split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length, 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..])?;
        line.clear();
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}

//! Stands before the API server, without TLS, and counts what is asked.

use std::io::{Error, Result};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// More than the head of any request that an agent sends.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// A proxy on a port of its own, until it is dropped.
pub(crate) struct ApiProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    /// Moves when all connections are to end; ends with the proxy.
    cut: watch::Sender<u64>,
}

/// What a connection is served with.
#[derive(Clone)]
struct Forward {
    client: reqwest::Client,
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ApiProxy {
    /// Before the server at `url`. `client` brings nothing but its trust in the server: who asks says so.
    pub(crate) fn start(url: String, client: reqwest::Client) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::default();
        let forward = Forward { client, url, asked: Arc::clone(&asked) };
        let (cut, mut is_cut) = watch::channel(0);
        std::thread::spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            let Ok((connection, _)) = accepted else { return };
                            tokio::spawn(forward.clone().serve_until(connection, is_cut.clone()));
                        }
                        changed = is_cut.changed() => if changed.is_err() { return },
                    }
                }
            });
        });
        Self { port, asked, cut }
    }

    /// Where it listens, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked since this was called last: method and path.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Ends all connections, also those that an answer is still on its way on.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Forward {
    async fn serve_until(self, connection: TcpStream, mut is_cut: watch::Receiver<u64>) {
        tokio::select! {
            // An error is a client, or a server, that went away.
            _ = self.serve(connection) => {}
            _ = is_cut.changed() => {}
        }
    }

    /// Passes requests on, none of which has a body, one after another.
    async fn serve(&self, connection: TcpStream) -> Result<()> {
        let mut connection = BufStream::new(connection);
        loop {
            let Some(request) = self.read(&mut connection).await? else { return Ok(()) };
            let mut answer = request.send().await.map_err(Error::other)?;
            let head = format!(
                "HTTP/1.1 {} \r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
                answer.status().as_u16()
            );
            connection.write_all(head.as_bytes()).await?;
            while let Some(chunk) = answer.chunk().await.map_err(Error::other)? {
                connection.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                connection.write_all(&chunk).await?;
                connection.write_all(b"\r\n").await?;
                connection.flush().await?;
            }
            connection.write_all(b"0\r\n\r\n").await?;
            connection.flush().await?;
        }
    }

    /// Reads a request; `None` at the end of the connection.
    async fn read(
        &self,
        connection: &mut BufStream<TcpStream>,
    ) -> Result<Option<reqwest::RequestBuilder>> {
        let mut lines = connection.take(HEAD_BYTES_MAX).lines();
        let Some(first) = lines.next_line().await? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some("GET"), Some(path)) = (words.next(), words.next()) else {
            return Err(Error::other(first));
        };
        self.asked.lock().unwrap().push(format!("GET {path}"));
        let mut request = self.client.get(format!("{}{path}", self.url));
        while let Some(line) = lines.next_line().await? {
            let Some((name, value)) = line.split_once(": ") else { break };
            if ["accept", "authorization"].contains(&&*name.to_lowercase()) {
                request = request.header(name, value);
            }
        }
        Ok(Some(request))
    }
}

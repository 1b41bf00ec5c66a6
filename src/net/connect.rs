//! From a host name to a TCP connection: resolve, order the addresses, try each.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::{ConnectError, NetOptions};

/// Addresses of a name that are tried in one go. More would leave each too little time.
const ADDRESS_COUNT_MAX: usize = 16;
/// Names that are looked up at once, by all outputs together. Each takes a thread, and one that was
/// given up keeps it until the system's resolver is done: half a minute where no name server answers.
const LOOKUP_COUNT_MAX: usize = 32;

/// A connection of whatever make: TCP, TLS, through a proxy.
pub(super) type Stream = Box<dyn Duplex>;

/// What a connection can do.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A network in memory, for tests: makes one end of a connection, or none.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Line(
    pub(crate) std::sync::Arc<dyn Fn() -> Option<tokio::io::DuplexStream> + Send + Sync>,
);

#[cfg(test)]
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

#[cfg(test)]
impl Line {
    pub(super) fn connect(&self) -> Result<Stream, ConnectError> {
        let stream = (self.0)().ok_or(ConnectError::Closed)?;
        Ok(Box::new(stream))
    }
}

/// When connecting has to be done, all its steps together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    limit: Duration,
    at: Instant,
}

impl Deadline {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, at: Instant::now() + limit }
    }

    /// The outcome of `work`, or that this step was not done in time.
    pub(super) async fn hold<T>(
        self,
        step: &'static str,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout_at(self.at, work).await.unwrap_or(Err(self.missed(step)))
    }

    fn missed(self, step: &'static str) -> ConnectError {
        ConnectError::Timeout { step, limit: self.limit }
    }
}

/// Connects to the first address of `host` that accepts. `host` is a name or a bare IP address.
pub(super) async fn connect(
    host: &str,
    port: u16,
    net: &NetOptions,
    deadline: Deadline,
) -> Result<TcpStream, ConnectError> {
    let found = async { resolve(host, port).await.map_err(ConnectError::Resolve) };
    let mut addresses = deadline.hold("resolving the name", found).await?;
    prefer(&mut addresses, net);
    addresses.truncate(ADDRESS_COUNT_MAX);
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = ConnectError::NoAddress;
    for address in addresses {
        // An equal share of the time for each, so that one dead address does not use it up.
        let share = deadline.at.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match timeout(share, try_address(address, net)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = ConnectError::Tcp { address, error },
            Err(_elapsed) => last = deadline.missed("the TCP connection"),
        }
    }
    Err(last)
}

/// The addresses of a name, by the system's resolver, or the one that the host is.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUP_COUNT_MAX);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let lookup = move || {
        // Held by the thread, which goes on when nobody waits for it any more.
        let _permit = permit;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    };
    spawn_blocking(lookup).await.map_err(io::Error::other)?
}

/// The preferred family first, else the resolver's order.
fn prefer(addresses: &mut [SocketAddr], net: &NetOptions) {
    if net.dns_prefer_ipv4 {
        addresses.sort_by_key(SocketAddr::is_ipv6);
    } else if net.dns_prefer_ipv6 {
        addresses.sort_by_key(SocketAddr::is_ipv4);
    }
}

/// One attempt, with the socket set up as asked.
async fn try_address(address: SocketAddr, net: &NetOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = &net.source_address {
        bind(&socket, source);
    }
    socket.set_nodelay(true)?;
    if net.tcp_keepalive {
        probe(&socket, net)?;
    }
    socket.connect(address).await
}

/// Takes the local address asked for. Fluent Bit connects from any address when that fails, and so
/// do we: a missing interface must not stop delivery.
fn bind(socket: &TcpSocket, source: &str) {
    let address = source.parse::<IpAddr>().map_err(io::Error::other);
    if let Err(error) = address.and_then(|address| socket.bind(SocketAddr::new(address, 0))) {
        tracing::warn!(source, %error, "cannot use `net.source_address`; connecting from any");
    }
}

/// Turns on the kernel's probes of a silent connection.
fn probe(socket: &TcpSocket, net: &NetOptions) -> io::Result<()> {
    socket.set_keepalive(true)?;
    if let Some(seconds) = positive(net.tcp_keepalive_time) {
        sockopt::set_tcp_keepidle(socket, Duration::from_secs(seconds.into()))?;
    }
    if let Some(seconds) = positive(net.tcp_keepalive_interval) {
        sockopt::set_tcp_keepintvl(socket, Duration::from_secs(seconds.into()))?;
    }
    if let Some(count) = positive(net.tcp_keepalive_probes) {
        sockopt::set_tcp_keepcnt(socket, count)?;
    }
    Ok(())
}

/// A value that was set: the default, -1, leaves the system's.
fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|&value| value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(net: &NetOptions, expected: [&str; 3]) {
        let mut addresses = ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"].map(|text| text.parse().unwrap());
        prefer(&mut addresses, net);
        assert_eq!(addresses.map(|address| address.to_string()), expected);
    }

    #[test]
    fn families_are_preferred_as_asked() {
        let default = NetOptions::default();
        check(&default, ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
        let four = NetOptions { dns_prefer_ipv4: true, ..default.clone() };
        check(&four, ["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]);
        let six = NetOptions { dns_prefer_ipv6: true, ..default };
        check(&six, ["[::1]:1", "1.1.1.1:1", "2.2.2.2:1"]);
    }
}

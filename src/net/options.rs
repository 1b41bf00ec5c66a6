//! What a user asks of a connection: the `net.*` and `tls.*` properties of an output.

use std::time::Duration;

/// The `net.*` properties, with Fluent Bit's names and defaults
/// (<https://docs.fluentbit.io/manual/administration/networking>).
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one field for each property of Fluent Bit")]
pub struct NetOptions {
    /// Longest time for resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// Longest time without a byte in either direction while a request is under way; 0 = the
    /// client's own bound, [`ANSWER_WAIT_MAX`](super::ANSWER_WAIT_MAX).
    pub io_timeout: Duration,
    /// Keep connections for the next request.
    pub keepalive: bool,
    /// An unused connection is closed after this time.
    pub keepalive_idle_timeout: Duration,
    /// Requests that one connection carries before it is replaced; 0 = any number.
    pub keepalive_max_recycle: u64,
    /// Connections open at once; 0 = any number.
    pub max_worker_connections: u64,
    /// Local address to connect from, as a numeric IP address.
    pub source_address: Option<String>,
    /// Whether the kernel probes silent connections.
    pub tcp_keepalive: bool,
    /// Seconds of silence before the first probe; negative = the system's value.
    pub tcp_keepalive_time: i32,
    /// Seconds between probes; negative = the system's value.
    pub tcp_keepalive_interval: i32,
    /// Lost probes after which a connection is dead; negative = the system's value.
    pub tcp_keepalive_probes: i32,
    /// Try IPv4 addresses before the others.
    pub dns_prefer_ipv4: bool,
    /// Try IPv6 addresses before the others.
    pub dns_prefer_ipv6: bool,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            io_timeout: Duration::ZERO,
            keepalive: true,
            keepalive_idle_timeout: Duration::from_secs(30),
            keepalive_max_recycle: 2000,
            max_worker_connections: 0,
            source_address: None,
            tcp_keepalive: false,
            tcp_keepalive_time: -1,
            tcp_keepalive_interval: -1,
            tcp_keepalive_probes: -1,
            dns_prefer_ipv4: false,
            dns_prefer_ipv6: false,
        }
    }
}

/// The `tls` and `tls.*` properties, with Fluent Bit's names and defaults
/// (<https://docs.fluentbit.io/manual/administration/transport-security>).
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Speak TLS at all.
    pub tls: bool,
    /// Check that the server's certificate comes from a trusted authority.
    pub verify: bool,
    /// Check that it was made for the server's name; off by default, as in Fluent Bit.
    pub verify_hostname: bool,
    /// Trusted authorities, as PEM; none = the system's. Ignored beside `ca_path`.
    pub ca_file: Option<String>,
    /// Folder of PEM files with trusted authorities.
    pub ca_path: Option<String>,
    /// Our own certificate chain, as PEM.
    pub crt_file: Option<String>,
    /// Its private key, as PEM.
    pub key_file: Option<String>,
    /// Password of the private key.
    pub key_passwd: Option<String>,
    /// Name to ask the server for, and to check, in place of `Host`.
    pub vhost: Option<String>,
    /// Lowest protocol version, in Fluent Bit's spelling: `TLSv1.2`.
    pub min_version: Option<String>,
    /// Highest protocol version.
    pub max_version: Option<String>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            tls: false,
            verify: true,
            verify_hostname: false,
            ca_file: None,
            ca_path: None,
            crt_file: None,
            key_file: None,
            key_passwd: None,
            vhost: None,
            min_version: None,
            max_version: None,
        }
    }
}

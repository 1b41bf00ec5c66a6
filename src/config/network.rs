//! `net.*` and `tls.*`: how a plugin connects.

use std::time::Duration;

use super::properties;
use super::value::Secret;

properties! {
    /// How connections are opened, kept and given up.
    pub struct NetOptions for "net" {
        /// Uses a connection for more than one request.
        keepalive: bool ["net.keepalive" = "on"],
        /// Closes a connection that was idle for so long.
        keepalive_idle_timeout: Duration ["net.keepalive_idle_timeout" = "30s"],
        /// Requests on one connection before a new one is opened; 0 is no bound.
        keepalive_max_recycle: u64 ["net.keepalive_max_recycle" = "2000"],
        /// Time for connecting, the TLS handshake included.
        connect_timeout: Duration ["net.connect_timeout" = "10s"],
        /// Time without a byte on a connection in use; 0 is no bound.
        io_timeout: Duration ["net.io_timeout" = "0s"],
        /// Connections at once; 0 leaves it to the output.
        max_worker_connections: u64 ["net.max_worker_connections" = "0"],
        /// Local address to connect from.
        source_address: Option<String> ["net.source_address"],
        /// Lets the kernel probe idle connections.
        tcp_keepalive: bool ["net.tcp_keepalive" = "off"],
        /// Idle seconds before the first probe; -1 is the system's choice.
        tcp_keepalive_time: i32 ["net.tcp_keepalive_time" = "-1"],
        /// Seconds between probes; -1 is the system's choice.
        tcp_keepalive_interval: i32 ["net.tcp_keepalive_interval" = "-1"],
        /// Lost probes that end a connection; -1 is the system's choice.
        tcp_keepalive_probes: i32 ["net.tcp_keepalive_probes" = "-1"],
        /// Tries IPv4 addresses first.
        dns_prefer_ipv4: bool ["net.dns.prefer_ipv4" = "off"],
        /// Tries IPv6 addresses first.
        dns_prefer_ipv6: bool ["net.dns.prefer_ipv6" = "off"],
        @accepted {
            "net.connect_timeout_log_error": "a timeout is always logged, rate-limited",
            "net.proxy_env_ignore": "proxies of the environment are never asked",
            "net.dns.mode": "the system's resolver is asked",
            "net.dns.resolver": "the system's resolver is asked",
        }
    }
}

properties! {
    /// Encryption and whom to trust.
    pub struct TlsOptions for "tls" as Common {
        /// Encrypts the connection.
        tls: bool ["tls" = "off"],
        /// Checks the peer's certificate.
        verify: bool ["tls.verify" = "on"],
        /// Checks that the certificate is for the host asked. Fluent Bit's default is off.
        verify_hostname: bool ["tls.verify_hostname" = "off"],
        /// File with the authorities to trust, PEM; unset, the system's.
        ca_file: Option<String> ["tls.ca_file"],
        /// Folder with authorities to trust, PEM.
        ca_path: Option<String> ["tls.ca_path"],
        /// Own certificate, PEM.
        crt_file: Option<String> ["tls.crt_file"],
        /// Own key, PEM.
        key_file: Option<String> ["tls.key_file"],
        /// Password of the own key.
        key_passwd: Secret ["tls.key_passwd"],
        /// Name to ask for (SNI) instead of the host.
        vhost: Option<String> ["tls.vhost"],
        /// Lowest version of TLS.
        min_version: Option<String> ["tls.min_version"],
        /// Highest version of TLS.
        max_version: Option<String> ["tls.max_version"],
        @accepted {
            "tls.debug": "TLS says what it does at `Log_Level debug`",
            "tls.ciphers": "only safe ciphers are built in",
            "tls.verify_client_cert": "it is for plugins that listen",
            "tls.proxy.ca_file": "no proxy is asked over TLS",
            "tls.proxy.ca_path": "no proxy is asked over TLS",
            "tls.proxy.verify": "no proxy is asked over TLS",
            "tls.proxy.verify_hostname": "no proxy is asked over TLS",
            "tls.windows.certstore_name": "it is for Windows",
            "tls.windows.use_enterprise_store": "it is for Windows",
            "tls.windows.client_thumbprints": "it is for Windows",
        }
    }
}

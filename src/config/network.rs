//! `net.*` and `tls.*`: how a plugin connects.

use std::time::Duration;

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::properties;
use super::property::Kind;
use super::section::Section;
use super::value::{Reading, Secret, Value};

properties! {
    /// How connections are opened, kept and given up.
    pub struct NetOptions for "net" {
        /// Uses a connection for more than one request.
        keepalive: bool ["net.keepalive" = "on"],
        /// Closes a connection that was idle for so long.
        keepalive_idle_timeout: Duration ["net.keepalive_idle_timeout" = "30s"],
        /// Requests on one connection before a new one is opened; 0 or less is no bound.
        keepalive_max_recycle: i64 ["net.keepalive_max_recycle" = "2000"],
        /// Time for connecting: name, proxy and TLS handshake included.
        connect_timeout: Duration ["net.connect_timeout" = "10s"],
        /// Logs a connection that took too long as a warning; off, at `Log_Level debug` only.
        connect_timeout_log_error: bool ["net.connect_timeout_log_error" = "on"],
        /// Time without a byte on a connection in use; 0 is no bound.
        io_timeout: Duration ["net.io_timeout" = "0s"],
        /// Connections at once; 0 or less leaves it to the output.
        max_worker_connections: i64 ["net.max_worker_connections" = "0"],
        /// Local address to connect from.
        source_address: Option<String> ["net.source_address"],
        /// Connects directly, whatever `HTTP_PROXY` of the environment says.
        proxy_env_ignore: bool ["net.proxy_env_ignore" = "off"],
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
            "net.dns.mode": "the system's resolver is asked; `options use-vc` in resolv.conf makes it use TCP",
            "net.dns.resolver": "the system's resolver is asked, beside the work and within `net.connect_timeout`",
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
        /// File with the authorities to trust, PEM; unset, the system's. Read anew when it changes.
        ca_file: Option<String> ["tls.ca_file"],
        /// Folder with authorities to trust, PEM, instead of `tls.ca_file`. Read anew when it changes.
        ca_path: Option<String> ["tls.ca_path"],
        /// Own certificate and those between it and its authority, PEM. Read anew when it changes.
        crt_file: Option<String> ["tls.crt_file"],
        /// Own key, PEM. Read anew when it changes.
        key_file: Option<String> ["tls.key_file"],
        /// Password of the own key, where that is encrypted (PKCS#8).
        key_passwd: Secret ["tls.key_passwd"],
        /// Name to ask for (SNI), and to check, instead of the host.
        vhost: Option<String> ["tls.vhost"],
        /// Lowest version of TLS; 1.2 is the oldest there is.
        min_version: TlsVersion ["tls.min_version"],
        /// Highest version of TLS.
        max_version: TlsVersion ["tls.max_version"],
        /// Cipher suites of TLS 1.2 to offer, by OpenSSL's names, with `:` between them; unset, all that
        /// are built in. Those of TLS 1.3 are always offered.
        ciphers: Option<Ciphers> ["tls.ciphers"],
        /// Checks the certificate of a proxy that is asked over TLS.
        proxy_verify: bool ["tls.proxy.verify" = "on"],
        /// Checks that the certificate of a proxy is for its host.
        proxy_verify_hostname: bool ["tls.proxy.verify_hostname" = "on"],
        /// File with the authorities to trust in a proxy, PEM; unset, the system's.
        proxy_ca_file: Option<String> ["tls.proxy.ca_file"],
        /// Folder with authorities to trust in a proxy, PEM.
        proxy_ca_path: Option<String> ["tls.proxy.ca_path"],
        @accepted {
            "tls.debug": "TLS says what it does at `Log_Level debug`",
            "tls.verify_client_cert": "it is for plugins that listen",
            "tls.windows.certstore_name": "it is for Windows",
            "tls.windows.use_enterprise_store": "it is for Windows",
            "tls.windows.client_thumbprints": "it is for Windows",
        }
    }
}

impl TlsOptions {
    /// Reports what of these options is hardly meant, or leaves a plugin without what it asks for.
    pub(super) fn examine(&self, section: &Section, diagnostics: &mut Diagnostics) {
        if !self.tls {
            return;
        }
        if !self.verify {
            let message = "`tls.verify off`: whoever answers at this address gets the records and the \
                           credentials; name the authority in `tls.ca_file` instead";
            diagnostics.warning(section.location_of("tls.verify"), message);
        }
        match (&self.crt_file, &self.key_file) {
            (Some(_), None) => {
                let message =
                    "`tls.crt_file` without `tls.key_file`: no client certificate is shown";
                diagnostics.warning(section.location_of("tls.crt_file"), message);
            }
            (None, Some(_)) => {
                let message =
                    "`tls.key_file` without `tls.crt_file`: set the certificate of the key";
                diagnostics.error(section.location_of("tls.key_file"), message);
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

/// What is wrong with a `Host` that is more than a name or an address, and what to write instead.
pub(super) fn examine_host(host: &str, location: &Location, diagnostics: &mut Diagnostics) {
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let rest = rest.split_once('/').map_or(rest, |(authority, _path)| authority);
    // Not to be shown: it may hold a password.
    let rest = rest.rsplit_once('@').map_or(rest, |(_user, rest)| rest);
    let (name, port) = match rest.rsplit_once(':') {
        // More colons without brackets are an IPv6 address.
        Some((name, port)) if name.ends_with(']') || !name.contains(':') => (name, Some(port)),
        _ => (rest, None),
    };
    if name == host {
        return;
    }
    let port = port.map_or_else(String::new, |port| format!(", `Port {port}`"));
    let tls = if scheme.eq_ignore_ascii_case("https") { ", `tls on`" } else { "" };
    let message = "`Host` is no name and no address, so nothing will connect";
    diagnostics.add(
        finding(Severity::Warning, location, message)
            .with_remedy(format!("write `Host {name}`{port}{tls}")),
    );
}

/// A version of TLS, as a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// No bound, or none that is known.
    #[default]
    Any,
    /// SSL, TLS 1.0 and TLS 1.1.
    Old,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Value for TlsVersion {
    const KIND: Kind = Kind::Choice(&["TLSv1.2", "TLSv1.3"]);

    /// Like Fluent Bit, takes a part of a name for the first name that begins so, and sets no bound
    /// by an unknown one.
    fn read(text: &str) -> Reading<Self> {
        const NAMES: &[(&str, TlsVersion)] = &[
            ("sslv2", TlsVersion::Old),
            ("sslv3", TlsVersion::Old),
            ("tlsv1", TlsVersion::Old),
            ("tlsv1.1", TlsVersion::Old),
            ("tlsv1.2", TlsVersion::Tls12),
            ("tlsv1.3", TlsVersion::Tls13),
        ];
        let lower = text.to_ascii_lowercase();
        match NAMES.iter().find(|(name, _)| name.starts_with(&lower)) {
            Some(&(_, version)) => Reading::Clear(version),
            None => Reading::Guess(
                Self::Any,
                "no version of TLS, so no bound is set; write `TLSv1.2` or `TLSv1.3`".to_owned(),
            ),
        }
    }
}

/// The cipher suites of TLS 1.2 that there are, by OpenSSL's names. All have forward secrecy and
/// authenticated encryption.
pub const CIPHERS: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// Some of [`CIPHERS`], at least one, in the order they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphers(pub Vec<&'static str>);

impl Default for Ciphers {
    fn default() -> Self {
        Self(CIPHERS.to_vec())
    }
}

impl Value for Ciphers {
    const KIND: Kind = Kind::Text;

    /// Reads names; OpenSSL's words for groups of suites stand for all that there are.
    fn read(text: &str) -> Reading<Self> {
        let known =
            |name: &str| CIPHERS.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
        let (mut listed, mut left_out, mut unclear) = (Vec::new(), Vec::new(), false);
        for element in text.split([':', ',', ' ', ';']).filter(|element| !element.is_empty()) {
            if let Some(name) = element.strip_prefix(['!', '-']) {
                left_out.extend(known(name));
            } else if let Some(suite) = known(element) {
                listed.push(suite);
            } else if ["ALL", "DEFAULT", "HIGH"].contains(&element) {
                listed.extend(CIPHERS);
            } else if !element.contains(['-', '_', '@']) {
                unclear = true;
            }
        }
        let is_narrow = !listed.is_empty() && !unclear;
        let from = if is_narrow { listed } else { CIPHERS.to_vec() };
        let chosen: Vec<_> = from.into_iter().filter(|name| !left_out.contains(name)).collect();
        if is_narrow && !chosen.is_empty() {
            return Reading::Clear(Self(chosen));
        }
        let chosen = if chosen.is_empty() { CIPHERS.to_vec() } else { chosen };
        Reading::Guess(Self(chosen.clone()), format!("taken as `{}`", chosen.join(":")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SectionKind;
    use super::*;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    #[track_caller]
    fn check_tls(lines: &[(&str, &str)], expected: &Expect) {
        let mut diagnostics = Diagnostics::new();
        let file = Arc::from("a.conf");
        let mut section = Section::new(SectionKind::Output, Location::new(&file, 1));
        for (line, (key, value)) in (2..).zip(lines) {
            section.push(key, value, Location::new(&file, line));
        }
        let options = TlsOptions::read(&mut section, &mut diagnostics);
        options.examine(&section, &mut diagnostics);
        let TlsOptions { min_version, max_version, ciphers, .. } = options;
        let ciphers = ciphers.map(|ciphers| ciphers.0);
        expected.assert_eq(&format!("{min_version:?}..{max_version:?} {ciphers:?}\n{diagnostics}"));
    }

    #[test]
    fn versions_and_ciphers() {
        check_tls(
            &[
                ("tls.min_version", "tlsv1.2"),
                ("tls.max_version", "TLSv1.3"),
                ("tls.ciphers", "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:!aNULL"),
            ],
            &expect![[r#"
                Tls12..Tls13 Some(["ECDHE-RSA-AES128-GCM-SHA256"])
            "#]],
        );
        check_tls(
            &[
                ("tls.min_version", "TLSv1"),
                ("tls.max_version", "1.3"),
                ("tls.ciphers", "EECDH+AESGCM:!ECDHE-RSA-AES256-GCM-SHA384"),
            ],
            &expect![[r#"
                Old..Any Some(["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
                a.conf:3: warning: `tls.max_version`: no version of TLS, so no bound is set; write `TLSv1.2` or `TLSv1.3`
                    tls.max_version 1.3
                a.conf:4: warning: `tls.ciphers`: taken as `ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305`
                    tls.ciphers EECDH+AESGCM:!ECDHE-RSA-AES256-GCM-SHA384
            "#]],
        );
        check_tls(
            &[("tls.ciphers", "RC4-SHA")],
            &expect![[r#"
            Any..Any Some(["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
            a.conf:2: warning: `tls.ciphers`: taken as `ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305`
                tls.ciphers RC4-SHA
        "#]],
        );
        check_tls(
            &[("tls.ciphers", "HIGH:!aNULL:-ecdhe-ecdsa-chacha20-poly1305")],
            &expect![[r#"
                Any..Any Some(["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
            "#]],
        );
    }

    #[test]
    fn what_leaves_no_protection_is_told() {
        check_tls(
            &[("tls", "on"), ("tls.verify", "off"), ("tls.crt_file", "a.crt")],
            &expect![[r#"
                Any..Any None
                a.conf:3: warning: `tls.verify off`: whoever answers at this address gets the records and the credentials; name the authority in `tls.ca_file` instead
                a.conf:4: warning: `tls.crt_file` without `tls.key_file`: no client certificate is shown
            "#]],
        );
        check_tls(
            &[("tls", "on"), ("tls.key_file", "a.key")],
            &expect![[r#"
            Any..Any None
            a.conf:3: `tls.key_file` without `tls.crt_file`: set the certificate of the key
        "#]],
        );
        check_tls(
            &[("tls.verify", "off"), ("tls.key_file", "a.key")],
            &expect![[r#"
            Any..Any None
        "#]],
        );
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let mut diagnostics = Diagnostics::new();
        let file = Arc::from("a.conf");
        let hosts = [
            "logs.example",
            "::1",
            "[::1]",
            "fe80::1%eth0",
            "https://logs.example:9200/path",
            "http://logs.example",
            "logs.example:9200",
            "[::1]:9200",
            "logs.example/",
            "https://user:hunter2@logs.example",
        ];
        for (line, host) in (1..).zip(hosts) {
            examine_host(host, &Location::new(&file, line), &mut diagnostics);
        }
        expect![[r#"
            a.conf:5: warning: `Host` is no name and no address, so nothing will connect; write `Host logs.example`, `Port 9200`, `tls on`
            a.conf:6: warning: `Host` is no name and no address, so nothing will connect; write `Host logs.example`
            a.conf:7: warning: `Host` is no name and no address, so nothing will connect; write `Host logs.example`, `Port 9200`
            a.conf:8: warning: `Host` is no name and no address, so nothing will connect; write `Host [::1]`, `Port 9200`
            a.conf:9: warning: `Host` is no name and no address, so nothing will connect; write `Host logs.example`
            a.conf:10: warning: `Host` is no name and no address, so nothing will connect; write `Host logs.example`, `tls on`
        "#]].assert_eq(&diagnostics.to_string());
    }
}

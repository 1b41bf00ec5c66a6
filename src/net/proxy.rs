//! The proxy of the environment: `HTTP_PROXY` and `NO_PROXY`, as Fluent Bit reads them.
//!
//! Like Fluent Bit, every connection goes through a `CONNECT` tunnel, whether it is encrypted or not,
//! and `HTTPS_PROXY` and `ALL_PROXY` are not read. `NO_PROXY` is read as Fluent Bit's manual and curl
//! say; its code only knows whole names.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;

use super::client::{authority, bare};
use super::connect::{Deadline, Stream, connect};
use super::tls::{Settings, Tls};
use super::{ConnectError, Doubts, NetOptions, ProxyError, ProxyUrlError, TlsOptions};

/// What is read of the head of an answer to `CONNECT`; a longer one is an error. The least that hyper
/// allows.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Connects us to a destination.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    /// With `https://`: the connection to the proxy itself is encrypted.
    tls: Option<Tls>,
}

/// `host:port`, without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.address.host, self.address.port, false))
    }
}

impl Proxy {
    /// The proxy that the environment names for connections to `host`, if any. `variable` is a
    /// variable's value.
    ///
    /// Fails where Fluent Bit refuses to start: if the URL is unusable, or the certificates of
    /// `tls.proxy.*` are.
    pub fn of_environment(
        variable: &dyn Fn(&str) -> Option<String>,
        host: &str,
        net: &NetOptions,
        tls: &TlsOptions,
        doubts: &mut Doubts,
    ) -> Result<Option<Self>, ProxyUrlError> {
        let either = |upper: &str, lower: &str| {
            [upper, lower].into_iter().filter_map(variable).find(|value| !value.is_empty())
        };
        let settings = Settings::of_proxy(tls)?;
        if settings.ca_file.is_some() || settings.ca_path.is_some() {
            // Even where no proxy is asked, as in Fluent Bit.
            Tls::new(host, settings.clone(), doubts)?;
        }
        if net.proxy_env_ignore {
            return Ok(None);
        }
        let Some(url) = either("HTTP_PROXY", "http_proxy") else {
            if tls.tls && either("HTTPS_PROXY", "https_proxy").is_some() {
                doubts.push(
                    "`HTTPS_PROXY` is not read, as in Fluent Bit: set `HTTP_PROXY`, which is for \
                     encrypted connections, too"
                        .to_owned(),
                );
            }
            return Ok(None);
        };
        let exempt = either("NO_PROXY", "no_proxy").unwrap_or_default();
        if is_exempt(host, &exempt) {
            return Ok(None);
        }
        let (is_secure, address) = parse(&url).map_err(ProxyUrlError::Form)?;
        let tls = if is_secure { Some(Tls::new(&address.host, settings, doubts)?) } else { None };
        Ok(Some(Self { address, tls }))
    }

    /// A connection to `host`, made by the proxy.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        net: &NetOptions,
        deadline: Deadline,
    ) -> Result<Stream, ConnectError> {
        let target = authority(host, port, false);
        self.tunnel(&target, net, deadline).await.map_err(|reason| ConnectError::Proxy {
            proxy: self.to_string().into(),
            reason: Box::new(reason),
        })
    }

    async fn tunnel(
        &self,
        target: &str,
        net: &NetOptions,
        deadline: Deadline,
    ) -> Result<Stream, ProxyError> {
        let Address { host, port, authorization } = &self.address;
        let not_connected = ProxyError::NotConnected;
        let mut stream: Stream =
            Box::new(connect(host, *port, net, deadline).await.map_err(not_connected)?);
        if let Some(tls) = &self.tls {
            let secure = async { tls.connect(stream).await.map_err(ConnectError::Tls) };
            let secure = deadline.hold("the TLS handshake", secure).await;
            stream = secure.map_err(not_connected)?;
        }
        let asked = async { Ok(ask(stream, target, authorization.as_ref()).await) };
        deadline.hold("the answer to CONNECT", asked).await.map_err(not_connected)?
    }
}

/// Asks for a tunnel (RFC 9110, 9.3.6); the connection is then the destination's.
async fn ask(
    stream: Stream,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<Stream, ProxyError> {
    let handshake =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, driver) = handshake.await.map_err(ProxyError::Lost)?;
    tokio::spawn(async move {
        // What fails under the request is reported to the request.
        if let Err(error) = driver.with_upgrades().await {
            tracing::debug!(%error, "connection to a proxy ended");
        }
    });
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = hyper::Method::CONNECT;
    // A target that is no authority, from a `Host` that is none, leaves `/`, which a proxy refuses.
    *request.uri_mut() = Uri::try_from(target).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("Fluent-Bit"));
    if let Ok(host) = HeaderValue::from_str(target) {
        headers.insert(HOST, host);
    }
    if let Some(authorization) = authorization {
        headers.insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let answer = sender.send_request(request).await.map_err(ProxyError::Lost)?;
    if !answer.status().is_success() {
        return Err(ProxyError::Refused(answer.status()));
    }
    let tunnel = hyper::upgrade::on(answer).await.map_err(ProxyError::Lost)?;
    Ok(Box::new(TokioIo::new(tunnel)))
}

/// Whether `NO_PROXY` names the host: itself, a domain that it is in, its address, a network that
/// its address is in, or `*`.
fn is_exempt(host: &str, exempt: &str) -> bool {
    let url = format!("http://{}/", authority(bare(host), 80, false));
    let Ok(url) = Uri::try_from(url) else { return false };
    // Any proxy would do: the matcher says whether it would be asked.
    Matcher::builder().all("http://proxy").no(exempt).build().intercept(&url).is_none()
}

/// Where a proxy listens, and who asks it.
#[derive(Debug)]
struct Address {
    /// Without brackets.
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

/// Reads `[http[s]://][USER:PASSWORD@]HOST[:PORT]`; whether the connection to it is encrypted, and the
/// rest. Like Fluent Bit, the last `@` ends the password.
fn parse(url: &str) -> Result<(bool, Address), &'static str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let is_secure = match scheme {
        "http" => false,
        "https" => true,
        "" => return Err("has no scheme before `://`"),
        _ => return Err("names a proxy that is neither `http://` nor `https://`"),
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let authorization = match user.map(|user| user.split_once(':')) {
        None => None,
        Some(None) => return Err("has a user without a password"),
        Some(Some((user, password))) => Some(basic(user, password)?),
    };
    let rest = rest.split_once('/').map_or(rest, |(authority, _path)| authority);
    let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return Err("has a `[` without `]`"),
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, port))) => {
            let port = port.strip_prefix(':');
            (host, Some(port.ok_or("has something else than a port behind `]`")?))
        }
        None => match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err("names no host");
    }
    let port = match port {
        None => {
            if is_secure {
                443
            } else {
                80
            }
        }
        Some(port) => port.parse().map_err(|_invalid| "has no valid port")?,
    };
    Ok((is_secure, Address { host: host.to_owned(), port, authorization }))
}

/// User and password as `Proxy-Authorization` has them (RFC 7617).
fn basic(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let text = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(text).map_err(|_invalid| "has an unusable password")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn urls_are_read_as_fluent_bit_does() {
        let urls = [
            "proxy",
            "proxy:3128",
            "http://proxy",
            "https://proxy",
            "http://proxy:3128/",
            "http://user:p@ss:word@proxy:3128",
            "http://[::1]:3128",
            "https://[::1]",
            "socks5://proxy",
            "://proxy",
            "http://",
            "http://user@proxy:3128",
            "http://user:hunter2@",
            "http://[::1",
            "http://[::1]x",
            "http://proxy:",
            "http://proxy:port",
        ];
        let read = urls.map(|url| match parse(url) {
            Ok((is_secure, Address { host, port, authorization })) => {
                let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
                format!("{url}: {is_secure} {host} {port} {authorization:?}\n")
            }
            Err(reason) => format!("{url}: `HTTP_PROXY` {reason}\n"),
        });
        expect![[r#"
            proxy: false proxy 80 None
            proxy:3128: false proxy 3128 None
            http://proxy: false proxy 80 None
            https://proxy: true proxy 443 None
            http://proxy:3128/: false proxy 3128 None
            http://user:p@ss:word@proxy:3128: false proxy 3128 Some("Basic dXNlcjpwQHNzOndvcmQ=")
            http://[::1]:3128: false ::1 3128 None
            https://[::1]: true ::1 443 None
            socks5://proxy: `HTTP_PROXY` names a proxy that is neither `http://` nor `https://`
            ://proxy: `HTTP_PROXY` has no scheme before `://`
            http://: `HTTP_PROXY` names no host
            http://user@proxy:3128: `HTTP_PROXY` has a user without a password
            http://user:hunter2@: `HTTP_PROXY` names no host
            http://[::1: `HTTP_PROXY` has a `[` without `]`
            http://[::1]x: `HTTP_PROXY` has something else than a port behind `]`
            http://proxy:: `HTTP_PROXY` has no valid port
            http://proxy:port: `HTTP_PROXY` has no valid port
        "#]]
        .assert_eq(&read.concat());
    }

    /// What of `hosts` `NO_PROXY` exempts.
    #[track_caller]
    fn check(exempt: &str, hosts: &[&str], expected: &[&str]) {
        let found: Vec<_> = hosts.iter().copied().filter(|host| is_exempt(host, exempt)).collect();
        assert_eq!(found, expected, "NO_PROXY={exempt}");
    }

    #[test]
    fn hosts_are_exempt_as_for_curl() {
        let names = ["logs.example", "a.logs.example", "xlogs.example", "LOGS.EXAMPLE", "10.1.2.3"];
        check("", &names, &[]);
        check("*", &names[..4], &names[..4]);
        let domain = ["logs.example", "a.logs.example", "LOGS.EXAMPLE"];
        check("other, logs.example", &names, &domain);
        check(".logs.example,", &names, &domain);
        check("a.logs.example", &names, &["a.logs.example"]);
        let addresses = ["10.1.2.3", "10.2.2.3", "::1", "[::1]", "fd00::7"];
        check("10.1.2.3,::1", &addresses, &["10.1.2.3", "::1", "[::1]"]);
        check("10.1.0.0/16,fd00::/8", &addresses, &["10.1.2.3", "fd00::7"]);
    }

    #[test]
    fn the_environment_is_read_as_fluent_bit_does() {
        let tls = TlsOptions { tls: true, ..TlsOptions::default() };
        let check = |variables: &[(&str, &str)], net: &NetOptions, expected: &str| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|&(_, value)| value.to_owned())
            };
            let mut doubts = Doubts::new();
            let found = Proxy::of_environment(&variable, "logs", net, &tls, &mut doubts);
            let text = match found {
                Ok(Some(proxy)) => proxy.to_string(),
                Ok(None) => doubts.join("\n"),
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expected, "{variables:?}");
        };
        let net = NetOptions::default();
        check(&[], &net, "");
        check(&[("HTTP_PROXY", "up:1"), ("http_proxy", "low:1")], &net, "up:1");
        check(&[("HTTP_PROXY", ""), ("http_proxy", "low:1")], &net, "low:1");
        check(&[("HTTP_PROXY", "up:1"), ("no_proxy", "logs")], &net, "");
        let unread = "`HTTPS_PROXY` is not read, as in Fluent Bit: set `HTTP_PROXY`, which is for \
                      encrypted connections, too";
        check(&[("HTTPS_PROXY", "up:1")], &net, unread);
        check(&[("HTTPS_PROXY", "up:1"), ("HTTP_PROXY", "plain:1")], &net, "plain:1");
        let unusable = [("HTTP_PROXY", "http://user:hunter2@")];
        let form = "`HTTP_PROXY` of the environment names no host; write \
                    `http://USER:PASSWORD@HOST:PORT`";
        check(&unusable, &net, form);
        let direct = NetOptions { proxy_env_ignore: true, ..net };
        check(&unusable, &direct, "");
    }
}

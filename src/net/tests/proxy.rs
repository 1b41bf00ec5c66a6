//! Proxies of the environment, in process.

use std::sync::Mutex;

use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;

use super::tls::Authority;
use super::*;

/// A proxy that notes what it is asked, and either answers with a head or connects to the target.
struct Relay {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// With a `refusal`, says that and nothing else.
    async fn start(refusal: Option<&'static [u8]>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (noted, tls) = (Arc::clone(&noted), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => relay(tcp, refusal, &noted).await,
                        Some(tls) => {
                            // A client that does not trust us ends the handshake.
                            let Ok(stream) = tls.accept(tcp).await else { return };
                            relay(stream, refusal, &noted).await;
                        }
                    }
                });
            }
        });
        Self { address, heads, task }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// A client of `target` by the environment with these `variables`; `PROXY` in them is our address.
    fn client(
        &self,
        target: SocketAddr,
        variables: &[(&str, &str)],
        net: &NetOptions,
        tls: &TlsOptions,
    ) -> Client {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.replace("PROXY", &self.address.to_string()))
        };
        let endpoint = Endpoint { host: target.ip().to_string(), port: target.port() };
        let mut doubts = Doubts::new();
        let proxy = Proxy::of_environment(&variable, &endpoint.host, net, tls, &mut doubts);
        let client = Client::new(endpoint, net, tls, proxy.unwrap(), &mut doubts).unwrap();
        assert_eq!(doubts, Doubts::new());
        client
    }
}

async fn relay<S>(mut inside: S, refusal: Option<&[u8]>, noted: &Mutex<Vec<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(inside.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    noted.lock().unwrap().push(head);
    if let Some(refusal) = refusal {
        // The client may have heard enough.
        return inside.write_all(refusal).await.unwrap_or_default();
    }
    let mut outside = TcpStream::connect(target).await.unwrap();
    inside.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // An error is an end that went away.
    copy_bidirectional(&mut inside, &mut outside).await.ok();
}

#[tokio::test]
async fn connections_go_through_a_tunnel() {
    let (net, plain) = (NetOptions::default(), TlsOptions::default());
    let server = Server::start("127.0.0.1:0", &[Act::Answer]).await;
    let proxy = Relay::start(None, None).await;
    let variables = [("http_proxy", "http://us%40er:p@ss%3a@PROXY/")];
    let client = proxy.client(server.address, &variables, &net, &plain);
    for _ in 0..3 {
        assert_eq!(ask(&client).await.unwrap(), "#0");
    }
    let target = server.address;
    // base64 of `us@er:p@ss:`.
    let head = format!(
        "CONNECT {target} HTTP/1.1\r\nuser-agent: Fluent-Bit\r\nhost: {target}\r\n\
         proxy-authorization: Basic dXNAZXI6cEBzczo=\r\n\r\n"
    );
    assert_eq!(proxy.heads(), [head]);
    assert!(!format!("{client:?}").contains("dXNA"), "{client:?}");

    let six = Server::start("[::1]:0", &[Act::Answer]).await;
    let client = proxy.client(six.address, &[("HTTP_PROXY", "PROXY")], &net, &plain);
    assert_eq!(ask(&client).await.unwrap(), "#0");
    assert!(proxy.heads()[1].starts_with(&format!("CONNECT [::1]:{} ", six.address.port())));

    let direct = NetOptions { proxy_env_ignore: true, ..net.clone() };
    for (net, no_proxy) in [(&direct, ""), (&net, "example.com, 127.0.0.0/8")] {
        let variables = [("HTTP_PROXY", "PROXY"), ("NO_PROXY", no_proxy)];
        ask(&proxy.client(server.address, &variables, net, &plain)).await.unwrap();
    }
    assert_eq!(proxy.heads().len(), 2);
}

#[tokio::test]
async fn the_destination_and_the_proxy_may_both_speak_tls() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let net = NetOptions::default();
    let server = ours.server("logs.example", false).await;
    let proxy = Relay::start(None, Some(theirs.acceptor_for("127.0.0.1"))).await;
    let variables = [("HTTP_PROXY", "https://PROXY")];
    let tls = TlsOptions { tls: true, ca_file: Some(ours.ca_file()), ..TlsOptions::default() };
    let trusting = TlsOptions { proxy_ca_file: Some(theirs.ca_file()), ..tls.clone() };
    let client = proxy.client(server, &variables, &net, &trusting);
    assert_eq!(ask(&client).await.unwrap(), "#0");
    let blind = TlsOptions { proxy_verify: false, ..tls.clone() };
    assert_eq!(ask(&proxy.client(server, &variables, &net, &blind)).await.unwrap(), "#0");
    let error = ask(&proxy.client(server, &variables, &net, &tls)).await.unwrap_err().to_string();
    let expected = format!(
        "no connection to {server}: proxy {} of the environment: tls: the certificate is signed by no \
         authority that is trusted here; name the one that signed it in `tls.proxy.ca_file`",
        proxy.address
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_without_the_password() {
    let flood: &'static [u8] =
        format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(10_000)).into_bytes().leak();
    for (answer, expected) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"[..],
            "it answers CONNECT with 407 Proxy Authentication Required; it wants a user and a password",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\nno", "with 403 Forbidden; allow the destination there"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "it answers CONNECT with 502 Bad Gateway"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer to CONNECT: "),
        (b"", "no answer to CONNECT: "),
        (flood, "no answer to CONNECT: "),
    ] {
        let proxy = Relay::start(Some(answer), None).await;
        let target = "192.0.2.1:9200".parse().unwrap();
        let variables = [("HTTP_PROXY", "http://user:hunter2@PROXY")];
        let (net, tls) = (NetOptions::default(), TlsOptions::default());
        let error = ask(&proxy.client(target, &variables, &net, &tls)).await.unwrap_err();
        assert!(matches!(error, SendError::NotConnected { .. }), "{error}");
        let error = error.to_string();
        let begin = format!(
            "no connection to 192.0.2.1:9200: proxy {} of the environment: ",
            proxy.address
        );
        assert!(error.starts_with(&begin) && error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let net = NetOptions { connect_timeout: Duration::from_millis(30), ..NetOptions::default() };
    let (tls, mut doubts) = (TlsOptions::default(), Doubts::new());
    let proxy = Proxy::of_environment(&|_| Some(url.clone()), "192.0.2.1", &net, &tls, &mut doubts);
    let endpoint = Endpoint { host: "192.0.2.1".to_owned(), port: 80 };
    let client = Client::new(endpoint, &net, &tls, proxy.unwrap(), &mut doubts).unwrap();
    let error = ask(&client).await.unwrap_err();
    assert!(error.is_connect_timeout(), "{error}");
    assert!(
        error.to_string().contains("the answer to CONNECT was not done within 30ms"),
        "{error}"
    );
}

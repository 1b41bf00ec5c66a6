//! Outputs over TLS, through the whole agent: who is trusted, and what an operator is told otherwise.

use crate::{LIMIT, PROGRAM, Place, SERVICE, es, tail, wait_for};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, date_time_ymd,
};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use tailwater_testing::{Agent, BulkStore, Faults, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// What those trust who trust it.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for `localhost` and its key.
    fn issue(&self, until_year: i32, usage: ExtendedKeyUsagePurpose) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(until_year, 1, 1);
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a server answers handshakes by; with `clients`, it asks for a certificate signed by them.
    pub(crate) fn acceptor(&self, until_year: i32, clients: Option<&Self>) -> TlsAcceptor {
        let (certificate, key) = self.issue(until_year, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(ring::default_provider());
        let verifier = match clients {
            None => Arc::new(NoClientAuth),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.der().clone()).unwrap();
                let (roots, provider) = (Arc::new(roots), Arc::clone(&provider));
                WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap()
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Runs `serve` for each connection, until the tests end; where it does.
fn listen<F, Served>(serve: F) -> u16
where
    F: Fn(TcpStream) -> Served + Send + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp));
            }
        });
    });
    port
}

/// Takes TLS connections for the store on `store_port`.
pub(crate) fn front(acceptor: TlsAcceptor, store_port: u16) -> u16 {
    listen(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not trust us, or that we do not trust, ends the handshake.
            let Ok(mut outside) = acceptor.accept(tcp).await else { return };
            let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, store_port)).await.unwrap();
            // An error is an end that went away.
            copy_bidirectional(&mut outside, &mut inside).await.ok();
        }
    })
}

/// A proxy that connects to any port of this machine, or refuses with `refusal`.
fn proxy(refusal: Option<&'static str>) -> u16 {
    listen(move |mut outside| async move {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(outside.read_u8().await.unwrap().into());
        }
        if let Some(refusal) = refusal {
            return outside.write_all(refusal.as_bytes()).await.unwrap();
        }
        let (_host, port) = head.split(' ').nth(1).unwrap().split_once(':').unwrap();
        let port = port.parse().unwrap();
        let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        outside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        // An error is an end that went away.
        copy_bidirectional(&mut outside, &mut inside).await.ok();
    })
}

/// A store, and an agent's folder with a line for it.
struct Scene {
    store: BulkStore,
    place: Place,
    ours: Authority,
}

impl Scene {
    /// `port` is made from the authority and the store's port.
    fn new(port: impl FnOnce(&Authority, u16) -> u16, properties: &str) -> Self {
        let (ours, others) = (Authority::new(), Authority::new());
        let store = BulkStore::start(Faults::default());
        let port = port(&ours, store.port());
        let output = es(port, properties).replace("Host 127.0.0.1", "Host localhost");
        let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), &output].concat());
        place.write("ours.pem", ours.certificate.pem().as_bytes());
        place.write("others.pem", others.certificate.pem().as_bytes());
        for (name, authority) in [("ours", &ours), ("others", &others)] {
            place_identity(&place, name, authority);
        }
        place.write("app.log", b"line\n");
        Self { store, place, ours }
    }

    /// Starts the agent; `expected` is what the log says if the line does not arrive.
    #[track_caller]
    fn check(&self, agent: Agent, expected: Option<&str>) {
        let Some(expected) = expected else { return wait_for(&self.store, 1, &agent) };
        let is_told = until(LIMIT, || agent.stderr().contains(expected));
        assert!(is_told, "not told: {expected}\n{}", agent.stderr());
        let ended = agent.terminate(LIMIT);
        assert_eq!((ended.code, self.store.count()), (Some(0), 0), "{}", ended.stderr);
    }
}

/// Writes a client's certificate and key.
fn place_identity(place: &Place, name: &str, signer: &Authority) {
    let (certificate, key) = signer.issue(2999, ExtendedKeyUsagePurpose::ClientAuth);
    place.write(&format!("{name}.crt"), certificate.pem().as_bytes());
    place.write(&format!("{name}.key"), key.serialize_pem().as_bytes());
}

/// Sends a line over TLS with these properties; `expected` is what the log says if it does not arrive.
#[track_caller]
fn check(properties: &str, expected: Option<&str>) {
    let over_tls = |ours: &Authority, port| front(ours.acceptor(2999, None), port);
    let scene = Scene::new(over_tls, &format!("    tls On\n{properties}"));
    scene.check(scene.place.start(), expected);
}

#[test]
fn only_who_is_trusted_gets_records() {
    let unknown = Some("tls: the certificate is signed by no authority that is trusted here");
    check("    tls.ca_file ours.pem", None);
    check("    tls.verify Off", None);
    check("    tls.ca_file others.pem", unknown);
    // The system's authorities do not know ours.
    check("", unknown);
    // The name is only looked at if that is asked for, as in Fluent Bit.
    let elsewhere = "    tls.ca_file ours.pem\n    tls.vhost elsewhere";
    check(elsewhere, None);
    let named = format!("{elsewhere}\n    tls.verify_hostname On");
    check(&named, Some("tls: the certificate is for `localhost`, not for `elsewhere`"));
    check("    tls.ca_file ours.pem\n    tls.verify_hostname On", None);
}

#[test]
fn a_certificate_whose_time_is_over_is_told_with_its_dates() {
    let expired = |ours: &Authority, port| front(ours.acceptor(2001, None), port);
    let scene = Scene::new(expired, "    tls On\n    tls.ca_file ours.pem");
    scene.check(
        scene.place.start(),
        Some("tls: the certificate expired at 2001-01-01T00:00:00Z, and here it is 2"),
    );
}

#[test]
fn clients_show_who_they_are() {
    let asks = |ours: &Authority, port| front(ours.acceptor(2999, Some(ours)), port);
    let common = "    tls On\n    tls.ca_file ours.pem\n";
    let shown =
        |name: &str| format!("{common}    tls.crt_file {name}.crt\n    tls.key_file {name}.key");
    for (properties, expected) in [
        (shown("ours"), None),
        (shown("others"), Some("tls: the server refuses the client certificate")),
        (common.to_owned(), Some("tls: the server wants a client certificate")),
    ] {
        let scene = Scene::new(asks, &properties);
        scene.check(scene.place.start(), expected);
    }
    // What cert-manager does: the certificate is exchanged under the running agent.
    let scene = Scene::new(asks, &shown("others"));
    let agent = scene.place.start();
    assert!(until(LIMIT, || agent.stderr().contains("refuses the client certificate")));
    place_identity(&scene.place, "others", &scene.ours);
    wait_for(&scene.store, 1, &agent);
    assert!(agent.stderr().contains("certificate files have changed and were read again"));
}

#[test]
fn http_and_https_are_not_taken_for_each_other() {
    let over_tls = |ours: &Authority, port| front(ours.acceptor(2999, None), port);
    let scene = Scene::new(over_tls, "");
    scene.check(scene.place.start(), Some("the server speaks TLS at this port; set `tls on`"));
    let plain = |_: &Authority, _| {
        listen(|mut tcp| async move {
            assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        })
    };
    let scene = Scene::new(plain, "    tls On\n    tls.verify Off");
    let told = "tls: what answers does not speak TLS; set `tls off`";
    scene.check(scene.place.start(), Some(told));
}

#[test]
fn records_go_through_the_proxy_of_the_environment() {
    let over_tls = |ours: &Authority, port| front(ours.acceptor(2999, None), port);
    let scene = Scene::new(over_tls, "    tls On\n    tls.ca_file ours.pem");
    let start = |refusal, more: &str| {
        let url = format!("HTTP_PROXY=http://user:hunter2@127.0.0.1:{}", proxy(refusal));
        let arguments = [&url, more, PROGRAM, "-c", "fluent-bit.conf"];
        Agent::start(Path::new("env"), scene.place.dir(), &arguments)
    };
    let agent =
        start(Some("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "NO_PROXY=elsewhere");
    let refused = "it answers CONNECT with 407 Proxy Authentication Required";
    assert!(until(LIMIT, || agent.stderr().contains(refused)), "{}", agent.stderr());
    let ended = agent.terminate(LIMIT);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    wait_for(&scene.store, 1, &start(None, "NO_PROXY=elsewhere"));
    // Past a proxy that would refuse.
    scene.place.write("app.log", b"line\nanother\n");
    wait_for(&scene.store, 2, &start(Some("HTTP/1.1 403 Forbidden\r\n\r\n"), "NO_PROXY=localhost"));
}

/// A wrong proxy ends the start, as in Fluent Bit; what is hardly meant is told.
#[test]
fn what_cannot_connect_is_told_before_the_start() {
    let run = |properties: &str, variable: &str| {
        let scene = Scene::new(|_, port| port, properties);
        let arguments = [variable, PROGRAM, "-c", "fluent-bit.conf", "--dry-run"];
        let ended = Agent::start(Path::new("env"), scene.place.dir(), &arguments).wait(LIMIT);
        (ended.code, ended.stderr)
    };
    for (properties, variable, code, expected) in [
        (
            "",
            "HTTP_PROXY=ftp://x",
            1,
            "`HTTP_PROXY` of the environment names a proxy that is neither",
        ),
        ("    net.proxy_env_ignore On", "HTTP_PROXY=ftp://x", 0, ""),
        ("    tls.proxy.ca_file none.pem", "A=b", 1, "cannot read `tls.proxy.ca_file`"),
        ("    tls On\n    tls.verify Off", "A=b", 0, "warning: `tls.verify off`"),
        (
            "    tls On\n    tls.key_file ours.key",
            "A=b",
            1,
            "`tls.key_file` without `tls.crt_file`",
        ),
        ("    tls On\n    tls.ca_path nowhere", "A=b", 0, "so no server is trusted"),
        ("    tls On\n    tls.ca_file ours.pem", "HTTPS_PROXY=x:1", 0, "`HTTPS_PROXY` is not read"),
    ] {
        let (ended, stderr) = run(properties, variable);
        assert_eq!(ended, Some(code), "{properties}: {stderr}");
        assert!(stderr.contains(expected), "{properties}: {stderr}");
    }
}

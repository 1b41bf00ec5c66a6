//! Outputs over TLS, through the whole agent: who is trusted, and what an operator is told otherwise.

use crate::{LIMIT, Place, SERVICE, es, tail, wait_for};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tailwater_testing::{BulkStore, Faults, until};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// What a server with a certificate for `localhost` answers handshakes by.
    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Takes TLS connections for the store on `store_port`, until the tests end; where it does.
fn front(authority: &Authority, store_port: u16) -> u16 {
    let acceptor = authority.acceptor();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), tcp, store_port));
            }
        });
    });
    port
}

async fn pass_on(acceptor: TlsAcceptor, tcp: TcpStream, store_port: u16) {
    // A client that does not trust us ends the handshake.
    let Ok(mut outside) = acceptor.accept(tcp).await else { return };
    let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, store_port)).await.unwrap();
    // An error is an end that went away.
    copy_bidirectional(&mut outside, &mut inside).await.ok();
}

/// Sends a line with these properties; `expected` is what the log says if it does not arrive.
fn check(properties: &str, expected: Option<&str>) {
    let (ours, others) = (Authority::new(), Authority::new());
    let store = BulkStore::start(Faults::default());
    let port = front(&ours, store.port());
    let output =
        es(port, &format!("    tls On\n{properties}")).replace("Host 127.0.0.1", "Host localhost");
    let place = Place::new(&[SERVICE, &tail("@DIR@/app.log", ""), &output].concat());
    place.write("ours.pem", ours.pem.as_bytes());
    place.write("others.pem", others.pem.as_bytes());
    place.write("app.log", b"line\n");
    let agent = place.start();
    let Some(expected) = expected else { return wait_for(&store, 1, &agent) };
    let is_told = until(LIMIT, || agent.stderr().contains(expected));
    assert!(is_told, "{properties}: {}", agent.stderr());
    let ended = agent.terminate(LIMIT);
    assert_eq!((ended.code, store.count()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn only_who_is_trusted_gets_records() {
    check("    tls.ca_file ours.pem", None);
    check("    tls.verify Off", None);
    check("    tls.ca_file others.pem", Some("invalid peer certificate"));
    // The system's authorities do not know ours.
    check("", Some("invalid peer certificate"));
    // The name is only looked at if that is asked for, as in Fluent Bit.
    let elsewhere = "    tls.ca_file ours.pem\n    tls.vhost elsewhere";
    check(elsewhere, None);
    check(&format!("{elsewhere}\n    tls.verify_hostname On"), Some("invalid peer certificate"));
    check("    tls.ca_file ours.pem\n    tls.verify_hostname On", None);
}

//! TLS: who is trusted, who is not, and what is said about it.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::*;
use crate::config::{Ciphers, Reading, Secret, TlsVersion, Value as _};

/// An authority, certificates of its making, and the folder where they lie as PEM.
pub(super) struct Authority {
    folder: TempDir,
    /// What its servers speak.
    version: &'static SupportedProtocolVersion,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let version = &version::TLS12;
        Self { folder, version, certificate, issuer: Issuer::new(params, key) }
    }

    /// A file in the folder.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn ca_file(&self) -> String {
        self.path("ca.pem")
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Options with a client certificate in the folder, signed by `signer`.
    fn agent(&self, name: &str, signer: &Self) -> TlsOptions {
        let (certificate, key) = signer.issue("agent", ExtendedKeyUsagePurpose::ClientAuth);
        let file = |end: &str| self.path(&format!("{name}.{end}"));
        std::fs::write(file("crt"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsOptions {
            ca_file: Some(self.ca_file()),
            crt_file: Some(file("crt")),
            key_file: Some(file("key")),
            ..TlsOptions::default()
        }
    }

    /// A server with a certificate for `name`; with `mutual`, clients have to show one too.
    pub(super) async fn server(&self, name: &str, mutual: bool) -> SocketAddr {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
        self.serve(&certificate, &key, mutual).await
    }

    async fn serve(
        &self,
        certificate: &rcgen::Certificate,
        key: &KeyPair,
        mutual: bool,
    ) -> SocketAddr {
        let acceptor = self.acceptor(certificate, key, mutual);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(greet(acceptor.clone(), tcp));
            }
        });
        address
    }

    /// What answers handshakes with a certificate for `name`.
    pub(super) fn acceptor_for(&self, name: &str) -> TlsAcceptor {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
        self.acceptor(&certificate, &key, false)
    }

    fn acceptor(
        &self,
        certificate: &rcgen::Certificate,
        key: &KeyPair,
        mutual: bool,
    ) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let clients = if mutual {
            let roots = Arc::new(roots);
            let provider = Arc::clone(&provider);
            WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap()
        } else {
            Arc::new(NoClientAuth)
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn greet(acceptor: TlsAcceptor, tcp: TcpStream) {
    // A client that does not trust us ends the handshake.
    if let Ok(stream) = acceptor.accept(tcp).await {
        serve(stream, 0, &[Act::Answer], Arc::default()).await;
    }
}

/// Asks over TLS; `expected` is the answer or a part of the error.
async fn check(address: SocketAddr, options: TlsOptions, expected: &str) {
    let options = TlsOptions { tls: true, ..options };
    let net = NetOptions::default();
    let client = client("127.0.0.1", address.port(), &net, &options);
    let answer = ask(&client).await;
    if let Err(error) = &answer {
        assert!(matches!(error, SendError::NotConnected { .. }), "{options:?}: {error}");
    }
    let answer = answer.unwrap_or_else(|error| error.to_string());
    assert!(answer.contains(expected), "{options:?}: {answer}");
}

#[tokio::test]
async fn servers_are_checked_as_asked() {
    let (ours, other) = (Authority::new(), Authority::new());
    let address = ours.server("logs.example", false).await;
    let trusting = TlsOptions { ca_file: Some(ours.ca_file()), ..TlsOptions::default() };
    let named = TlsOptions { verify_hostname: true, ..trusting.clone() };
    let vhost = |name: &str| Some(name.to_owned());
    check(address, trusting.clone(), "#0").await;
    check(
        address,
        TlsOptions { ca_file: Some(other.ca_file()), ..trusting.clone() },
        "tls: the certificate is signed by no authority that is trusted here",
    )
    .await;
    check(address, TlsOptions { verify: false, ..TlsOptions::default() }, "#0").await;
    check(address, named.clone(), "the certificate is for `logs.example`, not for").await;
    check(address, TlsOptions { vhost: vhost("logs.example"), ..named.clone() }, "#0").await;
    check(
        address,
        TlsOptions { vhost: vhost("x.example"), ..named },
        "the certificate is for `logs.example`, not for",
    )
    .await;
    let folder = Some(ours.path(""));
    let by_folder =
        TlsOptions { ca_path: folder, ca_file: Some(other.ca_file()), ..trusting.clone() };
    check(address, by_folder, "#0").await;
    let newer = TlsOptions { min_version: TlsVersion::Tls13, ..trusting.clone() };
    check(address, newer, "no version of TLS or cipher that both sides have").await;
    let unnamed = TlsOptions { vhost: vhost("a b"), ..trusting };
    check(address, unnamed, "`a b` is no valid server name").await;
}

#[tokio::test]
async fn the_certificate_in_ca_file_may_be_the_servers_own() {
    let ours = Authority::new();
    for (day, expected) in [
        (rcgen::date_time_ymd(2999, 1, 1), "#0"),
        (rcgen::date_time_ymd(2001, 1, 1), "expired at 2001-01-01T00:00:00Z, and here it is 2"),
    ] {
        let mut params = CertificateParams::new(["logs.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = day;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let path = ours.path("own.pem");
        std::fs::write(&path, certificate.pem()).unwrap();
        let address = ours.serve(&certificate, &key, false).await;
        let options = TlsOptions { ca_file: Some(path), ..TlsOptions::default() };
        check(address, options, expected).await;
        let stranger = TlsOptions { ca_file: Some(ours.ca_file()), ..TlsOptions::default() };
        check(address, stranger, "tls: ").await;
    }
}

/// With TLS 1.2 the handshake tells; with TLS 1.3, only what comes behind it.
#[tokio::test]
async fn a_client_certificate_is_shown() {
    let others = Authority::new();
    for version in [&version::TLS12, &version::TLS13] {
        let ours = Authority { version, ..Authority::new() };
        let address = ours.server("logs.example", true).await;
        let anonymous = TlsOptions { ca_file: Some(ours.ca_file()), ..TlsOptions::default() };
        check(address, ours.agent("agent", &ours), "#0").await;
        check(address, anonymous, "the server wants a client certificate (alert ").await;
        check(address, ours.agent("other", &others), "the server refuses the client certificate")
            .await;
    }
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let (ours, others) = (Authority::new(), Authority::new());
    let address = ours.server("logs.example", true).await;
    let options = TlsOptions { tls: true, ..ours.agent("agent", &others) };
    let net = NetOptions { keepalive: false, ..NetOptions::default() };
    let client = client("127.0.0.1", address.port(), &net, &options);
    let look = || sleep(Duration::from_millis(1050));
    assert!(ask(&client).await.unwrap_err().to_string().contains("refuses the client certificate"));
    ours.agent("agent", &ours);
    look().await;
    assert_eq!(ask(&client).await.unwrap(), "#0");
    // Half-written, for a moment: what was read before stays.
    std::fs::write(ours.path("agent.crt"), "-----BEGIN").unwrap();
    look().await;
    assert_eq!(ask(&client).await.unwrap(), "#0");
    // The authority is exchanged, too.
    std::fs::copy(others.ca_file(), ours.ca_file()).unwrap();
    ours.agent("agent", &ours);
    look().await;
    assert!(ask(&client).await.unwrap_err().to_string().contains("signed by no authority"));
}

#[tokio::test]
async fn a_mismatch_of_http_and_https_is_named() {
    let ours = Authority::new();
    let (net, off) = (NetOptions::default(), TlsOptions::default());
    let secure = ours.server("logs.example", false).await;
    let error = ask(&client("127.0.0.1", secure.port(), &net, &off)).await.unwrap_err();
    assert!(matches!(error, SendError::NotConnected { .. }), "{error}");
    assert!(
        error.to_string().ends_with("the server speaks TLS at this port; set `tls on`"),
        "{error}"
    );

    for (answer, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "what answers does not speak TLS; set `tls off`"),
        ("", "closed by the other side before it was done; does it speak TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        check(address, TlsOptions { verify: false, ..TlsOptions::default() }, expected).await;
    }
}

#[tokio::test]
async fn only_the_ciphers_asked_for_are_offered() {
    let ours = Authority::new();
    let address = ours.server("logs.example", false).await;
    for (name, expected) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "#0"),
        // The server's key is of another kind.
        ("ECDHE-RSA-AES128-GCM-SHA256", "no version of TLS or cipher that both sides have"),
    ] {
        let Reading::Clear(ciphers) = Ciphers::read(name) else { panic!("{name}") };
        let options = TlsOptions {
            ca_file: Some(ours.ca_file()),
            ciphers: Some(ciphers),
            ..TlsOptions::default()
        };
        check(address, options, expected).await;
    }
}

/// Makes a client; what it says against these options, doubts first.
fn objections(options: &TlsOptions) -> String {
    let endpoint = Endpoint { host: "localhost".to_owned(), port: 443 };
    let mut doubts = Doubts::new();
    let made = Client::new(endpoint, &NetOptions::default(), options, None, &mut doubts);
    doubts.extend(made.err().map(|error| error.to_string()));
    doubts.join("\n")
}

#[test]
fn unusable_settings_are_told_before_the_start() {
    let ours = Authority::new();
    let path = |name: &str| Some(ours.path(name));
    std::fs::write(path("empty.pem").unwrap(), "no certificate here").unwrap();
    std::fs::write(path("long.pem").unwrap(), vec![b'x'; (4 << 20) + 1]).unwrap();
    std::fs::create_dir(path("folder").unwrap()).unwrap();
    let default = TlsOptions { tls: true, ..TlsOptions::default() };
    let ca_file = |name| TlsOptions { ca_file: path(name), ..default.clone() };
    let ca_path = |name| TlsOptions { ca_path: path(name), ..default.clone() };
    let max_version = |max_version| TlsOptions { max_version, ..default.clone() };
    let identity = |crt: &str, key: &str| TlsOptions {
        crt_file: path(crt),
        key_file: path(key),
        ..default.clone()
    };
    let (_, key) = ours.issue("a", ExtendedKeyUsagePurpose::ClientAuth);
    std::fs::write(path("other.key").unwrap(), key.serialize_pem()).unwrap();
    for (options, expected) in [
        (ca_file("none.pem"), "cannot read `tls.ca_file`"),
        // Like Fluent Bit, also where nothing is checked.
        (TlsOptions { verify: false, ..ca_file("none.pem") }, "cannot read `tls.ca_file`"),
        (ca_file("empty.pem"), "holds no certificate"),
        (ca_file("long.pem"), "more than 4194304 bytes"),
        (ca_path("none"), "`tls.ca_path`"),
        (ca_path("folder"), "it holds no certificate, so no server is trusted"),
        (max_version(TlsVersion::Old), "there are TLSv1.2 and TLSv1.3"),
        (identity("none.pem", "other.key"), "cannot read `tls.crt_file`"),
        (identity("ca.pem", "none.key"), "cannot read `tls.key_file`"),
        (identity("ca.pem", "other.key"), "unusable client certificate or key"),
        (identity("ca.pem", "ca.pem"), "cannot read `tls.key_file`"),
    ] {
        let objections = objections(&options);
        assert!(objections.contains(expected), "{options:?}: {objections}");
    }
}

#[test]
fn certificates_are_read_only_when_they_are_needed() {
    let ours = Authority::new();
    let off = TlsOptions { ca_file: Some(ours.path("none.pem")), ..TlsOptions::default() };
    assert_eq!(objections(&off), "");
}

/// Runs OpenSSL's own program.
fn openssl(arguments: &[&str]) {
    let run = std::process::Command::new("openssl").args(arguments).output().unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn keys_may_be_encrypted() {
    let ours = Authority::new();
    let address = ours.server("logs.example", true).await;
    let agent = ours.agent("agent", &ours);
    let options = |key_file: &str, password: &str| TlsOptions {
        tls: true,
        key_file: Some(key_file.to_owned()),
        key_passwd: secret(password),
        ..agent.clone()
    };
    let plain = ours.path("agent.key");
    check(address, options(&plain, "not needed"), "#0").await;
    let encrypted = ours.path("encrypted.key");
    let common = ["pkcs8", "-topk8", "-in", &plain, "-out", &encrypted, "-passout", "pass:Geh#eim"];
    for cipher in ["aes-128-cbc", "aes-256-cbc"] {
        openssl(&[&common[..], &["-v2", cipher]].concat());
        check(address, options(&encrypted, "Geh#eim"), "#0").await;
        let objections = objections(&options(&encrypted, "wrong"));
        assert!(objections.contains("cannot be decrypted by `tls.key_passwd`"), "{objections}");
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    // In one file with the certificate, behind the attributes that OpenSSL writes.
    let all =
        format!("Bag Attributes\n{}{}after\n", read(&ours.path("agent.crt")), read(&encrypted));
    std::fs::write(&encrypted, all).unwrap();
    check(address, options(&encrypted, "Geh#eim"), "#0").await;
    let objections = objections(&options(&encrypted, ""));
    assert!(objections.contains("it is encrypted; set `tls.key_passwd`"), "{objections}");
}

fn secret(text: &str) -> Secret {
    match Secret::read(text) {
        Reading::Clear(secret) => secret,
        other => panic!("{other:?}"),
    }
}

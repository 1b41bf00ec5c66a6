//! `tls.*` as a rustls configuration.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion, version,
};
use tokio_rustls::{TlsConnector, rustls};

use super::{TlsError, TlsOptions};

/// Turns TCP streams to one host into TLS streams.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificates. `host` is what is connected to, without brackets.
    pub(super) fn new(host: &str, options: &TlsOptions) -> Result<Self, TlsError> {
        let name = options.vhost.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_invalid| TlsError::ServerName(name.to_owned()))?;
        let provider = Arc::new(ring::default_provider());
        let trust = Trust::new(options, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(options)?)
            .map_err(TlsError::Identity)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let config = match (&options.crt_file, &options.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(chain), Some(key)) => {
                let (chain, key) = (Path::new(chain), Path::new(key));
                if !options.key_passwd.reveal().is_empty() {
                    return Err(TlsError::KeyPassword);
                }
                let chain = certificates("tls.crt_file", chain)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("tls.key_file", key, &error))?;
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Identity)?
            }
            _ => return Err(TlsError::HalfIdentity),
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn connect(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), tcp).await
    }
}

/// What a server's certificate has to be.
#[derive(Debug)]
struct Trust {
    algorithms: WebPkiSupportedAlgorithms,
    /// Who must have signed it; `None` with `tls.verify off`.
    roots: Option<Arc<RootCertStore>>,
    /// The certificates of `tls.ca_file` and `tls.ca_path` themselves. OpenSSL, and so Fluent Bit,
    /// trusts a server that shows one of them, although such a certificate usually says that it is
    /// an authority and no server: what `openssl req -x509` makes.
    pinned: Vec<CertificateDer<'static>>,
    /// Whether the server's name must be in it.
    hostname: bool,
}

impl Trust {
    fn new(options: &TlsOptions, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        let hostname = options.verify_hostname;
        if !options.verify {
            return Ok(Self { algorithms, roots: None, pinned: Vec::new(), hostname: false });
        }
        // As in Fluent Bit, the folder wins over the file, and either replaces the system's.
        let pinned = match (&options.ca_path, &options.ca_file) {
            (Some(folder), _) => certificates_in(Path::new(folder))?,
            (None, Some(file)) => certificates("tls.ca_file", Path::new(file))?,
            (None, None) => {
                let roots = Some(system_roots()?);
                return Ok(Self { algorithms, roots, pinned: Vec::new(), hostname });
            }
        };
        let mut roots = RootCertStore::empty();
        let (_added, ignored) = roots.add_parsable_certificates(pinned.iter().cloned());
        if ignored > 0 {
            tracing::warn!(ignored, "certificates that rustls cannot use as authorities");
        }
        Ok(Self { algorithms, roots: Some(Arc::new(roots)), pinned, hostname })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match signed {
            Ok(()) => {}
            // `Other` is how "an authority is no server" arrives here, after the dates were checked.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.pinned.iter().any(|pinned| pinned == end_entity) => {}
            Err(error) => return Err(error),
        }
        if self.hostname {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The system's authorities: a few hundred KiB, read once, and only when an output needs them.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(Arc::clone(roots)) }
}

/// All certificates of a PEM file; at least one.
fn certificates(
    property: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| unreadable(property, path, &error))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { property, path: path.to_owned() });
    }
    Ok(found)
}

/// The certificates of all PEM files in a folder; other files in it are passed over.
fn certificates_in(folder: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const PROPERTY: &str = "tls.ca_path";
    let failed = |error: io::Error| TlsError::File {
        property: PROPERTY,
        path: folder.to_owned(),
        reason: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file()
            && let Ok(more) = certificates(PROPERTY, &path)
        {
            found.extend(more);
        }
    }
    if found.is_empty() {
        return Err(TlsError::NoCertificate { property: PROPERTY, path: folder.to_owned() });
    }
    Ok(found)
}

fn unreadable(
    property: &'static str,
    path: &Path,
    error: &rustls::pki_types::pem::Error,
) -> TlsError {
    TlsError::File { property, path: path.to_owned(), reason: error.to_string() }
}

/// The protocol versions between the two bounds. TLS 1.2 is the oldest there is here: a lower
/// `tls.min_version` means TLS 1.2. Like Fluent Bit, an unknown name means no bound, and a part of
/// a name is enough.
fn versions(options: &TlsOptions) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let known = [(12, &version::TLS12), (13, &version::TLS13)];
    let min = bound("tls.min_version", options.min_version.as_deref()).unwrap_or(0);
    let max = bound("tls.max_version", options.max_version.as_deref()).unwrap_or(u8::MAX);
    let inside = known.into_iter().filter(|&(number, _)| (min..=max).contains(&number));
    let found: Vec<_> = inside.map(|(_, version)| version).collect();
    if found.is_empty() {
        let value = options.max_version.clone().unwrap_or_default();
        return Err(TlsError::Version { property: "tls.max_version", value });
    }
    Ok(found)
}

fn bound(property: &'static str, value: Option<&str>) -> Option<u8> {
    let names = [
        ("sslv2", 2),
        ("sslv3", 3),
        ("tlsv1", 10),
        ("tlsv1.1", 11),
        ("tlsv1.2", 12),
        ("tlsv1.3", 13),
    ];
    let value = value?.to_ascii_lowercase();
    let found = names.iter().find(|(name, _)| name.starts_with(&value));
    if found.is_none() {
        tracing::warn!(property, value, "unknown TLS version; no bound set");
    }
    found.map(|&(_, number)| number)
}

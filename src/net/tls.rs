//! TLS to one peer: `tls.*` as a rustls configuration, made anew when its files change.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncBufRead as _;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{
    self, CipherSuite, ClientConfig, ProtocolVersion, SupportedCipherSuite,
    SupportedProtocolVersion, version,
};

use super::connect::Stream;
use super::handshake::{Circumstances, HandshakeError};
use super::identity::Identity;
use super::pem::Stamp;
use super::trust::Trust;
use super::{Doubts, TlsError, TlsOptions};
use crate::config::{CIPHERS, Ciphers, Secret, TlsVersion};

/// The files are looked at no more often, however often a connection is made.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Wait for the first word of a server that has asked for our certificate. With TLS 1.3 the
/// handshake ends here before the server has looked at the certificate; what it says next tells
/// whether it took it. Most send a session ticket at once, and for those that do not this is short.
const VERDICT_WAIT_MAX: Duration = Duration::from_millis(500);

/// What is needed of `tls.*`, or of `tls.proxy.*`, for one peer.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `tls` or `tls.proxy`: what the names of the properties begin with.
    prefix: &'static str,
    pub(super) verify: bool,
    pub(super) verify_hostname: bool,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) crt_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_passwd: Secret,
    versions: Vec<&'static SupportedProtocolVersion>,
    ciphers: Option<Ciphers>,
}

impl Settings {
    /// Of the connection to the destination.
    pub(super) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let path = |path: &Option<String>| path.as_ref().map(PathBuf::from);
        Ok(Self {
            prefix: "tls",
            verify: options.verify,
            verify_hostname: options.verify_hostname,
            ca_file: path(&options.ca_file),
            ca_path: path(&options.ca_path),
            crt_file: path(&options.crt_file),
            key_file: path(&options.key_file),
            key_passwd: options.key_passwd.clone(),
            versions: versions(options.min_version, options.max_version)?,
            ciphers: options.ciphers.clone(),
        })
    }

    /// Of the connection to a proxy.
    pub(super) fn of_proxy(options: &TlsOptions) -> Result<Self, TlsError> {
        let proxy = Self::new(&TlsOptions {
            verify: options.proxy_verify,
            verify_hostname: options.proxy_verify_hostname,
            ca_file: options.proxy_ca_file.clone(),
            ca_path: options.proxy_ca_path.clone(),
            ..TlsOptions::default()
        })?;
        Ok(Self { prefix: "tls.proxy", ..proxy })
    }

    /// The full name of a property.
    pub(super) fn property(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Every file and folder that the connector is made from.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let authorities = self.ca_path.as_ref().or(self.ca_file.as_ref());
        [authorities, self.crt_file.as_ref(), self.key_file.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files().flat_map(Stamp::all).collect()
    }
}

/// Turns streams to one peer into TLS streams.
pub(super) struct Tls {
    settings: Settings,
    /// As configured: `tls.vhost`, else the host.
    name: Box<str>,
    /// Whether the peer has asked for a client certificate.
    asked: Arc<AtomicBool>,
    current: Mutex<Current>,
}

/// The connector, and the files as they were when it was made.
struct Current {
    connector: TlsConnector,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificates. `name` is the host connected to, without brackets, or what stands
    /// in for it. What is usable but hardly meant goes to `doubts`.
    pub(super) fn new(
        name: &str,
        settings: Settings,
        doubts: &mut Doubts,
    ) -> Result<Self, TlsError> {
        let asked = Arc::new(AtomicBool::new(false));
        // Before the files are read, so that no change in between is missed.
        let stamps = settings.stamps();
        let connector = connector(&settings, &asked, doubts)?;
        let current = Mutex::new(Current { connector, stamps, looked: Instant::now() });
        Ok(Self { settings, name: name.into(), asked, current })
    }

    /// Shakes hands, and with TLS 1.3 hears what the server thinks of our certificate.
    pub(super) async fn connect(&self, stream: Stream) -> Result<Stream, HandshakeError> {
        let name = ServerName::try_from(self.name.to_string())
            .map_err(|_invalid| HandshakeError::ServerName(self.name.clone()))?;
        let connected = self.connector().connect(name, stream).await;
        let mut stream = connected.map_err(|error| self.explain(&error))?;
        let (_, connection) = stream.get_ref();
        let (version, suite) =
            (connection.protocol_version(), connection.negotiated_cipher_suite());
        tracing::debug!(
            name = self.name,
            ?version,
            cipher = ?suite.map(|suite| suite.suite()),
            "tls handshake done"
        );
        if version == Some(ProtocolVersion::TLSv1_3) && self.asked.load(Ordering::Relaxed) {
            // Silence is no refusal.
            if let Ok(Err(error)) = timeout(VERDICT_WAIT_MAX, verdict(&mut stream)).await {
                return Err(self.explain(&error));
            }
        }
        Ok(Box::new(stream))
    }

    /// Why the peer ended a connection whose handshake was done; `None` if it is not for TLS.
    pub(super) fn refusal(&self, error: &rustls::Error) -> Option<HandshakeError> {
        matches!(error, rustls::Error::AlertReceived(_))
            .then(|| HandshakeError::of_tls(error, &self.circumstances()))
    }

    fn explain(&self, error: &std::io::Error) -> HandshakeError {
        HandshakeError::new(error, &self.circumstances())
    }

    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            prefix: self.settings.prefix,
            name: &self.name,
            is_asked: self.asked.load(Ordering::Relaxed),
            has_identity: self.settings.crt_file.is_some() && self.settings.key_file.is_some(),
        }
    }

    /// The connector for a new connection. Files that were changed, as cert-manager does, are read
    /// again, once for each change; if they are unusable, what was read before stays. They are
    /// small and on this machine, so reading them here holds nothing up.
    fn connector(&self) -> TlsConnector {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() < LOOK_PAUSE {
            return current.connector.clone();
        }
        current.looked = Instant::now();
        let stamps = self.settings.stamps();
        if stamps == current.stamps {
            return current.connector.clone();
        }
        current.stamps = stamps;
        let (name, mut doubts) = (&self.name, Doubts::new());
        match connector(&self.settings, &self.asked, &mut doubts) {
            Ok(connector) => {
                current.connector = connector;
                tracing::info!(name, "certificate files have changed and were read again");
            }
            Err(error) => tracing::warn!(
                name, %error,
                "certificate files have changed and are unusable; the ones before stay in use"
            ),
        }
        for doubt in doubts {
            tracing::warn!(name, "{doubt}");
        }
        current.connector.clone()
    }
}

fn connector(
    settings: &Settings,
    asked: &Arc<AtomicBool>,
    doubts: &mut Doubts,
) -> Result<TlsConnector, TlsError> {
    let mut provider = ring::default_provider();
    if let Some(ciphers) = &settings.ciphers {
        provider.cipher_suites = suites(&provider, ciphers);
    }
    let trust = Trust::new(settings, &provider, doubts)?;
    let identity = Identity::new(settings, &provider, Arc::clone(asked))?;
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&settings.versions)
        .map_err(TlsError::Identity)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_client_cert_resolver(Arc::new(identity));
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Those of TLS 1.3, and those of TLS 1.2 that were asked for, in the order asked for.
fn suites(provider: &CryptoProvider, ciphers: &Ciphers) -> Vec<SupportedCipherSuite> {
    const SUITES: [CipherSuite; CIPHERS.len()] = [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let suite = |name: &&str| {
        let (_, suite) = CIPHERS.iter().zip(SUITES).find(|(known, _)| *known == name)?;
        provider.cipher_suites.iter().find(|known| known.suite() == suite).copied()
    };
    let newer = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some()).copied();
    newer.chain(ciphers.0.iter().filter_map(suite)).collect()
}

/// The protocol versions between the two bounds. TLS 1.2 is the oldest there is here: a lower
/// `tls.min_version` means TLS 1.2.
fn versions(
    min: TlsVersion,
    max: TlsVersion,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let known = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    let max = if max == TlsVersion::Any { TlsVersion::Tls13 } else { max };
    let inside = known.into_iter().filter(|&(version, _)| min <= version && version <= max);
    let found: Vec<_> = inside.map(|(_, version)| version).collect();
    if found.is_empty() { Err(TlsError::Version) } else { Ok(found) }
}

/// Waits for the server's first word behind the handshake: a session ticket, a refusal, or what is
/// already an answer, which stays to be read.
async fn verdict(stream: &mut TlsStream<Stream>) -> std::io::Result<()> {
    poll_fn(|cx| {
        let read = Pin::new(&mut *stream).poll_fill_buf(cx).map_ok(|_bytes| ());
        let (_, connection) = stream.get_ref();
        if read.is_pending() && connection.tls13_tickets_received() > 0 {
            return Poll::Ready(Ok(()));
        }
        read
    })
    .await
}

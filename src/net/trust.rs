//! Whom to trust: `tls.verify`, `tls.verify_hostname`, `tls.ca_file` and `tls.ca_path`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::pem;
use super::tls::Settings;
use super::{Doubts, TlsError};

/// What a server's certificate has to be.
#[derive(Debug)]
pub(super) struct Trust {
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
    /// Reads the authorities. Like Fluent Bit, an unusable file is an error even where nothing is
    /// checked, an unusable folder only means that nobody is trusted.
    pub(super) fn new(
        settings: &Settings,
        provider: &CryptoProvider,
        doubts: &mut Doubts,
    ) -> Result<Self, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        let hostname = settings.verify_hostname;
        // As in Fluent Bit, the folder wins over the file, and either replaces the system's.
        let pinned = match (&settings.ca_path, &settings.ca_file) {
            (Some(folder), _) => folder_of_authorities(settings, folder, doubts),
            (None, Some(file)) => pem::certificates(&settings.property("ca_file"), file)?,
            (None, None) => {
                let roots = settings.verify.then(|| system_roots(settings, doubts));
                return Ok(Self { algorithms, roots, pinned: Vec::new(), hostname });
            }
        };
        if !settings.verify {
            return Ok(Self { algorithms, roots: None, pinned: Vec::new(), hostname });
        }
        let mut roots = RootCertStore::empty();
        let (_added, ignored) = roots.add_parsable_certificates(pinned.iter().cloned());
        if ignored > 0 {
            let property = settings.property("ca_file");
            doubts.push(format!("`{property}`: {ignored} certificates cannot be authorities"));
        }
        Ok(Self { algorithms, roots: Some(Arc::new(roots)), pinned, hostname })
    }
}

/// The authorities of `tls.ca_path`.
fn folder_of_authorities(
    settings: &Settings,
    folder: &Path,
    doubts: &mut Doubts,
) -> Vec<CertificateDer<'static>> {
    let property = settings.property("ca_path");
    let found = pem::certificates_in(&property, folder);
    let doubt = match &found {
        Ok(found) if !found.is_empty() => return found.clone(),
        Ok(_none) => "it holds no certificate".to_owned(),
        Err(error) => error.to_string(),
    };
    let folder = folder.display();
    doubts.push(format!("`{property}` {folder}: {doubt}, so no server is trusted"));
    Vec::new()
}

/// The system's authorities: a few hundred KiB, read once, and only when an output needs them.
fn system_roots(settings: &Settings, doubts: &mut Doubts) -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        let property = settings.property("ca_file");
        doubts.push(format!(
            "no certificate authorities on this system, so no server is trusted; set `{property}`"
        ));
    }
    Arc::clone(roots)
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

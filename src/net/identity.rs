//! Who we are: `tls.crt_file`, `tls.key_file` and `tls.key_passwd`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::PemLabel as _;
use pkcs8::der::{Decode as _, SecretDocument};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::TlsError;
use super::pem;
use super::tls::Settings;
use crate::config::Secret;

/// The certificate that is shown to a server that asks for one.
#[derive(Debug)]
pub(super) struct Identity {
    certificate: Option<Arc<CertifiedKey>>,
    /// Whether the server has ever asked for it.
    asked: Arc<AtomicBool>,
}

impl Identity {
    /// Reads certificate and key, which have to fit each other.
    pub(super) fn new(
        settings: &Settings,
        provider: &CryptoProvider,
        asked: Arc<AtomicBool>,
    ) -> Result<Self, TlsError> {
        let Some(file) = &settings.crt_file else { return Ok(Self { certificate: None, asked }) };
        let chain = pem::certificates(&settings.property("crt_file"), file)?;
        let Some(file) = &settings.key_file else { return Ok(Self { certificate: None, asked }) };
        let key = key(&settings.property("key_file"), file, &settings.key_passwd)?;
        let certificate =
            CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Identity)?;
        Ok(Self { certificate: Some(Arc::new(certificate)), asked })
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}

/// The first key of a PEM file, decrypted if need be. Like OpenSSL, a password for a key without one
/// does no harm.
fn key(property: &str, path: &Path, password: &Secret) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = pem::read(property, path)?;
    let failed = |reason: String| TlsError::File {
        property: property.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let is_encrypted = |label: &str| memchr::memmem::find(&text, label.as_bytes()).is_some();
    if is_encrypted("Proc-Type: 4,ENCRYPTED") {
        return Err(failed(
            "it is encrypted in OpenSSL's old way; write it anew with `openssl pkcs8 -topk8`"
                .into(),
        ));
    }
    if !is_encrypted(EncryptedPrivateKeyInfoRef::PEM_LABEL) {
        return PrivateKeyDer::from_pem_slice(&text).map_err(|error| failed(error.to_string()));
    }
    if password.reveal().is_empty() {
        return Err(failed("it is encrypted; set `tls.key_passwd`".into()));
    }
    let text = std::str::from_utf8(&text).map_err(|error| failed(error.to_string()))?;
    let key = decrypt(text, password)
        .map_err(|error| failed(format!("cannot be decrypted by `tls.key_passwd`: {error}")))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// Decrypts a PKCS#8 key (RFC 5958) by a password (PBES2 of RFC 8018).
fn decrypt(text: &str, password: &Secret) -> Result<SecretDocument, pkcs8::Error> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    // What stands around the key, such as a certificate or OpenSSL's bag attributes, is passed over.
    let (before, _after) = text.split_once(END).unwrap_or((text, ""));
    let begin = before.rfind("-----BEGIN").unwrap_or_default();
    let (_before, body) = before.split_at(begin);
    let (_label, document) = SecretDocument::from_pem(&format!("{body}{END}\n"))?;
    EncryptedPrivateKeyInfoRef::from_der(document.as_bytes())?.decrypt(password.reveal())
}

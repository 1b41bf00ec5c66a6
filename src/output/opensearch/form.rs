//! The form of a request, which a store may refuse whatever records are in it: mapping types, and how a
//! body is compressed.

use crate::config::{Diagnostics, Section};
use crate::net::{Gzip, Zstd};
use crate::output::answer::Whole;
use crate::output::{Health, Judge, Verdict};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is read of a refusal: its reason comes first.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// How OpenSearch 2 and Elasticsearch 8 name what they do not know.
const TYPE_UNKNOWN: &[u8] = b"unknown parameter [_type]";

/// How bodies are compressed.
#[derive(Debug)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// `Compress gzip`, which every store takes.
    Gzip(Gzip),
    /// `Compress zstd`, which some take: OpenSearch 3.9 does where it finds its library for it.
    Zstd(Zstd),
}

impl Packing {
    /// What `Compress` asks for. As in Fluent Bit, a word that is none changes nothing; here with a warning.
    pub(super) fn read(
        word: Option<&str>,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut warn = |message: String| {
            diagnostics.warning(section.location_of("Compress"), message);
            Self::Plain
        };
        match word.map(str::to_ascii_lowercase).as_deref() {
            Some("gzip") => Self::Gzip(Gzip::default()),
            Some("zstd") => match Zstd::new() {
                Ok(zstd) => Self::Zstd(zstd),
                Err(error) => warn(format!("`Compress`: cannot prepare zstd: {error}")),
            },
            None | Some("none" | "off" | "false" | "no") => Self::Plain,
            Some(other) => {
                warn(format!("`Compress`: `{other}` compresses nothing; write `gzip` or `zstd`"))
            }
        }
    }

    /// The value of `Content-Encoding`.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }

    /// The body as it is sent.
    pub(super) fn pack(&mut self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(body),
            Self::Gzip(gzip) => {
                let mut packed = Vec::new();
                gzip.compress(&body, &mut packed).map(|()| packed)
            }
            Self::Zstd(zstd) => zstd.compress(&body),
        }
    }
}

/// What answers tell of a request's form; between those who judge them and the one who encodes.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// An answer refused mapping types.
    pub(super) types: AtomicBool,
    /// An answer refused zstd.
    pub(super) zstd: AtomicBool,
}

/// Judges an answer that refuses a whole request, when its form may be all that is wrong with it: not
/// every user may ask a store what it is, and none of them says what it can unpack.
#[derive(Debug)]
pub(super) struct FormJudge {
    whole: Whole,
    text: Vec<u8>,
    /// Whether the request named mapping types, or was zstd that no answer has taken yet.
    has_types: bool,
    is_zstd: bool,
    refused: Arc<Refused>,
}

impl FormJudge {
    /// Beside `whole`, which judges it if the form is not the matter.
    pub(super) fn new(
        whole: Whole,
        has_types: bool,
        is_zstd: bool,
        refused: &Arc<Refused>,
    ) -> Self {
        Self { whole, text: Vec::new(), has_types, is_zstd, refused: Arc::clone(refused) }
    }
}

impl Judge for FormJudge {
    fn feed(&mut self, bytes: &[u8], verdict: &mut dyn FnMut(u32, Verdict)) {
        let room = REFUSAL_BYTES_MAX - self.text.len();
        self.text.extend(bytes.iter().take(room));
        self.whole.feed(bytes, verdict);
    }

    fn finish(&mut self, verdict: &mut dyn FnMut(u32, Verdict)) -> Health {
        let is_of_types = memchr::memmem::find(&self.text, TYPE_UNKNOWN).is_some();
        if self.has_types && is_of_types {
            self.refused.types.store(true, Ordering::Relaxed);
        } else if self.is_zstd && !is_of_types {
            self.refused.zstd.store(true, Ordering::Relaxed);
        } else {
            return self.whole.finish(verdict);
        }
        // Nothing is wrong with the records: this is no failure of theirs.
        Health::Busy
    }
}

//! What a record becomes: labels, metadata, a time and a line.

use super::doubt::{self, Doubt, Limits};
use super::labels::{Labels, Metadata};
use super::line::{Cuts, Lines};
use super::options::{Encoding, LokiOptions};
use super::pairs::{Pairs, Syntax};
use super::push::Push;
use super::text;
use crate::buffer::Encoded;
use crate::config::{Diagnostics, Section};
use crate::output::Letters;
use crate::record::{Accessor, Nanos};

/// What an entry takes beside its line and its labels.
pub(super) const ENTRY_BYTES: usize = 32;

/// Makes entries of records.
#[derive(Debug)]
pub(super) struct Entries {
    labels: Labels,
    /// Whether `pairs` are those of every record.
    labels_fixed: bool,
    metadata: Metadata,
    lines: Lines,
    /// Labels of the record at hand, or of the one before that they are the same for.
    pairs: Pairs,
    /// The limit that `pairs` break.
    labels_doubt: Option<Doubt>,
    /// The fields and the tag that `pairs` were made of.
    seen: Vec<u8>,
    tag: String,
    /// Metadata of the record at hand.
    metadata_pairs: Pairs,
    scratch: String,
}

/// What a record becomes.
#[derive(Debug)]
pub(super) struct Entry<'e> {
    labels: &'e Pairs,
    labels_doubt: Option<Doubt>,
    metadata: Option<&'e Pairs>,
    time: Nanos,
    line: &'e [u8],
}

impl Entries {
    pub(super) fn build(
        options: &LokiOptions,
        encoding: Encoding,
        letters: Letters,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut cuts = Cuts::default();
        let labels = Labels::build(options, &mut cuts, section, diagnostics)?;
        let metadata = Metadata::build(options, letters, &mut cuts, section, diagnostics)?;
        for key in &options.remove_keys {
            match Accessor::parse(key) {
                Ok(accessor) => cuts.add(&accessor),
                Err(error) if error.names_nothing() => {
                    let message = format!("`Remove_Keys`: `{key}`: {error}");
                    diagnostics.warning(section.location_of("Remove_Keys"), message);
                }
                Err(error) => {
                    let message = format!("`Remove_Keys`: `{key}`: {error}");
                    diagnostics.error(section.location_of("Remove_Keys"), message);
                    return None;
                }
            }
        }
        let (label_syntax, metadata_syntax) = match encoding {
            Encoding::Protobuf => (Syntax::Selector, Syntax::Protobuf),
            Encoding::Json => (Syntax::Json, Syntax::Json),
        };
        let mut pairs = Pairs::new(label_syntax);
        let mut scratch = String::new();
        let labels_fixed = !labels.vary();
        if labels_fixed {
            labels.write("", "{}", &mut scratch, &mut pairs);
        }
        let labels_doubt = doubt::of_labels(&pairs);
        Some(Self {
            labels,
            labels_fixed,
            labels_doubt,
            metadata,
            lines: Lines::new(cuts, options.line_format, options.drop_single_key, letters),
            pairs,
            seen: Vec::new(),
            tag: String::new(),
            metadata_pairs: Pairs::new(metadata_syntax),
            scratch,
        })
    }

    /// The entry of a record.
    pub(super) fn read<'e>(&'e mut self, tag: &str, record: &Encoded<'e>) -> Entry<'e> {
        let line = self.lines.line(record.json);
        if !self.labels_fixed
            && (self.seen != line.seen || self.tag != tag || self.pairs.len() == 0)
        {
            line.seen.clone_into(&mut self.seen);
            tag.clone_into(&mut self.tag);
            self.pairs.clear();
            self.labels.write(tag, text(record), &mut self.scratch, &mut self.pairs);
            self.labels_doubt = doubt::of_labels(&self.pairs);
        }
        if !self.metadata.is_empty() {
            self.metadata_pairs.clear();
            self.metadata.write(tag, text(record), &mut self.scratch, &mut self.metadata_pairs);
        }
        Entry {
            labels: &self.pairs,
            labels_doubt: self.labels_doubt,
            metadata: (!self.metadata.is_empty()).then_some(&self.metadata_pairs),
            time: record.time,
            line: line.text,
        }
    }
}

impl Entry<'_> {
    /// How much it takes in a push, about.
    pub(super) fn bytes(&self) -> usize {
        let metadata = self.metadata.map_or(0, |pairs| pairs.as_bytes().len());
        self.labels.as_bytes().len() + metadata + self.line.len() + ENTRY_BYTES
    }

    /// The limit that it breaks, of those that `limits` has.
    pub(super) fn doubt(&self, limits: &Limits, now: Nanos) -> Option<Doubt> {
        let of_entry = || limits.of_entry(self.time, self.line, self.metadata, now);
        self.labels_doubt.filter(|doubt| limits.has(*doubt)).or_else(of_entry)
    }

    /// Whether it may go into a push beside what that holds.
    pub(super) fn fits(&self, push: &Push, doubt: Option<Doubt>) -> bool {
        push.fits(self.labels, self.time, doubt)
    }

    pub(super) fn add_to(&self, push: &mut Push, index: u32) {
        push.add(self.labels, self.time, self.line, self.metadata);
        push.records.push(index);
    }
}

//! Writes the body of `_bulk`: for each record a line that says what to do and a line that is the document.
//!
//! ```text
//! {"create":{"_index":"logs-2026.11.21","_id":"GFPJCLlJoACSrpuGt4NbcyU9QDw"}}
//! {"@timestamp":"2026-11-21T10:11:12.345Z","log":"hello"}
//! ```
//!
//! All but the id, the fraction of the second and the record's own fields is kept from record to
//! record, and made anew when the second or the tag changes.

use super::options::{BulkOptions, Operation};
use crate::buffer::Encoded;
use crate::config::{Diagnostics, Section};
use crate::output::dates::{Dates, write_fraction};
use crate::output::template::Template;
use crate::record::{Accessor, Nanos};
use tailwater_parsers::json;
use tailwater_parsers::time::Strftime;

/// Index for records whose accessors make no name of one; Fluent Bit's default.
const INDEX_DEFAULT: &str = "fluent-bit";

/// More of a prefix taken from a record is cut, as in Fluent Bit.
const PREFIX_BYTES_MAX: usize = 128;

/// What all that surrounds a record's own fields takes, about: for reserving the body at once.
pub(super) const RECORD_BYTES: usize = 192;

/// Writes records as `_bulk` wants them.
#[derive(Debug)]
pub(super) struct Encoder {
    /// `{"create":{"_index":"`
    action_open: &'static [u8],
    index: Index,
    /// `,"_type":"_doc"`, or nothing.
    type_member: Vec<u8>,
    ids: bool,
    id_key: Option<Accessor>,
    /// `{"@timestamp":"`, for updates with `{"doc":` before it.
    document_open: Vec<u8>,
    document_close: &'static [u8],
    time: Dates,
    nanos: bool,
    /// `,"flb-key":"`, if the tag is asked for.
    tag_open: Option<Vec<u8>>,
    replace_dots: bool,
    /// `document_open` and the date down to the second, of the last record.
    head: Vec<u8>,
    /// Reused for what accessors give.
    text: String,
}

/// How the index is named.
#[derive(Debug)]
enum Index {
    /// By the date of sending, or the same always.
    Sent(Dates),
    /// From the record.
    Template(Template),
    /// By a prefix and a date.
    Dated {
        /// The prefix and the separator, as the inside of a JSON string.
        prefix: Vec<u8>,
        /// In place of the prefix where a record has it.
        prefix_key: Option<Template>,
        separator: Vec<u8>,
        date: Dates,
        /// Whether the date is that of sending.
        sent: bool,
    },
}

impl Encoder {
    /// An encoder for these options; what they cannot mean is reported.
    pub(super) fn build(
        options: &BulkOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let index = Index::build(options, section, diagnostics);
        let time = dates(&options.time_key_format, "Time_Key_Format", section, diagnostics);
        let id_key = match options.id_key.as_deref().map(Accessor::parse).transpose() {
            Ok(id_key) => id_key,
            Err(error) => {
                diagnostics.error(section.location_of("Id_Key"), format!("`Id_Key`: {error}"));
                return None;
            }
        };
        let (action_open, document_prefix, document_close): (&[u8], &str, &[u8]) =
            match options.write_operation {
                Operation::Create => (b"{\"create\":{\"_index\":\"", "", b"\n"),
                Operation::Index => (b"{\"index\":{\"_index\":\"", "", b"\n"),
                Operation::Update => (b"{\"update\":{\"_index\":\"", "{\"doc\":", b"}\n"),
                Operation::Upsert => {
                    (b"{\"update\":{\"_index\":\"", "{\"doc_as_upsert\":true,\"doc\":", b"}\n")
                }
            };
        let mut document_open = format!("{document_prefix}{{\"").into_bytes();
        json::escape(&options.time_key, &mut document_open);
        document_open.extend_from_slice(b"\":\"");
        let mut type_member = Vec::new();
        if !options.suppress_type_name {
            type_member.extend_from_slice(b",\"_type\":\"");
            json::escape(&options.type_name, &mut type_member);
            type_member.push(b'"');
        }
        let tag_open = options.include_tag_key.then(|| {
            let mut open = b",\"".to_vec();
            json::escape(&options.tag_key, &mut open);
            open.extend_from_slice(b"\":\"");
            open
        });
        Some(Self {
            action_open,
            index: index?,
            type_member,
            ids: options.ids || options.generate_id,
            id_key,
            document_open,
            document_close,
            time,
            nanos: options.time_key_nanos,
            tag_open,
            replace_dots: options.replace_dots,
            head: Vec::new(),
            text: String::new(),
        })
    }

    /// Whether a mapping type is sent.
    pub(super) fn has_type(&self) -> bool {
        !self.type_member.is_empty()
    }

    /// Leaves the mapping type out from now on.
    pub(super) fn leave_type_out(&mut self) {
        self.type_member.clear();
    }

    /// Appends one record, which is sent `now`.
    pub(super) fn write(&mut self, tag: &str, record: &Encoded<'_>, now: Nanos, out: &mut Vec<u8>) {
        self.write_action(tag, record, now, out);
        let (date, is_new) = self.time.at(record.time);
        if is_new {
            self.head.clear();
            self.head.extend_from_slice(&self.document_open);
            self.head.extend_from_slice(date);
            self.head.push(b'.');
        }
        out.extend_from_slice(&self.head);
        if self.nanos {
            write_fraction::<9>(record.time, out);
        } else {
            write_fraction::<3>(record.time, out);
        }
        out.extend_from_slice(b"Z\"");
        if let Some(open) = &self.tag_open {
            out.extend_from_slice(open);
            json::escape(tag, out);
            out.push(b'"');
        }
        match record.json {
            [b'{', b'}'] | [] => out.push(b'}'),
            [_, fields @ ..] => {
                out.push(b',');
                if self.replace_dots {
                    write_without_dots(fields, out);
                } else {
                    out.extend_from_slice(fields);
                }
            }
        }
        out.extend_from_slice(self.document_close);
    }

    /// Appends the line that says what to do.
    fn write_action(&mut self, tag: &str, record: &Encoded<'_>, now: Nanos, out: &mut Vec<u8>) {
        out.extend_from_slice(self.action_open);
        self.index.write(tag, record, now, &mut self.text, out);
        out.push(b'"');
        out.extend_from_slice(&self.type_member);
        let users_id = self.id_key.as_ref().and_then(|key| match key.on_json(text(record)) {
            Some(json::Value::String(id)) => Some(id),
            _ => None,
        });
        if let Some(id) = users_id {
            out.extend_from_slice(b",\"_id\":\"");
            id.write(out);
            out.extend_from_slice(b"\"}}\n");
        } else if self.ids {
            out.extend_from_slice(b",\"_id\":\"");
            record.id.write_text(out);
            out.extend_from_slice(b"\"}}\n");
        } else {
            out.extend_from_slice(b"}}\n");
        }
    }
}

impl Index {
    fn build(
        options: &BulkOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if !options.logstash_format {
            if options.index.contains('$') {
                return template(&options.index, "Index", section, diagnostics).map(Self::Template);
            }
            return Some(Self::Sent(dates(&options.index, "Index", section, diagnostics)));
        }
        let prefix_key = match &options.logstash_prefix_key {
            Some(key) => {
                let dollar = if key.starts_with('$') { "" } else { "$" };
                Some(template(
                    &format!("{dollar}{}", &**key),
                    "Logstash_Prefix_Key",
                    section,
                    diagnostics,
                )?)
            }
            None => None,
        };
        let mut prefix = Vec::new();
        json::escape(&options.logstash_prefix, &mut prefix);
        let mut separator = Vec::new();
        json::escape(&options.logstash_prefix_separator, &mut separator);
        let date = dates(&options.logstash_dateformat, "Logstash_DateFormat", section, diagnostics);
        Some(Self::Dated { prefix, prefix_key, separator, date, sent: options.current_time_index })
    }

    /// Appends the index's name, as the inside of a JSON string.
    fn write(
        &mut self,
        tag: &str,
        record: &Encoded<'_>,
        now: Nanos,
        scratch: &mut String,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Sent(date) => out.extend_from_slice(date.at(now).0),
            Self::Template(template) => {
                scratch.clear();
                template.write(tag, text(record), scratch);
                json::escape(if is_name(scratch) { scratch } else { INDEX_DEFAULT }, out);
            }
            Self::Dated { prefix, prefix_key, separator, date, sent } => {
                scratch.clear();
                if let Some(key) = prefix_key {
                    key.write(tag, text(record), scratch);
                }
                if is_name(scratch) {
                    scratch.truncate(scratch.floor_char_boundary(PREFIX_BYTES_MAX));
                    json::escape(scratch, out);
                } else {
                    out.extend_from_slice(prefix);
                }
                out.extend_from_slice(separator);
                out.extend_from_slice(date.at(if *sent { now } else { record.time }).0);
            }
        }
    }
}

/// Whether text from a record may name an index: the same rule as Fluent Bit's. Any other name would
/// have the whole request refused.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\'))
}

/// The record as text. It was written from text.
fn text<'a>(record: &Encoded<'a>) -> &'a str {
    str::from_utf8(record.json).unwrap_or("{}")
}

/// Appends JSON with the dots in the names of fields replaced, at any depth.
fn write_without_dots(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some((before, string)) =
        memchr::memchr(b'"', rest).and_then(|at| rest.split_at_checked(at + 1))
    {
        out.extend_from_slice(before);
        let (body, behind) = string.split_at_checked(body_len(string)).unwrap_or((string, b""));
        let is_key = behind.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
        let start = out.len();
        out.extend_from_slice(body);
        if is_key {
            out.iter_mut().skip(start).filter(|byte| **byte == b'.').for_each(|byte| *byte = b'_');
        }
        let (quote, behind) = behind.split_at_checked(1).unwrap_or((behind, b""));
        out.extend_from_slice(quote);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// Bytes before the quote that ends a string.
fn body_len(string: &[u8]) -> usize {
    let mut escaped = false;
    let is_end = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    string.iter().position(is_end).unwrap_or(string.len())
}

fn template(
    text: &str,
    property: &str,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<Template> {
    Template::parse(text)
        .inspect_err(|error| {
            diagnostics.error(section.location_of(property), format!("`{property}`: {error}"));
        })
        .ok()
}

fn dates(format: &str, property: &str, section: &Section, diagnostics: &mut Diagnostics) -> Dates {
    let format = Strftime::new(format);
    if let Some(unknown) = format.unknown() {
        let message = format!("`{property}`: `{unknown}` is no part of a date and stays as it is");
        diagnostics.warning(section.location_of(property), message);
    }
    Dates::new(format)
}

//! Writes the body of `_bulk`: for each record a line that says what to do and a line that is the document.
//!
//! ```text
//! {"create":{"_index":"logs-2026.11.21","_id":"GFPJCLlJoACSrpuGt4NbcyU9QDw"}}
//! {"@timestamp":"2026-11-21T10:11:12.345Z","log":"hello"}
//! ```
//!
//! All but the id, the fraction of the second and the record's own fields is kept from record to
//! record, and made anew when the second or the tag changes.

use super::options::{BulkOptions, Operation, Product};
use crate::buffer::Encoded;
use crate::config::{Diagnostics, Section};
use crate::output::dates::{Dates, write_fraction};
use crate::output::letters::copy;
use crate::output::template::Template;
use crate::record::{Accessor, Nanos};
use memchr::memmem::Finder;
use tailwater_parsers::json;
use tailwater_parsers::time::Strftime;

/// Index for records that lack what names theirs; Fluent Bit's default.
const INDEX_DEFAULT: &str = "fluent-bit";

/// More of a prefix taken from a record is cut, as in Fluent Bit.
const PREFIX_BYTES_MAX: usize = 128;

/// What all that surrounds a record's own fields takes, about: for reserving the body at once.
pub(super) const RECORD_BYTES: usize = 192;

/// What is said of a record that is to change a document and does not say which one. Fluent Bit leaves it out.
const ID_MISSING: &str = "id_missing";

/// What is said of a record whose id is longer than stores take: one such has the whole request refused.
const ID_TOO_LONG: &str = "id_too_long";

/// Bytes of the longest id that stores take.
const ID_LEN_MAX: usize = 512;

/// Writes records as `_bulk` wants them.
#[derive(Debug)]
pub(super) struct Encoder {
    /// `{"create":{"_index":"`
    action_open: &'static [u8],
    index: Index,
    /// `,"_type":"_doc"`, or nothing.
    type_member: Vec<u8>,
    id_key: Option<Accessor>,
    /// For a record in which `id_key` finds none.
    id_otherwise: Otherwise,
    /// `{`, for updates with `{"doc":` before it.
    document_open: &'static [u8],
    document_close: &'static [u8],
    time_member: Member,
    time: Dates,
    nanos: bool,
    /// The tag's, if it is asked for.
    tag_member: Option<Member>,
    replace_dots: bool,
    /// The time's member down to the second, of the last record.
    head: Vec<u8>,
    /// Reused for what accessors give.
    text: String,
}

/// A member of documents that is not the record's. Where the record has a field of that name, the record's
/// counts, as in Fluent Bit; two of one name would have the document refused.
#[derive(Debug)]
struct Member {
    name: String,
    /// `"@timestamp":"`
    open: Vec<u8>,
    /// Finds the name as it stands before a field's value: most records do not have it.
    finder: Finder<'static>,
}

/// What becomes of a record that does not say its document's id.
#[derive(Clone, Copy, Debug)]
enum Otherwise {
    /// Its document gets our own.
    Own,
    /// The store makes one.
    Stores,
    /// It is unfit: a change of no document.
    Unfit,
}

/// What makes a document's id.
enum DocumentId<'r> {
    /// The record's own field.
    Users(json::Text<'r>),
    /// The record's place in its source.
    Own,
    /// The store.
    Stores,
}

/// How the index is named.
#[derive(Debug)]
enum Index {
    /// By the date of sending, or the same always.
    Sent(Dates),
    /// From the record.
    Template {
        template: Template,
        /// The template itself, as the inside of a JSON string: what names the index where the record gives it
        /// characters that no name has, as in Fluent Bit.
        unread: Vec<u8>,
    },
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
        product: Product,
        options: &BulkOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let index = Index::build(product, options, section, diagnostics);
        let time = dates(&options.time_key_format, "Time_Key_Format", section, diagnostics);
        let id_key = options.id_key.as_deref().and_then(|key| {
            let unread = |error: &_| {
                let message = format!("`Id_Key`: {error}; it names no id");
                diagnostics.warning(section.location_of("Id_Key"), message);
            };
            Accessor::parse(key).inspect_err(unread).ok()
        });
        let (action_open, document_open, document_close): (&[u8], &[u8], &[u8]) =
            match options.write_operation {
                Operation::Create => (b"{\"create\":{\"_index\":\"", b"{", b"\n"),
                Operation::Index => (b"{\"index\":{\"_index\":\"", b"{", b"\n"),
                Operation::Update => (b"{\"update\":{\"_index\":\"", b"{\"doc\":{", b"}\n"),
                Operation::Upsert => {
                    (b"{\"update\":{\"_index\":\"", b"{\"doc_as_upsert\":true,\"doc\":{", b"}\n")
                }
            };
        let mut type_member = Vec::new();
        if !options.suppress_type_name {
            type_member.extend_from_slice(b",\"_type\":\"");
            json::escape(&options.type_name, &mut type_member);
            type_member.push(b'"');
        }
        Some(Self {
            action_open,
            index: index?,
            type_member,
            id_otherwise: match options.write_operation {
                Operation::Update | Operation::Upsert if id_key.is_some() => Otherwise::Unfit,
                _ if options.ids || options.generate_id => Otherwise::Own,
                _ => Otherwise::Stores,
            },
            id_key,
            document_open,
            document_close,
            time_member: Member::new(&options.time_key),
            time,
            nanos: options.time_key_nanos,
            tag_member: options.include_tag_key.then(|| Member::new(&options.tag_key)),
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

    /// Appends one record, which is sent `now`; or says in a word why it cannot be a document.
    pub(super) fn write(
        &mut self,
        tag: &str,
        record: &Encoded<'_>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let id = self.id(record)?;
        self.write_action(tag, record, &id, now, out);
        let start = out.len();
        out.extend_from_slice(self.document_open);
        if !self.time_member.is_in(record) {
            self.write_time(record.time, out);
        }
        if let Some(member) = &self.tag_member
            && !member.is_in(record)
        {
            out.extend_from_slice(&member.open);
            json::escape(tag, out);
            out.extend_from_slice(b"\",");
        }
        match record.json {
            [b'{', b'}'] | [] => {
                // No field follows what ended with a comma.
                if out.last() == Some(&b',') {
                    out.pop();
                }
                out.push(b'}');
            }
            [_, fields @ ..] if self.replace_dots => write_without_dots(fields, out),
            [_, fields @ ..] => out.extend_from_slice(fields),
        }
        out.extend_from_slice(self.document_close);
        if self.replace_dots {
            unrepeat(start, out);
        }
        Ok(())
    }

    /// Appends the member that is the time.
    fn write_time(&mut self, time: Nanos, out: &mut Vec<u8>) {
        let (date, is_new) = self.time.at(time);
        if is_new {
            self.head.clear();
            self.head.extend_from_slice(&self.time_member.open);
            self.head.extend_from_slice(date);
            self.head.push(b'.');
        }
        out.extend_from_slice(&self.head);
        if self.nanos {
            write_fraction::<9>(time, out);
        } else {
            write_fraction::<3>(time, out);
        }
        out.extend_from_slice(b"Z\",");
    }

    /// The id of a record's document. A field that is no text, or empty, is none.
    fn id<'r>(&self, record: &Encoded<'r>) -> Result<DocumentId<'r>, &'static str> {
        let users = self.id_key.as_ref().and_then(|key| key.on_json(text(record)));
        match (users, self.id_otherwise) {
            (Some(json::Value::String(id)), _) if is_too_long(id) => Err(ID_TOO_LONG),
            (Some(json::Value::String(id)), _) if id != json::Text::Plain("") => {
                Ok(DocumentId::Users(id))
            }
            (_, Otherwise::Own) => Ok(DocumentId::Own),
            (_, Otherwise::Stores) => Ok(DocumentId::Stores),
            (_, Otherwise::Unfit) => Err(ID_MISSING),
        }
    }

    /// Appends the line that says what to do.
    fn write_action(
        &mut self,
        tag: &str,
        record: &Encoded<'_>,
        id: &DocumentId<'_>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(self.action_open);
        self.index.write(tag, record, now, &mut self.text, out);
        out.push(b'"');
        out.extend_from_slice(&self.type_member);
        match id {
            DocumentId::Users(id) => {
                out.extend_from_slice(b",\"_id\":\"");
                id.write(out);
                out.extend_from_slice(b"\"}}\n");
            }
            DocumentId::Own => {
                out.extend_from_slice(b",\"_id\":\"");
                record.id.write_text(out);
                out.extend_from_slice(b"\"}}\n");
            }
            DocumentId::Stores => out.extend_from_slice(b"}}\n"),
        }
    }
}

/// Whether stores refuse an id for its length. Few have escapes, which are longer than what they stand for.
fn is_too_long(id: json::Text<'_>) -> bool {
    let (json::Text::Plain(text) | json::Text::Escaped(text) | json::Text::Dirty(text)) = id;
    if text.len() <= ID_LEN_MAX {
        // Halves of surrogate pairs become no longer; raw control characters stay what they are.
        return false;
    }
    let mut decoded = Vec::new();
    id.write_decoded(&mut decoded);
    decoded.len() > ID_LEN_MAX
}

impl Member {
    /// The member of this name, whose value is text.
    fn new(name: &str) -> Self {
        let mut open = b"\"".to_vec();
        json::escape(name, &mut open);
        open.extend_from_slice(b"\":");
        let finder = Finder::new(&open).into_owned();
        open.push(b'"');
        Self { name: name.to_owned(), open, finder }
    }

    /// Whether the record has a field of this name.
    fn is_in(&self, record: &Encoded<'_>) -> bool {
        self.finder.find(record.json).is_some() && json::get(text(record), &self.name).is_some()
    }
}

impl Index {
    fn build(
        product: Product,
        options: &BulkOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if !options.logstash_format {
            if product == Product::OpenSearch && options.index.contains('$') {
                if options.index.contains('%') {
                    let message = "`Index` takes record accessors or a date, not both: the `%` stays as it is; \
                                   `Logstash_Format` with `Logstash_Prefix_Key` takes both";
                    diagnostics.warning(section.location_of("Index"), message);
                }
                let mut unread = Vec::new();
                json::escape(&options.index, &mut unread);
                let template = template(&options.index, "Index", section, diagnostics)?;
                if let Some(template) = template {
                    return Some(Self::Template { template, unread });
                }
            }
            return Some(Self::Sent(dates(&options.index, "Index", section, diagnostics)));
        }
        let prefix_key = match &options.logstash_prefix_key {
            Some(key) => {
                let dollar = if key.starts_with('$') { "" } else { "$" };
                let key = format!("{dollar}{}", &**key);
                template(&key, "Logstash_Prefix_Key", section, diagnostics)?
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
            Self::Template { template, unread } => {
                scratch.clear();
                template.write(tag, text(record), scratch);
                match scratch.as_str() {
                    "" => out.extend_from_slice(INDEX_DEFAULT.as_bytes()),
                    name if is_name(name) => json::escape(name, out),
                    _ => out.extend_from_slice(unread),
                }
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

/// Names that had dots may be the same now. As in Fluent Bit, the last field of each name counts: a store refuses a
/// document with two. `start` is where the document begins, the last line of `out`.
fn unrepeat(start: usize, out: &mut Vec<u8>) {
    let line = out.get(start..).and_then(|line| str::from_utf8(line).ok()).unwrap_or_default();
    let Ok((document, _)) = json::value(line) else { return };
    if has_repeats(document) {
        let mut whole = Vec::new();
        write_last_of_each(document, &mut whole);
        whole.push(b'\n');
        out.truncate(start);
        out.extend_from_slice(&whole);
    }
}

/// Whether an object within the value has two fields of one name. By its hash each name has one of 64 bits; only
/// those that share one are compared.
fn has_repeats(value: json::Value<'_>) -> bool {
    let Some(text) = value.nested() else { return false };
    let mut found = false;
    if text.starts_with('[') {
        let _end = json::array(text, |item| found |= has_repeats(item));
        return found;
    }
    let mut seen = 0_u64;
    let _end = json::object(text, |key, value, _| {
        let mut hash = 0_u8;
        let (json::Text::Plain(body) | json::Text::Escaped(body) | json::Text::Dirty(body)) = key;
        body.bytes().for_each(|byte| hash = hash.wrapping_mul(31).wrapping_add(byte));
        let bit = 1 << (hash % 64);
        if seen & bit != 0 {
            let mut count = 0;
            let _end = json::object(text, |other, _, _| count += u32::from(other == key));
            found |= count > 1;
        }
        seen |= bit;
        found |= has_repeats(value);
    });
    found
}

/// Appends the value with the last field of each name only.
fn write_last_of_each(value: json::Value<'_>, out: &mut Vec<u8>) {
    let Some(text) = value.nested() else { return copy(value, out) };
    let mut separator: &[u8] = b"";
    if text.starts_with('[') {
        out.push(b'[');
        let _end = json::array(text, |item| {
            out.extend_from_slice(separator);
            separator = b",";
            write_last_of_each(item, out);
        });
        return out.push(b']');
    }
    let mut fields = Vec::new();
    let _end = json::object(text, |key, value, _| {
        fields.retain(|(earlier, _)| *earlier != key);
        fields.push((key, value));
    });
    out.push(b'{');
    for (key, value) in fields {
        out.extend_from_slice(separator);
        separator = b",";
        copy(json::Value::String(key), out);
        out.push(b':');
        write_last_of_each(value, out);
    }
    out.push(b'}');
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

/// Reads a template. `Some(None)`: Fluent Bit takes the text, but it names nothing that a record has, which is told;
/// `None`: it refuses it, and so is reported.
#[expect(clippy::option_option, reason = "an error, or nothing, or a template")]
fn template(
    text: &str,
    property: &str,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Template>> {
    let place = section.location_of(property);
    match Template::parse(text) {
        Ok(template) => Some(Some(template)),
        Err(error) if error.names_nothing() => {
            diagnostics.warning(place, format!("`{property}`: {error}"));
            Some(None)
        }
        Err(error) => {
            diagnostics.error(place, format!("`{property}`: {error}"));
            None
        }
    }
}

fn dates(format: &str, property: &str, section: &Section, diagnostics: &mut Diagnostics) -> Dates {
    let format = Strftime::new(format);
    if let Some(unknown) = format.unknown() {
        let message = format!("`{property}`: `{unknown}` is no part of a date and stays as it is");
        diagnostics.warning(section.location_of(property), message);
    }
    Dates::new(format)
}

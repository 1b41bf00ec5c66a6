//! `loki`: records to streams, in their order. Loki itself drops an entry that it has already, by stream,
//! time and line, so that sending again is safe.

mod judge;
mod labels;
mod line;
mod options;
mod pairs;
mod push;

pub use options::{DropSingleKey, Encoding, LineFormat, LokiOptions};

use super::answer::{BodyLimit, Complaints, Whole, basic};
use super::template::write_text;
use super::{Judge, Output, Request};
use crate::buffer::{Chunk, Encoded, Open};
use crate::config::{Diagnostics, Section};
use crate::net::Gzip;
use crate::record::{Accessor, Nanos};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use judge::Refusal;
use labels::{Labels, Metadata};
use line::{Cuts, Lines};
use pairs::{Pairs, Syntax};
use push::Push;
use std::io;
use std::sync::Arc;
use tailwater_parsers::json::Value;

/// A push before compression is at most about this. Loki's parts send it on to each other in messages of
/// at most 4 MiB by default.
const BODY_BYTES_MAX: usize = 3 << 20;

/// What an entry takes beside its line and its labels.
const ENTRY_BYTES: usize = 32;

/// Names the tenant of a push.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// The output `loki`.
#[derive(Debug)]
pub struct Loki {
    entries: Entries,
    tenant_key: Option<Accessor>,
    /// The tenant of the record at hand.
    tenant: String,
    encoding: Encoding,
    poster: Poster,
    limit: BodyLimit,
    complaints: Arc<Complaints>,
}

impl Loki {
    /// The output `name`; what its options cannot mean is reported, with its place in `section`.
    pub fn build(
        name: &str,
        options: &LokiOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let gzip =
            options.compress.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("gzip"));
        let encoding = match (options.encoding, gzip) {
            (Some(Encoding::Protobuf), true) => {
                let message =
                    "a push in protobuf is compressed with snappy, whatever `Compress` says";
                diagnostics.warning(section.location_of("Compress"), message);
                Encoding::Protobuf
            }
            (Some(encoding), _) => encoding,
            (None, true) => Encoding::Json,
            (None, false) => Encoding::Protobuf,
        };
        let packer = match (encoding, gzip) {
            (Encoding::Protobuf, _) => {
                Packer::Snappy(Box::new(snap::raw::Encoder::new()), Vec::new())
            }
            (Encoding::Json, true) => Packer::Gzip(Gzip::default()),
            (Encoding::Json, false) => Packer::Plain,
        };
        let tenant_key = match options.tenant_id_key.as_deref().map(Accessor::parse).transpose() {
            Ok(key) => key,
            Err(error) => {
                diagnostics.error(
                    section.location_of("Tenant_ID_Key"),
                    format!("`Tenant_ID_Key`: {error}"),
                );
                return None;
            }
        };
        let Ok(path) = PathAndQuery::try_from(options.uri.as_str()) else {
            diagnostics.error(
                section.location_of("Uri"),
                "`Uri` is no path; write it like `/loki/api/v1/push`",
            );
            return None;
        };
        Some(Self {
            entries: Entries::build(options, encoding, section, diagnostics)?,
            tenant_key,
            tenant: String::new(),
            encoding,
            poster: Poster {
                headers: headers(options, &packer, section, diagnostics)?,
                packer,
                path,
            },
            limit: BodyLimit::new(BODY_BYTES_MAX),
            complaints: Arc::new(Complaints::new(name.into())),
        })
    }

    /// Finds out the tenant of a record; empty for the one of `Tenant_ID`.
    fn read_tenant(&mut self, record: &Encoded<'_>) {
        self.tenant.clear();
        if let Some(key) = &self.tenant_key
            && let Some(name @ Value::String(_)) = key.on_json(text(record))
        {
            write_text(name, &mut self.tenant);
        }
    }
}

impl Output for Loki {
    fn encode(&mut self, chunk: &Chunk, open: &Open, requests: &mut Vec<Request>) {
        let body_bytes_max = self.limit.bytes();
        let bytes_expected = (chunk.len() + chunk.count as usize * ENTRY_BYTES).min(body_bytes_max);
        // One a tenant; nearly always one.
        let mut pushes: Vec<Push> = Vec::new();
        let owed = (0..).zip(chunk.records()).filter(|(index, _)| open.contains(*index));
        for (index, (frame, record)) in owed {
            self.read_tenant(&record);
            let at =
                pushes.iter().position(|push| push.tenant == self.tenant).unwrap_or_else(|| {
                    pushes.push(Push::new(self.encoding, &self.tenant, bytes_expected));
                    pushes.len() - 1
                });
            let Some(push) = pushes.get_mut(at) else { continue };
            let entry = self.entries.read(frame.tag, &record);
            if push.body.len() + entry.bytes() > body_bytes_max && !push.is_empty() {
                let full =
                    std::mem::replace(push, Push::new(self.encoding, &self.tenant, bytes_expected));
                entry.add_to(push, index);
                requests.extend(self.poster.request(full));
            } else {
                entry.add_to(push, index);
            }
        }
        for push in pushes {
            requests.extend(self.poster.request(push));
        }
    }

    fn judge(&self, request: &Request, status: u16) -> Box<dyn Judge + Send> {
        if status == 400 {
            return Box::new(Refusal::new(
                u32::try_from(request.records.len()).unwrap_or(u32::MAX),
            ));
        }
        Box::new(Whole::new(request, status, &self.limit, &self.complaints, judge::kind))
    }
}

/// Makes entries of records.
#[derive(Debug)]
struct Entries {
    labels: Labels,
    /// Whether `pairs` are those of every record.
    labels_fixed: bool,
    metadata: Metadata,
    lines: Lines,
    /// Labels of the record at hand, or of the one before that they are the same for.
    pairs: Pairs,
    /// The fields and the tag that `pairs` were made of.
    seen: Vec<u8>,
    tag: String,
    /// Metadata of the record at hand.
    metadata_pairs: Pairs,
    scratch: String,
}

/// What a record becomes.
#[derive(Debug)]
struct Entry<'e> {
    labels: &'e Pairs,
    metadata: Option<&'e Pairs>,
    time: Nanos,
    line: &'e [u8],
}

impl Entries {
    fn build(
        options: &LokiOptions,
        encoding: Encoding,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut cuts = Cuts::default();
        let labels = Labels::build(options, &mut cuts, section, diagnostics)?;
        let metadata = Metadata::build(options, &mut cuts, section, diagnostics)?;
        for key in &options.remove_keys {
            match Accessor::parse(key) {
                Ok(accessor) => cuts.add(&accessor),
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
        Some(Self {
            labels,
            labels_fixed,
            metadata,
            lines: Lines::new(cuts, options.line_format, options.drop_single_key),
            pairs,
            seen: Vec::new(),
            tag: String::new(),
            metadata_pairs: Pairs::new(metadata_syntax),
            scratch,
        })
    }

    /// The entry of a record.
    fn read<'e>(&'e mut self, tag: &str, record: &Encoded<'e>) -> Entry<'e> {
        let line = self.lines.line(record.json);
        if !self.labels_fixed
            && (self.seen != line.seen || self.tag != tag || self.pairs.len() == 0)
        {
            line.seen.clone_into(&mut self.seen);
            tag.clone_into(&mut self.tag);
            self.pairs.clear();
            self.labels.write(tag, text(record), &mut self.scratch, &mut self.pairs);
        }
        if !self.metadata.is_empty() {
            self.metadata_pairs.clear();
            self.metadata.write(tag, text(record), &mut self.scratch, &mut self.metadata_pairs);
        }
        Entry {
            labels: &self.pairs,
            metadata: (!self.metadata.is_empty()).then_some(&self.metadata_pairs),
            time: record.time,
            line: line.text,
        }
    }
}

impl Entry<'_> {
    /// How much it takes in a push, about.
    fn bytes(&self) -> usize {
        let metadata = self.metadata.map_or(0, |pairs| pairs.as_bytes().len());
        self.labels.as_bytes().len() + metadata + self.line.len() + ENTRY_BYTES
    }

    fn add_to(&self, push: &mut Push, index: u32) {
        push.add(self.labels, self.time, self.line, self.metadata);
        push.records.push(index);
    }
}

/// Makes requests of pushes.
#[derive(Debug)]
struct Poster {
    packer: Packer,
    path: PathAndQuery,
    headers: HeaderMap,
}

impl Poster {
    /// A request of a push that is complete; none if it cannot be packed, which is logged.
    fn request(&mut self, mut push: Push) -> Option<Request> {
        push.end();
        let body_bytes = push.body.len();
        let body = self
            .packer
            .pack(push.body)
            .inspect_err(|error| tracing::error!(%error, "cannot compress a push to Loki"))
            .ok()?;
        let mut headers = self.headers.clone();
        if let Ok(tenant) = HeaderValue::from_str(&push.tenant)
            && !tenant.is_empty()
        {
            headers.insert(TENANT, tenant);
        }
        Some(Request { path: self.path.clone(), headers, body, body_bytes, records: push.records })
    }
}

/// Compresses pushes.
enum Packer {
    /// A snappy block; and the room it is written to.
    Snappy(Box<snap::raw::Encoder>, Vec<u8>),
    Gzip(Gzip),
    Plain,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Snappy(..) => "Snappy",
            Self::Gzip(_) => "Gzip",
            Self::Plain => "Plain",
        })
    }
}

impl Packer {
    fn pack(&mut self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Snappy(encoder, room) => {
                let needed = snap::raw::max_compress_len(body.len());
                if room.len() < needed {
                    room.resize(needed, 0);
                }
                let packed_len = encoder.compress(&body, room)?;
                Ok(room.get(..packed_len).unwrap_or_default().to_vec())
            }
            Self::Gzip(gzip) => {
                let mut packed = Vec::new();
                gzip.compress(&body, &mut packed)?;
                Ok(packed)
            }
            Self::Plain => Ok(body),
        }
    }
}

/// The headers of every push; what cannot be one is reported.
fn headers(
    options: &LokiOptions,
    packer: &Packer,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("tailwater"));
    let content_type = match packer {
        Packer::Snappy(..) => "application/x-protobuf",
        Packer::Gzip(_) | Packer::Plain => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Packer::Gzip(_) = packer {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let mut add = |name: &str, value: &str, property: &str| {
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(value))
        else {
            let message = format!("`{property}` holds characters that no HTTP header can");
            diagnostics.error(section.location_of(property), message);
            return None;
        };
        value.set_sensitive(true);
        headers.append(name, value);
        Some(())
    };
    if let Some(user) = &options.http_user {
        add("authorization", &basic(user, options.http_passwd.reveal()), "HTTP_User")?;
    } else if let Some(token) = &options.bearer_token {
        add("authorization", &format!("Bearer {}", token.reveal()), "Bearer_Token")?;
    }
    if let Some(tenant) = &options.tenant_id {
        add("x-scope-orgid", tenant, "Tenant_ID")?;
    }
    for header in options.header.iter() {
        let (name, value) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        add(name, value.trim(), "Header")?;
    }
    Some(headers)
}

/// The record as text. It was written from text.
fn text<'a>(record: &Encoded<'a>) -> &'a str {
    str::from_utf8(record.json).unwrap_or("{}")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, TIME};
    use super::*;
    use crate::output::{Health, Verdict};
    use expect_test::{Expect, expect};
    use prost::encoding::decode_varint;
    use std::fmt::Write as _;

    fn output(entries: &[(&str, &str)]) -> Loki {
        let mut section = samples::section(entries);
        samples::built(|diagnostics| {
            let options = LokiOptions::read(&mut section, diagnostics);
            section.finish(diagnostics);
            Loki::build("loki.0", &options, &section, diagnostics)
        })
    }

    /// The fields of a message: number, and a varint or bytes.
    fn fields(mut message: &[u8]) -> Vec<(u64, u64, &[u8])> {
        let mut fields = Vec::new();
        while !message.is_empty() {
            let key = decode_varint(&mut message).unwrap();
            let number = decode_varint(&mut message).unwrap();
            let len = if key & 7 == 2 { usize::try_from(number).unwrap() } else { 0 };
            let (bytes, rest) = message.split_at(len);
            fields.push((key >> 3, number, bytes));
            message = rest;
        }
        fields
    }

    /// A push in protobuf as text: labels, then time, line and metadata of each entry.
    fn unpack(body: &[u8]) -> String {
        let mut text = String::new();
        let push = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        for (_, _, stream) in fields(&push) {
            for (number, _, bytes) in fields(stream) {
                if number == 1 {
                    writeln!(text, "{}", samples::plain(bytes)).unwrap();
                    continue;
                }
                for (number, _, bytes) in fields(bytes) {
                    match number {
                        1 => {
                            let parts = fields(bytes);
                            write!(text, "  {}.{:09}", parts[0].1.cast_signed(), parts[1].1)
                                .unwrap();
                        }
                        2 => write!(text, " {}", samples::plain(bytes)).unwrap(),
                        _ => {
                            let pair = fields(bytes);
                            let [name, value] = [0, 1].map(|at| samples::plain(pair[at].2));
                            write!(text, " {name}={value}").unwrap();
                        }
                    }
                }
                text.push('\n');
            }
        }
        text
    }

    fn check(entries: &[(&str, &str)], records: &[(&str, Nanos, &str)], expected: &Expect) {
        let requests = samples::requests(&mut output(entries), &samples::chunk(records));
        let bodies: String = requests.iter().map(|request| unpack(&request.body)).collect();
        expected.assert_eq(&bodies);
    }

    const POD: &str = r#"{"log":"hello","stream":"stdout","kubernetes":{"namespace_name":"shop","pod_name":"p-1","labels":{"app":"web","tier-x":"b"}}}"#;

    #[test]
    fn a_request_is_path_headers_and_streams() {
        let entries = [
            ("HTTP_User", "bob"),
            ("HTTP_Passwd", "pw"),
            ("Tenant_ID", "t1"),
            ("Header", "X-Extra hello world"),
            ("Uri", "/custom/push"),
        ];
        let chunk = samples::chunk(&[("t", TIME, r#"{"a":1}"#), ("t", -1, "{}")]);
        let requests = samples::requests(&mut output(&entries), &chunk);
        expect![[r#"
            POST /custom/push
            user-agent: tailwater
            content-type: application/x-protobuf
            authorization: Basic Ym9iOnB3
            x-scope-orgid: t1
            x-extra: hello world
            [0, 1]
            {job="fluent-bit"}
              1448403340.123456789 {"a":1}
              -1.999999999 {}

        "#]]
        .assert_eq(&samples::show(&requests, unpack));
    }

    #[test]
    fn json_as_fluent_bit_sends_it() {
        let entries = [
            ("Compress", "gzip"),
            ("Labels", "a=b, $n"),
            ("Structured_Metadata", "trace=$t"),
            ("Bearer_Token", "secret"),
        ];
        let chunk = samples::chunk(&[
            ("t", TIME, r#"{"n":1,"t":"x"}"#),
            ("t", TIME, r#"{"n":1,"log":"\"q\""}"#),
            ("t", TIME, r#"{"n":2}"#),
        ]);
        let requests = samples::requests(&mut output(&entries), &chunk);
        expect![[r#"
            POST /loki/api/v1/push
            user-agent: tailwater
            content-type: application/json
            content-encoding: gzip
            authorization: Bearer secret
            [0, 1, 2]
            {"streams":[{"stream":{"a":"b", "n":"1"},"values":[["1448403340123456789","{}",{"trace":"x"}],["1448403340123456789","{\"log\":\"\\\"q\\\"\"}",{}]]},{"stream":{"a":"b", "n":"2"},"values":[["1448403340123456789","{}",{}]]}]}
        "#]].assert_eq(&samples::show(&requests, samples::gunzip));
    }

    #[test]
    fn labels_come_from_the_record_and_leave_the_line() {
        check(
            &[
                ("Labels", "job=fluentbit, cluster=production"),
                ("Label_Keys", "$kubernetes['namespace_name'],$kubernetes['labels']['app']"),
            ],
            &[
                ("t", TIME, POD),
                ("t", TIME + 1, POD),
                ("t", TIME + 2, r#"{"log":"x"}"#),
                ("t", TIME + 3, POD),
            ],
            &expect![[r#"
                {job="fluentbit", cluster="production", kubernetes_namespace_name="shop", kubernetes_labels_app="web"}
                  1448403340.123456789 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
                  1448403340.123456790 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
                {job="fluentbit", cluster="production"}
                  1448403340.123456791 {"log":"x"}
                {job="fluentbit", cluster="production", kubernetes_namespace_name="shop", kubernetes_labels_app="web"}
                  1448403340.123456792 {"log":"hello","stream":"stdout","kubernetes":{"pod_name":"p-1","labels":{"tier-x":"b"}}}
            "#]],
        );
        check(
            &[
                ("Labels", "n=$n, b=$b, my-tag=$TAG"),
                ("Label_Keys", "$a-b"),
                ("Remove_Keys", "c,$d['e']"),
            ],
            &[(
                "kube.a",
                TIME,
                r#"{"n":5,"b":true,"a-b":"1\"2","c":[],"d":{"e":1,"f":2},"log":"x"}"#,
            )],
            &expect![[r#"
                {n="5", b="true", my_tag="kube.a", a_b="1\"2"}
                  1448403340.123456789 {"d":{"f":2},"log":"x"}
            "#]],
        );
    }

    #[test]
    fn every_label_of_the_pod() {
        check(
            &[
                ("Auto_Kubernetes_Labels", "on"),
                ("Labels", "app=mine"),
                ("Remove_Keys", "kubernetes"),
            ],
            &[("t", TIME, POD)],
            &expect![[r#"
                {app="mine", tier_x="b"}
                  1448403340.123456789 {"log":"hello","stream":"stdout"}
            "#]],
        );
    }

    #[test]
    fn structured_metadata() {
        check(
            &[
                ("Labels", "job=x"),
                ("Structured_Metadata", "key1=explicit, miss=$zip, pod=$kubernetes['pod_name']"),
                ("Structured_Metadata_Map_Keys", "$map"),
            ],
            &[(
                "t",
                TIME,
                r#"{"log":"m","kubernetes":{"pod_name":"p"},"map":{"key1":"v","key.2":false,"o":{"s":[1]}}}"#,
            )],
            &expect![[r#"
                {job="x"}
                  1448403340.123456789 {"log":"m","kubernetes":{}} key_2=false o={"s":[1]} key1=explicit pod=p
            "#]],
        );
    }

    #[test]
    fn line_formats() {
        let records = [
            ("t", TIME, r#"{"log":"a \"b\""}"#),
            ("t", TIME, r#"{"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}"#),
        ];
        for (entries, expected) in [
            (
                &[("Line_Format", "key_value")][..],
                expect![[r#"
                {job="fluent-bit"}
                  1448403340.123456789 log="a "b""
                  1448403340.123456789 a="x" n=-1.5 z=null l="[1 "b" "[]"]" m="map[k:true e:"map[]"]"
            "#]],
            ),
            (
                &[("Line_Format", "key_value"), ("Drop_Single_Key", "on")],
                expect![[r#"
                {job="fluent-bit"}
                  1448403340.123456789 a "b"
                  1448403340.123456789 a="x" n=-1.5 z=null l="[1 "b" "[]"]" m="map[k:true e:"map[]"]"
            "#]],
            ),
            (
                &[("Drop_Single_Key", "on")],
                expect![[r#"
                {job="fluent-bit"}
                  1448403340.123456789 "a \"b\""
                  1448403340.123456789 {"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}
            "#]],
            ),
            (
                &[("Drop_Single_Key", "raw")],
                expect![[r#"
                {job="fluent-bit"}
                  1448403340.123456789 a "b"
                  1448403340.123456789 {"a":"x","n":-1.5,"z":null,"l":[1,"b",[]],"m":{"k":true,"e":{}}}
            "#]],
            ),
        ] {
            check(entries, &records, &expected);
        }
    }

    #[test]
    fn tenants_get_requests_of_their_own() {
        let chunk = samples::chunk(&[
            ("t", TIME, r#"{"who":"a","n":1}"#),
            ("t", TIME, r#"{"who":"b","n":2}"#),
            ("t", TIME, r#"{"n":3}"#),
            ("t", TIME, r#"{"who":"a","n":4}"#),
        ]);
        let entries = [("Tenant_ID_Key", "who"), ("Tenant_ID", "main"), ("Remove_Keys", "who")];
        let requests = samples::requests(&mut output(&entries), &chunk);
        expect![[r#"
            POST /loki/api/v1/push
            user-agent: tailwater
            content-type: application/x-protobuf
            x-scope-orgid: a
            [0, 3]
            {job="fluent-bit"}
              1448403340.123456789 {"n":1}
              1448403340.123456789 {"n":4}

            POST /loki/api/v1/push
            user-agent: tailwater
            content-type: application/x-protobuf
            x-scope-orgid: b
            [1]
            {job="fluent-bit"}
              1448403340.123456789 {"n":2}

            POST /loki/api/v1/push
            user-agent: tailwater
            content-type: application/x-protobuf
            x-scope-orgid: main
            [2]
            {job="fluent-bit"}
              1448403340.123456789 {"n":3}

        "#]]
        .assert_eq(&samples::show(&requests, unpack));
    }

    #[test]
    fn a_push_that_is_too_large_is_cut_in_order() {
        let mut output = output(&[]);
        let text = format!(r#"{{"log":"{}"}}"#, "x".repeat(20_000));
        let records: Vec<_> = (0..5).map(|number| ("t", TIME + number, text.as_str())).collect();
        let chunk = samples::chunk(&records);
        let whole = samples::requests(&mut output, &chunk);
        assert_eq!(whole.len(), 1);
        let mut none = |index, verdict| panic!("{index} {verdict:?}");
        assert_eq!(output.judge(&whole[0], 413).finish(&mut none), Health::TooLarge);
        let parts: Vec<_> = samples::requests(&mut output, &chunk)
            .into_iter()
            .map(|request| request.records)
            .collect();
        assert_eq!(parts, [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn answers_and_what_they_settle() {
        let mut output = output(&[]);
        let request =
            samples::requests(&mut output, &samples::chunk(&[("t", TIME, "{}")])).remove(0);
        let refused =
            |kind: &str| Some(Verdict::Refused { kind: kind.to_owned(), reason: String::new() });
        for (status, text, expected, health) in [
            (204, "", Some(Verdict::Accepted), Health::Good),
            (200, "", Some(Verdict::Accepted), Health::Good),
            (
                400,
                "entry too far behind, entry timestamp is: x",
                refused("too_far_behind"),
                Health::Good,
            ),
            (
                400,
                "Max entry size '262144' bytes exceeded for stream",
                refused("line_too_long"),
                Health::Good,
            ),
            (400, "what?", refused("bad_request"), Health::Good),
            (401, "no org id", None, Health::Busy),
            (429, "", None, Health::Busy),
            (500, "empty ring", None, Health::Failed),
            (503, "", None, Health::Busy),
        ] {
            let mut found = None;
            let mut judge = output.judge(&request, status);
            let mut note = |_, verdict| {
                found = Some(match verdict {
                    Verdict::Refused { kind, .. } => {
                        Verdict::Refused { kind, reason: String::new() }
                    }
                    other => other,
                });
            };
            judge.feed(text.as_bytes(), &mut note);
            assert_eq!(judge.finish(&mut note), health, "{status} {text}");
            assert_eq!(found, expected, "{status} {text}");
        }
    }

    #[test]
    fn what_options_cannot_mean_is_an_error() {
        for (key, value, expected) in [
            (
                "Labels",
                "job",
                expect![[r#"
                command line: `Labels`: `job`: write `name=value` or `$accessor`
            "#]],
            ),
            (
                "Labels",
                "job=",
                expect![[r#"
                command line: `Labels`: `job=`: a name or a value is missing
            "#]],
            ),
            (
                "Label_Keys",
                "stream",
                expect![[r#"
                command line: `Label_Keys`: `stream` is no record accessor; write `$stream`
            "#]],
            ),
            (
                "Structured_Metadata_Map_Keys",
                "map",
                expect![[r#"
                command line: `Structured_Metadata_Map_Keys`: `map`: no key is named; write `$key` or `$key['nested']`
            "#]],
            ),
            (
                "Header",
                "Bad:Name x",
                expect![[r#"
                command line: `Header` holds characters that no HTTP header can
            "#]],
            ),
            (
                "Uri",
                "no path",
                expect![[r#"
                command line: `Uri` is no path; write it like `/loki/api/v1/push`
            "#]],
            ),
        ] {
            let mut section = samples::section(&[(key, value)]);
            let mut diagnostics = Diagnostics::new();
            let options = LokiOptions::read(&mut section, &mut diagnostics);
            assert!(
                Loki::build("loki.0", &options, &section, &mut diagnostics).is_none(),
                "{key} {value}"
            );
            expected.assert_eq(&diagnostics.to_string());
        }
    }
}

//! `es` and `opensearch`: records to an index, by `_bulk`, each stored once however often it is sent.
//!
//! # Ids
//!
//! What makes a record's second coming harmless is its id, and that is the same for ever:
//!
//! | configuration | `_id` | sent again |
//! |---|---|---|
//! | nothing, or `Generate_ID On` | the record's place in its source ([`crate::record::IdStream`]) | `create`: 409, which counts as accepted; `index`: stored over itself |
//! | `Id_Key` | the record's own field; ours where it has none | `create`: 409 is a counted conflict, since another record may have the same id; `index`, `update`, `upsert`: the last one sent counts |
//! | `Id_Key`, `Write_Operation` update or upsert | the record's own field; a record without is refused as `id_missing` | as above |
//! | `Id_Key`, of more than 512 bytes | the record is refused as `id_too_long`, before it has its whole request refused | |
//! | `tailwater.ids Off` | the store makes one | stored twice |
//!
//! Fluent Bit's `Generate_ID` is a hash of time and fields, so that two equal lines of one moment are one
//! document there. Here they are two, as they are two in the file. An index that is named by the date of
//! sending (`Index fb-%Y.%m.%d`, `Current_Time_Index`) undoes all of this at midnight, of which a warning
//! tells.

mod encode;
mod form;
mod greeting;
mod judge;
mod options;

pub use judge::fuzz_judge;
pub use options::{
    BulkOptions, OPENSEARCH_DOC, OPENSEARCH_PROPERTIES, Operation, Product, check_opensearch,
};

use super::answer::{BodyLimit, Complaints, Whole, basic};
use super::{Judge, Output, Request, Requests};
use crate::buffer::{Chunk, Open};
use crate::clock;
use crate::config::{Diagnostics, Section};
use crate::net::Gzip;
use crate::record::Accessor;
use encode::{Encoder, RECORD_BYTES};
use form::{FormJudge, Packing, Refused};
use greeting::Store;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use judge::{BulkJudge, OnConflict};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A body before compression is at most this, unless one record is more. Amazon's smaller domains take
/// 10 MiB, and a chunk of tiny records grows severalfold on its way into a body.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What is wanted of the answer: on 5,000 documents a fortieth of what it is by itself.
const FILTER_PATH: &str =
    "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

/// The outputs `es` and `opensearch`.
#[derive(Debug)]
pub struct Bulk {
    encoder: Encoder,
    packing: Packing,
    /// Whether a body was taken as it is packed: what is refused from then on is not the packing.
    is_packing_taken: AtomicBool,
    on_conflict: OnConflict,
    path: PathAndQuery,
    greeting_path: PathAndQuery,
    headers: HeaderMap,
    limit: BodyLimit,
    complaints: Arc<Complaints>,
    trace_output: bool,
    trace_error: bool,
    /// Set by answers that refuse what every request is like.
    refused: Arc<Refused>,
}

impl Bulk {
    /// The output `name`; what its options cannot mean is reported, with its place in `section`.
    pub fn build(
        name: &str,
        product: Product,
        options: &BulkOptions,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        advise(product, options, section, diagnostics);
        let updates = matches!(options.write_operation, Operation::Update | Operation::Upsert);
        // Fluent Bit starts with `$` as the key, which no record has.
        let is_key = |key: &str| key == "$" || Accessor::parse(key).is_ok();
        let has_id = options.id_key.as_deref().is_some_and(is_key)
            || options.generate_id && options.id_key.is_none();
        if updates && !has_id {
            let message = "`Write_Operation` update or upsert needs `Id_Key` or `Generate_ID On`";
            diagnostics.error(section.location_of("Write_Operation"), message);
            return None;
        }
        let packing = Packing::read(options.compress.as_deref(), section, diagnostics);
        let Some(headers) = headers(options) else {
            let message = "the credentials hold characters that no HTTP header can";
            diagnostics.error(section.location_of("HTTP_User"), message);
            return None;
        };
        let paths = PathAndQuery::try_from(bulk_path(options));
        let (Ok(path), Ok(greeting_path)) =
            (paths, PathAndQuery::try_from(format!("{}/", base_path(options))))
        else {
            let message = "`Path` or `Pipeline` holds characters that no URL can";
            diagnostics.error(section.location_of("Path"), message);
            return None;
        };
        Some(Self {
            encoder: Encoder::build(product, options, section, diagnostics)?,
            packing,
            is_packing_taken: AtomicBool::new(false),
            on_conflict: match (options.write_operation, &options.id_key) {
                (Operation::Create, None) => OnConflict::Repeated,
                (Operation::Create, Some(_)) => OnConflict::Conflict,
                _ => OnConflict::Retry,
            },
            path,
            greeting_path,
            headers,
            limit: BodyLimit::new(BODY_BYTES_MAX),
            complaints: Arc::new(Complaints::new(name.into())),
            trace_output: options.trace_output,
            trace_error: options.trace_error,
            refused: Arc::default(),
        })
    }

    /// From now on requests name no mapping types.
    fn leave_type_out(&mut self, store: &str) {
        self.encoder.leave_type_out();
        tracing::info!(
            output = self.complaints.name(),
            store,
            "`Type` is left out: this store knows no mapping types; `Suppress_Type_Name On` says the same"
        );
    }

    /// From now on bodies are compressed in a way that every store takes.
    fn leave_zstd(&mut self) {
        self.packing = Packing::Gzip(Gzip::default());
        tracing::warn!(
            output = self.complaints.name(),
            "the store refuses `Compress zstd`: requests are compressed with gzip from now on"
        );
    }

    /// A request of what was written so far.
    fn request(&mut self, mut body: Vec<u8>, records: Vec<u32>) -> Request {
        let body_bytes = body.len();
        if self.trace_output {
            tracing::info!(output = self.complaints.name(), body = %String::from_utf8_lossy(&body), "Trace_Output");
        }
        let mut headers = self.headers.clone();
        if let Some(name) = self.packing.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        body = self.packing.pack(body).unwrap_or_else(|error| {
            // It is written to memory, with a compressor that was made: nothing can fail.
            tracing::error!(output = self.complaints.name(), %error, "cannot compress a request");
            Vec::new()
        });
        Request { path: self.path.clone(), headers, body, body_bytes, records, doubt: None }
    }
}

impl Output for Bulk {
    fn greeting(&self) -> Option<Request> {
        self.encoder.has_type().then(|| Request {
            path: self.greeting_path.clone(),
            headers: self.headers.clone(),
            body: Vec::new(),
            body_bytes: 0,
            records: Vec::new(),
            doubt: None,
        })
    }

    fn greeted(&mut self, answer: Option<(u16, &[u8])>) {
        let Some((200, body)) = answer else { return };
        let store = Store::read(body);
        if self.encoder.has_type() && store.as_ref().is_some_and(Store::knows_no_types) {
            let store = store.map(|store| store.to_string()).unwrap_or_default();
            self.leave_type_out(&store);
        }
    }

    fn encode(&mut self, chunk: &Chunk, open: &Open, requests: &mut Requests) {
        if self.encoder.has_type() && self.refused.types.load(Ordering::Relaxed) {
            self.leave_type_out("by what it refuses");
        }
        if matches!(self.packing, Packing::Zstd(_)) && self.refused.zstd.load(Ordering::Relaxed) {
            self.leave_zstd();
        }
        let now = clock::now();
        let body_bytes_max = self.limit.bytes();
        let open_count = open.len() as usize;
        // Of a chunk that is mostly settled, a share.
        let records_len = chunk.len() / (chunk.count.max(1) as usize) * open_count;
        let mut body =
            Vec::with_capacity((records_len + open_count * RECORD_BYTES).min(body_bytes_max));
        let mut records = Vec::with_capacity(open_count);
        let owed = (0..).zip(chunk.records()).filter(|(index, _)| open.contains(*index));
        for (index, (frame, record)) in owed {
            let start = body.len();
            if let Err(kind) = self.encoder.write(frame.tag, &record, now, &mut body) {
                requests.unfit.push((index, kind));
                continue;
            }
            if body.len() > body_bytes_max && !records.is_empty() {
                let rest = body.split_off(start);
                let full = std::mem::replace(&mut body, rest);
                let request = self.request(full, std::mem::take(&mut records));
                requests.to_send.push(request);
            }
            records.push(index);
        }
        if !records.is_empty() {
            let request = self.request(body, records);
            requests.to_send.push(request);
        }
    }

    fn judge(&self, request: &Request, status: u16) -> Box<dyn Judge + Send> {
        if !matches!(status, 200..=299) {
            let whole = Whole::new(request, status, &self.limit, &self.complaints, judge::fault);
            let has_types = status == 400 && self.encoder.has_type();
            let is_zstd = matches!(status, 400 | 406 | 415)
                && matches!(self.packing, Packing::Zstd(_))
                && !self.is_packing_taken.load(Ordering::Relaxed);
            return if has_types || is_zstd {
                Box::new(FormJudge::new(whole, has_types, is_zstd, &self.refused))
            } else {
                Box::new(whole)
            };
        }
        self.is_packing_taken.store(true, Ordering::Relaxed);
        self.limit.was_taken();
        let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
        let judge = BulkJudge::new(count, self.on_conflict, &self.complaints);
        Box::new(judge.tracing(self.trace_error))
    }
}

/// Says what is accepted and hardly meant.
fn advise(
    product: Product,
    options: &BulkOptions,
    section: &Section,
    diagnostics: &mut Diagnostics,
) {
    let has_accessor = options.index.contains('$');
    if product == Product::Elasticsearch && !options.logstash_format && has_accessor {
        let message = "`Index` of `es` takes no record accessors: the `$` stays as it is; `Logstash_Prefix_Key` \
                       takes them, and so does `Index` of `opensearch`";
        diagnostics.warning(section.location_of("Index"), message);
    }
    if options.generate_id && options.id_key.is_some() {
        diagnostics.warning(
            section.location_of("Generate_ID"),
            "`Generate_ID` is ignored when `Id_Key` is set",
        );
    }
    let has_date =
        options.index.contains('%') && (product == Product::Elasticsearch || !has_accessor);
    if !options.logstash_format && has_date {
        let message = "`Index` takes the date of sending: a record sent again on the next day is stored twice; \
                       with `Logstash_Format On` the date is the record's";
        diagnostics.warning(section.location_of("Index"), message);
    }
    if options.logstash_format && options.current_time_index {
        let message = "`Current_Time_Index` takes the date of sending: a record sent again on the next day is \
                       stored twice";
        diagnostics.warning(section.location_of("Current_Time_Index"), message);
    }
    if !options.ids && options.id_key.is_none() && !options.generate_id {
        let message = "without ids a record whose answer is lost is stored twice";
        diagnostics.note(section.location_of("tailwater.ids"), message);
    }
}

/// `Path` as what other paths are put behind: with a slash before it and none behind.
fn base_path(options: &BulkOptions) -> String {
    let path = options.path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// Path and query of `_bulk`.
fn bulk_path(options: &BulkOptions) -> String {
    let mut path = format!("{}/_bulk?", base_path(options));
    if let Some(pipeline) = &options.pipeline {
        // Writing to memory does not fail.
        let _infallible = write!(path, "pipeline={pipeline}&");
    }
    path.push_str(FILTER_PATH);
    path
}

/// The headers of every request; `None` if the credentials cannot be written as one.
fn headers(options: &BulkOptions) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("tailwater"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let credentials = match (&options.http_user, &options.http_api_key) {
        (Some(user), _) => basic(user, options.http_passwd.reveal()),
        (None, Some(key)) => format!("ApiKey {}", key.reveal()),
        (None, None) => return Some(headers),
    };
    let mut value = HeaderValue::from_str(&credentials).ok()?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, TIME};
    use super::*;
    use crate::output::{Health, Verdict};
    use expect_test::{Expect, expect};

    fn output(entries: &[(&str, &str)]) -> Bulk {
        let mut section = samples::section(entries);
        samples::built(|diagnostics| {
            let options = BulkOptions::read(&mut section, diagnostics);
            section.finish(diagnostics);
            Bulk::build("opensearch.0", Product::OpenSearch, &options, &section, diagnostics)
        })
    }

    /// The requests for a few records with these properties; only the bodies where they are usual.
    fn check(
        entries: &[(&str, &str)],
        records: &[(&str, crate::record::Nanos, &str)],
        expected: &Expect,
    ) {
        let requests = samples::requests(&mut output(entries), &samples::chunk(records));
        let bodies: String = requests.iter().map(|request| samples::plain(&request.body)).collect();
        expected.assert_eq(&bodies);
    }

    #[test]
    fn a_request_is_path_headers_and_lines() {
        let mut output = output(&[("Suppress_Type_Name", "on")]);
        let chunk =
            samples::chunk(&[("t", TIME, r#"{"log":"a"}"#), ("t", TIME + 1_000_000_000, "{}")]);
        expect![[r#"
            POST /_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason
            user-agent: tailwater
            content-type: application/x-ndjson
            [0, 1]
            {"create":{"_index":"fluent-bit","_id":"FBnDKfOMRRUqxUupeajBGW9p8MY"}}
            {"@timestamp":"2015-11-24T22:15:40.123Z","log":"a"}
            {"create":{"_index":"fluent-bit","_id":"FBnDKi8nDxV-6CxjmlQkFdyy63w"}}
            {"@timestamp":"2015-11-24T22:15:41.123Z"}

        "#]]
        .assert_eq(&samples::show(&samples::requests(&mut output, &chunk), samples::plain));
    }

    #[test]
    fn path_pipeline_credentials_and_gzip() {
        let entries = [
            ("Path", "sub/path/"),
            ("Pipeline", "my-pipe"),
            ("Compress", "gzip"),
            ("HTTP_User", "bob"),
            ("HTTP_Passwd", "s3cret"),
            ("tailwater.ids", "off"),
        ];
        let mut output = output(&entries);
        let chunk = samples::chunk(&[("t", TIME, r#"{"log":"a"}"#)]);
        let requests = samples::requests(&mut output, &chunk);
        assert_eq!(requests[0].body_bytes, samples::gunzip(&requests[0].body).len());
        expect![[r#"
            POST /sub/path/_bulk?pipeline=my-pipe&filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason
            user-agent: tailwater
            content-type: application/x-ndjson
            authorization: Basic Ym9iOnMzY3JldA==
            content-encoding: gzip
            [0]
            {"create":{"_index":"fluent-bit","_type":"_doc"}}
            {"@timestamp":"2015-11-24T22:15:40.123Z","log":"a"}

        "#]]
        .assert_eq(&samples::show(&requests, samples::gunzip));
        assert_eq!(output.greeting().unwrap().path, "/sub/path/");
    }

    /// The health that an answer of this status and text to the first request means.
    fn health(output: &mut Bulk, status: u16, text: &str) -> Health {
        let chunk = samples::chunk(&[("t", TIME, r#"{"log":"a"}"#)]);
        let request = samples::requests(output, &chunk).remove(0);
        let mut judge = output.judge(&request, status);
        judge.feed(text.as_bytes(), &mut |_, _| {});
        judge.finish(&mut |_, _| {})
    }

    #[test]
    fn zstd_is_for_stores_that_take_it() {
        let chunk = samples::chunk(&[("t", TIME, r#"{"log":"a"}"#)]);
        let encoding = |output: &mut Bulk| {
            let request = samples::requests(output, &chunk).remove(0);
            let name = request.headers[CONTENT_ENCODING].to_str().unwrap().to_owned();
            let unpack = if name == "zstd" { samples::unzstd } else { samples::gunzip };
            assert_eq!(unpack(&request.body).len(), request.body_bytes);
            name
        };
        let entries = [("Compress", "ZSTD"), ("Suppress_Type_Name", "on")];
        for status in [400, 406, 415] {
            let mut output = output(&entries);
            assert_eq!(encoding(&mut output), "zstd");
            assert_eq!(health(&mut output, status, "what is this?"), Health::Busy, "{status}");
            assert_eq!(encoding(&mut output), "gzip");
        }
        let mut taken = output(&entries);
        health(&mut taken, 200, r#"{"errors":false}"#);
        assert_eq!(health(&mut taken, 400, "something else"), Health::Refused);
        assert_eq!(encoding(&mut taken), "zstd");
        // Types are the matter, not zstd, where the store says so.
        let mut typed = output(&[("Compress", "zstd")]);
        let refusal = "Action/metadata line [1] contains an unknown parameter [_type]";
        assert_eq!(health(&mut typed, 400, refusal), Health::Busy);
        assert_eq!(encoding(&mut typed), "zstd");
        assert!(typed.greeting().is_none());
    }

    #[test]
    fn indices_are_named_by_the_records_date() {
        check(
            &[
                ("Logstash_Format", "on"),
                ("Logstash_Prefix", "kubernetes"),
                ("Logstash_DateFormat", "%Y.%m.%d"),
                ("Time_Key_Nanos", "on"),
                ("tailwater.ids", "off"),
            ],
            &[("t", TIME, "{}"), ("t", TIME + 7_200_000_000_000, r#"{"a":1}"#), ("t", TIME, "{}")],
            &expect![[r#"
                {"create":{"_index":"kubernetes-2015.11.24","_type":"_doc"}}
                {"@timestamp":"2015-11-24T22:15:40.123456789Z"}
                {"create":{"_index":"kubernetes-2015.11.25","_type":"_doc"}}
                {"@timestamp":"2015-11-25T00:15:40.123456789Z","a":1}
                {"create":{"_index":"kubernetes-2015.11.24","_type":"_doc"}}
                {"@timestamp":"2015-11-24T22:15:40.123456789Z"}
            "#]],
        );
    }

    #[test]
    fn indices_may_come_from_the_record() {
        let records = [
            ("t", TIME, r#"{"k":{"ns":"shop"}}"#),
            ("t", TIME, r#"{"k":{"ns":"a\"b"}}"#),
            ("t", TIME, "{}"),
        ];
        check(
            &[("Index", "$k['ns']"), ("Suppress_Type_Name", "on"), ("tailwater.ids", "off")],
            &records,
            &expect![[r#"
                {"create":{"_index":"shop"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","k":{"ns":"shop"}}
                {"create":{"_index":"$k['ns']"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","k":{"ns":"a\"b"}}
                {"create":{"_index":"fluent-bit"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z"}
            "#]],
        );
        check(
            &[
                ("Logstash_Format", "on"),
                ("Logstash_Prefix_Key", "k['ns']"),
                ("Logstash_Prefix_Separator", "_"),
                ("Suppress_Type_Name", "on"),
                ("tailwater.ids", "off"),
            ],
            &records,
            &expect![[r#"
                {"create":{"_index":"shop_2015.11.24"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","k":{"ns":"shop"}}
                {"create":{"_index":"logstash_2015.11.24"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","k":{"ns":"a\"b"}}
                {"create":{"_index":"logstash_2015.11.24"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z"}
            "#]],
        );
    }

    #[test]
    fn a_users_id_goes_before_ours() {
        check(
            &[("Id_Key", "id"), ("Suppress_Type_Name", "on")],
            &[("t", TIME, r#"{"id":"a\"b"}"#), ("t", TIME, r#"{"id":7}"#)],
            &expect![[r#"
                {"create":{"_index":"fluent-bit","_id":"a\"b"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","id":"a\"b"}
                {"create":{"_index":"fluent-bit","_id":"FBnDKfOMRRV-6CxjmlQkFdyy63w"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","id":7}
            "#]],
        );
    }

    #[test]
    fn what_changes_a_document_says_which_one() {
        for (operation, unfit) in
            [("create", &[][..]), ("index", &[]), ("update", &[1, 2, 3]), ("upsert", &[1, 2, 3])]
        {
            let mut output = output(&[("Id_Key", "$id"), ("Write_Operation", operation)]);
            let chunk = samples::chunk(&[
                ("t", TIME, r#"{"id":"a"}"#),
                ("t", TIME, "{}"),
                ("t", TIME, r#"{"id":7}"#),
                ("t", TIME, r#"{"id":""}"#),
            ]);
            let mut requests = Requests::default();
            output.encode(&chunk, &Open::all(4), &mut requests);
            let found: Vec<_> = requests.unfit.iter().map(|(index, _)| *index).collect();
            assert_eq!(found, unfit, "{operation}");
            assert_eq!(requests.to_send[0].records.len() + found.len(), 4, "{operation}");
            assert!(!samples::plain(&requests.to_send[0].body).contains("_id\":\"\""));
        }
    }

    #[test]
    fn no_name_stands_twice_in_a_document() {
        check(
            &[("Include_Tag_Key", "on"), ("Suppress_Type_Name", "on"), ("tailwater.ids", "off")],
            &[
                ("t", TIME, r#"{"@timestamp":"2020-01-01","a":{"flb-key":1}}"#),
                ("t", TIME, r#"{"flb-key":null}"#),
                ("t", TIME, r#"{"flb-key":1,"@timestamp":2}"#),
                ("t", TIME, r#"{"a":1,"b":2,"a":3,"c":4,"b":5}"#),
            ],
            &expect![[r#"
                {"create":{"_index":"fluent-bit"}}
                {"flb-key":"t","@timestamp":"2020-01-01","a":{"flb-key":1}}
                {"create":{"_index":"fluent-bit"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","flb-key":null}
                {"create":{"_index":"fluent-bit"}}
                {"flb-key":1,"@timestamp":2}
                {"create":{"_index":"fluent-bit"}}
                {"@timestamp":"2015-11-24T22:15:40.123Z","flb-key":"t","a":3,"c":4,"b":5}
            "#]],
        );
        check(
            &[("Write_Operation", "upsert"), ("Generate_Id", "on"), ("Suppress_Type_Name", "on")],
            &[("t", TIME, r#"{"@timestamp":1}"#)],
            &expect![[r#"
                {"update":{"_index":"fluent-bit","_id":"FBnDKfOMRRUqxUupeajBGW9p8MY"}}
                {"doc_as_upsert":true,"doc":{"@timestamp":1}}
            "#]],
        );
    }

    #[test]
    fn operations_and_their_documents() {
        for (operation, expected) in [
            (
                "index",
                expect![[r#"
                    {"index":{"_index":"fluent-bit","_id":"1"}}
                    {"@timestamp":"2015-11-24T22:15:40.123Z","id":"1"}
                "#]],
            ),
            (
                "update",
                expect![[r#"
                    {"update":{"_index":"fluent-bit","_id":"1"}}
                    {"doc":{"@timestamp":"2015-11-24T22:15:40.123Z","id":"1"}}
                "#]],
            ),
            (
                "upsert",
                expect![[r#"
                    {"update":{"_index":"fluent-bit","_id":"1"}}
                    {"doc_as_upsert":true,"doc":{"@timestamp":"2015-11-24T22:15:40.123Z","id":"1"}}
                "#]],
            ),
        ] {
            let entries =
                [("Write_Operation", operation), ("Id_Key", "id"), ("Suppress_Type_Name", "on")];
            check(&entries, &[("t", TIME, r#"{"id":"1"}"#)], &expected);
        }
    }

    #[test]
    fn tag_time_key_and_dots() {
        check(
            &[
                ("Include_Tag_Key", "on"),
                ("Time_Key", "at"),
                ("Time_Key_Format", "%H:%M"),
                ("Replace_Dots", "on"),
                ("Suppress_Type_Name", "on"),
                ("tailwater.ids", "off"),
            ],
            &[
                ("a.b", TIME, r#"{".le.vel":"e.r","fo.o":[{".o.k" : [{"b.\"ar":"b.a:z"}]}]}"#),
                (
                    "a.b",
                    TIME,
                    r#"{"a.b":1,"c":{"d.e":[2.50,"\u00e9"],"d_e":null},"a_b":{"x.y":3}}"#,
                ),
                ("c", TIME, "{}"),
            ],
            &expect![[r#"
                {"create":{"_index":"fluent-bit"}}
                {"at":"22:15.123Z","flb-key":"a.b","_le_vel":"e.r","fo_o":[{"_o_k":[{"b_\"ar":"b.a:z"}]}]}
                {"create":{"_index":"fluent-bit"}}
                {"at":"22:15.123Z","flb-key":"a.b","c":{"d_e":null},"a_b":{"x_y":3}}
                {"create":{"_index":"fluent-bit"}}
                {"at":"22:15.123Z","flb-key":"c"}
            "#]],
        );
    }

    #[test]
    fn only_what_is_still_open_is_sent() {
        let mut output = output(&[("tailwater.ids", "off"), ("Suppress_Type_Name", "on")]);
        let chunk = samples::chunk(&[
            ("t", TIME, r#"{"n":0}"#),
            ("t", TIME, r#"{"n":1}"#),
            ("u", TIME, r#"{"n":2}"#),
        ]);
        let mut open = Open::all(3);
        open.remove(1);
        let mut requests = Requests::default();
        output.encode(&chunk, &open, &mut requests);
        let request = &requests.to_send[0];
        assert_eq!(request.records, [0, 2]);
        assert!(!samples::plain(&request.body).contains(r#""n":1"#));
    }

    #[test]
    fn an_id_that_no_store_takes_is_refused_before_it_is_sent() {
        let mut output = output(&[("Id_Key", "id")]);
        let [fits, over] = [512, 513].map(|len| format!(r#"{{"id":"{}"}}"#, "x".repeat(len)));
        let escaped = format!(r#"{{"id":"{}"}}"#, r"\n".repeat(512));
        let records = [("t", TIME, &*fits), ("t", TIME, &*over), ("t", TIME, &*escaped)];
        let mut requests = Requests::default();
        output.encode(&samples::chunk(&records), &Open::all(3), &mut requests);
        assert_eq!(requests.unfit, [(1, "id_too_long")]);
        assert_eq!(requests.to_send[0].records, [0, 2]);
    }

    #[test]
    fn a_body_that_is_too_large_is_cut_in_two() {
        let mut output = output(&[("Compress", "gzip")]);
        let text = format!(r#"{{"log":"{}"}}"#, "x".repeat(20_000));
        let records: Vec<_> = (0..4).map(|_| ("t", TIME, text.as_str())).collect();
        let chunk = samples::chunk(&records);
        let judge = |output: &Bulk, request: &Request| {
            let mut verdicts = Vec::new();
            let mut judge = output.judge(request, 413);
            let health = judge.finish(&mut |index, verdict| verdicts.push((index, verdict)));
            (verdicts, health)
        };
        let whole = samples::requests(&mut output, &chunk);
        assert_eq!(judge(&output, &whole[0]), (vec![], Health::Divide));
        let halves = samples::requests(&mut output, &chunk);
        let records: Vec<_> = halves.iter().map(|request| request.records.clone()).collect();
        assert_eq!(records, [[0, 1], [2, 3]]);
        assert_eq!(judge(&output, &halves[1]), (vec![], Health::Divide));
        let singles = samples::requests(&mut output, &chunk);
        assert_eq!(singles.len(), 4);
        let (verdicts, health) = judge(&output, &singles[0]);
        assert!(
            matches!(&verdicts[..], [(0, Verdict::Refused { kind, .. })] if kind == "request_too_large")
        );
        assert_eq!(health, Health::Good);
    }

    #[test]
    fn a_wrong_password_loses_nothing() {
        let mut output = output(&[]);
        let chunk = samples::chunk(&[("t", TIME, "{}"), ("t", TIME, "{}")]);
        let request = samples::requests(&mut output, &chunk).remove(0);
        for (status, expected) in [
            (301, Health::Busy),
            (400, Health::Refused),
            (401, Health::Busy),
            (403, Health::Busy),
            (404, Health::Busy),
            (429, Health::Busy),
            (500, Health::Failed),
            (502, Health::Failed),
            (503, Health::Busy),
            (504, Health::Failed),
        ] {
            let mut judge = output.judge(&request, status);
            let mut none = |index, verdict| panic!("{status}: {index} {verdict:?}");
            judge.feed(br#"{"error":{"type":"x"}}"#, &mut none);
            assert_eq!(judge.finish(&mut none), expected, "{status}");
        }
    }

    #[test]
    fn a_record_refused_alone_is_told_why() {
        let mut output = output(&[]);
        let request =
            samples::requests(&mut output, &samples::chunk(&[("t", TIME, "{}")])).remove(0);
        for (answer, kind, reason) in [
            (r#"{"error":{"type":"x","reason":"y"},"status":400}"#, "x", "y"),
            (r#"{"error":"no handler found"}"#, "bad_request", "no handler found"),
        ] {
            let mut verdicts = Vec::new();
            let mut judge = output.judge(&request, 400);
            judge.feed(answer.as_bytes(), &mut |_, _| {});
            assert_eq!(judge.finish(&mut |_, verdict| verdicts.push(verdict)), Health::Refused);
            let (kind, reason) = (kind.to_owned(), reason.to_owned());
            assert_eq!(verdicts, [Verdict::Blamed { kind, reason }]);
        }
    }

    #[test]
    fn stores_without_types_are_sent_none() {
        let mut output = output(&[]);
        assert!(output.greeting().is_some());
        output.greeted(None);
        output.greeted(Some((401, b"")));
        output.greeted(Some((200, br#"{"version":{"number":"8.15.0"}}"#)));
        assert!(output.greeting().is_some(), "nothing was learned");
        output.greeted(Some((200, br#"{"version":{"number":"8.15.0","lucene_version":"9"}}"#)));
        assert!(output.greeting().is_none());
    }

    #[test]
    fn what_options_cannot_mean_is_said() {
        for (entries, expected) in [
            (
                &[("Id_Key", "$id[")][..],
                expect![[r#"
                command line: warning: `Id_Key`: `[` cannot be read; a step down is `['name']` or `[0]`; it names no id
            "#]],
            ),
            (
                &[("Index", "logs-$ns.%Y")],
                expect![[r#"
                command line: warning: `Index` takes record accessors or a date, not both: the `%` stays as it is; `Logstash_Format` with `Logstash_Prefix_Key` takes both
            "#]],
            ),
            (
                &[("Compress", "lz4")],
                expect![[r#"
                command line: warning: `Compress`: `lz4` compresses nothing; write `gzip` or `zstd`
            "#]],
            ),
            (
                &[("Generate_ID", "on"), ("Id_Key", "id")],
                expect![[r#"
                command line: warning: `Generate_ID` is ignored when `Id_Key` is set
            "#]],
            ),
            (
                &[("Index", "$0")],
                expect![[r#"
                command line: warning: `Index`: `$0` names no field of a record; write `$key` or `$key['nested']`
            "#]],
            ),
            (
                &[("Logstash_Format", "on"), ("Logstash_Prefix_Key", "$0")],
                expect![[r#"
                command line: warning: `Logstash_Prefix_Key`: `$0` names no field of a record; write `$key` or `$key['nested']`
            "#]],
            ),
            (
                &[("Write_Operation", "update"), ("Id_Key", "$")],
                expect![[r#"
                    command line: warning: `Id_Key`: no key is named; write `$key` or `$key['nested']`; it names no id
                "#]],
            ),
            (
                &[("Write_Operation", "update"), ("Id_Key", "$id[")],
                expect![[r#"
                command line: `Write_Operation` update or upsert needs `Id_Key` or `Generate_ID On`
            "#]],
            ),
            (
                &[("Write_Operation", "upsert")],
                expect![[r#"
                command line: `Write_Operation` update or upsert needs `Id_Key` or `Generate_ID On`
            "#]],
            ),
            (
                &[("Index", "a-$b[")],
                expect![[r#"
                command line: `Index`: `[` cannot be read; a step down is `['name']` or `[0]`
            "#]],
            ),
        ] {
            let mut section = samples::section(entries);
            let mut diagnostics = Diagnostics::new();
            let options = BulkOptions::read(&mut section, &mut diagnostics);
            let product = Product::OpenSearch;
            let output = Bulk::build("os", product, &options, &section, &mut diagnostics);
            assert_eq!(output.is_none(), diagnostics.has_errors());
            expected.assert_eq(&diagnostics.to_string());
        }
    }

    #[test]
    fn an_index_of_es_is_no_accessor() {
        let mut section = samples::section(&[("Index", "$k['ns']"), ("Suppress_Type_Name", "on")]);
        let mut diagnostics = Diagnostics::new();
        let options = BulkOptions::read(&mut section, &mut diagnostics);
        let product = Product::Elasticsearch;
        let mut output = Bulk::build("es", product, &options, &section, &mut diagnostics).unwrap();
        expect![[r#"
            command line: warning: `Index` of `es` takes no record accessors: the `$` stays as it is; `Logstash_Prefix_Key` takes them, and so does `Index` of `opensearch`
        "#]]
        .assert_eq(&diagnostics.to_string());
        let chunk = samples::chunk(&[("t", TIME, r#"{"k":{"ns":"shop"}}"#)]);
        let requests = samples::requests(&mut output, &chunk);
        let body = samples::plain(&requests[0].body);
        assert!(body.starts_with(r#"{"create":{"_index":"$k['ns']","#), "{body}");
    }
}

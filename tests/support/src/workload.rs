//! What the bench runs: lines, and the configuration that says what is done with them.

use crate::Mix;
use crate::line::fill;
use crate::measure::READ_BYTES;
use crate::node;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Container logs through `parser`, `grep` and `modify` to `_bulk` and to Loki.
    Both,
    /// The logs of 110 pods through `kubernetes` and the filters of [`Case::Both`] to `_bulk` and to Loki.
    Reference,
    /// As [`Case::Both`], to `_bulk` alone.
    Es,
    /// The same with `storage.type filesystem`.
    EsDisk,
    /// The same to Loki alone.
    Loki,
    /// To `_bulk`, with a Loki beside it that refuses connections.
    OneAway,
    /// The same to nowhere: reading, parsing and filtering alone.
    Null,
    /// Lines of text as they are, without a parser, to nowhere.
    Raw,
    /// Container lines as they are, their JSON to be escaped, without a parser, to nowhere.
    RawJson,
    /// Container lines, to nowhere.
    Cri,
    /// Container lines with JSON in them, both parsed, to nowhere.
    CriJson,
    /// Lines of Docker's json-file driver, to nowhere.
    Docker,
    /// An nginx access log, to nowhere.
    Nginx,
    /// Container lines, pieces of them joined, to nowhere.
    Pieces,
    /// The same with stack traces in them, joined as well. Fluent Bit cannot join both in its input.
    Traces,
}

/// Every case and its name on the command line.
const CASES: [(Case, &str); 15] = [
    (Case::Both, "both"),
    (Case::Reference, "reference"),
    (Case::Es, "es"),
    (Case::EsDisk, "es-disk"),
    (Case::Loki, "loki"),
    (Case::OneAway, "one-away"),
    (Case::Null, "null"),
    (Case::Raw, "raw"),
    (Case::RawJson, "raw-json"),
    (Case::Cri, "cri"),
    (Case::CriJson, "cri-json"),
    (Case::Docker, "docker"),
    (Case::Nginx, "nginx"),
    (Case::Pieces, "pieces"),
    (Case::Traces, "traces"),
];

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(CASES.iter().find(|(case, _)| case == self).map_or("", |(_, name)| name))
    }
}

impl Case {
    /// By its name on the command line.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CASES.iter().find(|(_, known)| *known == name).map(|(case, _)| *case)
    }

    /// Whether it sends nothing, so that its end is the end of the run.
    pub(crate) fn is_local(self) -> bool {
        !matches!(
            self,
            Self::Both | Self::Reference | Self::Es | Self::EsDisk | Self::Loki | Self::OneAway
        )
    }

    /// Writes the lines; returns how many bytes they have.
    pub(crate) fn write_log(self, path: &Path, lines: u64) -> u64 {
        let mix = Mix::default();
        let mut file = BufWriter::with_capacity(READ_BYTES, File::create(path).unwrap());
        let mut line = Vec::new();
        for number in 0..lines {
            line.clear();
            match self {
                Self::Raw => write_text_line(number, &mut line),
                Self::Docker => write_docker_line(number, &mut line),
                Self::Nginx => write_access_line(number, &mut line),
                Self::Pieces | Self::Traces => write_trace_line(number, &mut line),
                _ => mix.write(number, &mut line),
            }
            file.write_all(&line).unwrap();
        }
        file.into_inner().unwrap().metadata().unwrap().len()
    }

    /// Lays what an agent is to read into `folder`, where the lines are in `bench.log`.
    pub(crate) fn lay_out(self, folder: &Path) {
        if self == Self::Reference {
            node::lay_out(folder);
        }
    }

    /// A configuration that Fluent Bit reads, too. `ports` are those of `_bulk` and Loki; the lines and the parsers
    /// lie in `folder`, what is written goes to `run_folder`.
    pub(crate) fn configuration(
        self,
        ports: (u16, u16),
        folder: &Path,
        run_folder: &Path,
    ) -> String {
        let store = |name: &str, port: u16, more: &str| {
            format!(
                "\n[OUTPUT]\n    Name {name}\n    Match kube.*\n    Host 127.0.0.1\n    Port {port}\n{more}"
            )
        };
        let es = store("es", ports.0, ES_PROPERTIES);
        let loki = store("loki", ports.1, LOKI_PROPERTIES);
        let outputs = match self {
            Self::Both | Self::OneAway => es + &loki,
            Self::Reference => es + &loki + LOKI_LABEL_KEYS,
            Self::Es | Self::EsDisk => es,
            Self::Loki => loki,
            _ => "\n[OUTPUT]\n    Name null\n    Match *\n".to_owned(),
        };
        let filters = match self {
            Self::Raw
            | Self::RawJson
            | Self::Cri
            | Self::Docker
            | Self::Nginx
            | Self::Pieces
            | Self::Traces => String::new(),
            Self::CriJson => PARSER_FILTER.to_owned(),
            Self::Reference => {
                format!("{}{PARSER_FILTER}{OTHER_FILTERS}", node::kubernetes_filter(folder))
            }
            _ => format!("{PARSER_FILTER}{OTHER_FILTERS}"),
        };
        let parser = match self {
            Self::Raw | Self::RawJson => "",
            Self::Docker => "    Parser docker\n",
            Self::Nginx => "    Parser nginx\n",
            Self::Pieces => "    Multiline.Parser cri\n",
            Self::Traces => "    Multiline.Parser cri\n    tailwater.multiline.parser java\n",
            _ => "    Parser cri\n",
        };
        let (path, kind) = if self == Self::EsDisk {
            let path = format!("    storage.path {}/storage\n", run_folder.display());
            (path, "    storage.type filesystem\n")
        } else {
            (String::new(), "")
        };
        let logs = if self == Self::Reference { node::LOGS } else { "bench.log" };
        let end_at_eof = if self.is_local() { "On" } else { "Off" };
        format!(
            "[SERVICE]\n    Flush 1\n    Log_Level error\n    Grace 1\n    Parsers_File {folder}/parsers.conf\n\
             {path}\n[INPUT]\n    Name tail\n{kind}    Path {folder}/{logs}\n{parser}    Tag kube.*\n    \
             Read_from_Head On\n    Mem_Buf_Limit 5MB\n    Skip_Long_Lines On\n    \
             DB {run_folder}/positions.db\n    Exit_On_Eof {end_at_eof}\n{filters}{outputs}",
            folder = folder.display(),
            run_folder = run_folder.display(),
        )
    }
}

/// The lines of every case have about so many bytes.
const LINE_BYTES: usize = 400;

/// Twenty lines in a second: minute and second of this one.
fn minute_and_second(number: u64) -> (u64, u64) {
    (number / 1_200 % 60, number / 20 % 60)
}

/// What a service writes that does not know of JSON: two quotes in the line, nothing else to be escaped.
fn write_text_line(number: u64, out: &mut Vec<u8>) {
    let (minute, second) = minute_and_second(number);
    write!(
        out,
        r#"2026-11-21 10:{minute:02}:{second:02},{:03} INFO [worker-{}] com.example.shop.checkout.OrderService - order {number} of customer {} handled in {} ms, state "{}":"#,
        number % 20 * 50,
        number % 16,
        number % 50_000,
        number % 900,
        if number.is_multiple_of(13) { "refused" } else { "paid" },
    )
    .unwrap();
    fill(out, LINE_BYTES, "\n");
}

/// As a container runtime keeps what a service writes: of ten lines five are a stack trace, and every twentieth is in
/// two pieces.
fn write_trace_line(number: u64, out: &mut Vec<u8>) {
    let (minute, second) = minute_and_second(number);
    let tag = if number.is_multiple_of(20) { 'P' } else { 'F' };
    write!(
        out,
        "2026-11-21T10:{minute:02}:{second:02}.{:09}Z stdout {tag} ",
        number % 20 * 50_000_000
    )
    .unwrap();
    match number % 10 {
        3 => write!(
            out,
            "Exception in thread \"main\" java.lang.IllegalStateException: order {number} "
        ),
        4..=7 => {
            write!(out, "\tat com.example.shop.checkout.Order.step{number}(Order.java:{number}) ")
        }
        _ => write!(out, "INFO com.example.shop.checkout.OrderService - order {number} handled "),
    }
    .unwrap();
    fill(out, LINE_BYTES, "\n");
}

/// As Docker keeps a line: the application's own JSON, escaped, in a string.
fn write_docker_line(number: u64, out: &mut Vec<u8>) {
    let (minute, second) = minute_and_second(number);
    write!(
        out,
        r#"{{"log":"{{\"level\":\"info\",\"seq\":{number},\"service\":\"checkout\",\"path\":\"/api/v1/orders/{}\",\"status\":{},\"message\":\"order handled"#,
        number % 9973,
        if number.is_multiple_of(13) { 404 } else { 200 },
    )
    .unwrap();
    let end = format!(
        r#"\"}}\n","stream":"stdout","time":"2026-11-21T10:{minute:02}:{second:02}.{:09}Z"}}
"#,
        number % 20 * 50_000_000,
    );
    fill(out, LINE_BYTES, &end);
}

/// A long path and a long agent, as where they are forwarded through shops and campaigns.
fn write_access_line(number: u64, out: &mut Vec<u8>) {
    let (minute, second) = minute_and_second(number);
    writeln!(
        out,
        r#"10.{}.{}.7 - - [21/Nov/2026:10:{minute:02}:{second:02} +0000] "GET /api/v1/orders/{}?page={}&utm_source=newsletter&utm_medium=email&utm_campaign=autumn-2026&session=7f3c9a51d2e84b6f HTTP/1.1" {} {} "https://shop.example.com/cart/{}?utm_source=newsletter&utm_medium=email" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0 Safari/537.36 Edg/131.0.2903.70""#,
        number / 256 % 256,
        number % 256,
        number % 99_991,
        number % 50,
        if number.is_multiple_of(13) { 404 } else { 200 },
        number % 20_011,
        number % 99_991,
        number % 40 + 80,
    )
    .unwrap();
}

const PARSER_FILTER: &str = "
[FILTER]
    Name parser
    Match kube.*
    Key_Name log
    Parser json-log
    Reserve_Data On
";

const OTHER_FILTERS: &str = "
[FILTER]
    Name grep
    Match kube.*
    Exclude log healthcheck

[FILTER]
    Name modify
    Match kube.*
    Rename log message
    Add cluster_name production-eks
    Remove stream
";

const ES_PROPERTIES: &str =
    "    Logstash_Format On\n    Logstash_Prefix kubernetes\n    Suppress_Type_Name On\n";
const LOKI_LABEL_KEYS: &str = "    Label_keys $kubernetes['namespace_name'],$kubernetes['pod_name'],$kubernetes['container_name']\n";
const LOKI_PROPERTIES: &str = "    Labels job=fluentbit, cluster=production\n";

/// As many a configuration has them: the text of a container's line is `log`.
pub const PARSERS: &str = r#"[PARSER]
    Name        cri
    Format      regex
    Regex       ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$
    Time_Key    time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z

[PARSER]
    Name        docker
    Format      json
    Time_Key    time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z

[PARSER]
    Name        json-log
    Format      json
    Time_Key    timestamp
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z
    Time_Keep   On

[PARSER]
    Name        nginx
    Format      regex
    Regex       ^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")
    Time_Key    time
    Time_Format %d/%b/%Y:%H:%M:%S %z
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the cases' figures could not be compared.
    #[test]
    fn the_lines_of_all_cases_are_about_as_long() {
        for (case, name) in CASES {
            let folder = crate::folder();
            let bytes = case.write_log(&folder.path().join("log"), 1_000);
            assert!((370_000..=400_000).contains(&bytes), "{name}: {bytes} bytes in 1,000 lines");
        }
    }
}

//! What the bench runs: lines, and the configuration that says what is done with them.

use crate::Mix;
use crate::measure::READ_BYTES;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Container logs through `parser`, `grep` and `modify` to `_bulk` and to Loki.
    Both,
    /// The same to `_bulk` alone.
    Es,
    /// The same with `storage.type filesystem`.
    EsDisk,
    /// The same to Loki alone.
    Loki,
    /// To `_bulk`, with a Loki beside it that refuses connections.
    OneAway,
    /// The same to nowhere: reading, parsing and filtering alone.
    Null,
    /// Container lines, to nowhere.
    Cri,
    /// Container lines with JSON in them, both parsed, to nowhere.
    CriJson,
    /// An nginx access log, to nowhere.
    Nginx,
}

/// Every case and its name on the command line.
const CASES: [(Case, &str); 9] = [
    (Case::Both, "both"),
    (Case::Es, "es"),
    (Case::EsDisk, "es-disk"),
    (Case::Loki, "loki"),
    (Case::OneAway, "one-away"),
    (Case::Null, "null"),
    (Case::Cri, "cri"),
    (Case::CriJson, "cri-json"),
    (Case::Nginx, "nginx"),
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
        !matches!(self, Self::Both | Self::Es | Self::EsDisk | Self::Loki | Self::OneAway)
    }

    /// Writes the lines; returns how many bytes they have.
    pub(crate) fn write_log(self, path: &Path, lines: u64) -> u64 {
        let mix = Mix::default();
        let mut file = BufWriter::with_capacity(READ_BYTES, File::create(path).unwrap());
        let mut line = Vec::new();
        for number in 0..lines {
            line.clear();
            if self == Self::Nginx {
                write_access_line(number, &mut line);
            } else {
                mix.write(number, &mut line);
            }
            file.write_all(&line).unwrap();
        }
        file.into_inner().unwrap().metadata().unwrap().len()
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
            Self::Es | Self::EsDisk => es,
            Self::Loki => loki,
            _ => "\n[OUTPUT]\n    Name null\n    Match *\n".to_owned(),
        };
        let filters = match self {
            Self::Cri | Self::Nginx => String::new(),
            Self::CriJson => PARSER_FILTER.to_owned(),
            _ => format!("{PARSER_FILTER}{OTHER_FILTERS}"),
        };
        let parser = if self == Self::Nginx { "nginx" } else { "cri" };
        let (path, kind) = if self == Self::EsDisk {
            let path = format!("    storage.path {}/storage\n", run_folder.display());
            (path, "    storage.type filesystem\n")
        } else {
            (String::new(), "")
        };
        let end_at_eof = if self.is_local() { "On" } else { "Off" };
        format!(
            "[SERVICE]\n    Flush 1\n    Log_Level error\n    Grace 1\n    Parsers_File {folder}/parsers.conf\n\
             {path}\n[INPUT]\n    Name tail\n{kind}    Path {folder}/bench.log\n    Parser {parser}\n    Tag kube.*\n    \
             Read_from_Head On\n    Mem_Buf_Limit 5MB\n    Skip_Long_Lines On\n    \
             DB {run_folder}/positions.db\n    Exit_On_Eof {end_at_eof}\n{filters}{outputs}",
            folder = folder.display(),
            run_folder = run_folder.display(),
        )
    }
}

/// About 225 bytes; twenty in a second.
fn write_access_line(number: u64, out: &mut Vec<u8>) {
    let (minute, second) = (number / 1_200 % 60, number / 20 % 60);
    writeln!(
        out,
        r#"10.{}.{}.7 - - [21/Nov/2026:10:{minute:02}:{second:02} +0000] "GET /api/v1/orders/{}?page={} HTTP/1.1" {} {} "https://shop.example.com/cart/{}" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0 Safari/537.36""#,
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
const LOKI_PROPERTIES: &str = "    Labels job=fluentbit, cluster=production\n";

/// As many a configuration has them: the text of a container's line is `log`.
pub const PARSERS: &str = r#"[PARSER]
    Name        cri
    Format      regex
    Regex       ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$
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

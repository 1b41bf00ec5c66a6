//! The reference in `docs/` and the README's list of plugins say what the tables in the code say. A stale
//! page fails; `UPDATE_EXPECT=1` writes it anew.

use std::fmt::Write;
use std::path::Path;
use tailwater::config::{
    FilterCommon, InputCommon, Kind, MultilineOptions, NetOptions, OutputCommon, ParserOptions,
    Plugin, PluginKind, Property, RuleOptions, ServiceOptions, TlsOptions, Transport,
};
use tailwater::metrics::{self, Scope};
use tailwater::pipeline::CATALOG;

/// Replaces what stands in a page between `<!-- table: NAME -->` and the next `<!-- end -->` by `text`.
#[track_caller]
fn check(page: &str, table: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let old = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- table: {table} -->\n");
    let parts = old.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once("<!-- end -->")?;
        Some((before, after))
    });
    assert!(parts.is_some(), "{page} has no table `{table}`");
    let (before, after) = parts.unwrap();
    let new = format!("{before}{begin}{text}<!-- end -->{after}");
    if new == old {
        return;
    }
    let rewrite = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    assert!(rewrite, "{page}: `{table}` is stale; UPDATE_EXPECT=1 cargo test --test it docs");
    std::fs::write(&path, new).unwrap();
}

/// One test, since several tables stand in one page.
#[test]
fn every_table_is_what_the_code_says() {
    plugins();
    properties_of_plugins();
    properties_that_are_shared();
    counters();
}

fn plugins() {
    let row = |plugin: &Plugin| {
        let Plugin { name, doc, .. } = plugin;
        let kind = plugin.kind.name();
        format!("| {kind} | [`{name}`](docs/{kind}s.md#{name}) | {} |\n", doc.trim())
    };
    let rows: String = CATALOG.0.iter().map(|plugin| row(plugin)).collect();
    check("README.md", "plugins", &format!("| | plugin | |\n|---|---|---|\n{rows}"));
}

fn properties_of_plugins() {
    for kind in [PluginKind::Input, PluginKind::Filter, PluginKind::Output] {
        let mut text = String::new();
        for plugin in CATALOG.of_kind(kind) {
            write!(text, "\n## {}\n\n{}\n\n", plugin.name, plugin.doc.trim()).unwrap();
            text.push_str(&properties(plugin.properties));
            if plugin.transport == Transport::Network {
                text.push_str("\nAlso what [every connection](connections.md) can be told.\n");
            }
        }
        check(&format!("docs/{}s.md", kind.name()), "plugins", &format!("{text}\n"));
    }
}

fn properties_that_are_shared() {
    check("docs/inputs.md", "common", &properties(InputCommon::PROPERTIES));
    check("docs/filters.md", "common", &properties(FilterCommon::PROPERTIES));
    check("docs/outputs.md", "common", &properties(OutputCommon::PROPERTIES));
    check("docs/connections.md", "net", &properties(NetOptions::PROPERTIES));
    check("docs/connections.md", "tls", &properties(TlsOptions::PROPERTIES));
    check("docs/service.md", "service", &properties(ServiceOptions::PROPERTIES));
    check("docs/parsers.md", "parser", &properties(ParserOptions::PROPERTIES));
    check("docs/parsers.md", "multiline", &properties(MultilineOptions::PROPERTIES));
    check("docs/parsers.md", "rules", &properties(RuleOptions::PROPERTIES));
}

/// What has an effect as a table, then what has none and what is refused.
fn properties(table: &[Property]) -> String {
    let mut text = String::new();
    let mut head = "| property | value | default | |\n|---|---|---|---|\n";
    for row in table.iter().filter(|row| !matches!(row.kind, Kind::Accepted | Kind::Refused)) {
        let Property { name, default, doc, .. } = row;
        let default = default.map(|value| format!("`{value}`")).unwrap_or_default();
        let often = if row.repeated { ", repeatable" } else { "" };
        let (value, doc) = (value(row.kind), cell(doc));
        writeln!(text, "{head}| `{name}` | {value}{often} | {default} | {doc} |").unwrap();
        head = "";
    }
    for (kind, title) in [(Kind::Accepted, "accepted, without effect"), (Kind::Refused, "refused")]
    {
        let rows: Vec<_> = table.iter().filter(|row| row.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(text, "\n| {title} | because |\n|---|---|").unwrap();
        for row in rows {
            writeln!(text, "| `{}` | {} |", row.name, cell(row.doc)).unwrap();
        }
    }
    if text.is_empty() { "It has no properties of its own.\n".to_owned() } else { text }
}

/// What a property takes.
fn value(kind: Kind) -> String {
    match kind {
        Kind::Choice(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        kind => kind.to_string(),
    }
}

/// Text for the cell of a table.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

fn counters() {
    for (scope, table) in [
        (Scope::Input, "input"),
        (Scope::Filter, "filter"),
        (Scope::Output, "output"),
        (Scope::Service, "service"),
    ] {
        let mut text = "| metric | kind | |\n|---|---|---|\n".to_owned();
        for row in metrics::rows().filter(|row| row.scope == scope) {
            let kind = match row.kind {
                metrics::Kind::Counter | metrics::Kind::Family => "counter",
                metrics::Kind::Gauge => "gauge",
            };
            let label = row.label.map(|label| format!(", by `{label}`")).unwrap_or_default();
            let plugin = match row.plugins {
                [] => String::new(),
                plugins => format!(" (`{}` only)", plugins.join("`, `")),
            };
            let (name, help) = (row.name, cell(row.help()));
            writeln!(text, "| `{name}` | {kind}{label} | {help}{plugin} |").unwrap();
        }
        check("docs/metrics.md", table, &text);
    }
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = root.join("docs").read_dir().unwrap().map(|page| page.unwrap().path());
    let pages = docs.chain([root.join("README.md"), root.join("ARCHITECTURE.md")]);
    let mut count = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            assert!(target.exists(), "{}: {link}", page.display());
            let heading = format!("\n## {}\n", anchor.replace('-', " "));
            let has_heading = anchor.is_empty()
                || std::fs::read_to_string(&target).unwrap().to_lowercase().contains(&heading);
            assert!(has_heading, "{}: {link} names no heading", page.display());
            count += 1;
        }
    }
    assert!(count > CATALOG.0.len(), "only {count} links found");
}

//! The help: flags, plugins and their properties, from the tables that also read them.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::flags::{Effect, FLAGS};
use crate::config::{
    Catalog, FilterCommon, InputCommon, Kind, NetOptions, OutputCommon, Plugin, PluginKind,
    Property, TlsOptions, Transport,
};

/// Columns of a terminal that the help fills.
const WIDTH: usize = 100;
/// Columns before the explanation of a flag or plugin.
const INDENT: usize = 34;

/// What the exit codes of the agent say.
const EXIT_CODES: [(u8, &str); 3] = [
    (0, "asked to end; or the input is over (stdin, Exit_On_Eof), and all of it was delivered"),
    (1, "it did not start, or could not go on"),
    (2, "the input is over, and not all of it was delivered: the last line says what"),
];

/// Usage, flags, and the plugins there are.
pub(super) fn overview(catalog: Catalog) -> String {
    written(|out| {
        out.write_str(
            "Usage: tailwater [OPTION]…\n       \
             tailwater check FILE [--strict]\n       \
             tailwater buffer ls|cat|verify PATH\n       \
             tailwater dead-letter list|show|replay PATH\n       \
             tailwater help [PLUGIN]\n\nOptions\n",
        )?;
        for flag in FLAGS.iter().filter(|flag| !matches!(flag.effect, Effect::Refused)) {
            let letter = flag.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
            let name = flag.long.first().unwrap_or(&"");
            let value = flag.value.map(|value| format!("={value}")).unwrap_or_default();
            row(out, &format!("  {letter}--{name}{value}"), flag.doc)?;
        }
        for (title, kind) in [
            ("Inputs", PluginKind::Input),
            ("Filters", PluginKind::Filter),
            ("Outputs", PluginKind::Output),
        ] {
            writeln!(out, "\n{title}")?;
            for plugin in catalog.of_kind(kind) {
                row(out, &format!("  {}", plugin.name), plugin.doc.trim())?;
            }
        }
        writeln!(out, "\nExit code")?;
        for (code, meaning) in EXIT_CODES {
            row(out, &format!("  {code}"), meaning)?;
        }
        Ok(())
    })
}

/// What a plugin is for, and all its properties.
pub(super) fn plugin(plugin: &Plugin) -> String {
    let kind = plugin.kind.name();
    written(|out| {
        writeln!(out, "{kind} {}: {}", plugin.name, plugin.doc.trim())?;
        properties(out, &format!("Properties of {}", plugin.name), plugin.properties)?;
        properties(out, &format!("Properties of every {kind}"), common(plugin.kind))?;
        if plugin.transport == Transport::Network {
            properties(out, "Connections", NetOptions::PROPERTIES)?;
            properties(out, "Encryption", TlsOptions::PROPERTIES)?;
        }
        Ok(())
    })
}

/// Every plugin with its properties, in the shape of Fluent Bit's `--help-json`.
pub(super) fn overview_json(catalog: Catalog) -> String {
    let of = |kind| catalog.of_kind(kind).map(schema).collect::<Value>();
    let os = std::env::consts::OS;
    let all = json!({
        "fluent-bit": { "version": env!("CARGO_PKG_VERSION"), "schema_version": "1", "os": os },
        "customs": [],
        "inputs": of(PluginKind::Input),
        "processors": [],
        "filters": of(PluginKind::Filter),
        "outputs": of(PluginKind::Output),
    });
    format!("{all}\n")
}

/// A plugin with its properties, in the shape of Fluent Bit's `--help-json`.
pub(super) fn plugin_json(plugin: &Plugin) -> String {
    format!("{}\n", schema(plugin))
}

fn schema(plugin: &Plugin) -> Value {
    let rows = |table: &[Property]| {
        let row = |property: &Property| {
            json!({
                "name": property.name,
                "description": property.doc.trim(),
                "default": property.default,
                "type": property.kind.to_string(),
            })
        };
        table.iter().map(row).collect::<Value>()
    };
    let is_network = plugin.transport == Transport::Network;
    let connection = |table| if is_network { rows(table) } else { json!([]) };
    json!({
        "type": plugin.kind.name(),
        "name": plugin.name,
        "description": plugin.doc.trim(),
        "properties": {
            "global_options": rows(common(plugin.kind)),
            "options": rows(plugin.properties),
            "networking": connection(NetOptions::PROPERTIES),
            "network_tls": connection(TlsOptions::PROPERTIES),
        },
    })
}

/// What every plugin of a kind can be told.
fn common(kind: PluginKind) -> &'static [Property] {
    match kind {
        PluginKind::Input => InputCommon::PROPERTIES,
        PluginKind::Filter => FilterCommon::PROPERTIES,
        PluginKind::Output => OutputCommon::PROPERTIES,
    }
}

fn properties(out: &mut String, title: &str, rows: &[Property]) -> fmt::Result {
    writeln!(out, "\n{title}")?;
    for property in rows {
        row(out, &format!("  {}", property.name), property.doc.trim())?;
        let has_field = !matches!(property.kind, Kind::Accepted | Kind::Refused);
        let repeated = if property.repeated && has_field { ", may be repeated" } else { "" };
        let default =
            property.default.map(|value| format!(", default: {value}")).unwrap_or_default();
        row(out, "", &format!("> {}{repeated}{default}", property.kind))?;
    }
    Ok(())
}

/// A name, and beside it an explanation, broken between words.
fn row(out: &mut String, name: &str, explanation: &str) -> fmt::Result {
    write!(out, "{name:<INDENT$}")?;
    let mut column = name.chars().count().max(INDENT);
    if column > INDENT {
        write!(out, "\n{:INDENT$}", "")?;
        column = INDENT;
    }
    for (index, word) in explanation.split_whitespace().enumerate() {
        let len = word.chars().count();
        if index > 0 && column + 1 + len > WIDTH {
            write!(out, "\n{:INDENT$}", "")?;
            column = INDENT;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out.push('\n');
    Ok(())
}

/// What `write` writes; writing to a string cannot fail.
fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    let result = write(&mut out);
    debug_assert!(result.is_ok(), "a string takes everything");
    out
}

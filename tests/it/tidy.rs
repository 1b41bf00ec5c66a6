//! Habits that no lint knows, held over every file git knows.

use std::path::Path;
use std::process::Command;

/// What a stage may use besides the leaves: records flow one way, and nothing imports a later stage.
const MAY_USE: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("net", &["config"]),
    ("parser", &["config"]),
    ("input", &["config", "net", "parser"]),
    ("filter", &["config", "net", "parser"]),
    ("buffer", &["config"]),
    ("output", &["buffer", "config", "net"]),
    ("admin", &["buffer", "config", "net"]),
    ("pipeline", &["admin", "buffer", "config", "filter", "input", "net", "output", "parser"]),
    ("cli", &["admin", "buffer", "config", "filter", "input", "net", "output", "pipeline"]),
];

/// Used by all, and using only one another.
const LEAVES: &[&str] = &["clock", "mailbox", "metrics", "record", "supervisor"];

/// A file is the noun it defines; these are drawers.
const NO_NAMES: &[&str] = &["common", "handler", "helpers", "manager", "types", "utils"];

/// Unfinished work, and places that exist on one machine only. Parted, so that this list is not found in itself.
const NOWHERE: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ign", "ore"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
];

/// Every text file git knows or would know: path and content.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root.join(path)).ok()?));
    let files: Vec<_> = listed.lines().filter_map(read).collect();
    assert!(files.len() > 20, "only {} files found", files.len());
    files
}

fn rust_files() -> Vec<(String, String)> {
    let rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
    files().into_iter().filter(|(path, _)| rust(path)).collect()
}

#[track_caller]
fn nothing(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_file_begins_with_its_duty() {
    let found: Vec<_> = rust_files()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    nothing("files whose first line is no `//!`", &found);
}

#[test]
fn no_file_is_a_drawer() {
    let named = |path: &String| {
        let path = Path::new(path).with_extension("");
        path.iter().any(|part| NO_NAMES.iter().any(|name| part == *name))
    };
    let found: Vec<_> = rust_files().into_iter().map(|(path, _)| path).filter(named).collect();
    nothing("names that say nothing", &found);
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_a_machine() {
    let mut found = Vec::new();
    for (path, text) in files() {
        for (line, number) in text.lines().zip(1..) {
            if let Some(what) = NOWHERE.iter().find(|what| line.contains(**what)) {
                found.push(format!("{path}:{number}: {what}"));
            }
        }
    }
    nothing("lines that must not stand here", &found);
}

#[test]
fn records_flow_one_way() {
    let stages: Vec<_> = MAY_USE.iter().map(|(stage, _)| *stage).collect();
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        let Some(inside) = path.strip_prefix("src/") else { continue };
        let module = inside.split(['/', '.']).next().unwrap();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let row = MAY_USE.iter().find(|(stage, _)| *stage == module).map(|(_, uses)| *uses);
        let uses = match row {
            Some(uses) => uses,
            None if LEAVES.contains(&module) => &[],
            None => {
                found.push(format!("{path}: `{module}` has no row in MAY_USE and is no leaf"));
                continue;
            }
        };
        let against =
            |named: &&str| *named != module && stages.contains(named) && !uses.contains(named);
        let named = modules_named(&text);
        found.extend(
            named.iter().filter(|name| against(name)).map(|name| format!("{path}: `{name}`")),
        );
    }
    nothing("imports against the flow", &found);
}

/// The modules of this crate that a file's code names: `crate::x` and `crate::{x, y::{z, w}}`.
fn modules_named(text: &str) -> Vec<&str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let paths = code.flat_map(|line| line.split("crate::").skip(1).map(str::trim));
    let mut named: Vec<_> = paths.map(first_name).collect();
    for list in text.split("crate::{").skip(1) {
        let mut depth = 0;
        for item in list.split_inclusive([',', '{', '}']) {
            if depth == 0 {
                named.push(first_name(item.trim()));
            }
            depth += i32::from(item.ends_with('{')) - i32::from(item.ends_with('}'));
            if depth < 0 {
                break;
            }
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

fn first_name(text: &str) -> &str {
    text.split(|char: char| char != '_' && !char.is_alphanumeric()).next().unwrap_or_default()
}

#[test]
fn modules_named_in_code_are_found() {
    let check = |text: &str, expected: &[&str]| assert_eq!(modules_named(text), expected, "{text}");
    check("use crate::buffer::Chunk;", &["buffer"]);
    check("use crate::{config, net::Client};", &["config", "net"]);
    check(
        "use crate::{\n    config::{unit, Text},\n    net::Client\n};\nfn input() { if a {} }",
        &["config", "net"],
    );
    check("fn read(from: &crate::input::Position) // crate::output", &["input"]);
    check("use std::fmt;", &[]);
}

#[test]
fn the_map_names_every_folder() {
    let files = rust_files();
    let map = files.iter().find(|(path, _)| path == "src/lib.rs").map(|(_, text)| text).unwrap();
    let mut found: Vec<_> = files
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("src/")?.split_once('/').map(|(dir, _)| dir))
        .filter(|dir| !map.contains(&format!("mod {dir};")) || !map.contains(&format!("[`{dir}")))
        .map(str::to_owned)
        .collect();
    found.dedup();
    nothing("folders without a word in the map of src/lib.rs", &found);
}

#[test]
fn every_dependency_says_why() {
    let mut found = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let mut inside = false;
        let mut before = "";
        for line in text.lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && !line.starts_with('#') && line.contains('=') {
                // What the workspace names once is explained there, and its own members need no word.
                let explained = line.contains(".workspace = true") || line.contains("{ path =");
                if !explained && !before.starts_with('#') {
                    found.push(format!("{path}: {line}"));
                }
            }
            before = line;
        }
    }
    nothing("dependencies without a reason above them", &found);
}

#[test]
fn every_locked_crate_comes_from_the_public_registry() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let (_, lock) = files().into_iter().find(|(path, _)| path == "Cargo.lock").unwrap();
    let found: Vec<_> = lock
        .lines()
        .filter(|line| line.starts_with("source = ") && *line != public)
        .map(str::to_owned)
        .collect();
    nothing("crates from elsewhere", &found);
}

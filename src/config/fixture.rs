//! Configuration files in memory, and what was read of them as text.

use super::document::{self, Base, Opened, Source};
use super::section::{Entry, Section};
use super::{Diagnostics, Severity};
use std::fmt::Write as _;

/// Files by name.
pub(super) struct Memory(pub(super) Vec<(String, String)>);

impl Source for Memory {
    fn open(&mut self, path: &str, _base: Base<'_>) -> Result<Opened, String> {
        let index = self.0.iter().position(|(name, _)| name == path).ok_or("no such file")?;
        let bytes = self.0[index].1.clone().into_bytes();
        let identity = (0, index as u64);
        Ok(Opened { name: path.to_owned(), identity, bytes, is_folder: false })
    }

    fn matching(&mut self, pattern: &str, _base: Base<'_>) -> Result<Vec<String>, String> {
        let stem = pattern.trim_end_matches('*');
        let names = self.0.iter().map(|(name, _)| name.clone());
        let names: Vec<String> = names.filter(|name| name.starts_with(stem)).collect();
        if names.is_empty() { Err("no file matches".to_owned()) } else { Ok(names) }
    }
}

/// What is read of a file of that name, and what is said of it. Lines `--- name` begin further files.
pub(super) fn show(main: &str, text: &str) -> String {
    let mut files = vec![(main.to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("--- ") {
            files.push((name.trim_end().to_owned(), String::new()));
        } else {
            files.last_mut().unwrap().1.push_str(line);
        }
    }
    let mut diagnostics = Diagnostics::new();
    let document = document::read(main, &mut Memory(files), &mut diagnostics);
    let mut out = String::new();
    for setting in &document.settings {
        writeln!(out, "{} = {:?}", setting.name, setting.value).unwrap();
    }
    for section in document.sections {
        show_section(section, &mut out);
    }
    out + &diagnostics.report(Severity::Note)
}

fn show_section(mut section: Section, out: &mut String) {
    writeln!(out, "[{}]", section.title()).unwrap();
    for Entry { location, key, value, .. } in section.entries() {
        writeln!(out, "  {location} {key}: {value:?}").unwrap();
    }
    for group in section.take_groups() {
        show_section(group, out);
    }
}

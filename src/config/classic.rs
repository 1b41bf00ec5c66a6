//! The classic syntax, as Fluent Bit 5.1 reads it: sections, indentation, `@INCLUDE`, `@SET`.
//!
//! The first indented line of a file, blank or not, sets the indentation that all later ones
//! must have; twice as much is a group's content. Only a space ends a key. Nothing is read twice.
//! Unlike Fluent Bit, reading goes on behind a mistake, so that all of them are told at once.

use std::sync::Arc;

use super::diagnostics::{Diagnostics, Location, Severity, finding};
use super::document::{Base, Document, Files, Opened, Setting, fuzz, kind_of};
use super::section::{Section, SectionKind};

/// A ConfigMap holds at most 1 MiB, so no line that anyone wrote is longer.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Reads a file and everything it includes. Mistakes are recorded.
pub(super) fn read<'a>(path: &str, files: Files<'a>, diagnostics: &'a mut Diagnostics) -> Document {
    let mut reader = Reader { files, diagnostics, document: Document::default() };
    let start = Location::new(&Arc::from(path), 0);
    reader.open(path, &start, 0);
    reader.document
}

/// Reads arbitrary bytes as a configuration whose includes all lead back to it: the fuzz entry.
pub fn fuzz_classic(bytes: &[u8]) {
    fuzz("fuzz.conf", bytes);
}

struct Reader<'a> {
    files: Files<'a>,
    diagnostics: &'a mut Diagnostics,
    document: Document,
}

/// Where reading stands in one file. Sections do not reach from one file into another.
struct File {
    name: Arc<str>,
    depth: usize,
    /// What the first indented line began with.
    indent: Option<String>,
    /// Whether a wrong indentation was told: the next ones follow from it.
    indent_told: bool,
    target: Target,
}

/// What the next `key value` belongs to.
#[derive(Clone, Copy)]
enum Target {
    /// Nothing: no section has begun in this file.
    Nowhere,
    /// The section at this index of the document.
    Section(usize),
    /// A group inside the section at this index, which classic configurations have no use for.
    Group(usize),
}

impl Reader<'_> {
    /// Reads the file at `path`, named at `from`.
    fn open(&mut self, path: &str, from: &Location, depth: usize) {
        if let Some(opened) = self.files.open(path, Base::Main, from, depth, self.diagnostics) {
            if opened.is_folder {
                let message = format!("`{}` is a folder: nothing is read from it", opened.name);
                self.diagnostics.warning(from, message);
            }
            self.file(&opened, depth);
        }
    }

    fn file(&mut self, opened: &Opened, depth: usize) {
        let name: Arc<str> = Arc::from(opened.name.as_str());
        let whole = Location::new(&name, 0);
        let bytes = opened.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&opened.bytes);
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            self.diagnostics.warning(&whole, "not UTF-8: what is not is replaced by `�`");
        }
        let mut file =
            File { name, depth, indent: None, indent_told: false, target: Target::Nowhere };
        for (number, line) in (1_u32..).zip(text.split('\n')) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let location = Location::new(&file.name, number);
            if line.len() > LINE_BYTES_MAX {
                self.diagnostics
                    .error(&location, format!("line is longer than {LINE_BYTES_MAX} bytes"));
            } else if line.contains('\0') {
                self.diagnostics.error(&location, "line has a NUL byte");
            } else {
                self.line(&mut file, line, &location);
            }
        }
    }

    fn line(&mut self, file: &mut File, line: &str, location: &Location) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(path) = include_path(line) {
            self.include(path, location, file.depth + 1);
        } else if line.starts_with('@') && line.len() > 3 {
            self.command(line, location);
        } else if let Some(header) = line.strip_prefix('[') {
            self.header(file, header, location);
        } else {
            self.indented(file, line, location);
        }
    }

    fn include(&mut self, path: &str, location: &Location, depth: usize) {
        for path in self.files.included(path, Base::Main, location, self.diagnostics) {
            self.open(&path, location, depth);
        }
    }

    /// `@SET name=value`. Commands that Fluent Bit does not know it passes over in silence.
    fn command(&mut self, line: &str, location: &Location) {
        let Some((name, rest)) = line.split_once(' ') else {
            self.diagnostics
                .error(location, format!("`{line}` is no command: a space must follow"));
            return;
        };
        if !name.eq_ignore_ascii_case("@SET") {
            self.diagnostics
                .warning(location, format!("`{name}` is no command and is passed over"));
            return;
        }
        let Some((name, value)) = rest.trim().split_once('=') else {
            self.diagnostics.warning(location, "`@SET` without `=` sets nothing");
            return;
        };
        self.document.settings.push(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            location: location.clone(),
            severity: Severity::Warning,
        });
    }

    fn header(&mut self, file: &mut File, header: &str, location: &Location) {
        let Some((name, _)) = header.split_once(']') else {
            self.diagnostics.error(location, "section header without `]`");
            return;
        };
        let kind = kind_of(name, location, self.diagnostics);
        if kind == SectionKind::Service
            && let Some(index) = self.document.service()
        {
            file.target = Target::Section(index);
            return;
        }
        let sections = &mut self.document.sections;
        file.target = Target::Section(sections.len());
        sections.push(Section::new(kind, location.clone()));
    }

    fn indented(&mut self, file: &mut File, line: &str, location: &Location) {
        if file.indent.is_none() {
            let indent = indent_of(line);
            if indent.is_empty() {
                self.diagnostics.add(
                    finding(Severity::Error, location, "a key must be indented")
                        .with_remedy("indent all keys of a file alike"),
                );
                return;
            }
            file.indent = Some(indent.to_owned());
            if indent.len() == line.len() {
                return;
            }
        }
        let indent = file.indent.as_deref().unwrap_or_default();
        let content = match content(line, indent) {
            Content::Plain(content) => {
                if let Target::Group(index) = file.target {
                    file.target = Target::Section(index);
                }
                content
            }
            Content::Inner(content) => content,
            Content::Wrong(why) => {
                if !file.indent_told {
                    file.indent_told = true;
                    self.diagnostics.add(
                        finding(Severity::Error, location, why)
                            .with_remedy("indent all keys of a file alike"),
                    );
                }
                return;
            }
        };
        if !content.is_empty() && !content.starts_with('#') {
            self.entry(file, content, location);
        }
    }

    fn entry(&mut self, file: &mut File, content: &str, location: &Location) {
        let Some((key, value)) = content.split_once(' ') else {
            let (key, rest) = content.split_once('\t').unwrap_or((content, ""));
            let found = finding(Severity::Error, location, format!("`{key}` has no value"));
            self.diagnostics.add(if rest.is_empty() {
                found
            } else {
                found.with_remedy("put a space between key and value, a tab does not count")
            });
            return;
        };
        if let Some(group) = content.strip_prefix('[') {
            self.group(file, group, location);
            return;
        }
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            self.diagnostics.error(location, format!("`{key}` has no value"));
            return;
        }
        match file.target {
            Target::Nowhere => {
                self.diagnostics.error(location, format!("`{key}` stands in no section"));
            }
            Target::Section(index) => {
                if let Some(section) = self.document.sections.get_mut(index) {
                    section.push(key, value, location.clone());
                }
            }
            // The group's header was reported.
            Target::Group(_) => {}
        }
    }

    /// `[name] ` inside a section. Fluent Bit reads one group, `processors`.
    fn group(&mut self, file: &mut File, group: &str, location: &Location) {
        let (Target::Section(index) | Target::Group(index)) = file.target else {
            self.diagnostics.error(location, "a group stands in no section");
            return;
        };
        let Some((name, _)) = group.split_once(']') else {
            self.diagnostics.error(location, "group header without `]`");
            return;
        };
        file.target = Target::Group(index);
        if name.eq_ignore_ascii_case("processors") {
            self.diagnostics.error(location, "processors are not supported yet; use filters");
        } else {
            self.diagnostics.warning(location, format!("group `{name}` is passed over"));
        }
    }
}

/// The path of an `@INCLUDE path` line.
fn include_path(line: &str) -> Option<&str> {
    let (command, path) = line.split_at_checked("@INCLUDE ".len())?;
    let path = path.trim();
    (command.eq_ignore_ascii_case("@INCLUDE ") && !path.is_empty()).then_some(path)
}

/// The blanks a line begins with.
fn indent_of(line: &str) -> &str {
    let end = line.find(|letter| letter != ' ' && letter != '\t').unwrap_or(line.len());
    line.split_at_checked(end).map_or("", |(indent, _)| indent)
}

/// What stands behind the indentation of a line.
enum Content<'a> {
    /// Indented as the first line was.
    Plain(&'a str),
    /// Indented twice as much.
    Inner(&'a str),
    /// Indented otherwise, for this reason.
    Wrong(&'static str),
}

fn content<'a>(line: &'a str, indent: &str) -> Content<'a> {
    let Some(rest) = line.strip_prefix(indent) else {
        let same = line.bytes().zip(indent.bytes()).take_while(|(a, b)| a == b).count();
        return match line.as_bytes().get(same) {
            Some(b' ' | b'\t') => Content::Wrong("indented by a mix of tabs and spaces"),
            _ => Content::Wrong("indented less than the first key of the file"),
        };
    };
    let extra = indent_of(rest);
    let content = rest.strip_prefix(extra).unwrap_or(rest);
    if extra.is_empty() {
        Content::Plain(content)
    } else if extra.len() == indent.len() {
        Content::Inner(content)
    } else {
        Content::Wrong("indented more than the first key of the file")
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::super::fixture::{Memory, show};
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: &Expect) {
        expected.assert_eq(&show("main", text));
    }

    #[test]
    fn sections_keys_comments() {
        check(
            "\u{feff}# head\n[SERVICE]\r\n    Flush  5  \r\n\n[input]\n    # own line\n    \
             Name tail\n    Path\t /a,  /b # c\n[SERVICE] behind\n    Grace 1\n",
            &expect![[r#"
                [SERVICE]
                  main:3 Flush: "5"
                  main:10 Grace: "1"
                [INPUT]
                  main:7 Name: "tail"
                  main:8 Path: "/a,  /b # c"
            "#]],
        );
    }

    #[test]
    fn indentation_follows_the_first_line() {
        check(
            "[INPUT]\n\tName tail\n\tTag x\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "tail"
              main:3 Tag: "x"
        "#]],
        );
        check(
            "[INPUT]\n      Name stdout\n   Match *\n  More 1\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "stdout"
            main:3: indented less than the first key of the file; indent all keys of a file alike
        "#]],
        );
        check(
            "[INPUT]\n  Name stdout\n     Match *\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "stdout"
            main:3: indented more than the first key of the file; indent all keys of a file alike
        "#]],
        );
        check(
            "[INPUT]\n  Name stdout\n\tMatch *\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "stdout"
            main:3: indented by a mix of tabs and spaces; indent all keys of a file alike
        "#]],
        );
        check(
            "[INPUT]\n  Name a\n    Tag b\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
              main:3 Tag: "b"
        "#]],
        );
        check(
            "[INPUT]\nName stdout\n",
            &expect![[r#"
            [INPUT]
            main:2: a key must be indented; indent all keys of a file alike
        "#]],
        );
        check(
            "[INPUT]\n    Name a\n  \n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
            main:3: indented less than the first key of the file; indent all keys of a file alike
        "#]],
        );
        check(
            "[INPUT]\n    Name a\n  # less\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
            main:3: indented less than the first key of the file; indent all keys of a file alike
        "#]],
        );
        check(
            "  \n[INPUT]\n   Name a\n",
            &expect![[r#"
            [INPUT]
            main:3: indented more than the first key of the file; indent all keys of a file alike
        "#]],
        );
    }

    #[test]
    fn keys_need_values_and_sections() {
        check(
            "  Name x\n[INPUT]\n  Name\n  Tag \n  Path\t/a\n  Db   \n",
            &expect![[r#"
            [INPUT]
            main:1: `Name` stands in no section
            main:3: `Name` has no value
            main:4: `Tag` has no value
            main:5: `Path` has no value; put a space between key and value, a tab does not count
            main:6: `Db` has no value
        "#]],
        );
        check(
            "[INPUT\n  Name x\n",
            &expect![[r#"
            main:1: section header without `]`
            main:2: `Name` stands in no section
        "#]],
        );
    }

    #[test]
    fn names_of_sections() {
        check(
            "[IN]\n  a b\n[INPUT ]\n  a b\n[OUTPUTS]\n  a b\n[]x]\n  a b\n",
            &expect![[r#"
            [INPUT]
              main:2 a: "b"
            [INPUT ]
              main:4 a: "b"
            [OUTPUT]
              main:6 a: "b"
            []
              main:8 a: "b"
            main:1: warning: `IN` is taken as `INPUT`
            main:3: warning: `INPUT ` is no section and is passed over; did you mean `INPUTS`?
            main:7: warning: `` is no section and is passed over
        "#]],
        );
    }

    #[test]
    fn groups_are_not_for_classic() {
        check(
            "[INPUT]\n  Name a\n  [x] \n    b c\n  Tag t\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
              main:5 Tag: "t"
            main:3: warning: group `x` is passed over
        "#]],
        );
        check(
            "[INPUT]\n  Name a\n  [group 1]\n    b c\n  [x\n  [x y\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
            main:3: warning: group `group 1` is passed over
            main:5: `[x` has no value
            main:6: group header without `]`
        "#]],
        );
        check(
            "[INPUT]\n  Name a\n  [processors] \n    b c\n",
            &expect![[r#"
            [INPUT]
              main:2 Name: "a"
            main:3: processors are not supported yet; use filters
        "#]],
        );
    }

    #[test]
    fn commands() {
        check(
            "@SET a=b=c d \n@set e=\n@SET f\n@FOO x\n@\n@x\n@SETx\n",
            &expect![[r#"
            a = "b=c d"
            e = ""
            main:3: warning: `@SET` without `=` sets nothing
            main:4: warning: `@FOO` is no command and is passed over
            main:5: a key must be indented; indent all keys of a file alike
            main:6: a key must be indented; indent all keys of a file alike
            main:7: `@SETx` is no command: a space must follow
        "#]],
        );
    }

    #[test]
    fn includes() {
        check(
            "@SET v=1\n[INPUT]\n  Name a\n@INCLUDE part-*\n  Tag still-a\n\
             --- part-1\n[FILTER]\n    Name b\n--- part-2\n[OUTPUT]\n\tName c\n",
            &expect![[r#"
                v = "1"
                [INPUT]
                  main:3 Name: "a"
                  main:5 Tag: "still-a"
                [FILTER]
                  part-1:2 Name: "b"
                [OUTPUT]
                  part-2:2 Name: "c"
            "#]],
        );
        check(
            "@include missing\n@INCLUDE none*\n",
            &expect![[r#"
            main:1: `missing` cannot be read: no such file
            main:2: `none*`: no file matches
        "#]],
        );
        check(
            "@INCLUDE a\n--- a\n@INCLUDE main\n  Name x\n",
            &expect![[r#"
            a:1: `main` is included twice
            a:2: `Name` stands in no section
        "#]],
        );
    }

    #[test]
    fn odd_bytes() {
        check(
            "[INPUT]\n  Name a\0b\n  Tag t",
            &expect![[r#"
            [INPUT]
              main:3 Tag: "t"
            main:2: line has a NUL byte
        "#]],
        );
        fuzz_classic(b"\xff\n@INCLUDE x*\n[INPUT]\n \tName \xff\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>) {
            fuzz_classic(&bytes);
        }

        #[test]
        fn any_lines_are_read_to_their_end(text in "([ \t@#\\[\\]a=*\r]{0,6}\n|@INCLUDE \\*\n){0,20}") {
            fuzz_classic(text.as_bytes());
        }
    }

    #[test]
    fn long_lines() {
        let text = format!("[INPUT]\n  Path {}\n", "x".repeat(LINE_BYTES_MAX));
        let mut diagnostics = Diagnostics::new();
        let mut memory = Memory(vec![("main".to_owned(), text)]);
        let document = document::read("main", &mut memory, &mut diagnostics);
        assert!(diagnostics.has_errors());
        assert!(document.sections[0].is_empty());
    }
}

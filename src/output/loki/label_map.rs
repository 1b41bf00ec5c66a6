//! `Label_Map_Path`: a file that says which fields become labels, and under which names.
//!
//! ```json
//! {"kubernetes": {"pod_name": "pod", "labels": {"team": "team"}}, "stream": "stream"}
//! ```
//!
//! As in Fluent Bit, a file that cannot be read costs the labels that it would have given, and what stands
//! before a mistake in it still counts; here with a warning that says so.

use crate::config::{Diagnostics, Located};
use crate::record::Accessor;
use std::fs::File;
use std::io::Read;
use tailwater_parsers::json::{self, Value};

/// A longer file is no list of labels, of which Loki takes 15 of one stream by default.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The labels of the file at `path`, in its order; what is wrong with it is reported.
pub(super) fn read(
    path: &Located<String>,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Accessor)> {
    let mut labels = Vec::new();
    let read = file(path).and_then(|text| object(&text, &mut Vec::new(), &mut labels));
    if let Err(why) = read {
        let file = &path.value;
        let message = format!("`Label_Map_Path`: `{file}`: {why}; what it would add is no label");
        diagnostics.warning(&path.location, message);
    }
    labels
}

/// The text of the file.
fn file(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    // One byte more than allowed, to know that there is more.
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Adds the labels of one object, whose fields lie under the names of `path`. How deep objects nest is
/// bounded by what reads JSON.
fn object(
    text: &str,
    path: &mut Vec<String>,
    labels: &mut Vec<(String, Accessor)>,
) -> Result<(), String> {
    let mut result = Ok(());
    let mut scratch = String::new();
    json::object(text, |key, value, _| {
        if result.is_err() {
            return;
        }
        path.push(key.decode(&mut scratch).to_owned());
        result = member(value, path, labels);
        path.pop();
    })
    .map_err(|error| format!("no JSON object: {error}"))?;
    result
}

/// Adds the labels of one field.
fn member(
    value: Value<'_>,
    path: &mut Vec<String>,
    labels: &mut Vec<(String, Accessor)>,
) -> Result<(), String> {
    match value {
        Value::String(label) => {
            let names: Vec<_> = path.iter().map(String::as_str).collect();
            let accessor = Accessor::path(&names).map_err(|error| error.to_string())?;
            labels.push((label.decode(&mut String::new()).to_owned(), accessor));
            Ok(())
        }
        Value::Nested(text) | Value::SpacedNested(text) | Value::DirtyNested(text)
            if text.starts_with('{') =>
        {
            object(text, path, labels)
        }
        _ => Err(format!("the value of `{}` is no name and no object", path.join("."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Location;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    /// The labels in a file of this text, and what is said of it.
    fn check(text: &str, expected: &Expect) {
        let folder = tempfile::tempdir().unwrap();
        let value = folder.path().join("map.json").display().to_string();
        std::fs::write(&value, text).unwrap();
        check_file(&value, expected);
    }

    fn check_file(file: &str, expected: &Expect) {
        let mut diagnostics = Diagnostics::new();
        let path = Located { value: file.to_owned(), location: Location::command_line() };
        let mut shown = String::new();
        for (label, accessor) in read(&path, &mut diagnostics) {
            writeln!(shown, "{label}: {:?}", accessor.names().collect::<Vec<_>>()).unwrap();
        }
        assert!(!diagnostics.has_errors());
        expected.assert_eq(&(shown + &diagnostics.to_string().replace(file, "FILE")));
    }

    #[test]
    fn names_of_fields_become_labels() {
        check(
            r#"{"kubernetes":{"pod_name":"pod","labels":{"it's a.b":"team"}},"stream":"stream"}"#,
            &expect![[r#"
                pod: [Key("kubernetes"), Key("pod_name")]
                team: [Key("kubernetes"), Key("labels"), Key("it's a.b")]
                stream: [Key("stream")]
            "#]],
        );
        check(
            "{ \"k\" : {\n  \"pod\" : \"p\" } }\n",
            &expect![[r#"
            p: [Key("k"), Key("pod")]
        "#]],
        );
        check("{}", &expect![[r#""#]]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check(
            r#"{"a":"b","c":{"d":1},"e":"f"}"#,
            &expect![[r#"
            b: [Key("a")]
            command line: warning: `Label_Map_Path`: `FILE`: the value of `c.d` is no name and no object; what it would add is no label
        "#]],
        );
        check(
            "[]",
            &expect![[r#"
            command line: warning: `Label_Map_Path`: `FILE`: no JSON object: byte 0: expected an object; what it would add is no label
        "#]],
        );
        check(
            r#"{"a":"b""#,
            &expect![[r#"
            b: [Key("a")]
            command line: warning: `Label_Map_Path`: `FILE`: no JSON object: byte 8: the text ends inside a value; what it would add is no label
        "#]],
        );
        check(
            &" ".repeat(2 << 20),
            &expect![[r#"
            command line: warning: `Label_Map_Path`: `FILE`: longer than 1048576 bytes; what it would add is no label
        "#]],
        );
        check_file(
            "/nowhere/map.json",
            &expect![[r#"
            command line: warning: `Label_Map_Path`: `FILE`: No such file or directory (os error 2); what it would add is no label
        "#]],
        );
    }
}

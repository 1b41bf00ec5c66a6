//! Text with record accessors in it: `logs-$kubernetes['namespace_name']`, `$TAG[1]`.

use super::number::fixed;
use crate::record::{Accessor, AccessorError, Name};
use tailwater_parsers::json::{self, Text};

/// Text that is partly taken from the record
/// (<https://docs.fluentbit.io/manual/administration/configuring-fluent-bit/classic-mode/record-accessor>).
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(Accessor),
    /// `$TAG`
    Tag,
    /// `$TAG[n]`: between the dots `n - 1` and `n` of the tag.
    Section(usize),
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, AccessorError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (part, behind) = read_part(from)?;
            parts.push(part);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// A template of one accessor.
    pub(super) fn of(accessor: Accessor) -> Self {
        Self(vec![Part::Field(accessor)])
    }

    /// The accessors in it.
    pub(super) fn accessors(&self) -> impl Iterator<Item = &Accessor> {
        self.0.iter().filter_map(Part::accessor)
    }

    /// The accessor that it begins with: what Fluent Bit takes it for where it wants one field.
    pub(super) fn first_accessor(&self) -> Option<&Accessor> {
        self.0.first()?.accessor()
    }

    /// What Fluent Bit calls a label that has this value and no other name: `$kubernetes['labels']['app']`
    /// is `kubernetes_labels_app`.
    pub(super) fn name(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(accessor) => {
                let names = accessor.names().map(|name| match name {
                    Name::Key(key) => key.to_owned(),
                    Name::Index(index) => index.to_string(),
                });
                names.collect::<Vec<_>>().join("_")
            }
            Part::Tag | Part::Section(_) => String::new(),
        });
        parts.collect::<Vec<_>>().join("_")
    }

    /// Appends what it says of a record, and returns whether the record has all that it asks for. As in Fluent Bit,
    /// a field that is missing adds nothing, and neither does an array.
    pub(super) fn write(&self, tag: &str, record: &str, out: &mut String) -> bool {
        let mut is_whole = true;
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(accessor) => match accessor.on_json(record) {
                    Some(value) if !is_array(value) => write_text(value, out),
                    _ => is_whole = false,
                },
                Part::Tag => out.push_str(tag),
                Part::Section(index) => {
                    out.push_str(tag.split('.').nth(*index).unwrap_or_default());
                }
            }
        }
        is_whole
    }
}

impl Part {
    fn accessor(&self) -> Option<&Accessor> {
        match self {
            Self::Field(accessor) => Some(accessor),
            Self::Text(_) | Self::Tag | Self::Section(_) => None,
        }
    }
}

/// Reads the part at the start of `text`, which is a `$`.
fn read_part(text: &str) -> Result<(Part, &str), AccessorError> {
    let Some(behind_tag) = text.strip_prefix("$TAG") else {
        let (accessor, behind) = Accessor::read(text)?;
        return Ok((Part::Field(accessor), behind));
    };
    let part = behind_tag.strip_prefix('[').and_then(|inner| {
        let (digits, behind) = inner.split_once(']')?;
        Some((Part::Section(digits.parse().ok()?), behind))
    });
    Ok(part.unwrap_or((Part::Tag, behind_tag)))
}

fn is_array(value: json::Value<'_>) -> bool {
    value.nested().is_some_and(|text| text.starts_with('['))
}

/// Appends a value as text: strings decoded, fractions with six digits, all else as its JSON; arrays say
/// nothing, as in Fluent Bit.
pub(super) fn write_text(value: json::Value<'_>, out: &mut String) {
    match value {
        json::Value::Null => out.push_str("null"),
        json::Value::True => out.push_str("true"),
        json::Value::False => out.push_str("false"),
        json::Value::Number(text) => out.push_str(&fixed(text)),
        json::Value::String(Text::Plain(text)) => out.push_str(text),
        json::Value::String(Text::Escaped(body) | Text::Dirty(body)) => json::unescape(body, out),
        json::Value::Nested(text)
        | json::Value::SpacedNested(text)
        | json::Value::DirtyNested(text)
            if text.starts_with('{') =>
        {
            json::repair(text, out);
        }
        json::Value::Nested(_) | json::Value::SpacedNested(_) | json::Value::DirtyNested(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const RECORD: &str =
        r#"{"s":"a\"b","n":5,"f":1.50,"t":true,"z":null,"k":{"ns":"shop" , "l": [1, "a \" b"]}}"#;

    fn check(template_text: &str, expected: &Expect) {
        let mut out = String::new();
        match Template::parse(template_text) {
            Ok(template) => {
                let asks_for_more = ["missing", "'l'"].iter().any(|it| template_text.contains(it));
                assert_ne!(template.write("kube.var.log", RECORD, &mut out), asks_for_more);
            }
            Err(error) => out = format!("error: {error}"),
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn text_and_fields_mix() {
        check("plain", &expect!["plain"]);
        check("logs-$k['ns'].$n", &expect!["logs-shop.5"]);
        check("$f", &expect!["1.500000"]);
        check("$s $t,$z", &expect![[r#"a"b true,null"#]]);
        check(
            "$k['l']|",
            &expect!["error: `|` cannot be read; a step down is `['name']` or `[0]`"],
        );
        check("$k['l'].$k", &expect![[r#".{"ns":"shop","l":[1,"a \" b"]}"#]]);
        check("a-$missing.b", &expect!["a-.b"]);
    }

    #[test]
    fn a_name_is_made_of_its_parts() {
        for (template, expected) in [
            ("$k", "k"),
            ("$kubernetes['labels']['app.x']", "kubernetes_labels_app.x"),
            ("$k['l'][0]", "k_l_0"),
            ("$k.x", "k_.x"),
            ("$TAG", ""),
        ] {
            assert_eq!(Template::parse(template).unwrap().name(), expected, "{template}");
        }
    }

    #[test]
    fn the_tag_and_its_parts() {
        check("$TAG", &expect!["kube.var.log"]);
        check("x-$TAG[2]-$TAG[7]", &expect!["x-log-"]);
        check("$TAG[x", &expect!["kube.var.log[x"]);
    }
}

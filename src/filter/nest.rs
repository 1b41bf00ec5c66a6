//! `nest`: puts fields into a map, or takes them out of one.

use super::Filter;
use crate::config::{Diagnostics, Located, Location, Repeated, properties};
use crate::record::{Batch, Field, Fields, keep_name, nest};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

properties! {
    /// Puts fields into a map under another, or takes those of a map out of it.
    pub struct NestOptions for "nest" {
        /// `nest` puts the fields that a `Wildcard` names under `Nest_under`, `lift` takes those out that are in the map `Nested_under`.
        operation: Option<Located<String>> ["Operation"],
        /// Name of a field to nest; a `*` at the end stands for any more letters.
        wildcard: Repeated<String> ["Wildcard"],
        /// Where fields are put.
        nest_under: Option<String> ["Nest_under"],
        /// Which map's fields are taken out.
        nested_under: Option<String> ["Nested_under"],
        /// Put before the names of the fields that are moved.
        add_prefix: Option<String> ["Add_prefix"],
        /// Left out at the start of the names of the fields that are moved, where it is there.
        remove_prefix: Option<Located<String>> ["Remove_prefix"],
    }
}

/// Moves fields one level down or up.
#[derive(Debug)]
pub struct Nest {
    operation: Operation,
    /// The name of the map.
    key: &'static str,
    wildcards: Vec<Wildcard>,
    prefix: Prefix,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Nest,
    Lift,
}

/// Which fields are nested.
#[derive(Debug)]
enum Wildcard {
    Whole(String),
    Prefix(String),
}

/// What becomes of the names of fields that are moved.
#[derive(Debug)]
enum Prefix {
    Stays,
    Added(String),
    Removed(String),
}

impl Nest {
    /// Builds the filter of the section at `location`; `None` when it cannot work, which is reported.
    pub fn build(
        options: &NestOptions,
        location: &Location,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let operation = Operation::read(options.operation.as_ref(), location, diagnostics)?;
        let prefix = match (&options.add_prefix, &options.remove_prefix) {
            (Some(_), Some(removed)) => {
                let message =
                    "`Add_prefix` and `Remove_prefix` exclude each other; use two filters";
                diagnostics.error(&removed.location, message);
                return None;
            }
            (Some(added), None) => Prefix::Added(added.clone()),
            (None, Some(removed)) => Prefix::Removed(removed.value.clone()),
            (None, None) => Prefix::Stays,
        };
        // As in Fluent Bit, either name will do.
        let (own, other) = match operation {
            Operation::Nest => (&options.nest_under, &options.nested_under),
            Operation::Lift => (&options.nested_under, &options.nest_under),
        };
        let key = own.as_ref().or(other.as_ref());
        let is_idle =
            key.is_none() || (operation == Operation::Nest && options.wildcard.is_empty());
        if is_idle {
            let message = match operation {
                Operation::Nest => "`nest` does nothing without `Wildcard` and `Nest_under`",
                Operation::Lift => "`lift` does nothing without `Nested_under`",
            };
            diagnostics.warning(location, message);
        }
        let wildcards = options.wildcard.iter().filter(|_| !is_idle);
        Some(Self {
            operation,
            key: key.map_or("", |key| keep_name(key)),
            wildcards: wildcards.map(|text| Wildcard::new(text)).collect(),
            prefix,
            scratch: Vec::new(),
        })
    }

    /// Moves the fields that a wildcard names into a map at the end.
    fn nest<'a>(&mut self, fields: &mut Fields<'a>, bump: &'a Bump) {
        let is_named = |field: &Field<'_>| self.wildcards.iter().any(|it| it.is(field.key()));
        if !fields.iter().any(is_named) {
            return;
        }
        let mut moved = BumpVec::new_in(bump);
        moved.extend(fields.iter().filter(|field| is_named(field)).copied());
        fields.retain(|field| !is_named(field));
        self.prefix.apply(&mut moved, bump);
        fields.push(Field::new(self.key, nest(&moved, &mut self.scratch, bump)));
    }

    /// Moves the fields of the maps of this name to the end.
    fn lift<'a>(&self, fields: &mut Fields<'a>, bump: &'a Bump) {
        let mut moved = BumpVec::new_in(bump);
        fields.retain(|field| {
            !(field.key() == self.key && field.value().append_fields(&mut moved, bump))
        });
        self.prefix.apply(&mut moved, bump);
        fields.extend_from_slice(&moved);
    }
}

impl Filter for Nest {
    fn apply(&mut self, batch: &mut Batch<'_>) {
        let bump = batch.bump;
        for record in &mut batch.records {
            match self.operation {
                Operation::Nest => self.nest(&mut record.fields, bump),
                Operation::Lift => self.lift(&mut record.fields, bump),
            }
        }
    }
}

impl Operation {
    fn read(
        text: Option<&Located<String>>,
        location: &Location,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(text) = text else {
            diagnostics.error(location, "`nest` needs `Operation`: `nest` or `lift`");
            return None;
        };
        // As in Fluent Bit, the first letters count.
        if text.starts_with("nest") {
            Some(Self::Nest)
        } else if text.starts_with("lift") {
            Some(Self::Lift)
        } else {
            let message = format!("`Operation` is `nest` or `lift`, not `{}`", text.value);
            diagnostics.error(&text.location, message);
            None
        }
    }
}

impl Wildcard {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Whole(text.to_owned()),
        }
    }

    fn is(&self, key: &str) -> bool {
        match self {
            Self::Whole(name) => key == name,
            Self::Prefix(prefix) => key.starts_with(&**prefix),
        }
    }
}

impl Prefix {
    /// Changes the names of the fields.
    fn apply<'a>(&self, fields: &mut Fields<'a>, bump: &'a Bump) {
        for field in fields.iter_mut() {
            let key = field.key();
            let key = match self {
                Self::Stays => return,
                Self::Added(prefix) => {
                    bumpalo::format!(in bump, "{}{}", prefix, key).into_bump_str()
                }
                Self::Removed(prefix) => key.strip_prefix(&**prefix).unwrap_or(key),
            };
            *field = Field::new(key, field.value());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::fixture;
    use expect_test::{Expect, expect};

    fn check(config: &str, input: &str, expected: &Expect) {
        fixture::check("nest", config, &[], input, expected);
    }

    #[test]
    fn fields_are_put_into_a_map() {
        let input = r#"{"Mem.a":1,"x":2,"Mem.b":{"c":[3]},"Mem":4,"a\"":5}
{"x":1}
{"n":1,"Mem.a":2}"#;
        check(
            "Operation nest\n Wildcard Mem.*\n Nest_under n",
            input,
            &expect![[r#"
            now {"x":2,"Mem":4,"a\"":5,"n":{"Mem.a":1,"Mem.b":{"c":[3]}}}
            now {"x":1}
            now {"n":{"Mem.a":2}}
        "#]],
        );
        check(
            "Operation nest\n Wildcard Mem.a\n Wildcard a\"\n Nest_under n\n Add_prefix P.",
            input,
            &expect![[r#"
                now {"x":2,"Mem.b":{"c":[3]},"Mem":4,"n":{"P.Mem.a":1,"P.a\"":5}}
                now {"x":1}
                now {"n":{"P.Mem.a":2}}
            "#]],
        );
        check(
            "Operation nested\n Wildcard *\n Nest_under n\n Remove_prefix Mem.",
            input,
            &expect![[r#"
                now {"n":{"a":1,"x":2,"b":{"c":[3]},"Mem":4,"a\"":5}}
                now {"n":{"x":1}}
                now {"n":{"n":1,"a":2}}
            "#]],
        );
    }

    #[test]
    fn fields_are_taken_out_of_a_map() {
        let input = r#"{"n":{"p_a":1,"q":{"r":2}},"x":3}
{"n":"text","x":3}
{"n":[1]}
{"n":{}}
{"x":1,"n":{"x":2,"y\n":"\u00e9"}}"#;
        check(
            "Operation lift\n Nested_under n",
            input,
            &expect![[r#"
            now {"x":3,"p_a":1,"q":{"r":2}}
            now {"n":"text","x":3}
            now {"n":[1]}
            now {}
            now {"x":2,"y\n":"\u00e9"}
        "#]],
        );
        check(
            "Operation lift\n Nested_under n\n Remove_prefix p_",
            input,
            &expect![[r#"
            now {"x":3,"a":1,"q":{"r":2}}
            now {"n":"text","x":3}
            now {"n":[1]}
            now {}
            now {"x":2,"y\n":"\u00e9"}
        "#]],
        );
        check(
            "Operation lift\n Nest_under n\n Wildcard q\n Add_prefix n.",
            input,
            &expect![[r#"
            now {"x":3,"n.p_a":1,"n.q":{"r":2}}
            now {"n":"text","x":3}
            now {"n":[1]}
            now {}
            now {"x":1,"n.x":2,"n.y\n":"\u00e9"}
        "#]],
        );
    }

    #[test]
    fn what_cannot_be_meant() {
        let input = r#"{"":{"a":1},"b":2}"#;
        check(
            "Nest_under n",
            "",
            &expect![[r#"
            command line: `nest` needs `Operation`: `nest` or `lift`
        "#]],
        );
        check(
            "Operation lfit\n Nested_under n",
            "",
            &expect![[r#"
            command line: `Operation` is `nest` or `lift`, not `lfit`
        "#]],
        );
        check(
            "Operation lift\n Nested_under n\n Add_prefix a\n Remove_prefix b",
            "",
            &expect![[r#"
            command line: `Add_prefix` and `Remove_prefix` exclude each other; use two filters
        "#]],
        );
        check(
            "Operation nest\n Nest_under n",
            input,
            &expect![[r#"
            command line: warning: `nest` does nothing without `Wildcard` and `Nest_under`
            now {"":{"a":1},"b":2}
        "#]],
        );
        check(
            "Operation nest\n Wildcard *",
            input,
            &expect![[r#"
            command line: warning: `nest` does nothing without `Wildcard` and `Nest_under`
            now {"":{"a":1},"b":2}
        "#]],
        );
    }
}

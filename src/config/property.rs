//! One row is the truth: a plugin's properties, and the macro that makes a type of them.

use std::fmt;
use std::ops::Deref;

use super::diagnostics::{Diagnostics, Location, Severity};
use super::section::{Section, Taken};
use super::value::{Reading, Value};

/// What a property holds, for the help and for what a trailing ` # comment` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `on`, `true`, `yes`, `off`, `false`, `no`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with or without a fraction.
    Number,
    /// Bytes, with decimal `K`, `M`, `G`.
    Size,
    /// Seconds, or with `s`, `m`, `h`, `d`.
    Time,
    /// A name, path, address: nothing with ` #` in it.
    Text,
    /// Free text taken as it stands: a regular expression, a rule, a template.
    Verbatim,
    /// Free text that is never shown.
    Secret,
    /// Names with commas between them.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Fluent Bit has it, tailwater does without: read and noted.
    Accepted,
    /// Fluent Bit has it, and to ignore it would change what is shipped: an error.
    Refused,
}

impl Kind {
    /// Whether ` #` may be meant in a value of this kind.
    pub fn may_hold_a_comment(self) -> bool {
        matches!(self, Self::Verbatim | Self::Secret | Self::Accepted | Self::Refused)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Size => "size",
            Self::Time => "time",
            Self::Text => "text",
            Self::Verbatim => "verbatim text",
            Self::Secret => "secret",
            Self::List => "comma list",
            Self::Choice(words) => return f.write_str(&words.join("|")),
            Self::Accepted => "accepted, no effect",
            Self::Refused => "not supported",
        })
    }
}

/// A row of an option table.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The name as the documentation spells it; letter case does not count. A `*` at the end
    /// stands for one or more further characters (`Parser_*`).
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The value when it is not set, as one would write it.
    pub default: Option<&'static str>,
    /// What it does; for accepted and refused rows, why it is not needed or what stands in.
    pub doc: &'static str,
    /// Whether it may stand several times.
    pub repeated: bool,
    /// For accepted rows: why Fluent Bit does not start with a value.
    pub refusal: fn(&str) -> Option<String>,
}

impl Property {
    /// Whether `key` names this property.
    pub fn matches(&self, key: &str) -> bool {
        let Some(stem) = self.name.strip_suffix('*') else {
            return self.name.eq_ignore_ascii_case(key);
        };
        key.split_at_checked(stem.len())
            .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(stem) && !rest.is_empty())
    }
}

/// How strictly Fluent Bit 5.1 reads a table, which decides between error and warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// A plugin's own properties: a repeated key or a bad value ends the start.
    Plugin,
    /// `SERVICE` and what all plugins share: the last entry counts, bad booleans pass.
    Common,
    /// `PARSER`: the first entry counts, a bad boolean is `on`.
    Parser,
}

/// A field of an option type: built from the entries of its property.
pub trait Field: Sized {
    /// What the property holds.
    const KIND: Kind;
    /// Whether it may stand several times.
    const REPEATED: bool = false;

    /// Builds the field; reports what cannot be read and goes on with the default.
    fn from_entries(
        taken: Vec<Taken>,
        default: Option<&'static str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Self;
}

impl<T: Value> Field for T {
    const KIND: Kind = T::KIND;

    fn from_entries(
        taken: Vec<Taken>,
        default: Option<&'static str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        Option::<T>::from_entries(taken, default, rules, diagnostics).unwrap_or_default()
    }
}

impl<T: Value> Field for Option<T> {
    const KIND: Kind = T::KIND;

    fn from_entries(
        taken: Vec<Taken>,
        default: Option<&'static str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let read = taken.first().and_then(|entry| read_value(entry, rules, diagnostics));
        read.or_else(|| default_value(default))
    }
}

/// A value with the place where it was written, for what is checked later (a regex, a file).
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// What was read.
    pub value: T,
    /// Where it was written.
    pub location: Location,
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Value> Field for Option<Located<T>> {
    const KIND: Kind = T::KIND;

    fn from_entries(
        taken: Vec<Taken>,
        _default: Option<&'static str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let entry = taken.into_iter().next()?;
        let value = read_value(&entry, rules, diagnostics)?;
        Some(Located { value, location: entry.location })
    }
}

/// The values of a property that may stand several times, in written order.
#[derive(Clone, Debug)]
pub struct Repeated<T>(pub Vec<Located<T>>);

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Repeated<T> {
    type Target = [Located<T>];

    fn deref(&self) -> &[Located<T>] {
        &self.0
    }
}

impl<T: Value> Field for Repeated<T> {
    const KIND: Kind = T::KIND;
    const REPEATED: bool = true;

    fn from_entries(
        taken: Vec<Taken>,
        _default: Option<&'static str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let read = |entry: Taken| {
            let value = read_value(&entry, rules, diagnostics)?;
            Some(Located { value, location: entry.location })
        };
        Self(taken.into_iter().filter_map(read).collect())
    }
}

/// One entry of an [`Ordered`] field.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The property as its table spells it: `Add`, or `Parser_*`.
    pub property: &'static str,
    /// The key as written: `ADD`, or `parser_1`.
    pub key: String,
    /// The value as written, variables expanded.
    pub value: String,
    /// Where it was written.
    pub location: Location,
}

/// The entries of several properties in the order they were written, where that order has a
/// meaning: `modify`'s operations, `grep`'s rules.
#[derive(Clone, Debug, Default)]
pub struct Ordered(pub Vec<Keyed>);

impl Deref for Ordered {
    type Target = [Keyed];

    fn deref(&self) -> &[Keyed] {
        &self.0
    }
}

impl Field for Ordered {
    const KIND: Kind = Kind::Verbatim;
    const REPEATED: bool = true;

    fn from_entries(
        taken: Vec<Taken>,
        _default: Option<&'static str>,
        _rules: Rules,
        _diagnostics: &mut Diagnostics,
    ) -> Self {
        let keyed = |entry: Taken| Keyed {
            property: entry.property,
            key: entry.key,
            value: entry.value,
            location: entry.location,
        };
        Self(taken.into_iter().map(keyed).collect())
    }
}

/// Reads a field from the entries of its rows; the first row has the default.
pub fn read_field<T: Field>(
    section: &mut Section,
    rows: &[Property],
    rules: Rules,
    diagnostics: &mut Diagnostics,
) -> T {
    let taken = section.take(rows, rules, diagnostics);
    let default = rows.first().and_then(|row| row.default);
    T::from_entries(taken, default, rules, diagnostics)
}

/// Reads the rows of `table` that have no field: what is accepted and what is refused.
pub fn read_rows_without_field(
    section: &mut Section,
    table: &'static [Property],
    diagnostics: &mut Diagnostics,
) {
    for row in table {
        if row.kind != Kind::Accepted && row.kind != Kind::Refused {
            continue;
        }
        for entry in section.take(&[*row], Rules::Common, diagnostics) {
            let name = format!("`{}` of `{}`", entry.key, section.title());
            let doc = row.doc.trim();
            if let Some(why) = (row.refusal)(&entry.value) {
                let message = format!("`{}`: {why}", entry.key);
                diagnostics.add(entry.finding(Severity::Error, message));
                continue;
            }
            // `Daemon off`, `Docker_Mode off` ask for what happens anyway.
            if matches!(bool::read(&entry.value), Reading::Clear(false)) {
                continue;
            }
            if row.kind == Kind::Accepted {
                diagnostics
                    .add(entry.finding(Severity::Note, format!("{name} has no effect: {doc}")));
            } else {
                diagnostics
                    .add(entry.finding(Severity::Error, format!("{name} is not supported: {doc}")));
            }
        }
    }
}

/// Why a text is no value of that type.
pub fn refusal<T: Value>(text: &str) -> Option<String> {
    match T::read(text) {
        Reading::Clear(_) | Reading::Guess(..) => None,
        Reading::Bad(why) => Some(why),
    }
}

/// Every text will do.
pub fn no_refusal(_text: &str) -> Option<String> {
    None
}

/// The value of an entry; a guess or a failure is reported.
fn read_value<T: Value>(entry: &Taken, rules: Rules, diagnostics: &mut Diagnostics) -> Option<T> {
    match T::read(&entry.value) {
        Reading::Clear(value) => Some(value),
        Reading::Guess(value, why) => {
            diagnostics.add(entry.finding(Severity::Warning, format!("`{}`: {why}", entry.key)));
            Some(value)
        }
        Reading::Bad(why) => {
            let found = |severity| entry.finding(severity, format!("`{}`: {why}", entry.key));
            if T::KIND == Kind::Boolean && rules == Rules::Parser {
                let found = found(Severity::Warning);
                diagnostics.add(found.with_remedy("it is taken as `on`, as in Fluent Bit"));
                return default_value(Some("on"));
            }
            if is_zero::<T>(&entry.value) {
                let found = found(Severity::Warning);
                diagnostics.add(found.with_remedy("it is taken as 0, as in Fluent Bit"));
                return Some(T::default());
            }
            let is_passed_over = T::KIND == Kind::Boolean && rules != Rules::Plugin;
            diagnostics.add(found(if is_passed_over {
                Severity::Warning
            } else {
                Severity::Error
            }));
            None
        }
    }
}

/// Whether a text that is no value of that type is 0 to Fluent Bit: C's `atoi` and `atof` make that of what is no
/// number. What is one, and out of range, may be refused there, too.
fn is_zero<T: Value>(text: &str) -> bool {
    matches!(T::KIND, Kind::Integer | Kind::Number | Kind::Time)
        && !text.trim_start_matches('-').starts_with(|letter: char| letter.is_ascii_digit())
}

/// The default of a row, as its text reads.
fn default_value<T: Value>(default: Option<&'static str>) -> Option<T> {
    match T::read(default?) {
        Reading::Clear(value) | Reading::Guess(value, _) => Some(value),
        Reading::Bad(why) => {
            debug_assert!(false, "a default that cannot be read: {why}");
            None
        }
    }
}

/// Makes an option type and its table of rows from one description.
///
/// ```text
/// properties! {
///     /// Follows files by path pattern.
///     pub struct TailOptions for "tail" {
///         /// Files to follow.
///         path: Vec<String> ["Path"],
///         /// Upper bound of one line.
///         buffer_max_size: Size ["Buffer_Max_Size" = "32k"],
///         /// `KEY REGEX`: drops records in which the field does not match.
///         rules: Ordered ["Regex" | "Exclude": "`KEY REGEX`: drops records in which it matches."],
///         @accepted { "Watcher_Interval": "changes are seen at once" }
///         @refused { "Docker_Mode": "use `multiline.parser docker`" }
///     }
/// }
/// ```
///
/// Further keys of a field (`|`) have a doc of their own. A property without default is its
/// type's `Default` when unset (`None`, empty, 0, off). An accepted row `as Type` is refused with a value that
/// cannot be read as one. After `for "name"`, `as Common` or
/// `as Parser` picks other [`Rules`] than `Plugin`.
macro_rules! properties {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident for $plugin:literal $(as $rules:ident)? {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident : $type:ty
                    [$first:literal $(= $default:literal)? $(| $key:literal : $key_doc:literal)*],
            )*
            $(@accepted {
                $($accepted:literal $(as $accepted_type:ty)? : $accepted_why:literal),* $(,)?
            })?
            $(@refused { $($refused:literal : $refused_why:literal),* $(,)? })?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        #[allow(clippy::struct_excessive_bools, reason = "one field for each switch of the user")]
        $vis struct $name {
            $($(#[doc = $field_doc])* $vis $field: $type,)*
        }

        impl $name {
            /// Every property: name, kind, default and what it does.
            $vis const PROPERTIES: &'static [$crate::config::Property] = &[
                $(
                    $crate::config::properties!(
                        @row $first, $type, ($($default)?), concat!($($field_doc),*)
                    ),
                    $($crate::config::properties!(@row $key, $type, (), $key_doc),)*
                )*
                $($($crate::config::properties!(
                    @bare $accepted, Accepted, ($($accepted_type)?), $accepted_why
                ),)*)?
                $($($crate::config::properties!(@bare $refused, Refused, (), $refused_why),)*)?
            ];

            /// What these options belong to, in one sentence.
            $vis const DOC: &'static str = concat!($($doc),*);

            /// The plugin or table they belong to.
            $vis const NAME: &'static str = $plugin;

            /// Takes the properties out of a section. Every problem is reported, then reading
            /// goes on with the default.
            $vis fn read(
                section: &mut $crate::config::Section,
                diagnostics: &mut $crate::config::Diagnostics,
            ) -> Self {
                section.reads(Self::PROPERTIES);
                $crate::config::property::read_rows_without_field(
                    section, Self::PROPERTIES, diagnostics,
                );
                let rules = $crate::config::properties!(@rules $($rules)?);
                Self {
                    $($field: $crate::config::property::read_field(
                        section,
                        &[
                            $crate::config::properties!(@row $first, $type, ($($default)?), ""),
                            $($crate::config::properties!(@row $key, $type, (), ""),)*
                        ],
                        rules,
                        diagnostics,
                    ),)*
                }
            }

            /// Reads for the reports alone: the `check` of a [`Plugin`](crate::config::Plugin).
            #[allow(dead_code, reason = "only tables of plugins are checked by themselves")]
            $vis fn check(
                section: &mut $crate::config::Section,
                diagnostics: &mut $crate::config::Diagnostics,
            ) {
                Self::read(section, diagnostics);
            }
        }
    };
    (@row $name:literal, $type:ty, ($($default:literal)?), $doc:expr) => {
        $crate::config::Property {
            name: $name,
            kind: <$type as $crate::config::Field>::KIND,
            default: $crate::config::properties!(@default $($default)?),
            doc: $doc,
            repeated: <$type as $crate::config::Field>::REPEATED,
            refusal: $crate::config::property::no_refusal,
        }
    };
    (@bare $name:literal, $kind:ident, ($($type:ty)?), $why:literal) => {
        $crate::config::Property {
            name: $name,
            kind: $crate::config::Kind::$kind,
            default: None,
            doc: $why,
            repeated: true,
            refusal: $crate::config::properties!(@refusal $($type)?),
        }
    };
    (@refusal) => { $crate::config::property::no_refusal };
    (@refusal $type:ty) => { $crate::config::property::refusal::<$type> };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@rules) => { $crate::config::Rules::Plugin };
    (@rules $rules:ident) => { $crate::config::Rules::$rules };
}

pub(crate) use properties;

#[cfg(test)]
mod tests {
    use super::super::{Location, Secret, Section, SectionKind, Size};
    use super::*;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    properties! {
        /// Reads
        /// samples.
        struct SampleOptions for "sample" {
            /// Files to follow.
            path: Vec<String> ["Path"],
            /// Upper bound of one line.
            buffer_max_size: Size ["Buffer_Max_Size" = "32k"],
            /// Whether empty lines count.
            skip_empty_lines: bool ["Skip_Empty_Lines" = "on"],
            /// The parser.
            parser: Option<String> ["Parser"],
            /// Who asks.
            password: Secret ["HTTP_Passwd"],
            /// Patterns.
            regex: Repeated<String> ["Regex"],
            /// Operations.
            rules: Ordered ["Add" | "Rename": "KEY NEW" | "Parser_*": "A parser."],
            @accepted { "Watcher_Interval": "changes are seen at once" }
            @refused { "Docker_Mode": "use `multiline.parser docker`" }
        }
    }

    fn section(lines: &[(&str, &str)]) -> Section {
        let file = Arc::from("a.conf");
        let mut section = Section::new(SectionKind::Input, Location::new(&file, 1));
        section.set_title("sample");
        for (line, (key, value)) in (2..).zip(lines) {
            section.push(key, value, Location::new(&file, line));
        }
        section
    }

    fn check(lines: &[(&str, &str)], expected: &Expect) {
        let mut diagnostics = Diagnostics::new();
        let mut section = section(lines);
        let options = SampleOptions::read(&mut section, &mut diagnostics);
        section.finish(&mut diagnostics);
        let SampleOptions { path, buffer_max_size, skip_empty_lines, parser, password, .. } =
            &options;
        let regex: Vec<&str> = options.regex.iter().map(|regex| regex.value.as_str()).collect();
        let rules: Vec<String> = options
            .rules
            .iter()
            .map(|rule| {
                format!("{}({}) {} at {}", rule.property, rule.key, rule.value, rule.location)
            })
            .collect();
        expected.assert_eq(&format!(
            "{path:?} {buffer_max_size:?} {skip_empty_lines} {parser:?} {password:?} {regex:?} \
             {rules:?}\n{diagnostics}"
        ));
    }

    #[test]
    fn nothing_set() {
        check(
            &[],
            &expect![[r#"
            [] Size(32000) true None … [] []
        "#]],
        );
    }

    #[test]
    fn everything_set() {
        check(
            &[
                ("path", "/a, /b"),
                ("BUFFER_MAX_SIZE", "1M"),
                ("Skip_Empty_Lines", "off"),
                ("Parser", "cri"),
                ("Regex", "a"),
                ("Rename", "x y"),
                ("Add", "b c"),
                ("parser_1", "p"),
                ("Regex", "b"),
                ("HTTP_Passwd", "a #b"),
            ],
            &expect![[r#"
                ["/a", "/b"] Size(1000000) false Some("cri") … ["a", "b"] ["Rename(Rename) x y at a.conf:7", "Add(Add) b c at a.conf:8", "Parser_*(parser_1) p at a.conf:9"]
            "#]],
        );
    }

    #[test]
    fn mistakes_are_told_and_passed() {
        check(
            &[
                ("Pth", "/a"),
                ("HTTP_Paswd", "hunter2"),
                ("Buffer_Max_Size", "big"),
                ("Skip_Empty_Lines", "1"),
                ("Parser", "a"),
                ("Parser", "b"),
                ("Watcher_Interval", "2s"),
                ("Docker_Mode", "on"),
                ("Condition", "x"),
                ("Zzz", "1"),
            ],
            &expect![[r#"
                [] Size(32000) true Some("b") … [] []
                a.conf:2: `sample` has no property `Pth`; did you mean `Path`?
                a.conf:3: `sample` has no property `HTTP_Paswd`; did you mean `HTTP_Passwd`?
                a.conf:4: `Buffer_Max_Size`: no size; write bytes, or a number with K, M or G
                    Buffer_Max_Size big
                a.conf:5: `Skip_Empty_Lines`: no boolean; write `on` or `off`
                    Skip_Empty_Lines 1
                a.conf:7: `Parser` of `sample` is set 2 times
                    Parser b
                a.conf:8: note: `Watcher_Interval` of `sample` has no effect: changes are seen at once
                    Watcher_Interval 2s
                a.conf:9: `Docker_Mode` of `sample` is not supported: use `multiline.parser docker`
                    Docker_Mode on
                a.conf:10: note: `Condition` has no effect in `sample`
                a.conf:11: `sample` has no property `Zzz`
            "#]],
        );
    }

    #[test]
    fn a_refused_property_may_be_off() {
        check(
            &[("Docker_Mode", "off")],
            &expect![[r#"
            [] Size(32000) true None … [] []
        "#]],
        );
    }

    #[test]
    fn comments_behind_values() {
        check(
            &[
                ("Parser", "cri  # containerd/CRI-O format"),
                ("Buffer_Max_Size", "1M # big"),
                ("Skip_Empty_Lines", "Off\t# blank"),
                ("Add", "k v # not a comment"),
                ("Path", "# nothing"),
            ],
            &expect![[r##"
                ["# nothing"] Size(1000000) false Some("cri") … [] ["Add(Add) k v # not a comment at a.conf:5"]
                a.conf:2: warning: `# containerd/CRI-O format` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
                a.conf:3: warning: `# big` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
                a.conf:4: warning: `# blank` is taken as a comment, not as a part of the value; put comments on lines of their own, Fluent Bit knows no others
                a.conf:5: note: `Add` keeps `# not a comment` as a part of its value
            "##]],
        );
    }

    #[test]
    fn rows_know_themselves() {
        let rows: Vec<String> = SampleOptions::PROPERTIES
            .iter()
            .map(|row| {
                format!(
                    "{} {} {:?} {:?} {}\n",
                    row.name, row.kind, row.default, row.doc, row.repeated
                )
            })
            .collect();
        expect![[r#"
            Path comma list None " Files to follow." false
            Buffer_Max_Size size Some("32k") " Upper bound of one line." false
            Skip_Empty_Lines boolean Some("on") " Whether empty lines count." false
            Parser text None " The parser." false
            HTTP_Passwd secret None " Who asks." false
            Regex text None " Patterns." true
            Add verbatim text None " Operations." true
            Rename verbatim text None "KEY NEW" true
            Parser_* verbatim text None "A parser." true
            Watcher_Interval accepted, no effect None "changes are seen at once" true
            Docker_Mode not supported None "use `multiline.parser docker`" true
        "#]]
        .assert_eq(&rows.concat());
        assert_eq!(SampleOptions::DOC, " Reads samples.");
        assert_eq!(SampleOptions::NAME, "sample");
    }
}

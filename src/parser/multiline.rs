//! Multiline parsers: which lines are one record, as a `[MULTILINE_PARSER]` section or a name that Fluent Bit has
//! built in says. Here is what a line is on its own; who has lines joins them.

use super::{NoParser, Parser, Parsers, Scratch};
use crate::config::{Diagnostics, MultilineKind, MultilineParser, nearest};
use crate::record::{Field, Fields, Nanos, Value, keep_name};
use bumpalo::Bump;
use std::sync::Arc;
use std::time::Duration;
use tailwater_parsers::multiline::{Matcher, RuleText, Rules, State, Step};

/// The shortest `Flush_Timeout` with which Fluent Bit starts.
pub const FLUSH_TIMEOUT_MIN: Duration = Duration::from_millis(500);

/// `Flush_Timeout` of what is built in.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(4);

/// What is built in: the pieces of container lines, and stack traces.
const BUILTIN: [&str; 6] = ["cri", "docker", "go", "java", "python", "ruby"];

/// The field of a record that no parser made.
const KEY: &str = "log";

/// All multiline parsers, in the order in which names are looked up: what is built in cannot be redefined.
#[derive(Debug, Default)]
pub struct MultilineParsers(Vec<Arc<Multiline>>);

/// One multiline parser.
#[derive(Debug)]
pub struct Multiline {
    name: String,
    /// What takes each line apart first.
    parser: Option<Arc<Parser>>,
    join: Join,
    /// The field that holds the line, and then the joined lines.
    key_content: Option<&'static str>,
    /// The field that says whether the line is the last one, if that is not the line itself.
    key_pattern: Option<String>,
    /// The field that keeps streams apart.
    key_group: Option<String>,
    /// Whether a line without the text that is joined is an empty piece: a parser has no field for what is empty.
    takes_empty: bool,
    flush_timeout: Duration,
}

/// How lines belong together.
#[derive(Debug)]
enum Join {
    Rules(Rules),
    /// The last line ends with the text; `negate`: does not.
    EndsWith {
        text: String,
        negate: bool,
    },
    /// The last line is the text; `negate`: is not.
    Equal {
        text: String,
        negate: bool,
    },
}

/// A line that a multiline parser took.
#[derive(Debug)]
pub struct Taken<'a> {
    /// Its fields, if a parser made some.
    pub fields: Option<Fields<'a>>,
    /// When it happened, if it says so.
    pub time: Option<Nanos>,
    /// Whether its JSON was mended.
    pub is_repaired: bool,
    /// The text that is joined.
    pub content: &'a str,
    /// The stream it is of.
    pub group: &'a str,
    /// What it is.
    pub role: Role,
}

/// What a line is in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Whether it begins a record even if one is open.
    pub begins: bool,
    /// Whether it ends the record.
    pub ends: bool,
    /// What is known of the stream for its next line.
    pub state: Option<State>,
}

impl MultilineParsers {
    /// Builds all multiline parsers; errors are what Fluent Bit does not start with.
    pub fn build(
        definitions: &[MultilineParser],
        parsers: &Parsers,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut all: Vec<_> =
            BUILTIN.iter().filter_map(|name| Multiline::builtin(name)).map(Arc::new).collect();
        for definition in definitions {
            if BUILTIN.iter().any(|name| definition.name.eq_ignore_ascii_case(name)) {
                let message = format!(
                    "`{}` is built in, and stays as it is; give this one another name",
                    definition.name
                );
                diagnostics.warning(&definition.location, message);
            }
            all.extend(Multiline::build(definition, parsers, diagnostics).map(Arc::new));
        }
        Self(all)
    }

    /// The multiline parser of this name, in any letter case; or what to say of that there is none.
    pub fn get(&self, name: &str) -> Result<&Arc<Multiline>, String> {
        self.0.iter().find(|one| one.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names = self.0.iter().map(|one| one.name.as_str());
            match nearest(name, names) {
                Some(near) => {
                    format!("there is no multiline parser `{name}`; did you mean `{near}`?")
                }
                None => format!(
                    "there is no multiline parser `{name}`; define it in a `Parsers_File`, or take one of {}",
                    BUILTIN.join(", ")
                ),
            }
        })
    }
}

impl Multiline {
    fn builtin(name: &str) -> Option<Self> {
        let (parser, join) = match name {
            "cri" => {
                let text = "F".to_owned();
                (Some(Parser::cri_piece()), Join::Equal { text, negate: false })
            }
            "docker" => {
                let text = "\n".to_owned();
                (Some(Parser::docker()), Join::EndsWith { text, negate: false })
            }
            name => (None, Join::Rules(Rules::builtin(name)?)),
        };
        let is_container = parser.is_some();
        Some(Self {
            name: name.to_owned(),
            parser: parser.map(Arc::new),
            join,
            key_content: is_container.then_some(KEY),
            key_pattern: (name == "cri").then(|| "_p".to_owned()),
            key_group: is_container.then(|| "stream".to_owned()),
            takes_empty: false,
            flush_timeout: FLUSH_TIMEOUT,
        })
    }

    /// One that joins the pieces of lines which `parser` reads, if it says which are pieces.
    pub fn of_pieces(parser: &Arc<Parser>) -> Option<Self> {
        let of = |names: [&'static str; 2]| names.into_iter().find(|name| parser.has_field(name));
        let (join, key_content, key_pattern) = if parser.reads_json() {
            (Join::EndsWith { text: "\n".to_owned(), negate: false }, KEY, None)
        } else {
            let join = Join::Equal { text: "F".to_owned(), negate: false };
            (join, of(["log", "message"])?, Some(of(["logtag", "_p"])?.to_owned()))
        };
        Some(Self {
            name: parser.name().to_owned(),
            parser: Some(Arc::clone(parser)),
            join,
            key_content: Some(key_content),
            key_pattern,
            key_group: Some("stream".to_owned()),
            takes_empty: true,
            flush_timeout: FLUSH_TIMEOUT,
        })
    }

    fn build(
        definition: &MultilineParser,
        parsers: &Parsers,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let options = &definition.options;
        let parser = match options.parser.as_deref().map(|name| parsers.get(name)) {
            None => None,
            Some(Ok(parser)) => Some(Arc::clone(parser)),
            Some(Err(NoParser::Missing(why) | NoParser::Unusable(why))) => {
                diagnostics.error(&definition.location, why);
                return None;
            }
        };
        let text = || options.match_string.as_ref().map(|text| text.0.clone()).unwrap_or_default();
        let negate = options.negate;
        let join = match definition.kind {
            MultilineKind::Regex => {
                let rule = |rule: &crate::config::Rule| RuleText {
                    states: rule.states.clone(),
                    matcher: Matcher::Pattern(rule.pattern.clone()),
                    next: rule.next_state.clone(),
                };
                Join::Rules(Rules::new(definition.rules.iter().map(rule).collect()))
            }
            MultilineKind::EndsWith => Join::EndsWith { text: text(), negate },
            MultilineKind::Equal => Join::Equal { text: text(), negate },
        };
        if parser.is_some() && options.key_content.is_none() {
            let message = "a multiline parser with `Parser` needs `Key_Content`: it joins nothing";
            diagnostics.warning(&definition.location, message);
        }
        let flush_timeout = match u64::try_from(options.flush_timeout) {
            Ok(0) | Err(_) => FLUSH_TIMEOUT,
            Ok(millis) => Duration::from_millis(millis),
        };
        Some(Self {
            name: definition.name.clone(),
            parser,
            join,
            key_content: options.key_content.as_deref().map(keep_name),
            key_pattern: options.key_pattern.clone(),
            key_group: options.key_group.clone(),
            takes_empty: false,
            flush_timeout,
        })
    }

    /// How plugins call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long an unfinished record waits for its next line.
    pub fn flush_timeout(&self) -> Duration {
        self.flush_timeout
    }

    /// Whether lines are taken apart, as those of a container runtime, before they are joined.
    pub fn has_parser(&self) -> bool {
        self.parser.is_some()
    }

    /// The field of the joined text.
    pub fn key(&self) -> &'static str {
        self.key_content.unwrap_or(KEY)
    }

    /// Whether the joined text ends with a line feed: where it is not a field of something parsed.
    pub fn ends_lines(&self) -> bool {
        self.key_content.is_none()
    }

    /// Whether each line of the joined text is one of the source; else they are pieces of a line.
    pub fn joins_lines(&self) -> bool {
        matches!(self.join, Join::Rules(_)) || self.key_content.is_none()
    }

    /// Whether a record is over once its text is as long as it may be; else what follows is left out.
    pub fn is_over_when_full(&self) -> bool {
        matches!(self.join, Join::Rules(_))
    }

    /// What `line` is. `None`: it is not for this parser. `state` says what is known of a stream.
    pub fn take<'a>(
        &self,
        line: &'a str,
        scratch: &mut Scratch,
        bump: &'a Bump,
        now: Nanos,
        state: impl FnOnce(&str) -> Option<State>,
    ) -> Option<Taken<'a>> {
        let Some(parser) = &self.parser else {
            let role = self.join.role(line, line, false, || state(""))?;
            let (time, is_repaired, group) = (None, false, "");
            return Some(Taken { fields: None, time, is_repaired, content: line, group, role });
        };
        let mut fields = Fields::with_capacity_in(FIELDS_GUESS, bump);
        let parsed = parser.parse(scratch, line, bump, now, &mut fields)?;
        let content = text_of(&fields, self.key_content?, bump);
        let content = content.or(self.takes_empty.then_some(""))?;
        let pattern = self.key_pattern.as_deref().and_then(|key| text_of(&fields, key, bump));
        let group = self.key_group.as_deref().and_then(|key| text_of(&fields, key, bump));
        let group = group.unwrap_or_default();
        let role = self.join.role(content, pattern.unwrap_or(content), true, || state(group))?;
        let (time, is_repaired) = (parsed.time, parsed.is_repaired);
        Some(Taken { fields: Some(fields), time, is_repaired, content, group, role })
    }

    /// What a text that was taken apart already is; `state` says what is known of its stream.
    pub fn role(&self, content: &str, state: Option<State>) -> Option<Role> {
        self.join.role(content, content, false, || state)
    }

    /// The fields of a record: those of its first line, whose text `content` takes the place of.
    pub fn fields<'a>(
        &self,
        first: &'a str,
        content: &'a str,
        scratch: &mut Scratch,
        bump: &'a Bump,
        now: Nanos,
    ) -> Option<(Fields<'a>, Option<Nanos>)> {
        let mut fields = Fields::with_capacity_in(FIELDS_GUESS, bump);
        let parsed = self.parser.as_ref()?.parse(scratch, first, bump, now, &mut fields)?;
        set_content(&mut fields, self.key(), content);
        Some((fields, parsed.time))
    }
}

/// Room for the fields of a container's line and those that say where it came from.
const FIELDS_GUESS: usize = 6;

/// Puts the joined text into the place of the line's, which may have none, unless it is empty.
fn set_content<'a>(fields: &mut Fields<'a>, key: &'static str, content: &'a str) {
    if content.is_empty() {
        return;
    }
    let mut has_any = false;
    for field in fields.iter_mut().filter(|field| field.key() == key) {
        *field = Field::new(field.key(), Value::Str(content));
        has_any = true;
    }
    if !has_any {
        fields.push(Field::new(key, Value::Str(content)));
    }
}

impl Join {
    /// `content` is what rules look at, `pattern` what tells the last line; a field, or the line itself.
    fn role(
        &self,
        content: &str,
        pattern: &str,
        is_field: bool,
        state: impl FnOnce() -> Option<State>,
    ) -> Option<Role> {
        match self {
            Self::Rules(rules) => Some(match rules.step(state(), content)? {
                Step::Begins { state, ends } => Role { begins: true, ends, state: Some(state) },
                Step::Continues { state, ends } => Role { begins: false, ends, state: Some(state) },
            }),
            // As in Fluent Bit, a field shorter than the text is none for it, and an empty line says nothing.
            Self::EndsWith { text, .. } if pattern.len() < text.len() && is_field => None,
            Self::EndsWith { text, .. } if pattern.is_empty() && !text.is_empty() => {
                Some(Role { begins: false, ends: false, state: None })
            }
            Self::EndsWith { text, negate } => {
                let ends = pattern.ends_with(text.as_str()) != *negate;
                Some(Role { begins: false, ends, state: None })
            }
            Self::Equal { text, negate } => {
                Some(Role { begins: false, ends: (pattern == text) != *negate, state: None })
            }
        }
    }
}

/// The text of the first field of this name that has one.
fn text_of<'a>(fields: &Fields<'a>, key: &str, bump: &'a Bump) -> Option<&'a str> {
    let is_it = |field: &&Field<'a>| field.key() == key;
    fields.iter().filter(is_it).find_map(|field| field.value().text_in(bump))
}

/// The parsers of a list of names with commas between, as `multiline.parser` has them; what is wrong is reported
/// at `location`. `None`: Fluent Bit does not start either.
pub fn find(
    names: &[String],
    all: &MultilineParsers,
    location: &crate::config::Location,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Arc<Multiline>>> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match all.get(name) {
            Ok(parser) => found.push(Arc::clone(parser)),
            Err(why) => {
                diagnostics.error(location, why);
                return None;
            }
        }
    }
    let longest = found.iter().map(|parser| parser.flush_timeout).max();
    if longest.is_some_and(|longest| longest < FLUSH_TIMEOUT_MIN) {
        let limit = FLUSH_TIMEOUT_MIN.as_millis();
        diagnostics.error(location, format!("`Flush_Timeout` must be at least {limit}"));
        return None;
    }
    Some(found)
}

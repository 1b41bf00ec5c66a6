//! How a `tail` joins lines, from its properties.

use super::TailOptions;
use crate::config::{Diagnostics, Section};
use crate::input::join::{Joining, Mode};
use crate::parser::multiline::{self, Multiline, MultilineParsers};
use crate::parser::{NoParser, Parser, Parsers};
use std::sync::Arc;
use std::time::Duration;

/// The longest text of a record, however large `multiline_buffer_limit` is: a buffer must hold it.
const JOINED_BYTES_MAX: u64 = 64 << 20;

/// What the configuration has to join lines with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// All parsers.
    pub parsers: &'a Parsers,
    /// All multiline parsers.
    pub multiline: &'a MultilineParsers,
    /// `multiline_buffer_limit`; 0: no limit, as far as the configuration goes.
    pub bytes_max: u64,
}

impl TailOptions {
    /// How lines are joined, if they are; `parser` is what `Parser` names. `None`: what is asked for cannot be, which
    /// is reported; Fluent Bit does not start either.
    pub fn joining(
        &self,
        parser: Option<&Arc<Parser>>,
        means: Means<'_>,
        section: &Section,
        diagnostics: &mut Diagnostics,
    ) -> Option<Option<Joining>> {
        let bytes_max = match means.bytes_max {
            0 => JOINED_BYTES_MAX,
            limit => limit.min(JOINED_BYTES_MAX),
        };
        let of = |(mode, flush)| Joining {
            mode,
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            flush,
        };
        let mut teller = Teller { section, diagnostics };
        self.warn_of_idle(&mut teller);
        let joining = if !self.multiline_parser.is_empty() {
            self.by_parsers(means, &mut teller)?
        } else if self.multiline {
            self.by_first_line(means.parsers, &mut teller)?
        } else if self.docker_mode {
            self.by_docker(means.parsers, &mut teller)
        } else if self.join_pieces {
            self.by_pieces(parser?, means, &mut teller)?
        } else {
            return Some(None);
        };
        Some(Some(of(joining)))
    }

    /// Warns of what has no effect beside what else is set.
    fn warn_of_idle(&self, teller: &mut Teller<'_>) {
        let has_list = !self.multiline_parser.is_empty();
        let joins_pieces = has_list || self.join_pieces;
        for (property, is_idle, why) in [
            ("Parser", has_list && self.parser.is_some(), "with `Multiline.Parser`"),
            ("Parser", !has_list && self.multiline && self.parser.is_some(), "with `Multiline`"),
            ("Multiline", has_list && self.multiline, "with `Multiline.Parser`"),
            ("Docker_Mode", has_list && self.docker_mode, "with `Multiline.Parser`"),
            (
                "tailwater.join_pieces",
                self.join_pieces && (has_list || self.multiline || self.docker_mode),
                "beside another way to join lines",
            ),
            (
                "tailwater.multiline.parser",
                !self.then_multiline_parser.is_empty() && !joins_pieces,
                "without `Multiline.Parser` or `tailwater.join_pieces`",
            ),
        ] {
            if is_idle {
                teller.warn(property, format!("`{property}` has no effect {why}"));
            }
        }
    }

    /// `Multiline.Parser`
    fn by_parsers(&self, means: Means<'_>, teller: &mut Teller<'_>) -> Option<(Mode, Duration)> {
        let names: Vec<String> =
            self.multiline_parser.iter().flat_map(|list| list.value.iter().cloned()).collect();
        let parsers = teller.find(&names, means, "Multiline.Parser")?;
        let then = self.then(means, teller)?;
        let of_container = parsers.iter().any(|parser| parser.has_parser());
        if let Some(idle) =
            parsers.iter().find(|parser| !parser.has_parser()).filter(|_| of_container)
        {
            let message = format!(
                "`{0}` sees only lines that the parsers of containers leave; `tailwater.multiline.parser {0}` joins \
                 what containers write",
                idle.name()
            );
            teller.warn("Multiline.Parser", message);
        }
        let key = parsers.first().map(|parser| parser.key());
        let flush = flush_timeout(&parsers, &then);
        Some((Mode::Parsers { parsers, then, key }, flush))
    }

    /// `tailwater.multiline.parser`
    fn then(&self, means: Means<'_>, teller: &mut Teller<'_>) -> Option<Vec<Arc<Multiline>>> {
        let property = "tailwater.multiline.parser";
        let then = teller.find(&self.then_multiline_parser, means, property)?;
        if let Some(parser) = then.iter().find(|parser| parser.has_parser()) {
            let message = format!(
                "`{}` takes lines apart itself; name one that has no `Parser`",
                parser.name()
            );
            teller.refuse(property, message);
            return None;
        }
        Some(then)
    }

    /// `tailwater.join_pieces`
    fn by_pieces(
        &self,
        parser: &Arc<Parser>,
        means: Means<'_>,
        teller: &mut Teller<'_>,
    ) -> Option<(Mode, Duration)> {
        let Some(pieces) = Multiline::of_pieces(parser) else {
            let message = format!(
                "parser `{}` does not tell pieces of a line: it has no field `logtag` or `_p` beside `log` or `message`",
                parser.name()
            );
            teller.refuse("tailwater.join_pieces", message);
            return None;
        };
        let parsers = vec![Arc::new(pieces)];
        let then = self.then(means, teller)?;
        let flush = flush_timeout(&parsers, &then);
        Some((Mode::Parsers { parsers, then, key: None }, flush))
    }

    /// `Multiline`
    fn by_first_line(&self, all: &Parsers, teller: &mut Teller<'_>) -> Option<(Mode, Duration)> {
        let Some(name) = &self.parser_firstline else {
            teller.refuse("Multiline", "`Multiline` needs a `Parser_Firstline`".to_owned());
            return None;
        };
        let first = teller.parser(all, name, "Parser_Firstline")?;
        let others = self.parser_others.iter();
        let others = others.map(|entry| teller.parser(all, &entry.value, &entry.key));
        let others = others.collect::<Option<_>>()?;
        let flush = self.multiline_flush.max(Duration::from_secs(1));
        Some((Mode::FirstLine { first, others }, flush))
    }

    /// `Docker_Mode`
    fn by_docker(&self, all: &Parsers, teller: &mut Teller<'_>) -> (Mode, Duration) {
        let property = "Docker_Mode_Parser";
        let first = self.docker_mode_parser.as_ref().and_then(|name| match all.get(name) {
            Ok(parser) => Some(Arc::clone(parser)),
            Err(NoParser::Missing(why) | NoParser::Unusable(why)) => {
                teller.warn(property, format!("{why}; each whole line is a record"));
                None
            }
        });
        let seconds = u64::try_from(self.docker_mode_flush).unwrap_or(0).max(1);
        (Mode::Docker { first }, Duration::from_secs(seconds))
    }
}

/// The longest of the parsers' times, as in Fluent Bit.
fn flush_timeout(parsers: &[Arc<Multiline>], then: &[Arc<Multiline>]) -> Duration {
    let all = parsers.iter().chain(then).map(|parser| parser.flush_timeout());
    all.max().unwrap_or_default()
}

/// Tells of what is wrong with a property.
struct Teller<'a> {
    section: &'a Section,
    diagnostics: &'a mut Diagnostics,
}

impl Teller<'_> {
    fn warn(&mut self, property: &str, message: String) {
        self.diagnostics.warning(self.section.location_of(property), message);
    }

    fn refuse(&mut self, property: &str, message: String) {
        self.diagnostics.error(self.section.location_of(property), message);
    }

    fn find(
        &mut self,
        names: &[String],
        means: Means<'_>,
        property: &str,
    ) -> Option<Vec<Arc<Multiline>>> {
        let location = self.section.location_of(property);
        multiline::find(names, means.multiline, location, self.diagnostics)
    }

    fn parser(&mut self, all: &Parsers, name: &str, property: &str) -> Option<Arc<Parser>> {
        match all.get(name) {
            Ok(parser) => Some(Arc::clone(parser)),
            Err(NoParser::Missing(why) | NoParser::Unusable(why)) => {
                self.refuse(property, why);
                None
            }
        }
    }
}

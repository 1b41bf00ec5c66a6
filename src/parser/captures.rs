//! `Format regex`: the named groups of a regular expression.

use super::cast::Types;
use super::time::TimeField;
use super::{Parsed, Scratch};
use crate::record::{Field, Fields, Nanos, Value, keep_name};
use bumpalo::Bump;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tailwater_parsers::cri;
use tailwater_parsers::regex::{self, Captures, Expression, Pattern};

/// What a regex parser does with what it captures.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) matcher: Matcher,
    /// Leave out fields without text.
    pub(super) skip_empty: bool,
    pub(super) types: Option<Types>,
}

/// How the text is taken apart.
#[derive(Debug)]
pub(super) enum Matcher {
    /// By a regular expression.
    Regex(Box<Lazy>),
    /// By hand, for an expression that says just what the hand-written parser reads; with the names
    /// that it gives to time, stream, logtag and log.
    Cri([&'static str; 4]),
    /// By hand, a line or a piece of one, as the multiline parser `cri` does.
    CriPiece([&'static str; 4]),
}

/// A regular expression that is compiled for whoever first wants to match with it: many a `parsers.conf`
/// has parsers that nothing uses.
#[derive(Debug)]
pub(super) struct Lazy {
    expression: Expression,
    names: Box<[&'static str]>,
    /// The pattern has a number of its own.
    compiled: OnceLock<Result<(Pattern, usize), regex::Error>>,
}

impl Matcher {
    /// Reads the expression and checks it, unless it is a stock one.
    pub(super) fn new(text: &str) -> Result<Self, regex::Error> {
        if let Some(stock) = regex::stock(text) {
            let names = [stock.time, stock.stream, stock.logtag, stock.log];
            return Ok(Self::Cri(names.map(keep_name)));
        }
        let expression = Expression::read(text)?;
        expression.check()?;
        let names = expression.names().map(keep_name).collect();
        Ok(Self::Regex(Box::new(Lazy { expression, names, compiled: OnceLock::new() })))
    }

    /// Makes it ready to match. Fails for an expression that is right, but too large.
    pub(super) fn compile(&self) -> Result<(), regex::Error> {
        match self {
            Self::Regex(lazy) => lazy.pattern().map(drop),
            Self::Cri(_) | Self::CriPiece(_) => Ok(()),
        }
    }

    /// The names of its groups.
    pub(super) fn names(&self) -> &[&'static str] {
        match self {
            Self::Regex(lazy) => &lazy.names,
            Self::Cri(names) | Self::CriPiece(names) => names,
        }
    }

    /// Calls `capture` with the name and the text of each group. `None`: the text does not match, and nothing was
    /// called.
    pub(super) fn groups<'t>(
        &self,
        scratch: &mut Scratch,
        text: &'t str,
        mut capture: impl FnMut(&'static str, &'t str),
    ) -> Option<()> {
        match self {
            Self::Cri(names) | Self::CriPiece(names) => {
                let is_piece = matches!(self, Self::CriPiece(_));
                let line = if is_piece { cri::parse_piece(text) } else { cri::parse(text) }?;
                let texts = [line.time, line.stream, line.logtag, line.log];
                names.iter().zip(texts).for_each(|(name, text)| capture(name, text));
                Some(())
            }
            Self::Regex(lazy) => {
                let (pattern, number) = lazy.pattern().ok()?;
                let captures = scratch.rooms.of(pattern, *number)?;
                let group = |index: usize, _: &str, text| {
                    lazy.names.get(index).into_iter().for_each(|name| capture(name, text));
                };
                pattern.fields(captures, text, group).then_some(())
            }
        }
    }
}

impl Lazy {
    fn pattern(&self) -> Result<&(Pattern, usize), regex::Error> {
        /// Patterns compiled so far.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let compile = || Ok((self.expression.compile()?, COUNT.fetch_add(1, Ordering::Relaxed)));
        self.compiled.get_or_init(compile).as_ref().map_err(Clone::clone)
    }
}

/// Room for the groups of each pattern that was used, by its number. As many as the owner of the
/// scratch has parsers.
#[derive(Debug, Default)]
pub(super) struct Rooms(Vec<(usize, Captures)>);

impl Rooms {
    fn of(&mut self, pattern: &Pattern, number: usize) -> Option<&mut Captures> {
        let found = self.0.iter().position(|(owner, _)| *owner == number);
        let at = found.unwrap_or_else(|| {
            self.0.push((number, pattern.captures()));
            self.0.len() - 1
        });
        self.0.get_mut(at).map(|(_, captures)| captures)
    }
}

impl Captured {
    /// Appends the groups as fields.
    pub(super) fn parse<'a>(
        &self,
        time_field: Option<&TimeField>,
        scratch: &mut Scratch,
        text: &'a str,
        bump: &'a Bump,
        now: Nanos,
        fields: &mut Fields<'a>,
    ) -> Option<Parsed> {
        let mut time = None;
        let capture = |name: &'static str, text: &'a str| {
            if text.is_empty() && self.skip_empty {
                return;
            }
            if let Some(field) = time_field
                && name == &*field.key
            {
                time = field.read(text, now);
                // Fluent Bit leaves out the field of a time that it cannot read, too.
                if time.is_none() || !field.keep {
                    return;
                }
            }
            let value = match &self.types {
                None => Value::Str(text),
                Some(types) => types.cast(name, text, bump),
            };
            fields.push(Field::new(name, value));
        };
        self.matcher.groups(scratch, text, capture)?;
        Some(Parsed { time, is_repaired: false })
    }
}

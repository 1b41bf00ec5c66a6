//! Recognises the patterns that can be run from left to right.

use super::{Forward, Step, Stops, Target};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, none_of, one_of, satisfy};
use nom::combinator::{all_consuming, map, map_opt, not, opt, peek, value};
use nom::multi::many1;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

/// A part of a pattern.
#[derive(Clone, Debug)]
enum Part<'a> {
    Literal(String),
    Run { name: Option<&'a str>, stops: Stops, not_empty: bool },
    Spaces,
    Target { name: &'a str, kind: Target },
    Group { parts: Vec<Self>, is_optional: bool },
    End,
}

impl Forward {
    /// Reads a pattern in Ruby's dialect, without slashes; `None` where it is not made of these
    /// parts, or where its groups are not those of `names`, in this order.
    pub(in crate::regex) fn read(pattern: &str, names: &[(String, Vec<usize>)]) -> Option<Self> {
        let (_, parts) = all_consuming(preceded(char('^'), many1(part))).parse(pattern).ok()?;
        let mut groups = Vec::new();
        let steps = steps(&parts, &mut groups)?;
        // A name that occurs twice is one in `names`, and a pattern without names has no fields.
        let is_same = groups.iter().eq(names.iter().map(|(name, _)| name));
        (is_same && !groups.is_empty()).then_some(Self { steps, group_count: groups.len() })
    }
}

/// Makes steps of the parts, and lists the names of the groups.
fn steps<'a>(parts: &[Part<'a>], groups: &mut Vec<&'a str>) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(parts.len());
    let mut rest = parts;
    while let [part, behind @ ..] = rest {
        rest = behind;
        steps.push(match part {
            Part::Literal(text) => Step::Literal(text.as_str().into()),
            Part::Run { name, stops, not_empty } => {
                let back = match behind {
                    [Part::Literal(next), ..] => stops.back(next),
                    _ => 0,
                };
                let group = name.map(|name| number(name, groups));
                Step::Run { group, stops: *stops, not_empty: *not_empty, back }
            }
            Part::Spaces => Step::Spaces,
            Part::Target { name, kind } => Step::Target { path: number(name, groups), kind: *kind },
            Part::Group { parts, is_optional: false } => {
                steps.extend(self::steps(parts, groups)?);
                continue;
            }
            Part::Group { parts, is_optional: true } => match parts.first() {
                Some(Part::Literal(_)) => Step::Optional(self::steps(parts, groups)?),
                _ => return None,
            },
            Part::End => Step::End,
        });
    }
    Some(steps)
}

/// The number of the next group.
fn number<'a>(name: &'a str, groups: &mut Vec<&'a str>) -> usize {
    groups.push(name);
    groups.len() - 1
}

fn part(text: &str) -> IResult<&str, Part<'_>> {
    let end = value(Part::End, char('$'));
    alt((target, group, flat_part, end)).parse(text)
}

/// A part that may stand in a group without a name.
fn flat_part(text: &str) -> IResult<&str, Part<'_>> {
    let spaces = value(Part::Spaces, once(tag(" +")));
    alt((run, spaces, map(literal, Part::Literal))).parse(text)
}

fn group(text: &str) -> IResult<&str, Part<'_>> {
    let plain = terminated(tag("("), not(char('?')));
    let parts = delimited(alt((tag("(?:"), plain)), many1(flat_part), char(')'));
    let group = pair(parts, map(opt(char('?')), |mark| mark.is_some()));
    map(once(group), |(parts, is_optional)| Part::Group { parts, is_optional }).parse(text)
}

/// What parts a path from its protocol, before the quote and the space that end the request.
fn target(text: &str) -> IResult<&str, Part<'_>> {
    use Target::{LastWord, LastWordOrNothing, OneWord};
    let lazy = alt((tag(r#">[^"]*?)"#), tag(r#">[^\"]*?)"#)));
    let last = pair(
        lazy,
        alt((
            value(LastWord, tag(r"(?: +\S*)?)?")),
            value(LastWordOrNothing, tag(r#")?(?: +[^ "]*)?"#)),
        )),
    );
    let word = terminated(alt((tag(">[^ ]*)"), tag(r">\S*)"))), tag(r" +\S*)?"));
    let kind = alt((map(last, |(_, kind)| kind), value(OneWord, word)));
    let both = (preceded(tag("(?: +(?<"), name), kind, peek(tag("\" ")));
    map(both, |(name, kind, _)| Part::Target { name, kind }).parse(text)
}

/// Repeated characters of one kind, as a group with a name or without one.
fn run(text: &str) -> IResult<&str, Part<'_>> {
    let named = delimited(tag("(?<"), pair(terminated(name, char('>')), repeated), char(')'));
    let named = map(named, |(name, (stops, not_empty))| (Some(name), stops, not_empty));
    let bare = map(repeated, |(stops, not_empty)| (None, stops, not_empty));
    let run =
        map(alt((named, bare)), |(name, stops, not_empty)| Part::Run { name, stops, not_empty });
    once(run).parse(text)
}

fn name(text: &str) -> IResult<&str, &str> {
    take_while1(|letter: char| letter.is_alphanumeric() || letter == '_').parse(text)
}

/// `*` or `+` behind a set of characters; whether there must be one.
fn repeated(text: &str) -> IResult<&str, (Stops, bool)> {
    once(pair(stops, map(one_of("*+"), |quantifier| quantifier == '+'))).parse(text)
}

/// The characters that a set leaves out.
fn stops(text: &str) -> IResult<&str, Stops> {
    let stop = || map_opt(alt((escaped, none_of("\\]-[&^"))), ascii);
    // Behind the caret, a bracket is a character.
    let first = map_opt(alt((escaped, none_of("\\-[&^"))), ascii);
    let listed = delimited(tag("[^"), pair(first, opt(stop())), char(']'));
    alt((
        value(Stops::None, char('.')),
        value(Stops::One(b' '), tag(r"\S")),
        map(listed, |(one, other)| other.map_or(Stops::One(one), |other| Stops::Two(one, other))),
    ))
    .parse(text)
}

fn ascii(letter: char) -> Option<u8> {
    u8::try_from(letter).ok().filter(u8::is_ascii)
}

/// Characters that stand for themselves, each of them once.
fn literal(text: &str) -> IResult<&str, String> {
    let bare = none_of("\\^$.|?*+()[{");
    map(many1(once(alt((escaped, bare)))), String::from_iter).parse(text)
}

fn escaped(text: &str) -> IResult<&str, char> {
    preceded(char('\\'), satisfy(|letter| letter.is_ascii_punctuation())).parse(text)
}

/// What no quantifier follows.
fn once<'a, O>(
    inner: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>> {
    terminated(inner, not(one_of("*+?{")))
}

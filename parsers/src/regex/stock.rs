//! Recognises the stock CRI pattern by its text, so that the parser by hand runs in its place.

use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::all_consuming;
use nom::sequence::delimited;
use nom::{IResult, Parser};

use crate::cri;

/// The names that a stock CRI pattern gives to the parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock<'a> {
    /// For [`cri::Line::time`].
    pub time: &'a str,
    /// For [`cri::Line::stream`].
    pub stream: &'a str,
    /// For [`cri::Line::logtag`].
    pub logtag: &'a str,
    /// For [`cri::Line::log`]: `log`, or `message` in Fluent Bit's own file.
    pub log: &'a str,
}

impl<'a> Stock<'a> {
    /// The fields of a line, in their order.
    pub fn fields<'t>(&self, line: &cri::Line<'t>) -> [(&'a str, &'t str); 4] {
        [
            (self.time, line.time),
            (self.stream, line.stream),
            (self.logtag, line.logtag),
            (self.log, line.log),
        ]
    }
}

/// The names of the groups, where the pattern is [`cri::PATTERN`] with any names, bare or between
/// slashes: then [`cri::parse`] gives what the pattern gives.
pub fn stock(pattern: &str) -> Option<Stock<'_>> {
    let bare = pattern.strip_prefix('/').and_then(|text| text.strip_suffix('/'));
    let (_, stock) = all_consuming(line).parse(bare.unwrap_or(pattern)).ok()?;
    let names = [stock.time, stock.stream, stock.logtag, stock.log];
    // The same name twice would change the order of the fields.
    let different =
        (1..).zip(&names).all(|(next, name)| !names.iter().skip(next).any(|it| it == name));
    different.then_some(stock)
}

fn line(pattern: &str) -> IResult<&str, Stock<'_>> {
    let (rest, (_, time, _, stream, _, logtag, _, log, _)) = (
        char('^'),
        group("[^ ]+"),
        char(' '),
        group("stdout|stderr"),
        char(' '),
        group("[^ ]*"),
        char(' '),
        group(".*"),
        char('$'),
    )
        .parse(pattern)?;
    Ok((rest, Stock { time, stream, logtag, log }))
}

fn group<'a>(
    body: &'static str,
) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    let name = take_while1(|letter: char| letter.is_alphanumeric() || letter == '_');
    delimited(tag("(?<"), name, (char('>'), tag(body), char(')')))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::regex::Pattern;

    #[test]
    fn recognises_the_pattern() {
        let names = |pattern: &str| {
            stock(pattern)
                .map(|names| [names.time, names.stream, names.logtag, names.log].join(" "))
        };
        let check = |pattern: &str, expected: Option<&str>| {
            assert_eq!(names(pattern).as_deref(), expected, "{pattern}");
        };
        check(cri::PATTERN, Some("time stream logtag log"));
        check(&cri::PATTERN.replace("log>", "message>"), Some("time stream logtag message"));
        check(&cri::PATTERN.replace("<t", "<zeit_"), Some("zeit_ime stream logtag log"));
        check(&format!("/{}/", cri::PATTERN), Some("time stream logtag log"));
        check(&format!("/{}/m", cri::PATTERN), None);
        check(&cri::PATTERN.replace("<log>", "<time>"), None);
        check(&cri::PATTERN.replace("[^ ]*", "[FP]"), None);
        check(&cri::PATTERN.replace(".*", ".+"), None);
        check(&cri::PATTERN.replace("<time>", "<>"), None);
        check(&cri::PATTERN.replace('$', ""), None);
        check("", None);
    }

    static STOCK: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(cri::PATTERN).unwrap());

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn both_give_the_same_fields(
            text in prop_oneof![
                "(a|é|\\PC|\n|\r| |t|stdout|stderr| stdout | stderr F |F|P){0,14}",
                "[^ ]{0,4} (stdout|stderr) [FP\n]{0,2} (.|\n){0,9}",
            ],
        ) {
            let mut captures = STOCK.captures();
            let mut fields = Vec::new();
            let found = STOCK.fields(&mut captures, &text, |_, name, value| fields.push((name, value)));
            let names = stock(cri::PATTERN).unwrap();
            let by_hand = cri::parse(&text).map(|line| names.fields(&line).to_vec());
            prop_assert_eq!(found.then_some(fields), by_hand);
        }

    }
}

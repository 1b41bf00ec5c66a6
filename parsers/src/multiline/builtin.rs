//! What programs print when they fall over, language by language: the rules that Fluent Bit has built in, as functions.
//!
//! They look at a text as its expressions do: `^` is any start of a line, so that a text of several lines counts by
//! any of them, and a space may be a line feed.

use super::{Matcher, RuleText, START};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// A rule: states with commas between, what a line looks like, the state behind it.
type Row = (&'static str, fn(&str) -> bool, &'static str);

const GO: &[Row] = &[
    (START, is_go_panic, "panicked"),
    (START, |text| text.contains("http: panic serving"), "goroutine"),
    ("panicked,signalled,frame", |text| at_line(text, is_line_end), "goroutine"),
    ("panicked", |text| at_line(text, |rest| rest.starts_with("[signal ")), "signalled"),
    ("goroutine", |text| at_line(text, is_goroutine), "frame"),
    ("frame", |text| at_line(text, is_go_call), "source"),
    ("source", |text| at_line(text, |rest| rest.starts_with(is_space)), "frame"),
];

const JAVA: &[Row] = &[
    (START, is_java_exception, "exception"),
    ("exception", |text| at_line(text, is_java_nested), START),
    ("exception", |text| at_line(text, is_blank), "exception"),
    ("exception,frame", |text| at_line(text, is_java_frame), "frame"),
    ("exception,frame", |text| at_line(text, is_dotnet_inner), "frame"),
    ("exception,frame", |text| at_line(text, is_dotnet_async), "frame"),
    ("exception,frame", |text| at_line(text, is_java_cause), "exception"),
    ("exception,frame", |text| at_line(text, is_java_more), "frame"),
];

const PYTHON: &[Row] = &[
    (START, |text| at_line(text, is_traceback), "frame"),
    ("frame", |text| at_line(text, is_python_file), "code"),
    ("code", |text| text.contains(|letter| !matches!(letter, '\t' | ' ')), "frame"),
    ("frame", |text| at_line(text, is_python_error), START),
];

const RUBY: &[Row] = &[
    (START, |text| at_line(text, is_ruby_error), "frame"),
    ("frame", |text| at_line(text, is_ruby_frame), "frame"),
];

/// The rules of a language.
pub(super) fn rules(name: &str) -> Option<Vec<RuleText<&'static str>>> {
    let rows = match name {
        "go" => GO,
        "java" => JAVA,
        "python" => PYTHON,
        "ruby" => RUBY,
        _ => return None,
    };
    let rule = |(states, matches, next): &Row| RuleText {
        states: states.split(',').collect(),
        matcher: Matcher::Own(*matches),
        next: Some(*next),
    };
    Some(rows.iter().map(rule).collect())
}

/// Whether what begins at any start of a line is so. Behind a line feed that ends the text, none begins.
fn at_line(text: &str, is: impl Fn(&str) -> bool) -> bool {
    if is(text) {
        return true;
    }
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('\n') {
        if !behind.is_empty() && is(behind) {
            return true;
        }
        rest = behind;
    }
    false
}

fn is_line_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('\n')
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn without_blanks(text: &str) -> &str {
    text.trim_start_matches(['\t', ' '])
}

/// What is behind at least one digit.
fn behind_digits(text: &str) -> Option<&str> {
    let behind = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    (behind.len() < text.len()).then_some(behind)
}

/// `panic: `, which begins a word.
fn is_go_panic(text: &str) -> bool {
    text.match_indices("panic: ").any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(is_word)
    })
}

/// `goroutine 1 [running]:`
fn is_goroutine(rest: &str) -> bool {
    let state = rest.strip_prefix("goroutine ").and_then(behind_digits);
    let Some(state) = state.and_then(|text| text.strip_prefix(" [")) else { return false };
    let Some((state, behind)) = state.split_once(']') else { return false };
    !state.is_empty() && behind.strip_prefix(':').is_some_and(is_line_end)
}

/// `main.main.func1(` or `created by `
fn is_go_call(rest: &str) -> bool {
    if rest.starts_with("created by ") {
        return true;
    }
    // Names with dots between; parentheses may stand in all but the last one.
    let is_end = |letter: char| is_space(letter) || letter == ':';
    let path = rest.split(is_end).next().unwrap_or_default();
    path.match_indices('(').any(|(at, _)| {
        let before = path.get(..at).unwrap_or_default();
        let (packages, name) = before
            .rsplit_once('.')
            .map_or((None, before), |(packages, name)| (Some(packages), name));
        let is_name = !name.is_empty() && !name.contains(['(', ')']);
        is_name && packages.is_none_or(|packages| packages.split('.').all(|part| !part.is_empty()))
    })
}

/// The words behind which a colon or the end of the line makes an exception.
static JAVA_WORDS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["Exception", "Error", "Throwable", "V8 errors stack trace"].map(Finder::new));

/// `…Exception:`, with something before it on its line.
fn is_java_exception(text: &str) -> bool {
    let is_one = |word: &Finder<'_>| {
        word.find_iter(text.as_bytes()).any(|at| {
            let before = text.get(..at).unwrap_or_default();
            let behind = text.get(at + word.needle().len()..).unwrap_or_default();
            !before.is_empty() && !before.ends_with('\n') && behind.starts_with([':', '\r', '\n'])
        })
    };
    JAVA_WORDS.iter().any(is_one)
}

fn is_java_nested(rest: &str) -> bool {
    without_blanks(rest).starts_with("nested exception is:")
}

fn is_blank(rest: &str) -> bool {
    is_line_end(rest.trim_start_matches('\r'))
}

/// `  at a.B.c(D.java:1)`
fn is_java_frame(rest: &str) -> bool {
    let text = without_blanks(rest);
    let text = if text.len() < rest.len() { text } else { return false };
    text.strip_prefix("eval ").unwrap_or(text).starts_with("at ")
}

fn is_dotnet_inner(rest: &str) -> bool {
    let text = without_blanks(rest);
    text.len() < rest.len()
        && text.strip_prefix("--- End of inner exception stack trace ---").is_some_and(is_line_end)
}

fn is_dotnet_async(rest: &str) -> bool {
    rest.strip_prefix(
        "--- End of stack trace from previous location where exception was thrown ---",
    )
    .is_some_and(is_line_end)
}

fn is_java_cause(rest: &str) -> bool {
    let text = without_blanks(rest);
    text.starts_with("Caused by:") || text.starts_with("Suppressed:")
}

/// `... 12 more`: any three letters stand for the dots, and may be blanks.
fn is_java_more(rest: &str) -> bool {
    let blanks = rest.len() - without_blanks(rest).len();
    (0..=blanks).any(|start| {
        let text = rest.get(start..).unwrap_or_default();
        let mut letters = text.chars();
        let is_three = letters.by_ref().take(3).filter(|letter| *letter != '\n').count() == 3;
        let count = letters.as_str().strip_prefix(' ').and_then(behind_digits);
        let word = count.and_then(|text| text.strip_prefix(' ')).unwrap_or_default();
        is_three && (word.starts_with("more") || word.starts_with("common frames omitted"))
    })
}

fn is_traceback(rest: &str) -> bool {
    rest.strip_prefix("Traceback (most recent call last):").is_some_and(is_line_end)
}

fn is_python_file(rest: &str) -> bool {
    let text = without_blanks(rest);
    text.len() < rest.len() && text.starts_with("File ")
}

/// `package.Error:`
fn is_python_error(rest: &str) -> bool {
    let is_end = |letter: char| is_space(letter) || matches!(letter, '(' | ')' | ':');
    let name = rest.split(is_end).next().unwrap_or_default();
    let behind = rest.get(name.len()..).unwrap_or_default();
    behind.starts_with(':') && name.split('.').all(|part| !part.is_empty())
}

/// `file.rb:6:in 'method'`, with anything before it on its line.
fn is_ruby_error(rest: &str) -> bool {
    let line = rest.split('\n').next().unwrap_or_default();
    has_ruby_place(rest, line, 1)
}

/// `  from file.rb:6:in 'method'`
fn is_ruby_frame(rest: &str) -> bool {
    let text = rest.trim_start_matches(is_space);
    let Some(place) = text.strip_prefix("from").filter(|_| text.len() < rest.len()) else {
        return false;
    };
    let file = place.trim_start_matches(is_space);
    // Of the spaces behind `from`, line feeds too, the file may begin behind any.
    if file.len() == place.len() {
        return false;
    }
    let line = file.split('\n').next().unwrap_or_default();
    has_ruby_place(file, line, 0)
}

/// `:6:in ` behind at least `before` bytes of `line`, with which `rest` begins; the space may be the line feed.
fn has_ruby_place(rest: &str, line: &str, before: usize) -> bool {
    line.match_indices(':').filter(|(at, _)| *at >= before).any(|(at, _)| {
        let place = rest.get(at + 1..).and_then(behind_digits);
        let place = place.and_then(|text| text.strip_prefix(":in"));
        place.is_some_and(|text| text.starts_with(is_space))
    })
}

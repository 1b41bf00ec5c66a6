//! Lines of a container runtime: `time stream logtag log`, as the kubelet's CRI log format has them.
//!
//! The only source of truth is the stock pattern of Fluent Bit's `parsers.conf`, [`PATTERN`]. Its
//! `[^ ]` matches a line feed, its `^` any start of a line and its `.` no line feed, and so does
//! [`parse`], though a line from a file never holds one: a record's field may.

use memchr::memchr;

/// The pattern that [`parse`] stands in for, in the dialect of Fluent Bit.
pub const PATTERN: &str = "^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<log>.*)$";

/// The four parts of a line, as slices of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When the runtime read the line, as text; never empty.
    pub time: &'a str,
    /// `stdout` or `stderr`.
    pub stream: &'a str,
    /// `F` for a full line, `P` for a piece of one; may be empty or anything else without a space.
    pub logtag: &'a str,
    /// What the container wrote, without the line feed.
    pub log: &'a str,
}

/// Splits a line; `None` where [`PATTERN`] does not match.
pub fn parse(text: &str) -> Option<Line<'_>> {
    let mut rest = text;
    loop {
        let space = memchr(b' ', rest.as_bytes())?;
        match parse_from(rest, space) {
            Attempt::Line(line) => return Some(line),
            Attempt::NeverAgain => return None,
            Attempt::NotHere => {}
        }
        // A later start of a line up to this space would end its time at the same space and fail in
        // the same way, so the search goes on behind it.
        let (_, behind) = rest.split_at_checked(space)?;
        let newline = memchr(b'\n', behind.as_bytes())?;
        (_, rest) = behind.split_at_checked(newline + 1)?;
    }
}

/// Splits a line as Fluent Bit's multiline parser `cri` does, which is looser with the time, that may hold spaces, and
/// stricter with the tag, which is `F` or `P`.
pub fn parse_piece(text: &str) -> Option<Line<'_>> {
    text.split('\n').find_map(|line| {
        memchr::memchr_iter(b' ', line.as_bytes()).skip_while(|at| *at == 0).find_map(|at| {
            let (time, rest) = line.split_at_checked(at)?;
            let (stream, rest) = rest.split_at_checked(" stdout ".len())?;
            let stream = match stream {
                " stdout " => "stdout",
                " stderr " => "stderr",
                _ => return None,
            };
            let (logtag, rest) = rest.split_at_checked(1)?;
            let log = rest.strip_prefix(' ').filter(|_| matches!(logtag, "F" | "P"))?;
            Some(Line { time, stream, logtag, log })
        })
    })
}

enum Attempt<'a> {
    Line(Line<'a>),
    NotHere,
    /// No later start can succeed either.
    NeverAgain,
}

/// Tries to match at the start of `text`, whose first space is at `space`.
fn parse_from(text: &str, space: usize) -> Attempt<'_> {
    let Some((time, rest)) = text.split_at_checked(space) else { return Attempt::NotHere };
    if time.is_empty() {
        return Attempt::NotHere;
    }
    let Some((stream, rest)) = rest.split_at_checked(" stdout".len()) else {
        return Attempt::NotHere;
    };
    let stream = match stream {
        " stdout" => "stdout",
        " stderr" => "stderr",
        _ => return Attempt::NotHere,
    };
    let Some(rest) = rest.strip_prefix(' ') else { return Attempt::NotHere };
    let Some(space) = memchr(b' ', rest.as_bytes()) else { return Attempt::NeverAgain };
    let Some((logtag, rest)) = rest.split_at_checked(space) else { return Attempt::NotHere };
    let Some(rest) = rest.strip_prefix(' ') else { return Attempt::NotHere };
    let end = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
    let Some((log, _)) = rest.split_at_checked(end) else { return Attempt::NotHere };
    Attempt::Line(Line { time, stream, logtag, log })
}

/// Fuzz entry: the parts of a line lie in it in their order, with one space between them.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_cri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(line) = parse(text) else { return };
    let joined = format!("{} {} {} {}", line.time, line.stream, line.logtag, line.log);
    assert!(text.contains(&joined), "parts that are not in the line");
    assert!(!line.time.is_empty() && !line.time.contains(' '), "time");
    assert!(line.stream == "stdout" || line.stream == "stderr", "stream");
    assert!(!line.logtag.contains(' '), "logtag");
    assert!(!line.log.contains('\n'), "log");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<[&str; 4]>) {
        let parts = parse(text).map(|line| [line.time, line.stream, line.logtag, line.log]);
        assert_eq!(parts, expected, "{text:?}");
    }

    #[test]
    fn lines() {
        check("t stdout F hello world", Some(["t", "stdout", "F", "hello world"]));
        check("t stderr P ", Some(["t", "stderr", "P", ""]));
        check("t stdout  x", Some(["t", "stdout", "", "x"]));
        check("t stdout   x", Some(["t", "stdout", "", " x"]));
        check("t stdout F:x æ\u{2028}\r", Some(["t", "stdout", "F:x", "æ\u{2028}\r"]));
    }

    #[test]
    fn pieces() {
        let check = |text: &str, expected: Option<[&str; 4]>| {
            let parts =
                parse_piece(text).map(|line| [line.time, line.stream, line.logtag, line.log]);
            assert_eq!(parts, expected, "{text:?}");
        };
        check("t stdout F hello world", Some(["t", "stdout", "F", "hello world"]));
        check("t stderr P ", Some(["t", "stderr", "P", ""]));
        check("t stdout F", None);
        check("t stdout X y", None);
        check("t stdout  y", None);
        check(" stdout F y", None);
        check("a b stdout P stderr F y", Some(["a b", "stdout", "P", "stderr F y"]));
        check("a\nt stdout F x\ny", Some(["t", "stdout", "F", "x"]));
        check("é stdoué F é stderr F é", Some(["é stdoué F é", "stderr", "F", "é"]));
    }

    #[test]
    fn not_lines() {
        for text in [
            "",
            " ",
            "t",
            " stdout F x",
            "t stdout",
            "t stdout F",
            "t stdoutF x y",
            "t  stdout F x",
            "t STDOUT F x",
            "t stdlog F x",
            "t stdoué F x",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn line_feeds() {
        check("t stdout F x\ny", Some(["t", "stdout", "F", "x"]));
        check("a\nt stdout F x", Some(["a\nt", "stdout", "F", "x"]));
        check("a b\nt stdout F x", Some(["t", "stdout", "F", "x"]));
        check(" a\nt stdout F x", Some(["t", "stdout", "F", "x"]));
        check("\nt stdout F x", Some(["\nt", "stdout", "F", "x"]));
        check("t stdout F\nx y", Some(["t", "stdout", "F\nx", "y"]));
        check("t stdout x\n", None);
        check("\n stdout F x", Some(["\n", "stdout", "F", "x"]));
    }
}

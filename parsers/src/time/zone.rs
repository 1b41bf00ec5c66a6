//! Zones as they stand in texts: numeric offsets and the abbreviations Fluent Bit knows.

use super::format::skip_space;

/// Reads a fixed offset in seconds as `Time_Offset` has it: `Z`, `+0100` or `+01:00`, read as
/// Fluent Bit's `flb_parser_tzone_offset` does: what follows is ignored.
pub fn offset_seconds(text: &str) -> Option<i32> {
    if text.starts_with('Z') {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (&[a, b, c, d] | &[a, b, b':', c, d] | &[a, b, c, d, ..]) = digits else { return None };
    let (hours, minutes) = (two(a, b)?, two(c, d)?);
    (hours < 60 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Reads `%z`: white space, then `Z`, `UT`, `UTC`, `GMT`, `+01`, `+0100`, `+01:00`, or one of the
/// abbreviations of RFC 822. Returns the offset in seconds.
pub(super) fn read_offset(rest: &mut &[u8]) -> Option<i32> {
    *rest = skip_space(rest);
    let (offset, behind) = match *rest {
        [b'Z', behind @ ..]
        | [b'G', b'M', b'T', behind @ ..]
        | [b'U', b'T', b'C', behind @ ..]
        | [b'U', b'T', behind @ ..] => (0, behind),
        [sign @ (b'+' | b'-'), a, b, behind @ ..] => {
            let hours = two(*a, *b)?;
            let (minutes, behind) = read_minutes(behind)?;
            let seconds = hours * 3_600 + minutes * 60;
            (if *sign == b'-' { -seconds } else { seconds }, behind)
        }
        [first, kind, b'T' | b't', behind @ ..] => {
            let hours = match first.to_ascii_uppercase() {
                b'E' => -5,
                b'C' => -6,
                b'M' => -7,
                b'P' => -8,
                _ => return None,
            };
            match kind.to_ascii_uppercase() {
                b'S' => (hours * 3_600, behind),
                b'D' => ((hours + 1) * 3_600, behind),
                _ => return None,
            }
        }
        _ => return None,
    };
    *rest = behind;
    Some(offset)
}

/// Reads the minutes of an offset, which may be missing, after an optional colon.
fn read_minutes(rest: &[u8]) -> Option<(i32, &[u8])> {
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    match rest {
        [a, b, behind @ ..] if a.is_ascii_digit() => Some((two(*a, *b)?, behind)),
        [b'0'..=b'9'] => None,
        _ => Some((0, rest)),
    }
}

/// Reads `%Z`: an abbreviation in any case, not followed by a letter or digit. Returns the offset
/// in seconds. The names of the host's own zone are not among them.
pub(super) fn read_name(rest: &mut &[u8]) -> Option<i32> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (name, behind) = rest.split_at_checked(length)?;
    let known = ABBREVIATIONS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    if let Some((_, minutes)) = known {
        *rest = behind;
        return Some(minutes * 60);
    }
    *rest = rest.strip_prefix(b"GMT").or_else(|| rest.strip_prefix(b"UTC"))?;
    Some(0)
}

fn two(tens: u8, ones: u8) -> Option<i32> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// The abbreviations that Fluent Bit 5.1 knows, with their offsets in minutes. Single letters are
/// the military zones; J, the observer's own time, is none.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("GMT", 0),
    ("UTC", 0),
    ("UT", 0),
    ("Z", 0),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("HADT", -540),
    ("AST", -240),
    ("ADT", -180),
    ("NST", -210),
    ("NDT", -150),
    ("WET", 0),
    ("WEST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("ART", -180),
    ("BRT", -180),
    ("BRST", -120),
    ("CLT", -240),
    ("CLST", -180),
    ("AEST", 600),
    ("AEDT", 660),
    ("ACST", 570),
    ("ACDT", 630),
    ("AWST", 480),
    ("NZST", 720),
    ("NZDT", 780),
    ("JST", 540),
    ("KST", 540),
    ("SGT", 480),
    ("IST", 330),
    ("GST", 240),
    ("ICT", 420),
    ("WIB", 420),
    ("WITA", 480),
    ("WIT", 540),
    ("MYT", 480),
    ("BDT", 360),
    ("NPT", 345),
    ("WAT", 60),
    ("CAT", 120),
    ("EAT", 180),
    ("SAST", 120),
    ("A", 60),
    ("B", 120),
    ("C", 180),
    ("D", 240),
    ("E", 300),
    ("F", 360),
    ("G", 420),
    ("H", 480),
    ("I", 540),
    ("K", 600),
    ("L", 660),
    ("M", 720),
    ("N", -60),
    ("O", -120),
    ("P", -180),
    ("Q", -240),
    ("R", -300),
    ("S", -360),
    ("T", -420),
    ("U", -480),
    ("V", -540),
    ("W", -600),
    ("X", -660),
    ("Y", -720),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_offsets() {
        let check = |text, expected| assert_eq!(offset_seconds(text), expected, "{text:?}");
        check("Z", Some(0));
        check("+0000", Some(0));
        check("+0530", Some(19_800));
        check("-03:30", Some(-12_600));
        check("+5900", Some(59 * 3_600));
        for text in ["", "0100", "+1", "+010", "+6000", "+0160", "+ab00", "+01-00", "UTC"] {
            check(text, None);
        }
    }

    #[test]
    fn offsets() {
        let check = |text: &str, expected: Option<(i32, &str)>| {
            let mut rest = text.as_bytes();
            let read = read_offset(&mut rest);
            let read = read.map(|offset| (offset, str::from_utf8(rest).unwrap()));
            assert_eq!(read, expected, "{text:?}");
        };
        check("Z", Some((0, "")));
        check(" UTCx", Some((0, "x")));
        check("UT ", Some((0, " ")));
        check("GMT+1", Some((0, "+1")));
        check("+01", Some((3_600, "")));
        check("+0130x", Some((5_400, "x")));
        check("-01:30", Some((-5_400, "")));
        check("+01:", Some((3_600, "")));
        check("+01 x", Some((3_600, " x")));
        check("pdt", Some((-7 * 3_600, "")));
        check("EST", Some((-5 * 3_600, "")));
        for text in ["", "z", "gmt", "U", "+1", "+1x", "+01:3", "+013", "+013x", "CET", "EXT"] {
            check(text, None);
        }
    }

    #[test]
    fn names() {
        let check = |text: &str, expected: Option<(i32, &str)>| {
            let mut rest = text.as_bytes();
            let read = read_name(&mut rest);
            let read = read.map(|offset| (offset, str::from_utf8(rest).unwrap()));
            assert_eq!(read, expected, "{text:?}");
        };
        check("CEST 2024", Some((7_200, " 2024")));
        check("jst", Some((32_400, "")));
        check("Z", Some((0, "")));
        check("NPT]", Some((20_700, "]")));
        check("UTC1", Some((0, "1")));
        check("XYZ", None);
        check("J", None);
        check("", None);
    }
}

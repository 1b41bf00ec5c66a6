//! Numbers as text in the forms that Fluent Bit gives them, which are C's: labels and lines are compared
//! letter by letter, so that `1.30` and `1.3` would be two streams.

use std::borrow::Cow;

/// Significant digits of a fraction in JSON and `key=value`: C's `%.16g`.
const DIGITS: i32 = 16;

/// From here on a double is not taken for a whole number: what a 64-bit integer holds.
const WHOLE_MAX: f64 = 9_223_372_036_854_775_808.0;

/// A JSON number as a record accessor has it: fractions with six digits (`%f`). Only these are made anew.
pub(super) fn fixed(number: &str) -> Cow<'_, str> {
    match fraction(number) {
        Some(value) => format!("{value:.6}").into(),
        None => number.into(),
    }
}

/// A JSON number as Fluent Bit writes JSON: fractions with as many digits as they need (`%.16g`), whole
/// ones with `.0`. Only these are made anew.
pub(super) fn shortest(number: &str) -> Cow<'_, str> {
    match fraction(number) {
        Some(value) if value.fract() == 0.0 && value.abs() < WHOLE_MAX => {
            format!("{value:.1}").into()
        }
        Some(value) => general(value).into(),
        None => number.into(),
    }
}

/// The value of a number that C would hold as a double: one with a fraction or an exponent.
fn fraction(number: &str) -> Option<f64> {
    number.contains(['.', 'e', 'E']).then(|| number.parse().ok()).flatten()
}

/// C's `%.16g` of a number that is not 0.
fn general(value: f64) -> String {
    let digits = DIGITS.unsigned_abs() as usize - 1;
    let scientific = format!("{value:.digits$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or_default();
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

/// A number with a point, without the zeros at its end.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: &str, in_labels: &str, in_lines: &str) {
        assert_eq!((&*fixed(number), &*shortest(number)), (in_labels, in_lines), "{number}");
    }

    #[test]
    fn as_c_prints_them() {
        check("5", "5", "5");
        check("-7", "-7", "-7");
        check("18446744073709551615", "18446744073709551615", "18446744073709551615");
        check("1.30", "1.300000", "1.3");
        check("2.0", "2.000000", "2.0");
        check("-0.0", "-0.000000", "-0.0");
        check("1e3", "1000.000000", "1000.0");
        check("0.12345678", "0.123457", "0.12345678");
        check("0.1", "0.100000", "0.1");
        check("123456.789012345678", "123456.789012", "123456.7890123457");
        check("0.00001", "0.000010", "1e-05");
        check("0.0001", "0.000100", "0.0001");
        check("1E20", "100000000000000000000.000000", "1e+20");
        check("1.5e-300", "0.000000", "1.5e-300");
        check("2.5e300", &format!("{:.6}", 2.5e300), "2.5e+300");
    }
}

//! `Types`: what a captured text is read as.

use crate::record::Value;
use bumpalo::Bump;

/// The types that a `[PARSER]` gives to its fields.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<(String, Type)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    String,
    Integer,
    Float,
    Hex,
    Bool,
}

impl Types {
    /// Reads `field:integer other:float`. As in Fluent Bit, the first word of a field counts, one without a
    /// colon says nothing, and an unknown type is `string`; the latter two are returned for a warning.
    pub(super) fn read(text: &str) -> (Self, Vec<&str>) {
        let mut types = Vec::new();
        let mut odd = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let Some((name, kind)) = word.split_once(':') else {
                odd.push(word);
                continue;
            };
            let kind = match kind.to_ascii_lowercase().as_str() {
                "integer" => Type::Integer,
                "float" => Type::Float,
                "hex" => Type::Hex,
                "bool" => Type::Bool,
                "string" => Type::String,
                _ => {
                    odd.push(word);
                    Type::String
                }
            };
            types.push((name.to_owned(), kind));
        }
        (Self(types), odd)
    }

    /// The value of the field `name`. Texts are read as C reads them, up to where they stop being
    /// a number, so that `5ms` is 5 and `x` is 0.
    pub(super) fn cast<'a>(&self, name: &str, text: &'a str, bump: &'a Bump) -> Value<'a> {
        let Some((_, kind)) = self.0.iter().find(|(typed, _)| typed == name) else {
            return Value::Str(text);
        };
        match kind {
            Type::Integer => Value::Int(integer(text)),
            Type::Float => Value::Float(float(text)),
            Type::Hex => hex(text, bump),
            Type::Bool if starts_with(text, "true") => Value::True,
            Type::Bool if starts_with(text, "false") => Value::False,
            Type::String | Type::Bool => Value::Str(text),
        }
    }
}

fn starts_with(text: &str, word: &str) -> bool {
    text.as_bytes()
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// As `atoll`; what no `i64` can hold is the nearest that it can.
fn integer(text: &str) -> i64 {
    let (negative, digits) = signed(text);
    let mut number: i64 = 0;
    for digit in digits.bytes().map_while(|byte| char::from(byte).to_digit(10)) {
        let digit = i64::from(digit);
        number = number.saturating_mul(10);
        number = if negative { number.saturating_sub(digit) } else { number.saturating_add(digit) };
    }
    number
}

/// As `strtoull` in base 16.
fn hex<'a>(text: &str, bump: &'a Bump) -> Value<'a> {
    let (negative, digits) = signed(text);
    let prefixed = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let mut number: u64 = 0;
    for digit in prefixed.unwrap_or(digits).bytes().map_while(|byte| char::from(byte).to_digit(16))
    {
        number = number.checked_mul(16).map_or(u64::MAX, |shifted| shifted | u64::from(digit));
    }
    if negative {
        number = number.wrapping_neg();
    }
    match i64::try_from(number) {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Number(bumpalo::format!(in bump, "{}", number).into_bump_str()),
    }
}

/// As `atof`, of decimal numbers; what is infinite, or no number, is written as `null`.
fn float(text: &str) -> f64 {
    let text = text.trim_ascii_start();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if starts_with(unsigned, "inf") || starts_with(unsigned, "nan") {
        return f64::NAN;
    }
    let behind_whole = skip_digits(unsigned);
    let behind_fraction = behind_whole.strip_prefix('.').map_or(behind_whole, skip_digits);
    let exponent = behind_fraction.strip_prefix(['e', 'E']).and_then(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        digits.starts_with(|c: char| c.is_ascii_digit()).then(|| skip_digits(digits))
    });
    let rest = exponent.unwrap_or(behind_fraction);
    let number = text.strip_suffix(rest).unwrap_or(text);
    number.parse().unwrap_or(0.0)
}

fn skip_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

/// Whether a minus sign leads, and what follows the sign.
fn signed(text: &str) -> (bool, &str) {
    let text = text.trim_ascii_start();
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(kind: &str, texts: &[&str], expected: &Expect) {
        let bump = Bump::new();
        let (types, odd) = Types::read(kind);
        assert!(odd.is_empty());
        let mut out = Vec::new();
        for text in texts {
            types.cast("f", text, &bump).write_json(&mut out);
            out.push(b' ');
        }
        expected.assert_eq(str::from_utf8(&out).unwrap().trim_end());
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        check(
            "f:integer",
            &["100", " -7x", "+3", "x", "", "1.9", "99999999999999999999", "-99999999999999999999"],
            &expect!["100 -7 3 0 0 1 9223372036854775807 -9223372036854775808"],
        );
        check(
            "f:FLOAT",
            &["1.23", "1e3ms", "-.5", "1e", "1e-", "1e-2x", "x", "", ".", "5.", "-Infinity", "nan"],
            &expect!["1.23 1000.0 -0.5 1.0 1.0 0.01 0.0 0.0 0.0 5.0 null null"],
        );
        check(
            "f:hex",
            &["ff", "0xFF", "0x1g", "g", "ffffffffffffffff", "fffffffffffffffff", "-1"],
            &expect!["255 255 1 0 18446744073709551615 18446744073709551615 18446744073709551615"],
        );
    }

    #[test]
    fn what_is_no_boolean_stays_text() {
        check(
            "f:bool",
            &["true", "FALSE", "trueish", "1", "ü"],
            &expect![[r#"true false true "1" "ü""#]],
        );
    }

    #[test]
    fn fields_without_a_type_stay_text() {
        check("g:integer f:string", &["1"], &expect![[r#""1""#]]);
    }

    #[test]
    fn odd_words_are_named() {
        assert_eq!(Types::read("a:integer b c:int").1, ["b", "c:int"]);
    }

    #[test]
    fn the_first_type_of_a_field_counts() {
        let (types, odd) = Types::read("f f:int f:integer");
        assert_eq!(odd, ["f", "f:int"]);
        assert_eq!(types.cast("f", "1", &Bump::new()), Value::Str("1"));
    }
}

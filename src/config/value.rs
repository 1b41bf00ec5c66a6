//! Scalars as Fluent Bit spells them: booleans, numbers, sizes, times, lists, closed words.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::property::Kind;

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// It says this.
    Clear(T),
    /// Fluent Bit takes it as this, though it hardly was meant: a warning, with the reason.
    Guess(T, String),
    /// It says nothing of the kind, for this reason.
    Bad(String),
}

impl<T> Reading<T> {
    /// The same reading of a value made from this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Clear(value) => Reading::Clear(make(value)),
            Self::Guess(value, why) => Reading::Guess(make(value), why),
            Self::Bad(why) => Reading::Bad(why),
        }
    }
}

/// Something one value of the configuration can say.
pub trait Value: Default {
    /// What it is, for the help.
    const KIND: Kind;

    /// Reads a trimmed, non-empty text.
    fn read(text: &str) -> Reading<Self>;
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Reading<Self> {
        Reading::Clear(text.to_owned())
    }
}

/// Text in which ` #` can be meant: a regular expression, a rule, a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verbatim(pub String);

impl Deref for Verbatim {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Value for Verbatim {
    const KIND: Kind = Kind::Verbatim;

    fn read(text: &str) -> Reading<Self> {
        Reading::Clear(Self(text.to_owned()))
    }
}

/// Text that is never shown: a password, a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Value for Secret {
    const KIND: Kind = Kind::Secret;

    fn read(text: &str) -> Reading<Self> {
        Reading::Clear(Self(text.to_owned()))
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Boolean;

    fn read(text: &str) -> Reading<Self> {
        let is = |word: &&str| text.eq_ignore_ascii_case(word);
        if ["true", "on", "yes"].iter().any(is) {
            Reading::Clear(true)
        } else if ["false", "off", "no"].iter().any(is) {
            Reading::Clear(false)
        } else {
            Reading::Bad("no boolean; write `on` or `off`".to_owned())
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::Integer;

            /// Digits; what follows them is left out with a warning, as C's `atoi` does silently.
            fn read(text: &str) -> Reading<Self> {
                let (number, rest) = split_number(text, Fraction::Refused);
                let Ok(value) = number.parse::<$type>() else {
                    return Reading::Bad(format!(
                        "no whole number from {} to {}", <$type>::MIN, <$type>::MAX
                    ));
                };
                if rest.is_empty() {
                    Reading::Clear(value)
                } else {
                    Reading::Guess(value, format!("taken as {value}, what follows is left out"))
                }
            }
        }
    )*};
}

integers!(u16, u32, u64, usize, i32, i64);

/// A whole number within bounds, both included; what follows it is left out, as C's `atoi` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Value for Within<MIN, MAX> {
    const KIND: Kind = Kind::Integer;

    fn read(text: &str) -> Reading<Self> {
        match split_number(text, Fraction::Refused).0.parse() {
            Ok(value) if (MIN..=MAX).contains(&value) => Reading::Clear(Self(value)),
            _ if MAX == u64::MAX => Reading::Bad(format!("no whole number from {MIN} up")),
            _ => Reading::Bad(format!("no whole number from {MIN} to {MAX}")),
        }
    }
}

impl Value for f64 {
    const KIND: Kind = Kind::Number;

    fn read(text: &str) -> Reading<Self> {
        let (number, rest) = split_number(text, Fraction::Allowed);
        let Ok(value) = number.parse::<Self>() else {
            return Reading::Bad("no number".to_owned());
        };
        if rest.is_empty() {
            Reading::Clear(value)
        } else {
            Reading::Guess(value, format!("taken as {value}, what follows is left out"))
        }
    }
}

/// Bytes. Fluent Bit's units are decimal: 1 K is 1,000 bytes. `false` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Value for Size {
    const KIND: Kind = Kind::Size;

    fn read(text: &str) -> Reading<Self> {
        match bytes(text, 1_000) {
            Some(bytes) => Reading::Clear(Self(bytes)),
            None => Reading::Bad(NO_SIZE.to_owned()),
        }
    }
}

const NO_SIZE: &str = "no size; write bytes, or a number with K, M or G";

/// Bytes in binary units, as Fluent Bit reads a few sizes: 1 K is 1,024 bytes. What cannot be read is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinarySize(pub u64);

impl Value for BinarySize {
    const KIND: Kind = Kind::Size;

    fn read(text: &str) -> Reading<Self> {
        match bytes(text, 1_024) {
            Some(bytes) => Reading::Clear(Self(bytes)),
            None => Reading::Guess(Self(0), NO_SIZE.to_owned()),
        }
    }
}

/// The bytes that a size means where 1 K is `kilo`.
fn bytes(text: &str, kilo: u64) -> Option<u64> {
    if text.eq_ignore_ascii_case("false") {
        return Some(0);
    }
    let (number, unit) = split_number(text, Fraction::Allowed);
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" => 1,
        "K" | "KB" => kilo,
        "M" | "MB" => kilo * kilo,
        "G" | "GB" => kilo * kilo * kilo,
        _ => return None,
    };
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        Err(_) => scaled(number, factor),
    }
}

/// A bound in bytes that can be switched off with `false`, `off` or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// No bound.
    #[default]
    Unlimited,
    /// At most so many bytes.
    Bytes(u64),
}

impl Limit {
    /// The bound in bytes, if there is one.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

impl Value for Limit {
    const KIND: Kind = Kind::Size;

    fn read(text: &str) -> Reading<Self> {
        if matches!(bool::read(text), Reading::Clear(false)) {
            return Reading::Clear(Self::Unlimited);
        }
        Size::read(text).map(|size| if size.0 == 0 { Self::Unlimited } else { Self::Bytes(size.0) })
    }
}

/// No time is longer: as good as for ever, and safe to add to a clock.
pub(super) const TIME_MAX: Duration = Duration::from_hours(100 * 365 * 24);

impl Value for Duration {
    const KIND: Kind = Kind::Time;

    /// Seconds, or a number with `s`, `m`, `h` or `d`. Fractions hold, which Fluent Bit cuts off.
    fn read(text: &str) -> Reading<Self> {
        let (number, unit) = split_number(text, Fraction::Allowed);
        let Ok(count) = number.parse::<f64>() else {
            return Reading::Bad(
                "no time; write seconds, or a number with s, m, h or d".to_owned(),
            );
        };
        let (factor, known) = match unit {
            "" | "s" | "S" => (1.0, true),
            "m" | "M" => (60.0, true),
            "h" | "H" => (3_600.0, true),
            "d" | "D" => (86_400.0, true),
            _ => (1.0, false),
        };
        match Self::try_from_secs_f64(count * factor).map(|time| time.min(TIME_MAX)) {
            Ok(time) if known => Reading::Clear(time),
            Ok(time) => {
                let why = format!("`{unit}` is no unit of time, taken as {} s", time.as_secs_f64());
                Reading::Guess(time, why)
            }
            Err(_) => Reading::Bad("no time a clock can hold".to_owned()),
        }
    }
}

/// Words with commas between them; empty ones are left out.
impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn read(text: &str) -> Reading<Self> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Reading::Clear(words.map(str::to_owned).collect())
    }
}

/// One of some words, where Fluent Bit takes any other for the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElseFirst<T>(pub T);

impl<T: Value> Value for ElseFirst<T> {
    const KIND: Kind = T::KIND;

    fn read(text: &str) -> Reading<Self> {
        match T::read(text).map(Self) {
            Reading::Bad(why) => {
                Reading::Guess(Self::default(), format!("taken as the first, {why}"))
            }
            read => read,
        }
    }
}

/// A time, for which Fluent Bit takes a negative one, too, though nothing can be meant by it: `SECONDS` then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElseSeconds<const SECONDS: u64>(pub Duration);

impl<const SECONDS: u64> Value for ElseSeconds<SECONDS> {
    const KIND: Kind = Kind::Time;

    fn read(text: &str) -> Reading<Self> {
        match Duration::read(text).map(Self) {
            Reading::Bad(why) if text.starts_with('-') => {
                let time = Self(Duration::from_secs(SECONDS));
                Reading::Guess(time, format!("{why}, taken as {SECONDS} s"))
            }
            read => read,
        }
    }
}

/// Makes an enum of the words a property can hold; the first one is the `Default`. Several words
/// may name one variant; letter case does not count.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_word:literal $(| $first_also:literal)*
            $(, $(#[$variant_meta:meta])* $variant:ident = $word:literal $(| $also:literal)*)*
            $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant),*
        }

        impl $crate::config::Value for $name {
            const KIND: $crate::config::Kind =
                $crate::config::Kind::Choice(&[$first_word $(, $word)*]);

            fn read(text: &str) -> $crate::config::Reading<Self> {
                let is = |word: &&str| text.eq_ignore_ascii_case(word);
                if [$first_word $(, $first_also)*].iter().any(is) {
                    return $crate::config::Reading::Clear(Self::$first);
                }
                $(
                    if [$word $(, $also)*].iter().any(is) {
                        return $crate::config::Reading::Clear(Self::$variant);
                    }
                )*
                $crate::config::Reading::Bad(
                    $crate::config::value::no_choice(text, &[$first_word $(, $word)*])
                )
            }
        }
    };
}

pub(crate) use choices;

/// Why a word is none of those that can be chosen.
pub fn no_choice(text: &str, words: &[&str]) -> String {
    match super::near::nearest(text, words.iter().copied()) {
        Some(word) => format!("none of {}; did you mean `{word}`?", words.join(", ")),
        None => format!("none of {}", words.join(", ")),
    }
}

/// Whether a number may have a fraction.
#[derive(Clone, Copy)]
enum Fraction {
    Allowed,
    Refused,
}

/// Splits a text behind the number it starts with; blanks are no part of either.
fn split_number(text: &str, fraction: Fraction) -> (&str, &str) {
    let in_number = |(at, letter): (usize, char)| match letter {
        '0'..='9' => true,
        '+' | '-' => at == 0,
        '.' => matches!(fraction, Fraction::Allowed),
        _ => false,
    };
    let end =
        text.char_indices().find(|&letter| !in_number(letter)).map_or(text.len(), |(at, _)| at);
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A number with a fraction times a factor, cut to whole bytes.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.')?;
    let digits = if fraction.len() > 9 { fraction.split_at_checked(9)?.0 } else { fraction };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let divisor = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    whole.checked_mul(factor)?.checked_add(part.checked_mul(factor)? / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::fmt::Debug;

    choices! {
        /// Words of a test.
        enum Sync {
            /// The default.
            Normal = "normal",
            /// With a second word.
            Full = "full" | "extra",
        }
    }

    fn check<T: Value + Debug>(texts: &[&str], expected: &Expect) {
        let lines: Vec<String> =
            texts.iter().map(|text| format!("{text} = {:?}\n", T::read(text))).collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn booleans_are_words() {
        check::<bool>(
            &["On", "yes", "FALSE", "1", "maybe"],
            &expect![[r#"
            On = Clear(true)
            yes = Clear(true)
            FALSE = Clear(false)
            1 = Bad("no boolean; write `on` or `off`")
            maybe = Bad("no boolean; write `on` or `off`")
        "#]],
        );
    }

    #[test]
    fn sizes_are_decimal() {
        check::<Size>(
            &[
                "32768",
                "32k",
                "5MB",
                "1.5M",
                "2G",
                "false",
                "5KiB",
                "5 MB",
                "-1",
                "M",
                "99999999999G",
            ],
            &expect![[r#"
                32768 = Clear(Size(32768))
                32k = Clear(Size(32000))
                5MB = Clear(Size(5000000))
                1.5M = Clear(Size(1500000))
                2G = Clear(Size(2000000000))
                false = Clear(Size(0))
                5KiB = Bad("no size; write bytes, or a number with K, M or G")
                5 MB = Bad("no size; write bytes, or a number with K, M or G")
                -1 = Bad("no size; write bytes, or a number with K, M or G")
                M = Bad("no size; write bytes, or a number with K, M or G")
                99999999999G = Bad("no size; write bytes, or a number with K, M or G")
            "#]],
        );
    }

    #[test]
    fn limits_can_be_off() {
        check::<Limit>(
            &["False", "off", "0", "512k", "lots"],
            &expect![[r#"
            False = Clear(Unlimited)
            off = Clear(Unlimited)
            0 = Clear(Unlimited)
            512k = Clear(Bytes(512000))
            lots = Bad("no size; write bytes, or a number with K, M or G")
        "#]],
        );
    }

    #[test]
    fn times_have_units() {
        check::<Duration>(
            &["5", "5s", "2m", "1h", "1D", "0.5", "5 min", "1000000000000000", "-1", "soon"],
            &expect![[r#"
                5 = Clear(5s)
                5s = Clear(5s)
                2m = Clear(120s)
                1h = Clear(3600s)
                1D = Clear(86400s)
                0.5 = Clear(500ms)
                5 min = Guess(5s, "` min` is no unit of time, taken as 5 s")
                1000000000000000 = Clear(3153600000s)
                -1 = Bad("no time a clock can hold")
                soon = Bad("no time; write seconds, or a number with s, m, h or d")
            "#]],
        );
    }

    #[test]
    fn numbers_are_read_to_their_end() {
        check::<u16>(
            &["2020", "70000", "-1", "5abc", "abc"],
            &expect![[r#"
            2020 = Clear(2020)
            70000 = Bad("no whole number from 0 to 65535")
            -1 = Bad("no whole number from 0 to 65535")
            5abc = Guess(5, "taken as 5, what follows is left out")
            abc = Bad("no whole number from 0 to 65535")
        "#]],
        );
        check::<i32>(
            &["-1", "+3"],
            &expect![[r#"
            -1 = Clear(-1)
            +3 = Clear(3)
        "#]],
        );
        check::<f64>(
            &["0.2", "5", "x"],
            &expect![[r#"
            0.2 = Clear(0.2)
            5 = Clear(5.0)
            x = Bad("no number")
        "#]],
        );
    }

    #[test]
    fn lists_and_words() {
        check::<Vec<String>>(
            &["a, b,,c ", " , "],
            &expect![[r#"
            a, b,,c  = Clear(["a", "b", "c"])
             ,  = Clear([])
        "#]],
        );
        check::<Sync>(
            &["FULL", "extra", "ful", "x"],
            &expect![[r#"
            FULL = Clear(Full)
            extra = Clear(Full)
            ful = Bad("none of normal, full; did you mean `full`?")
            x = Bad("none of normal, full")
        "#]],
        );
        assert_eq!(Sync::default(), Sync::Normal);
    }

    #[test]
    fn a_secret_is_not_shown() {
        check::<Secret>(
            &["hunter2"],
            &expect![[r#"
            hunter2 = Clear(…)
        "#]],
        );
    }
}

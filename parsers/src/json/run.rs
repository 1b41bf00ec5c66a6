//! Stretches of an object that are copied as they stand.

/// A field as it stands in its object, `"key":value`: clean, without white space between its parts.
///
/// Fields that follow each other, with a comma between them, can be copied together, see
/// [`Run::to_end_of`]; so writing an object out again takes as many copies as it was changed in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The object's text from the field on.
    text: &'a str,
    /// How much of it is the field, in bytes.
    len: u32,
}

impl<'a> Run<'a> {
    /// The field at these bytes of `text`; `None` where it is too long for this.
    #[inline]
    pub(super) fn new(text: &'a str, from: usize, to: usize) -> Option<Self> {
        Some(Self { text: text.get(from..)?, len: u32::try_from(to - from).ok()? })
    }

    /// Whether `next` stands behind this field, with a comma between them.
    #[inline]
    pub fn is_followed_by(&self, next: &Self) -> bool {
        let comma = self.len as usize;
        self.text.as_bytes().get(comma) == Some(&b',') && self.distance_to(next) == comma + 1
    }

    /// The text from this field to the end of `last`, which follows it, or follows one that does, and so on.
    #[inline]
    pub fn to_end_of(&self, last: &Self) -> &'a str {
        self.text
            .get(..self.distance_to(last).saturating_add(last.len as usize))
            .unwrap_or_default()
    }

    /// Bytes from the start of this field to the start of another one of the same text.
    #[inline]
    fn distance_to(&self, other: &Self) -> usize {
        other.text.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr())
    }
}

#[cfg(test)]
mod tests {
    use super::super::object;

    /// The stretches that the fields of an object make together, `-` for a field that makes none.
    fn check(text: &str, expected: &[&str]) {
        let mut runs = Vec::new();
        object(text, |_, _, run| runs.push(run)).unwrap();
        let stretches = runs.chunk_by(|one, next| {
            one.zip(*next).is_some_and(|(one, next)| one.is_followed_by(&next))
        });
        let stretches = stretches.map(|fields| match (fields.first(), fields.last()) {
            (Some(Some(first)), Some(Some(last))) => first.to_end_of(last),
            _ => "-",
        });
        assert_eq!(stretches.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn stretches() {
        check("{}", &[]);
        check(r#"{"a":1}"#, &[r#""a":1"#]);
        check(
            r#" {"a":1,"b":"\u00e9é","c":[{}],"d":null} "#,
            &[r#""a":1,"b":"\u00e9é","c":[{}],"d":null"#],
        );
        check(
            r#"{"a":1, "b":2,"c" :3,"d": 4,"e":5 ,"f":6}"#,
            &[r#""a":1"#, r#""b":2"#, "-", "-", r#""e":5"#, r#""f":6"#],
        );
        check(
            "{\"a\":1,\"b\":\"\t\",\"\t\":2,\"c\":[1,\n2],\"d\":3}",
            &[r#""a":1"#, "-", "-", "-", r#""d":3"#],
        );
    }

    #[test]
    fn fields_of_two_texts_do_not_follow_each_other() {
        let text = r#"{"a":1,"b":2}{"c":3}"#;
        let mut runs = Vec::new();
        let end = object(text, |_, _, run| runs.extend(run)).unwrap();
        object(&text[end..], |_, _, run| runs.extend(run)).unwrap();
        let [a, b, c] = runs[..] else { unreachable!() };
        assert!(a.is_followed_by(&b) && !b.is_followed_by(&a) && !a.is_followed_by(&c));
        assert!(!b.is_followed_by(&c) && !a.is_followed_by(&a));
    }
}

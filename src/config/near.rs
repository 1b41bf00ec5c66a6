//! The nearest known name to a mistyped one.

use strsim::normalized_damerau_levenshtein;

/// Names less alike than this (0 to 1) are no help: `Pth` and `Path` are 0.75 alike.
const LIKENESS_MIN: f64 = 0.6;

/// The name most like `written`, letter case aside, if one is like it at all.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    let mut best = None;
    let mut best_likeness = LIKENESS_MIN;
    for name in names {
        let likeness = normalized_damerau_levenshtein(&written, &name.to_ascii_lowercase());
        if likeness > best_likeness {
            best_likeness = likeness;
            best = Some(name);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn names_and_their_nearest() {
        let names = ["Path", "Path_Key", "Parser", "Refresh_Interval"];
        for (written, expected) in [
            ("Pth", Some("Path")),
            ("parsr", Some("Parser")),
            ("refresh_intervall", Some("Refresh_Interval")),
            ("whatever", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }
}

//! The tag of a file: `Tag` with its `*`, or with the captures of `Tag_Regex`.

use crate::record::Tag;
use std::path::Path;
use tailwater_parsers::regex::Pattern;

/// Makes the tags of files.
#[derive(Debug)]
pub(super) enum TagMaker {
    /// All files have this one.
    Fixed(Tag),
    /// `*` stands for the file's path.
    Star(String),
    /// `<name>` stands for what the capture of that name matched in the path.
    Captured(String, Box<Pattern>),
}

impl TagMaker {
    /// Reads `Tag` and `Tag_Regex`. One that is no regular expression, of which the configuration was told, is none.
    pub(super) fn read(tag: &str, regex: Option<&str>) -> Self {
        match regex.map(Pattern::new) {
            Some(Ok(pattern)) => Self::Captured(tag.to_owned(), Box::new(pattern)),
            Some(Err(_)) | None if tag.contains('*') => Self::Star(tag.to_owned()),
            Some(Err(_)) | None => Self::Fixed(Tag::new(tag)),
        }
    }

    /// The tag of the file at `path`. `None`: `Tag_Regex` does not match, and Fluent Bit leaves such files out.
    pub(super) fn tag(&self, path: &Path) -> Option<Tag> {
        let path = path.to_string_lossy();
        match self {
            Self::Fixed(tag) => Some(tag.clone()),
            Self::Star(tag) => Some(Tag::new(&dotted(&tag.replacen('*', &path, 1)))),
            Self::Captured(tag, pattern) => captured(tag, pattern, &path).map(|tag| Tag::new(&tag)),
        }
    }
}

/// A path as a tag: slashes, backslashes and colons are dots, dots do not repeat, and there are none at the
/// start for a slash or at the end.
pub(super) fn dotted(text: &str) -> String {
    let mut tag = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '/' | '\\' | ':' if tag.is_empty() => {}
            '/' | '\\' | ':' | '.' if tag.ends_with('.') => {}
            '/' | '\\' | ':' => tag.push('.'),
            '*' => {}
            other => tag.push(other),
        }
    }
    if tag.ends_with('.') {
        tag.pop();
    }
    tag
}

/// The tag with each `<name>` replaced; `_` for what did not match.
fn captured(tag: &str, pattern: &Pattern, path: &str) -> Option<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut captures = pattern.captures();
    let keep = |_: usize, name: &str, value: &str| found.push((name.to_owned(), value.to_owned()));
    if !pattern.fields(&mut captures, path, keep) {
        return None;
    }
    let mut out = String::with_capacity(tag.len() + path.len());
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((name, behind)) = after.split_once('>') else { break };
        out.push_str(before);
        let value = found.iter().find(|(known, value)| known == name && !value.is_empty());
        out.push_str(value.map_or("_", |(_, value)| value));
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tag: &str, regex: Option<&str>, path: &str, expected: Option<&str>) {
        let made = TagMaker::read(tag, regex).tag(Path::new(path));
        assert_eq!(made.as_ref().map(Tag::as_str), expected);
    }

    #[test]
    fn a_star_is_the_path_with_dots() {
        check("kube.*", None, "/var/log/a_b.log", Some("kube.var.log.a_b.log"));
        check("*", None, "/var/log/x", Some("var.log.x"));
        check("a.*.z", None, "/d//e./f", Some("a.d.e.f.z"));
        check("fixed", None, "/d/e", Some("fixed"));
        check("*", None, "c:\\d\\e*.log.", Some("c.d.e.log"));
    }

    #[test]
    fn captures_of_the_path_stand_for_their_names() {
        let regex = Some(r"/(?<pod>[^/_]+)_(?<rest>[^/]*)\.log$");
        check("k.<pod>.<none>.x", regex, "/c/web_1.log", Some("k.web._.x"));
        check("k.<pod>", regex, "/c/nothing", None);
        check("k.<pod>", Some("(?<pod>"), "/c/web", Some("k.<pod>"));
    }
}

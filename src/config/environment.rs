//! `${VAR}` and `${VAR:-default}` in values.

use std::collections::BTreeMap;

/// Variables: those of `@SET` before those of the process.
pub struct Environment<'a> {
    set: BTreeMap<String, String>,
    process: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_list().entries(self.set.keys()).finish()
    }
}

impl<'a> Environment<'a> {
    /// The variables of the process alone.
    pub fn new(process: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { set: BTreeMap::new(), process }
    }

    /// Sets a variable as `@SET` does: before the process's own, the last one counts.
    pub fn set(&mut self, name: &str, value: String) {
        self.set.insert(name.to_owned(), value);
    }

    /// The text with its variables replaced, once; names without a value go to `unset` and leave
    /// nothing. A `${` without `}` stays as it is.
    pub fn expand(&self, text: &str, unset: &mut Vec<String>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((variable, behind)) = after.split_once('}').filter(|it| !it.0.is_empty())
            else {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            };
            out.push_str(before);
            let (name, default) = match variable.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (variable, None),
            };
            match (self.get(name), default) {
                (Some(value), _) => out.push_str(&value),
                (None, Some(default)) => out.push_str(default),
                (None, None) => unset.push(name.to_owned()),
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    /// A variable's value; an empty one is as good as none, as in Fluent Bit.
    fn get(&self, name: &str) -> Option<String> {
        let value = self.set.get(name).cloned().or_else(|| (self.process)(name));
        value.filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let process = |name: &str| match name {
            "HOME" => Some("/home/me".to_owned()),
            "EMPTY" => Some(String::new()),
            "v" => Some("hidden".to_owned()),
            _ => None,
        };
        let mut environment = Environment::new(&process);
        environment.set("v", "1 2".to_owned());
        for (text, expected, unset) in [
            ("plain", "plain", ""),
            ("${HOME}/x", "/home/me/x", ""),
            ("a${v}b${v}", "a1 2b1 2", ""),
            ("${no}", "", "no"),
            ("${EMPTY}", "", "EMPTY"),
            ("${no:-d:-e}", "d:-e", ""),
            ("${EMPTY:-d}", "d", ""),
            ("${v:-d}", "1 2", ""),
            ("${no:-}", "", ""),
            ("${}x", "${}x", ""),
            ("^\\d{3} ${v", "^\\d{3} ${v", ""),
            ("a{2} ${v}", "a{2} 1 2", ""),
            ("$HOME", "$HOME", ""),
        ] {
            let mut names = Vec::new();
            assert_eq!(environment.expand(text, &mut names), expected, "{text}");
            assert_eq!(names.join(","), unset, "{text}");
        }
    }
}

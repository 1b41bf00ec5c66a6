//! Which fields a record may have when it comes to a filter, as far as the configuration alone can tell: for
//! filters that wait for what never comes.
//!
//! All here errs to one side. A field that may be there is taken for there; what nobody can know, the JSON of
//! an application, may hold anything.

use crate::config::diagnostics::finding;
use crate::config::{Diagnostics, Location, Severity, nearest};
use crate::record::{Accessor, Name};
use std::collections::BTreeSet;

/// The field that holds what the application wrote.
pub const LOG: &str = "log";

/// The field under which the filter `kubernetes` puts what it adds of the pod.
pub const KUBERNETES: &str = "kubernetes";

/// What the records of one tag, or of several, may be like at one place of the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Fields that something before may have made.
    named: BTreeSet<String>,
    /// Whether there may be any other field, since something before reads what others wrote.
    is_open: bool,
    /// What may be under [`KUBERNETES`], if every record has been through the filter.
    kubernetes: Option<Vec<&'static str>>,
    /// Who took [`LOG`] from every record in which it was JSON.
    merged: Option<Merged>,
}

/// A filter `kubernetes` with `Merge_Log On` and `Keep_Log Off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Where it is told to keep `log` not.
    pub location: Location,
    /// Whether it reads nothing but JSON: no `Merge_Parser`.
    pub is_json: bool,
}

/// Why a field is not there.
#[derive(Debug, PartialEq, Eq)]
pub enum Absence<'a> {
    /// Nothing makes it. What was meant instead, if that can be told.
    Never(Option<String>),
    /// It is there only in records where it was not merged.
    Merged(&'a Merged),
}

impl Outlook {
    /// These fields and no others.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        let named = fields.into_iter().map(str::to_owned).collect();
        Self { named, ..Self::default() }
    }

    /// Nobody knows.
    pub fn open() -> Self {
        Self { is_open: true, ..Self::default() }
    }

    /// What is made of it is this field, too.
    pub fn add(&mut self, name: &str) {
        self.named.insert(name.to_owned());
    }

    /// There may be any field from here on.
    pub fn add_unknown(&mut self) {
        self.is_open = true;
    }

    /// Leaves only the fields that `stays` is true for; of those that nobody knows, all.
    pub fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.named.retain(|name| stays(name));
    }

    /// Whether a record can have this field.
    pub fn may_have(&self, name: &str) -> bool {
        self.is_open || self.named.contains(name)
    }

    /// Every record has been through a filter `kubernetes`, which makes these under [`KUBERNETES`].
    pub fn add_kubernetes(&mut self, names: Vec<&'static str>) {
        self.add(KUBERNETES);
        self.kubernetes = Some(names);
    }

    /// No record has [`LOG`] any more in which it could be merged.
    pub fn merge_log(&mut self, merged: Merged) {
        self.merged = Some(merged);
    }

    /// Takes in what else a record may be like: one of another input, or one that a filter did not see.
    pub fn join(&mut self, other: &Self) {
        self.named.extend(other.named.iter().cloned());
        self.is_open |= other.is_open;
        self.kubernetes = self.kubernetes.take().filter(|_| other.kubernetes.is_some());
        self.merged = self.merged.take().filter(|_| other.merged.is_some());
    }

    /// Why what the accessor names is not there, or not in every record; `None` if it may be, or nobody knows.
    pub fn absence(&self, accessor: &Accessor) -> Option<Absence<'_>> {
        let mut names = accessor.names();
        let Some(Name::Key(key)) = names.next() else { return None };
        if let (LOG, Some(merged)) = (key, &self.merged) {
            return Some(Absence::Merged(merged));
        }
        if key == KUBERNETES
            && let (Some(known), Some(Name::Key(inner))) = (&self.kubernetes, names.next())
            && !known.contains(&inner)
        {
            let near = nearest(inner, known.iter().copied());
            return Some(Absence::Never(near.map(|near| format!("$kubernetes['{near}']"))));
        }
        if self.named.contains(key) {
            return None;
        }
        let flat = self.flattened(key);
        if flat.is_some() || !self.is_open {
            let near = || nearest(key, self.named.iter().map(String::as_str)).map(str::to_owned);
            return Some(Absence::Never(flat.or_else(near)));
        }
        None
    }

    /// What a name such as `kubernetes_namespace_name` was meant for. Other programs write the pod's fields flat;
    /// behind the filter `kubernetes` they lie in its map.
    fn flattened(&self, key: &str) -> Option<String> {
        let known = self.kubernetes.as_ref()?;
        let rest = key.strip_prefix(KUBERNETES)?.strip_prefix(['_', '.', '-'])?;
        if known.contains(&rest) {
            return Some(format!("$kubernetes['{rest}']"));
        }
        ["labels", "annotations"].iter().filter(|map| known.contains(map)).find_map(|map| {
            let name = rest.strip_prefix(map)?.strip_prefix(['_', '.', '-'])?;
            Some(format!("$kubernetes['{map}']['{name}']"))
        })
    }
}

impl Absence<'_> {
    /// Reports it of `what`, which is one line of a filter and reads the field `key`. `effect` is what comes of
    /// it if the field is never there, `remedy` what to do if it was merged.
    pub fn report(
        &self,
        what: &str,
        key: &str,
        effect: &str,
        remedy: &str,
        location: &Location,
        diagnostics: &mut Diagnostics,
    ) {
        let warning = |message| finding(Severity::Warning, location, message);
        diagnostics.add(match self {
            Self::Never(meant) => {
                let message = format!(
                    "`{what}` {effect}: no parser and no filter before it makes a field `{key}`"
                );
                match meant {
                    Some(meant) => {
                        warning(message).with_remedy(format!("did you mean `{meant}`?"))
                    }
                    None => warning(message),
                }
            }
            Self::Merged(merged) => {
                let read = if merged.is_json { "is JSON" } else { "could be read" };
                let message = format!(
                    "`{what}` sees no line that {read}: `kubernetes` merges `{key}` and does not keep it, {}",
                    merged.location
                );
                warning(message).with_remedy(remedy)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind_kubernetes() -> Outlook {
        let mut outlook = Outlook::of(["stream", "log"]);
        outlook.add_kubernetes(vec!["pod_name", "namespace_name", "labels"]);
        outlook
    }

    #[track_caller]
    fn check(outlook: &Outlook, key: &str, expected: &str) {
        let said = match outlook.absence(&Accessor::parse(key).unwrap()) {
            None => "",
            Some(Absence::Merged(_)) => "merged",
            Some(Absence::Never(None)) => "never",
            Some(Absence::Never(Some(meant))) => &format!("never, but {meant}"),
        };
        assert_eq!(said, expected, "{key}");
    }

    #[test]
    fn what_nothing_makes() {
        let closed = Outlook::of(["stream", "logtag", "log"]);
        check(&closed, "log", "");
        check(&closed, "$log['a']", "");
        check(&closed, "strem", "never, but stream");
        check(&closed, "level", "never");
        check(&closed, "kubernetes_namespace_name", "never");
    }

    #[test]
    fn what_json_may_bring() {
        check(&Outlook::open(), "level", "");
        check(&Outlook::open(), "kubernetes_namespace_name", "");
        check(&Outlook::open(), "$kubernetes['nmespace']", "");
    }

    #[test]
    fn what_lies_in_the_map_of_kubernetes() {
        for outlook in [behind_kubernetes(), Outlook { is_open: true, ..behind_kubernetes() }] {
            check(&outlook, "$kubernetes['namespace_name']", "");
            check(&outlook, "$kubernetes['labels']['app']", "");
            check(&outlook, "$kubernetes", "");
            check(&outlook, "$kubernetes['namespace']", "never, but $kubernetes['namespace_name']");
            check(&outlook, "kubernetes_pod_name", "never, but $kubernetes['pod_name']");
            check(&outlook, "kubernetes_labels_app", "never, but $kubernetes['labels']['app']");
        }
    }

    #[test]
    fn what_only_some_records_have() {
        let merged = Merged { location: Location::command_line(), is_json: true };
        let mut outlook = behind_kubernetes();
        outlook.merge_log(merged);
        check(&outlook, "log", "merged");
        // Records of another input have it, and may have been anywhere.
        outlook.join(&Outlook::open());
        check(&outlook, "log", "");
        check(&outlook, "kubernetes_pod_name", "");
    }
}

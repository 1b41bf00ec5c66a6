//! The properties of `systemd`.

use crate::config::{Diagnostics, ElseFirst, Repeated, Verbatim, choices, properties};
use crate::input::sqlite::DatabaseSync;

choices! {
    /// How several `Systemd_Filter` go together.
    pub enum FilterType {
        /// An entry must match one of them.
        Or = "or",
        /// An entry must match all of them.
        And = "and",
    }
}

properties! {
    /// Reads systemd's journal, of this machine or in a folder. Needs libsystemd, which is looked for only then.
    pub struct SystemdOptions for "systemd" {
        /// The folder of the journal; without it, this machine's own in `/var/log/journal` and `/run/log/journal`.
        path: Option<String> ["Path"],
        /// `FIELD=value`: takes only entries with it.
        systemd_filter: Repeated<Verbatim> ["Systemd_Filter"],
        /// Whether an entry must match one `Systemd_Filter` or all of them.
        systemd_filter_type: FilterType ["Systemd_Filter_Type" = "or"],
        /// Begins with what is written from now on, where the `DB` knows no position.
        read_from_tail: bool ["Read_From_Tail" = "false"],
        /// Leaves out one underscore at the start of a field's name.
        strip_underscores: bool ["Strip_Underscores" = "false"],
        /// Writes the names of fields in lower case.
        lowercase: bool ["Lowercase" = "false"],
        /// SQLite file that keeps the position, as Fluent Bit has it; a file for each input. Without it, a restart begins
        /// as `Read_From_Tail` says.
        db: Option<String> ["DB"],
        /// How carefully the position is written.
        db_sync: ElseFirst<DatabaseSync> ["DB.Sync" = "normal"],
        /// Fields of an entry that are taken; what it has more is left out.
        max_fields: i64 ["Max_Fields" = "8000"],
        /// Entries that are read in one turn, before other inputs have theirs; a turn also ends at 1 MiB.
        max_entries: i64 ["Max_Entries" = "5000"],
    }
}

impl SystemdOptions {
    /// Reports every `Systemd_Filter` that the library would refuse, and with which Fluent Bit does not start.
    pub fn check_filters(&self, diagnostics: &mut Diagnostics) {
        for filter in self.systemd_filter.iter().filter(|filter| !is_match(&filter.value)) {
            let message = format!(
                "`Systemd_Filter` `{}` is no `FIELD=value`: a field's name has capital letters, digits and underscores, \
                 and does not begin with two of these",
                filter.value.0
            );
            diagnostics.error(&filter.location, message);
        }
    }
}

/// Whether the library takes this as a match.
fn is_match(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else { return false };
    let is_letter =
        |letter: u8| letter == b'_' || letter.is_ascii_uppercase() || letter.is_ascii_digit();
    !name.is_empty() && !name.starts_with("__") && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_matched() {
        for text in ["_SYSTEMD_UNIT=a.service", "MESSAGE=", "9A=x", "A==", "_A=b # c"] {
            assert!(is_match(text), "{text}");
        }
        for text in ["", "=", "=x", "A", "a=b", "A-B=c", "__CURSOR=x", " A=b"] {
            assert!(!is_match(text), "{text}");
        }
    }
}

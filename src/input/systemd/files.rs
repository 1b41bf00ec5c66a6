//! The journal's files, looked at from outside: the library passes over those that it cannot use, and names none.
//!
//! What a file begins with: <https://systemd.io/JOURNAL_FILE_FORMAT/>, "Header".

use rustix::process::{getegid, getgroups};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where journald writes, for as long as the machine runs and for ever.
const OWN_ROOTS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

/// What names this machine's folder in them.
const MACHINE_ID: &str = "/etc/machine-id";

/// Who is in which group.
const GROUPS: &str = "/etc/group";

/// journald itself keeps 100; beyond this many, the rest is not looked at from outside.
const FILES_MAX: usize = 4096;

/// What every journal file begins with.
const SIGNATURE: &[u8] = b"LPKSHHRH";

/// Where the header says how long it is itself, and how long what follows.
const HEADER_SIZE_OFFSET: usize = 88;
const ARENA_SIZE_OFFSET: usize = 96;

/// Where it says which number its newest entry has.
const TAIL_NUMBER_OFFSET: usize = 160;

/// As much of the header as is looked at.
const HEAD_LEN: usize = TAIL_NUMBER_OFFSET + 8;

/// Files that are opened one by one in a turn, to see whether their newest entry can be reached.
const PROBES_MAX: usize = 32;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Defect {
    /// It may not be read; its group may, if that is what is missing.
    Denied(Option<u32>),
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is no journal file, or its beginning is damaged.
    Foreign,
    /// It was so many bytes long, and is shorter now.
    Truncated(u64, u64),
    /// The library does not read it, or not any more.
    Left,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(group) => write!(f, "no permission to read it; {}", remedy(*group)),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Foreign => f.write_str("it does not begin as a journal file does"),
            Self::Truncated(was, is) => {
                write!(f, "it is cut short: {is} bytes are left of {was}")
            }
            Self::Left => f.write_str(
                "libsystemd cannot read it, or not to its end: it is damaged, or written by a journald that is newer \
                 than this library (`journalctl --verify --file` tells)",
            ),
        }
    }
}

/// What lets a process read what this group may: the journal belongs to `systemd-journal`, and `adm` may read it by
/// an access list.
pub(super) fn remedy(group: Option<u32>) -> String {
    let Some(group) = group else { return "run as root, or change its mode".to_owned() };
    let name = group_name(&std::fs::read_to_string(GROUPS).unwrap_or_default(), group);
    let name = name.unwrap_or_else(|| group.to_string());
    format!(
        "this process lacks the group `{name}`: give it that one, or `adm` where that may read the journal \
         (`SupplementaryGroups=systemd-journal adm` in a unit, `supplementalGroups: [{group}]` in a pod)"
    )
}

/// The name that the lines of a group file have for a number.
fn group_name(groups: &str, number: u32) -> Option<String> {
    let name = |line: &str| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    };
    groups.lines().find_map(name)
}

/// The group that may read this and that this process is not in; `None`: that is not what is missing.
pub(super) fn missing_group(path: &Path) -> Option<u32> {
    /// Read by the group.
    const GROUP_READ: u32 = 0o040;
    let status = path.metadata().ok()?;
    let group = status.gid();
    let is_member = getegid().as_raw() == group
        || getgroups().is_ok_and(|groups| groups.iter().any(|it| it.as_raw() == group));
    (status.mode() & GROUP_READ != 0 && !is_member && group != 0).then_some(group)
}

/// Looks at the files.
#[derive(Debug)]
pub(super) struct Files {
    folders: Vec<PathBuf>,
    /// What was told of.
    told: BTreeSet<PathBuf>,
    /// Those whose newest entry could not be reached the first time.
    suspects: BTreeSet<PathBuf>,
    /// Those of which it is known whether it can be.
    probed: BTreeSet<PathBuf>,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    /// How many files can be used, as far as one sees.
    pub usable: usize,
    /// Those that cannot, and were not told of before.
    pub bad: Vec<(PathBuf, Defect)>,
}

impl Files {
    /// The files of the journal in this folder, or of this machine's.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        let folders = folder.map_or_else(own_folders, |folder| vec![folder.to_owned()]);
        Self { folders, told: BTreeSet::new(), suspects: BTreeSet::new(), probed: BTreeSet::new() }
    }

    /// Where they lie, for the log.
    pub(super) fn places(&self) -> String {
        let places: Vec<_> = self.folders.iter().map(|it| it.display().to_string()).collect();
        places.join(" and ")
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self) -> Look {
        let mut look = Look { usable: 0, bad: Vec::new() };
        for path in self.files() {
            match defect(&path) {
                None => look.usable += 1,
                Some(defect) => look.bad.extend(self.tell(path, defect)),
            }
        }
        look
    }

    /// Sees whether the newest entry of each file can be reached, of files that were not seen to; `newest` asks the
    /// library for its number. It passes over what it finds damaged, and all behind that, without a word. Those of which
    /// it is sure that it cannot, since this is the second time; and whether more is to be seen to.
    pub(super) fn probe(
        &mut self,
        newest: impl Fn(&Path) -> Option<u64>,
    ) -> (Vec<(PathBuf, Defect)>, bool) {
        let files = self.files();
        self.probed.retain(|path| files.contains(path));
        let (mut bad, mut are_more, mut left) = (Vec::new(), false, PROBES_MAX);
        for path in files {
            if self.probed.contains(&path) {
                continue;
            }
            let Some(room) = left.checked_sub(1) else { return (bad, true) };
            left = room;
            let Ok((head, len)) = read_head(&path) else { continue };
            let Some(last) = number(&head, TAIL_NUMBER_OFFSET) else { continue };
            if judge(&head, len).is_some() {
                continue;
            }
            if last == 0 || newest(&path).is_some_and(|reached| reached >= last) {
                self.suspects.remove(&path);
            } else if !self.suspects.remove(&path) {
                // Its writer may have counted an entry and not linked it yet.
                self.suspects.insert(path);
                are_more = true;
                continue;
            } else {
                bad.extend(self.tell(path.clone(), Defect::Left));
            }
            self.probed.insert(path);
        }
        (bad, are_more)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.folders.iter().flat_map(|folder| journal_files(folder)).take(FILES_MAX).collect()
    }

    /// A defect, unless it was told of.
    fn tell(&mut self, path: PathBuf, defect: Defect) -> Option<(PathBuf, Defect)> {
        let is_new = self.told.len() < FILES_MAX && self.told.insert(path.clone());
        is_new.then_some((path, defect))
    }
}

/// The folders of this machine's journal, whether they are there or not.
fn own_folders() -> Vec<PathBuf> {
    let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    OWN_ROOTS.iter().map(|root| Path::new(root).join(machine.trim())).collect()
}

/// The journal files in a folder, and in the folders of machines in it.
fn journal_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut machines = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".journal") || name.ends_with(".journal~") {
            files.push(entry.path());
        } else if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            machines.push(entry.path());
        }
    }
    for machine in machines {
        files.extend(std::fs::read_dir(machine).into_iter().flatten().flatten().filter_map(
            |entry| {
                let name = entry.file_name();
                let name = name.to_str()?;
                (name.ends_with(".journal") || name.ends_with(".journal~")).then(|| entry.path())
            },
        ));
    }
    files.sort();
    files
}

/// What is wrong with a file, if anything. One that is gone, or as good as empty since it has only just been made, is
/// not wrong.
fn defect(path: &Path) -> Option<Defect> {
    match read_head(path) {
        Ok((head, len)) => judge(&head, len),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Some(Defect::Denied(missing_group(path)))
        }
        Err(error) => Some(Defect::Unreadable(error)),
    }
}

/// What a file begins with, and how long it is.
fn read_head(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut head = Vec::with_capacity(HEAD_LEN);
    file.take(HEAD_LEN as u64).read_to_end(&mut head)?;
    Ok((head, len))
}

/// A number of the header, if it is so long.
fn number(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?))
}

/// What is wrong with a file that begins like this and is so long.
fn judge(head: &[u8], len: u64) -> Option<Defect> {
    if len == 0 {
        return None;
    }
    let sizes = number(head, HEADER_SIZE_OFFSET).zip(number(head, ARENA_SIZE_OFFSET));
    let Some((header, arena)) = sizes.filter(|_| head.starts_with(SIGNATURE)) else {
        return Some(Defect::Foreign);
    };
    let was = header.saturating_add(arena);
    (was > len).then_some(Defect::Truncated(was, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn head(header: u64, arena: u64) -> Vec<u8> {
        let mut head = vec![0; HEAD_LEN];
        head[..8].copy_from_slice(SIGNATURE);
        head[HEADER_SIZE_OFFSET..][..8].copy_from_slice(&header.to_le_bytes());
        head[ARENA_SIZE_OFFSET..][..8].copy_from_slice(&arena.to_le_bytes());
        head
    }

    fn check(head: &[u8], len: u64, expected: &Expect) {
        let found = judge(head, len).map(|defect| defect.to_string());
        expected.assert_eq(&found.unwrap_or_default());
    }

    #[test]
    fn a_file_is_judged_by_its_head() {
        check(&head(264, 736), 1000, &expect![""]);
        check(&head(264, 736), 1001, &expect![""]);
        check(&head(264, 736), 999, &expect!["it is cut short: 999 bytes are left of 1000"]);
        check(
            &head(264, u64::MAX),
            999,
            &expect!["it is cut short: 999 bytes are left of 18446744073709551615"],
        );
        check(b"", 0, &expect![""]);
        check(b"LPKSHHRH", 8, &expect!["it does not begin as a journal file does"]);
        check(&[0; HEAD_LEN], 1000, &expect!["it does not begin as a journal file does"]);
    }

    #[test]
    fn a_group_is_called_by_its_name() {
        let groups = "root:x:0:\nadm:x:4:syslog\nsystemd-journal:x:999:\nbroken\n";
        assert_eq!(group_name(groups, 999).as_deref(), Some("systemd-journal"));
        assert_eq!(group_name(groups, 4).as_deref(), Some("adm"));
        assert_eq!(group_name(groups, 5), None);
    }

    #[test]
    fn each_bad_file_is_told_once() {
        let folder = tailwater_testing::folder();
        let machine = folder.path().join("0123456789abcdef0123456789abcdef");
        std::fs::create_dir(&machine).unwrap();
        std::fs::write(folder.path().join("a.journal"), head(264, 0)).unwrap();
        std::fs::write(folder.path().join("b.journal"), head(1, 0)).unwrap();
        std::fs::write(folder.path().join("c.journal"), "").unwrap();
        std::fs::write(folder.path().join("d.log"), "no journal").unwrap();
        std::fs::write(machine.join("system.journal~"), "no journal").unwrap();
        let mut files = Files::new(Some(folder.path()));
        let names = |look: &Look| {
            let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            look.bad.iter().map(|(path, _)| name(path)).collect::<Vec<_>>()
        };
        let look = files.look();
        assert_eq!(
            (look.usable, names(&look)),
            (2, vec!["system.journal~".to_owned(), "a.journal".to_owned()])
        );
        let look = files.look();
        assert_eq!((look.usable, look.bad.len()), (2, 0));
    }

    #[test]
    fn a_file_whose_newest_entry_cannot_be_reached_is_told_once() {
        let folder = tailwater_testing::folder();
        let path = folder.path().join("a.journal");
        let mut bytes = head(1, 0);
        bytes[TAIL_NUMBER_OFFSET] = 9;
        std::fs::write(&path, bytes).unwrap();
        let probe = |files: &mut Files, newest| {
            let (bad, are_more) = files.probe(|_| newest);
            (bad.len(), are_more)
        };
        for newest in [None, Some(8)] {
            let mut files = Files::new(Some(folder.path()));
            assert_eq!(probe(&mut files, newest), (0, true));
            assert_eq!(probe(&mut files, newest), (1, false));
            assert_eq!(probe(&mut files, newest), (0, false));
        }
        // It was only not written to its end.
        let mut files = Files::new(Some(folder.path()));
        assert_eq!(probe(&mut files, Some(8)), (0, true));
        assert_eq!(probe(&mut files, Some(9)), (0, false));
        assert_eq!(probe(&mut files, None), (0, false));
    }

    #[test]
    fn many_files_are_seen_to_bit_by_bit() {
        let folder = tailwater_testing::folder();
        let mut bytes = head(1, 0);
        bytes[TAIL_NUMBER_OFFSET] = 9;
        for file in 0..=PROBES_MAX {
            std::fs::write(folder.path().join(format!("{file}.journal")), &bytes).unwrap();
        }
        let asked = std::cell::Cell::new(0);
        let ask = |_: &Path| {
            asked.set(asked.get() + 1);
            Some(9)
        };
        let mut files = Files::new(Some(folder.path()));
        assert!(files.probe(ask).1);
        assert_eq!(asked.get(), PROBES_MAX);
        assert!(!files.probe(ask).1);
        assert_eq!(asked.get(), PROBES_MAX + 1);
    }
}

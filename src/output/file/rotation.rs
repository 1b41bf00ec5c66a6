//! Rotation by size: a full file is renamed, packed and, with its time, thrown away.

use crate::clock;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::tz::TimeZone;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// When a file is rotated, and what stays of it.
#[derive(Debug)]
pub(super) struct Rotation {
    /// A file of at least so many bytes is rotated before it is written to again.
    pub(super) bytes_max: u64,
    /// Rotated files that stay beside a file.
    pub(super) count_max: usize,
    /// Whether rotated files are packed.
    pub(super) gzip: bool,
    /// Name of the output instance, for the log.
    pub(super) name: String,
}

impl Rotation {
    /// Rotates a file that is full. What fails is logged and tried again at the next piece: the file is written on.
    pub(super) fn rotate_if_large(&self, path: &Path) {
        let is_large = fs::metadata(path)
            .is_ok_and(|status| status.is_file() && status.len() >= self.bytes_max);
        if is_large && let Err(error) = self.rotate(path) {
            tracing::warn!(output = self.name, path = %path.display(), %error, "cannot rotate");
        }
    }

    fn rotate(&self, path: &Path) -> io::Result<()> {
        let rotated = with_end(path, &format!(".{}", suffix()));
        fs::rename(path, &rotated)?;
        if self.gzip {
            pack(&rotated)?;
        }
        self.trim(path)
    }

    /// Removes the oldest rotated files beyond the number that stays.
    fn trim(&self, path: &Path) -> io::Result<()> {
        let mut rotated = rotated_files(path)?;
        rotated.sort();
        let excess = rotated.len().saturating_sub(self.count_max);
        rotated.iter().take(excess).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// `20231114_221320_0123abcd`: the local time, and a number that tells rotations of one second apart.
fn suffix() -> String {
    let time = jiff::Timestamp::from_nanosecond(clock::now().into()).unwrap_or_default();
    let local = time.to_zoned(TimeZone::system());
    format!("{}_{:08x}", local.strftime("%Y%m%d_%H%M%S"), fastrand::u32(..))
}

/// Packs a file beside itself and removes it. Under its last name a packed file is always whole.
fn pack(path: &Path) -> io::Result<()> {
    let unfinished = with_end(path, ".gz.part");
    let packed = || -> io::Result<()> {
        let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
        io::copy(&mut File::open(path)?, &mut encoder)?;
        encoder.finish()?;
        fs::rename(&unfinished, with_end(path, ".gz"))
    };
    if let Err(error) = packed() {
        // The file itself stays; if there is no half of a packed one to remove, so much the better.
        let _removed = fs::remove_file(&unfinished);
        return Err(error);
    }
    fs::remove_file(path)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The rotated files of `path` with the times of their last writes.
fn rotated_files(path: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let file_name = entry.file_name();
        let end = file_name.to_str().and_then(|it| it.strip_prefix(name)?.strip_prefix('.'));
        if !end.is_some_and(is_suffix) {
            continue;
        }
        let status = entry.metadata()?;
        if status.is_file() {
            found.push((status.modified()?, entry.path()));
        }
    }
    Ok(found)
}

/// Whether a rotation gave this end: digits of a time, and those of a number, which came later.
fn is_suffix(end: &str) -> bool {
    let end = end.strip_suffix(".gz").unwrap_or(end);
    let parts: Vec<&str> = end.split('_').collect();
    let is = |part: &str, len: usize, is_digit: fn(&u8) -> bool| {
        part.len() == len && part.as_bytes().iter().all(is_digit)
    };
    let (date, time, number) = match parts.as_slice() {
        [date, time] => (date, time, None),
        [date, time, number] => (date, time, Some(number)),
        _ => return false,
    };
    is(date, 8, u8::is_ascii_digit)
        && is(time, 6, u8::is_ascii_digit)
        && number.is_none_or(|number| is(number, 8, u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn rotation(count_max: usize, gzip: bool) -> Rotation {
        Rotation { bytes_max: 4, count_max, gzip, name: "file.0".to_owned() }
    }

    #[test]
    fn a_full_file_is_packed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "abc").unwrap();
        rotation(7, true).rotate_if_large(&path);
        assert_eq!(names(folder.path()), ["f"], "it is not full");

        fs::write(&path, "abcd").unwrap();
        rotation(7, true).rotate_if_large(&path);
        let [packed] = &names(folder.path())[..] else { panic!("one file") };
        let end = packed.strip_prefix("f.").unwrap();
        assert!(is_suffix(end) && is_suffix(end.strip_suffix(".gz").unwrap()));
        let mut text = String::new();
        let file = File::open(folder.path().join(packed)).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcd");
    }

    #[test]
    fn the_oldest_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let others = ["f.20231114_22132", "f.log", "g.20231114_221320", "f.20231114_221320_xyz"];
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let old = folder.path().join("f.20231114_221320.gz");
        fs::write(&old, "").unwrap();
        File::options()
            .append(true)
            .open(&old)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        let path = folder.path().join("f");
        for _ in 0..3 {
            fs::write(&path, "abcd").unwrap();
            rotation(2, false).rotate_if_large(&path);
        }
        assert!(!old.exists());
        assert_eq!(names(folder.path()).len(), others.len() + 2);
    }

    #[test]
    fn a_device_is_never_rotated() {
        Rotation { bytes_max: 0, ..rotation(1, true) }.rotate_if_large(Path::new("/dev/null"));
        assert!(Path::new("/dev/null").exists());
    }
}

//! Appending to a file that others may rotate, fill up or take away meanwhile.

use super::rotation::Rotation;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Opens files as the configuration wants it.
#[derive(Debug)]
pub(super) struct Appender {
    /// Whether missing folders are created.
    pub(super) mkdir: bool,
    pub(super) rotation: Option<Rotation>,
}

/// What one file gets of a chunk.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) path: String,
    /// What to write: the names of the columns, then the lines.
    pub(super) bytes: Vec<u8>,
    /// Bytes of the names, which only a new file gets.
    pub(super) names_len: usize,
    /// Bytes that are written, or left out.
    pub(super) written: usize,
}

impl Appender {
    /// Writes what is left of the piece. Each file is opened for each piece and then closed, so that one that
    /// was renamed is created anew, and no more than one is ever open.
    pub(super) fn write(&self, piece: &mut Piece) -> io::Result<()> {
        self.try_write(piece).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound if !self.mkdir => "; create the folder or set `Mkdir On`",
                _ => "",
            };
            // The kind is hidden with intent: a broken pipe means something to the thread that calls.
            io::Error::other(format!("{}: {error}{hint}", piece.path))
        })
    }

    fn try_write(&self, piece: &mut Piece) -> io::Result<()> {
        let path = Path::new(&piece.path);
        // Half a line is finished where it was begun.
        if piece.written == 0
            && let Some(rotation) = &self.rotation
        {
            rotation.rotate_if_large(path);
        }
        let mut file = self.open(path)?;
        if piece.written == 0 && file.metadata()?.len() > 0 {
            piece.written = piece.names_len;
        }
        while let Some(rest) = piece.bytes.get(piece.written..).filter(|rest| !rest.is_empty()) {
            match file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => piece.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let open = || OpenOptions::new().append(true).create(true).open(path);
        let opened = open();
        match (&opened, path.parent()) {
            (Err(error), Some(folder)) if self.mkdir && error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
                open()
            }
            _ => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::read_to_string;

    fn piece(path: &Path) -> Piece {
        let path = path.to_str().unwrap().to_owned();
        Piece { path, bytes: b"names\nline\n".to_vec(), names_len: 6, written: 0 }
    }

    #[test]
    fn only_a_new_file_gets_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/f");
        let appender = Appender { mkdir: true, rotation: None };
        appender.write(&mut piece(&path)).unwrap();
        appender.write(&mut piece(&path)).unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "names\nline\nline\n");
    }

    #[test]
    fn what_was_written_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let appender = Appender { mkdir: false, rotation: None };
        let mut half = Piece { written: 8, ..piece(&path) };
        appender.write(&mut half).unwrap();
        appender.write(&mut half).unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "ne\n");
    }

    #[test]
    fn a_missing_folder_and_a_full_disk_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/f");
        let appender = Appender { mkdir: false, rotation: None };
        let said = |path: &Path| appender.write(&mut piece(path)).unwrap_err().to_string();
        assert_eq!(
            said(&missing),
            format!(
                "{}: No such file or directory (os error 2); create the folder or set `Mkdir On`",
                missing.display()
            )
        );
        assert_eq!(
            said(Path::new("/dev/full")),
            "/dev/full: No space left on device (os error 28)"
        );
    }
}

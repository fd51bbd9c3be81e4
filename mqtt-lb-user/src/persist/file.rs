//! A file that is replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Tries to get the file beside to oneself.
const TRIES: usize = 3;

/// What will stand in place of a file once [`Replacement::commit`] has been called.
/// Dropped before, it leaves nothing.
pub(super) struct Replacement {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    written: u64,
    committed: bool,
}

impl Replacement {
    /// Begins a replacement of `path`, in a file beside it that only this user can
    /// read. What a killed process has left there is used again.
    ///
    /// # Errors
    /// The file cannot be made, or another process is writing it.
    pub fn new(path: &Path) -> io::Result<Self> {
        let beside = with_suffix(path, ".tmp");
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
            let file = options.open(&beside)?;
            // SAFETY: the descriptor is open.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
                let error = io::Error::last_os_error();
                return Err(match error.kind() {
                    io::ErrorKind::WouldBlock => io::Error::other(
                        "another process is writing it: give each balancer a file of its own",
                    ),
                    _ => error,
                });
            }
            // Another process may have moved it into place before we had the lock.
            let mine = file.metadata()?;
            let same = fs::symlink_metadata(&beside)
                .is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino()));
            if same {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
                file.set_len(0)?;
                return Ok(Self {
                    path: path.to_owned(),
                    beside,
                    file,
                    written: 0,
                    committed: false,
                });
            }
        }
        Err(io::Error::other("other processes are writing it"))
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Puts it in place, once it is on the disk.
    ///
    /// # Errors
    /// What the system says; the file that was there stays.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        self.committed = true;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        File::open(directory)?.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.committed {
            // It is locked, so it is ours; nothing is lost when it stays.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// The path with something behind it.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut first = Replacement::new(&path).unwrap();
        first.append(b"one").unwrap();
        assert!(!path.exists());
        assert_eq!(first.written(), 3);
        first.commit().unwrap();
        assert_eq!(content(&path), "one");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        let mut second = Replacement::new(&path).unwrap();
        second.append(b"two").unwrap();
        drop(second);
        assert_eq!(content(&path), "one");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn what_a_killed_process_left_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(dir.path().join("a.tmp"), "a long rest of another life").unwrap();
        let mut new = Replacement::new(&path).unwrap();
        new.append(b"new").unwrap();
        new.commit().unwrap();
        assert_eq!(content(&path), "new");
    }

    #[test]
    fn two_writers_do_not_mix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let first = Replacement::new(&path).unwrap();
        let refused = Replacement::new(&path).err().unwrap();
        assert!(refused.to_string().contains("another process"), "{refused}");
        first.commit().unwrap();
        assert!(Replacement::new(&path).is_ok());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let other = dir.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("a.tmp")).unwrap();
        assert!(Replacement::new(&path).is_err());
        assert_eq!(content(&other), "precious");
    }
}

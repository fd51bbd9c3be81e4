//! The directory that holds the maps and links of one network namespace, and the
//! lock that says a process is using it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{bpffs, layout};

/// A directory of pins, locked: nobody else changes it while this lives. The kernel
/// takes the lock away when the process ends, however it does.
#[derive(Debug)]
pub struct Pins {
    path: PathBuf,
    _lock: File,
}

impl Pins {
    /// Makes the directory for the network namespace `netns` below `base` if need be,
    /// and locks it.
    ///
    /// # Errors
    /// There is no bpffs, or another process uses the directory.
    pub fn claim(base: &Path, netns: u64) -> anyhow::Result<Self> {
        bpffs::ensure_mounted(base)?;
        let path = base.join(layout::directory()).join(netns.to_string());
        loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .with_context(|| format!("making {}", path.display()))?;
            match Self::lock(&path) {
                Ok(Some(pins)) => return Ok(pins),
                Ok(None) => bail!(
                    "another mqtt-lb of this network namespace uses {}",
                    path.display()
                ),
                // `flows flush` has removed it in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
        }
    }

    /// Locks the directory `path`; `None` when another process has.
    ///
    /// # Errors
    /// Also [`io::ErrorKind::NotFound`] when it has been removed meanwhile.
    pub fn lock(path: &Path) -> io::Result<Option<Self>> {
        // Closed on exec, as everything that std opens: a child cannot keep the lock.
        let lock = File::open(path)?;
        // SAFETY: flock takes no pointers.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            };
        }
        let (mine, there) = (lock.metadata()?, fs::metadata(path)?);
        if (mine.dev(), mine.ino()) != (there.dev(), there.ino()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Some(Self {
            path: path.to_owned(),
            _lock: lock,
        }))
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of what is pinned.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    /// Removes what is pinned: links first, so that no packet meets half of the maps.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        let (maps, links): (Vec<_>, Vec<_>) = self
            .names()?
            .into_iter()
            .partition(|name| layout::MAPS.iter().any(|shape| shape.name == name));
        for name in links.into_iter().chain(maps) {
            fs::remove_file(self.path.join(name))?;
        }
        Ok(())
    }

    /// Removes the directory with all that is pinned there.
    ///
    /// # Errors
    /// A file or the directory cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.clear()?;
        fs::remove_dir(&self.path)?;
        // Gone with its last namespace; kept while there are others.
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// Directories of pins below `base`, of every layout; of one network namespace only
/// when `netns` is given.
///
/// # Errors
/// A directory cannot be read; that there is none is not an error.
pub fn directories(base: &Path, netns: Option<u64>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for layout in subdirectories(base, |name| name.starts_with('v'))? {
        found.extend(subdirectories(&layout, |name| {
            name.parse::<u64>()
                .is_ok_and(|cookie| netns.is_none_or(|netns| netns == cookie))
        })?);
    }
    found.sort();
    Ok(found)
}

fn subdirectories(path: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

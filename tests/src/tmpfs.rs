//! A small disk that can be full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A tmpfs in a directory of its own, gone on drop.
#[derive(Debug)]
pub struct Tmpfs(TempDir);

impl Tmpfs {
    /// A disk with room for `size`, as mount(8) writes it. A namespace that is
    /// entered later sees it too.
    pub fn new(size: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let tmpfs = Self(dir);
        tmpfs.mount(&format!("size={size}"));
        tmpfs
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn mount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]);
        let status = mount.arg(self.path()).status().expect("run mount");
        assert!(status.success(), "mount -o {options}: {status}");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

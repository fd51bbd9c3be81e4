//! A directory in bpffs for the pinned maps of one balancer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const BPFFS: &str = "/sys/fs/bpf";
const PREFIX: &str = "mqtt-lb-bench-";

/// The directory, removed with all that is pinned in it on drop.
pub struct Pins {
    dir: PathBuf,
}

impl Pins {
    /// A name that no other has; the balancer makes the directory.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}", std::process::id());
        Self {
            dir: Path::new(BPFFS).join(name),
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            eprintln!("warning: cannot remove {}: {e}", dir.display());
        }
        _ => {}
    }
}

/// Removes what a run that was killed has left.
fn sweep() {
    for entry in fs::read_dir(BPFFS).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
    }
}

/// The process id in a directory's name.
fn owner(name: &str) -> Option<&str> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_names_its_owner() {
        let pins = Pins::new();
        let name = pins.dir().file_name().expect("a name").to_string_lossy();
        assert_eq!(owner(&name), Some(std::process::id().to_string().as_str()));
        assert_eq!(owner("mqtt-lb"), None);
    }
}

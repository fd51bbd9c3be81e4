//! Directories for pinned BPF objects, gone with the test that made them.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const MOUNT: &str = "/sys/fs/bpf";
const PREFIX: &str = "test-mqttlb";
/// `BPF_FS_MAGIC` of linux/magic.h.
const MAGIC: i64 = 0xcafe_4a11;

static COUNT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// The name of a directory that the program under test may pin to. It does not
/// exist yet; whatever is there in the end is removed on drop, and with the last
/// pin go the links and maps.
#[derive(Debug)]
pub struct PinDir(PathBuf);

impl PinDir {
    /// A name that nobody has used.
    pub fn new() -> Self {
        mount().unwrap_or_else(|e| panic!("cannot mount bpffs at {MOUNT}: {e}"));
        SWEEP.call_once(|| remove(|pid| !Path::new("/proc").join(pid).exists()));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{count}", std::process::id());
        Self(Path::new(MOUNT).join(name))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Names of everything pinned below it.
    pub fn pinned(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.0, &mut names);
        names
    }
}

impl Default for PinDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PinDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes what this process has pinned, before it leaves without its drops.
pub(crate) fn abandon() {
    let own = std::process::id().to_string();
    remove(|pid| pid == own);
}

fn collect(dir: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, names),
            path => names.extend(path.file_name().map(|n| n.to_string_lossy().into_owned())),
        }
    }
}

/// Removes the directories of test processes whose id satisfies the condition.
fn remove(whose: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(MOUNT).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(PREFIX).and_then(|r| r.strip_prefix('-'));
        let pid = rest.and_then(|r| r.split('-').next());
        if pid.is_some_and(&whose) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn mount() -> io::Result<()> {
    let path = CString::new(MOUNT)?;
    // SAFETY: both calls get NUL-terminated strings, and statfs room for its answer.
    let answer = unsafe {
        let mut about: libc::statfs = std::mem::zeroed();
        if libc::statfs(path.as_ptr(), &mut about) == 0 && about.f_type as i64 == MAGIC {
            return Ok(());
        }
        let kind = c"bpf".as_ptr();
        libc::mount(kind, path.as_ptr(), kind, 0, std::ptr::null())
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

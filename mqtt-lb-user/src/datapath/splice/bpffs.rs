//! The file system on which BPF maps and links outlive the process.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Where distributions mount bpffs; only here it is mounted when it is not.
pub const USUAL: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` (linux/magic.h).
const MAGIC: libc::__fsword_t = 0xcafe_4a11;

/// Makes sure that `path` is, or will be when it is made, on bpffs.
///
/// # Errors
/// It is not, and bpffs cannot be mounted there.
pub fn ensure_mounted(path: &Path) -> anyhow::Result<()> {
    if is_on(path)? {
        return Ok(());
    }
    if !is_usual(path) {
        bail!(
            "{} is not on bpffs: mount it there (mount -t bpf bpf DIR), or set splice.pin to a directory below {USUAL}",
            path.display()
        );
    }
    // Two processes that start at once must not hide each other's mount.
    let below = File::open(USUAL).with_context(|| {
        format!("opening {USUAL} (the kernel needs CONFIG_BPF_SYSCALL, and /sys must be mounted)")
    })?;
    // SAFETY: flock takes no pointers.
    if unsafe { libc::flock(below.as_raw_fd(), libc::LOCK_EX) } != 0 {
        return Err(io::Error::last_os_error()).context(format!("locking {USUAL}"));
    }
    if is_on(path)? {
        return Ok(());
    }
    mount().with_context(|| {
        format!("bpffs is not mounted at {USUAL} and cannot be mounted (mount -t bpf bpf {USUAL})")
    })
}

/// Whether bpffs would be mounted for `path`.
pub fn is_usual(path: &Path) -> bool {
    path.starts_with(USUAL)
}

fn mount() -> io::Result<()> {
    let target = CString::new(USUAL)?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: the strings live through the call.
    let answer = unsafe {
        libc::mount(
            c"bpf".as_ptr(),
            target.as_ptr(),
            c"bpf".as_ptr(),
            flags,
            c"mode=0700".as_ptr().cast(),
        )
    };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether `path`, or the nearest of its parents that exists, is on bpffs.
///
/// # Errors
/// The file system cannot be asked.
pub fn is_on(path: &Path) -> anyhow::Result<bool> {
    let nearest = nearest(path);
    let name = CString::new(nearest.as_os_str().as_bytes())?;
    let mut answer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: both pointers are valid through the call.
    if unsafe { libc::statfs(name.as_ptr(), answer.as_mut_ptr()) } != 0 {
        let error = io::Error::last_os_error();
        return Err(error)
            .with_context(|| format!("asking for the file system of {}", nearest.display()));
    }
    // SAFETY: the kernel has filled it.
    let answer = unsafe { answer.assume_init() };
    Ok(answer.f_type == MAGIC)
}

/// Whether this process may make `path`, or write into it.
pub fn is_writable(path: &Path) -> bool {
    let name = CString::new(nearest(path).as_os_str().as_bytes());
    // SAFETY: the string lives through the call.
    name.is_ok_and(|name| unsafe { libc::access(name.as_ptr(), libc::W_OK) } == 0)
}

/// `path`, or the nearest of its parents that exists.
fn nearest(path: &Path) -> &Path {
    let nearest = path.ancestors().find(|parent| parent.exists());
    nearest.unwrap_or(Path::new("/"))
}

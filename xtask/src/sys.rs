//! The few system calls that the standard library has no name for.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    // SAFETY: takes no argument and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Soft and hard limit of open files of this process.
pub fn open_files_limit() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Asks the kernel for a map as the sockmap path needs it, and gives it back.
///
/// # Errors
/// The kernel's: `EPERM` without the capabilities, `ENOSYS` or `EINVAL` on a
/// kernel built without.
pub fn create_sockhash() -> io::Result<()> {
    const BPF_MAP_CREATE: libc::c_long = 0;
    const BPF_MAP_TYPE_SOCKHASH: u32 = 18;
    // The head of `union bpf_attr`: type, key size, value size, entries, flags.
    let attr: [u32; 5] = [BPF_MAP_TYPE_SOCKHASH, 16, 4, 1, 0];
    // SAFETY: `attr` is as long as the size that goes with it, and the kernel
    // takes what is left out as zero.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_CREATE,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

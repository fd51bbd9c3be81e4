//! The few system calls that the standard library has no name for.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};

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

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT, SIGTERM and SIGHUP are only noted, so that what was
/// started or changed can be put right before the end.
pub fn note_interrupts() {
    let handler = note_interrupt as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is
        // async-signal-safe.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether a signal has been noted.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Lets a Ctrl-C at the terminal go past the program that `command` starts, and
/// has the kernel end it should this process be killed.
pub fn keep(command: &mut Command) {
    command.process_group(0);
    // SAFETY: prctl is async-signal-safe, which is what is asked of code
    // between fork and exec.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
}

/// Asks a child of this process, not waited for yet, to end.
pub fn terminate(child: &Child) {
    signal(child, libc::SIGTERM);
}

/// Sends a signal to a child of this process, not waited for yet.
pub fn signal(child: &Child, signal: libc::c_int) {
    if let Ok(pid) = libc::pid_t::try_from(child.id()) {
        // SAFETY: takes no pointer; the process id is not reused before the
        // child has been waited for. A child that has ended is no harm.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Processors of this machine; at least one.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lets the program that `command` starts run on one processor only.
pub fn pin(command: &mut Command, processor: usize) {
    // SAFETY: an empty set is a set; CPU_SET checks its index.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        set
    };
    // SAFETY: sched_setaffinity is async-signal-safe, and the set lives in the closure.
    unsafe {
        command.pre_exec(move || {
            match libc::sched_setaffinity(0, size_of_val(&set), &raw const set) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

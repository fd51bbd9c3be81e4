//! What a test needs of the host, and the one line printed when it is missing.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{shaper, watchdog};

/// Something a host may lack.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// Root, for namespaces and packet sockets.
    Root,
    /// The right to load BPF programs, and a kernel that has them.
    Bpf,
    /// A program, on PATH or in the system directories.
    Program(&'static str),
    /// A link that can be narrowed ([`shaper`]); needs root.
    Shaper,
}

impl Need {
    fn missing(self) -> Option<String> {
        match self {
            // SAFETY: geteuid has no preconditions.
            Need::Root => (unsafe { libc::geteuid() } != 0).then(|| "not root".to_owned()),
            Need::Bpf => (!Path::new("/sys/kernel/btf/vmlinux").exists())
                .then(|| "the kernel has no BTF (/sys/kernel/btf/vmlinux)".to_owned()),
            Need::Program(name) => find(name)
                .is_none()
                .then(|| format!("the program {name} is not installed")),
            Need::Shaper => shaper::missing(),
        }
    }
}

/// The path of a program.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file())
}

/// Whether the test can run here. If not, it prints `SKIPPED: reason`; with
/// `MQTT_LB_NO_SKIP` set in the environment a missing part is a failure.
pub fn met(needs: &[Need]) -> bool {
    watchdog::begin();
    let Some(reason) = needs.iter().find_map(|need| need.missing()) else {
        return true;
    };
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    assert!(
        std::env::var_os("MQTT_LB_NO_SKIP").is_none(),
        "{test}: {reason}, and MQTT_LB_NO_SKIP is set"
    );
    say(&format!("SKIPPED: {test}: {reason}"));
    false
}

/// Prints a line that the test runner does not swallow when the test passes.
pub fn say(line: &str) {
    // Written as one piece: lines of parallel tests stay whole.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

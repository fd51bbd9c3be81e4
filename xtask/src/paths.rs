//! Where things stand in the workspace.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's target directory: `$CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Target directory of the eBPF half: it has another compiler than the host half.
pub fn ebpf_target() -> PathBuf {
    target().join("ebpf")
}

/// Where `setup` installs a bpf-linker that it builds itself.
pub fn bpf_tools() -> PathBuf {
    target().join("bpf-tools")
}

/// The first `name` in `$PATH` or in the system's sbin directories, which a
/// plain user's `$PATH` does not have and where Debian puts the brokers.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The user's home directory, which holds `.cargo` and `.rustup`.
fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// `$CARGO_HOME` or `~/.cargo`.
pub fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from)
}

/// `$RUSTUP_HOME` or `~/.rustup`.
pub fn rustup_home() -> PathBuf {
    env::var_os("RUSTUP_HOME").map_or_else(|| home().join(".rustup"), PathBuf::from)
}

//! Finding a bpf-linker.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::stdout;
use crate::paths;

/// A bpf-linker that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linker {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// Its own version, for example `0.13.0`.
    pub version: String,
    /// Major version of the LLVM it is built on.
    pub llvm: u32,
}

impl Linker {
    /// Whether it can read what a compiler on LLVM `llvm` writes: LLVM reads
    /// the bitcode of older releases, not that of newer ones.
    pub fn reads(&self, llvm: u32) -> bool {
        self.llvm >= llvm
    }
}

/// The bpf-linkers of this machine, best first: `$BPF_LINKER` alone where it is
/// set, else the one that `setup` built, those in `$PATH`, cargo's.
pub fn all() -> Vec<Linker> {
    candidates()
        .iter()
        .filter_map(|path| inspect(path))
        .collect()
}

fn candidates() -> Vec<PathBuf> {
    if let Some(path) = env::var_os("BPF_LINKER") {
        return vec![path.into()];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = [paths::bpf_tools().join("bin")]
        .into_iter()
        .chain(env::split_paths(&path))
        .chain([paths::cargo_home().join("bin")])
        .map(|dir| dir.join("bpf-linker"))
        .filter(|file| file.is_file())
        .collect();
    found.dedup();
    found
}

fn inspect(path: &Path) -> Option<Linker> {
    let version = stdout(Command::new(path).arg("--version")).ok()?;
    // LLVM's own option answers before any input is opened.
    let llvm = stdout(Command::new(path).args([
        "--target=bpf",
        "--llvm-args=--version",
        "--output=/dev/null",
        "/dev/null",
    ]))
    .ok()?;
    Some(Linker {
        path: path.canonicalize().ok()?,
        version: version.trim().trim_start_matches("bpf-linker ").to_owned(),
        llvm: llvm_major(&llvm)?,
    })
}

/// The major version in LLVM's `--version` text.
fn llvm_major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("LLVM version ")?;
    rest.split(['.', '\n']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_version_is_read_in_each_vendors_form() {
        let debian = "Debian LLVM version 22.1.8\n  Optimized build.\n";
        assert_eq!(llvm_major(debian), Some(22));
        let upstream = "LLVM (http://llvm.org/):\n  LLVM version 23.1.4-rust-1.101.0-nightly\n";
        assert_eq!(llvm_major(upstream), Some(23));
        assert_eq!(llvm_major("bpf-linker 0.13.0"), None);
    }

    #[test]
    fn bitcode_of_a_newer_llvm_is_not_read() {
        let linker = Linker {
            path: "/x".into(),
            version: "0.13.0".into(),
            llvm: 22,
        };
        assert!(linker.reads(21) && linker.reads(22));
        assert!(!linker.reads(23));
    }
}

//! Finding a compiler that can build the eBPF half.
//!
//! No toolchain ships a `core` for the BPF targets, so it is built along
//! (`-Zbuild-std=core`), which needs the library source of exactly the compiler
//! that is used.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{leave_outer_cargo, stdout};
use crate::paths;
use crate::rustc::Version;

/// A Rust toolchain with its own library source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Its `rustc`; its other programs stand beside it.
    pub rustc: PathBuf,
    /// What it says about itself.
    pub version: Version,
}

impl Compiler {
    /// A program of the same toolchain, if it has it.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        let tool = self.rustc.with_file_name(name);
        tool.is_file().then_some(tool)
    }

    /// `program` of this toolchain with no other one in its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        leave_outer_cargo(&mut command);
        command
            .current_dir(paths::root())
            .env("CARGO", self.rustc.with_file_name("cargo"))
            .env("RUSTC", &self.rustc);
        if !self.version.is_nightly() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

/// The usable compilers of this machine, best first: `$EBPF_RUSTC` alone where
/// it is set, else rustup's, nightly first, then the system's.
pub fn all() -> Vec<Compiler> {
    candidates()
        .iter()
        .filter_map(|rustc| inspect(rustc))
        .collect()
}

fn candidates() -> Vec<PathBuf> {
    if let Some(rustc) = env::var_os("EBPF_RUSTC") {
        return vec![rustc.into()];
    }
    let toolchains = paths::rustup_home().join("toolchains");
    let mut names: Vec<String> = fs::read_dir(&toolchains)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    in_order_of_preference(&mut names);
    let rustups = names
        .iter()
        .map(|name| toolchains.join(name).join("bin/rustc"));
    let systems = ["/usr/bin/rustc", "/usr/local/bin/rustc"].map(PathBuf::from);
    rustups
        .chain(systems)
        .filter(|rustc| rustc.is_file())
        .collect()
}

/// Plain nightly, then dated nightlies from the newest, then the others.
fn in_order_of_preference(names: &mut [String]) {
    names.sort_by(|a, b| b.cmp(a));
    names.sort_by_key(|name| match name.strip_prefix("nightly-") {
        Some(rest) if !rest.starts_with(|c: char| c.is_ascii_digit()) => 0,
        Some(_) => 1,
        None => 2,
    });
}

/// The compiler at `rustc`, if it runs, has its library source and a cargo.
fn inspect(rustc: &Path) -> Option<Compiler> {
    let ask = |what: &[&str]| {
        let mut command = Command::new(rustc);
        leave_outer_cargo(&mut command);
        stdout(command.args(what)).ok()
    };
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
    let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    // `rustc` may be rustup's proxy: the real programs are in the sysroot.
    let bin = sysroot.join("bin");
    let usable = source.is_file() && bin.join("cargo").is_file();
    usable.then_some(Compiler {
        rustc: bin.join("rustc"),
        version: Version::parse(&ask(&["-vV"])?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightly_comes_first_and_the_newest_date_before_older_ones() {
        let mut names = [
            "1.95.0-x86_64-unknown-linux-gnu",
            "nightly-2025-01-01-x86_64-unknown-linux-gnu",
            "stable-x86_64-unknown-linux-gnu",
            "nightly-2026-01-01-x86_64-unknown-linux-gnu",
            "nightly-x86_64-unknown-linux-gnu",
        ]
        .map(String::from);
        in_order_of_preference(&mut names);
        let order: Vec<&str> = names.iter().map(|n| &n[..n.len() - 25]).collect();
        assert_eq!(
            order,
            [
                "nightly",
                "nightly-2026-01-01",
                "nightly-2025-01-01",
                "stable",
                "1.95.0"
            ]
        );
    }
}

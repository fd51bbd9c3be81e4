//! Installs a compiler with its library source and a bpf-linker that fits it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::command::{cargo, leave_outer_cargo, run, stdout};
use crate::compiler::Compiler;
use crate::paths;
use crate::toolchain::Found;

/// The bpf-linker to build, and the LLVM releases it can be built on.
const LINKER: &str = "0.13.0";
const LLVMS: [u32; 3] = [21, 22, 23];

/// A toolchain that rustup installs.
const RUSTUP: [&str; 9] = [
    "toolchain",
    "install",
    "nightly",
    "--profile",
    "minimal",
    "--component",
    "rust-src",
    "--component",
    "clippy",
];

/// Tries in turn: the compilers that are there, Debian's, rustup's nightly.
/// Debian's comes with the LLVM that its linker needs; rustup's needs a
/// prebuilt linker where the system's LLVM is older.
///
/// Prints why each of them failed. Whether one did its work is seen by looking
/// at the machine again.
pub fn install() {
    let attempt = |name: &str, compiler: fn() -> Result<()>| {
        let result = compiler().and_then(|()| linker());
        if let Err(error) = &result {
            println!("  {name}: {error:#}");
        }
        result.is_ok()
    };
    let _done = attempt("with what is here", || Ok(()))
        || attempt("with Debian's compiler", debians_compiler)
        || attempt("with rustup's nightly", rustups_compiler);
}

/// Adds clippy to the compiler of the eBPF half.
///
/// # Errors
/// If it cannot be installed.
pub fn install_clippy() -> Result<()> {
    let Some(toolchain) = Found::look().toolchain() else {
        return Ok(());
    };
    let compiler = toolchain.compiler;
    if compiler.tool("cargo-clippy").is_some() {
        return Ok(());
    }
    if compiler.rustc.starts_with("/usr") {
        return apt::install(&["rust-web-clippy"])
            .context("missing clippy; run `apt-get install rust-web-clippy` as root");
    }
    let name = compiler.rustc.ancestors().nth(2).and_then(Path::file_name);
    run(rustup()
        .args(["component", "add", "clippy", "--toolchain"])
        .args(name))
}

fn debians_compiler() -> Result<()> {
    apt::usable()?;
    if !apt::knows("rustc-web") {
        bail!("this release has no package rustc-web");
    }
    apt::install(&["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"])
}

fn rustups_compiler() -> Result<()> {
    if paths::program("rustup").is_none() {
        bail!("this machine has no rustup");
    }
    run(rustup().args(RUSTUP))
}

fn rustup() -> Command {
    let mut command = Command::new("rustup");
    leave_outer_cargo(&mut command);
    command
}

/// Gets a linker for one of the compilers, if none has one yet.
fn linker() -> Result<()> {
    let found = Found::look();
    if found.toolchain().is_some() {
        return Ok(());
    }
    let mut last = anyhow::anyhow!("no compiler with its library source");
    for compiler in &found.compilers {
        match linker_for(compiler) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn linker_for(compiler: &Compiler) -> Result<()> {
    if paths::program("cargo-binstall").is_some() {
        let mut binstall = cargo();
        binstall.args(["binstall", "--no-confirm", "--root"]);
        let result = run(binstall.arg(paths::bpf_tools()).arg("bpf-linker"));
        match result {
            Ok(()) if Found::look().toolchain().is_some() => return Ok(()),
            Ok(()) => println!("  the prebuilt bpf-linker is on an older LLVM"),
            Err(error) => println!("  {error:#}"),
        }
    }
    linker_from_source(compiler.version.llvm)
}

fn linker_from_source(llvm: u32) -> Result<()> {
    let (llvm, prefix) = llvm_for(llvm)?;
    let mut cargo = cargo();
    cargo
        .args(["install", "bpf-linker", "--locked", "--force"])
        .args(["--version", LINKER, "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(paths::bpf_tools())
        .env("LLVM_PREFIX", prefix);
    run(&mut cargo)
}

/// The development files of an LLVM for a compiler on LLVM `wanted`: of those
/// that are installed, else of Debian's.
fn llvm_for(wanted: u32) -> Result<(u32, PathBuf)> {
    if let Some(llvm) = closest(wanted, |llvm| prefix(llvm).is_some()) {
        return Ok((llvm, prefix(llvm).unwrap_or_default()));
    }
    let package = |llvm: u32| format!("llvm-{llvm}-dev");
    let Some(llvm) = closest(wanted, |llvm| apt::knows(&package(llvm))) else {
        bail!("no development files of LLVM {wanted} to build bpf-linker on");
    };
    apt::install(&[&package(llvm), "g++", "libzstd-dev", "zlib1g-dev"])?;
    let prefix = prefix(llvm).with_context(|| format!("{} has no headers", package(llvm)))?;
    Ok((llvm, prefix))
}

/// The oldest LLVM that is there, that bpf-linker can be built on, and that
/// reads what a compiler on LLVM `wanted` writes.
fn closest(wanted: u32, is_there: impl Fn(u32) -> bool) -> Option<u32> {
    LLVMS
        .into_iter()
        .find(|&llvm| llvm >= wanted && is_there(llvm))
}

/// Where the development files of LLVM `llvm` are.
fn prefix(llvm: u32) -> Option<PathBuf> {
    let debians = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let by_config = |name: &str| {
        let version = stdout(Command::new(name).arg("--version")).ok()?;
        let prefix = stdout(Command::new(name).arg("--prefix")).ok()?;
        let fits = version.starts_with(&format!("{llvm}."));
        fits.then(|| PathBuf::from(prefix.trim()))
    };
    [
        Some(debians),
        by_config(&format!("llvm-config-{llvm}")),
        by_config("llvm-config"),
    ]
    .into_iter()
    .flatten()
    .find(|prefix| prefix.join("include/llvm-c/Core.h").is_file())
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_compilers_own_llvm_is_preferred_to_a_newer_one() {
        assert_eq!(closest(22, |_| true), Some(22));
        assert_eq!(closest(22, |llvm| llvm != 22), Some(23));
    }

    #[test]
    fn an_older_llvm_does_not_do() {
        assert_eq!(closest(23, |llvm| llvm == 22), None);
        assert_eq!(closest(20, |_| false), None);
    }

    #[test]
    fn bpf_linker_is_built_on_no_llvm_it_does_not_know() {
        assert_eq!(closest(14, |_| true), Some(21));
        assert_eq!(closest(24, |_| true), None);
    }
}

//! Cargo commands for the eBPF half.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::run;
use crate::paths;
use crate::toolchain::Toolchain;

/// BPF programs have the byte order of the machine that loads them.
const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// Builds the object and returns its absolute path.
///
/// # Errors
/// If it does not compile or link.
pub fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let cargo = toolchain.compiler.rustc.with_file_name("cargo");
    let mut command = command(toolchain, &cargo, "build");
    run(command.arg("--release"))?;
    let object = paths::ebpf_target()
        .join(TARGET)
        .join("release/mqtt-lb-ebpf");
    object
        .canonicalize()
        .with_context(|| format!("the build left no {}", object.display()))
}

/// Lints the eBPF half with the compiler that builds it.
///
/// # Errors
/// On any warning, or if the toolchain has no clippy.
pub fn clippy(toolchain: &Toolchain) -> Result<()> {
    let Some(clippy) = toolchain.compiler.tool("cargo-clippy") else {
        bail!(
            "the eBPF compiler {} has no clippy: run `cargo xtask setup --test`",
            toolchain.compiler.rustc.display()
        );
    };
    // Called by hand: as `cargo clippy`, cargo would take the first one it
    // finds, which may be another toolchain's.
    run(command(toolchain, &clippy, "clippy").args(["--", "-D", "warnings"]))
}

fn command(toolchain: &Toolchain, program: &Path, subcommand: &str) -> Command {
    let linker = format!("-Clinker={}", toolchain.linker.path.display());
    let flags = [linker.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf"].join("\u{1f}");
    let mut command = toolchain.compiler.command(program);
    command
        .arg(subcommand)
        .args([
            "--locked",
            "--package",
            "mqtt-lb-ebpf",
            "--bin",
            "mqtt-lb-ebpf",
        ])
        .args([
            "--features",
            "programs",
            "-Zbuild-std=core",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(paths::ebpf_target())
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    command
}

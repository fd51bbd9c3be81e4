//! `cargo xtask build` and `run`: the eBPF half, then the userspace half with
//! the eBPF object inside.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use crate::step::step;
use crate::{doctor, ebpf, paths};

/// The environment variable through which `mqtt-lb-user/build.rs` gets the object.
pub const OBJECT_VARIABLE: &str = "MQTT_LB_EBPF_OBJ";

/// Builds both halves and returns the absolute path of `mqtt-lb`. `debug` is about the userspace half: the kernel's half
/// always has optimisation and debug information.
///
/// # Errors
/// If a part of the toolchain is missing or a half does not compile.
pub fn build(debug: bool) -> Result<PathBuf> {
    let object = object()?;
    step("mqtt-lb", || userspace(&object, debug))
}

/// Builds the eBPF half alone.
///
/// # Errors
/// If a part of the toolchain is missing or it does not compile.
pub fn object() -> Result<PathBuf> {
    let toolchain = doctor::require_toolchain()?;
    step("eBPF object", || ebpf::build(&toolchain))
}

/// Builds the userspace half around the object.
///
/// # Errors
/// If it does not compile.
pub fn userspace(object: &Path, debug: bool) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--locked", "--package", "mqtt-lb-user"]);
    if !debug {
        cargo.arg("--release");
    }
    command::run(cargo.env(OBJECT_VARIABLE, object))?;
    let profile = if debug { "debug" } else { "release" };
    let binary = paths::target().join(profile).join("mqtt-lb");
    binary
        .canonicalize()
        .with_context(|| format!("the build left no {}", binary.display()))
}

/// Builds and then becomes `mqtt-lb` with `args`.
///
/// # Errors
/// Those of [`build`], or if the program cannot be started.
pub fn run(debug: bool, args: &[String]) -> Result<()> {
    let binary = build(debug)?;
    let error = Command::new(&binary).args(args).exec();
    Err(error).with_context(|| format!("cannot run {}", binary.display()))
}

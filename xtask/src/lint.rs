//! `cargo xtask lint`: what must hold before a change lands. Every warning is
//! an error.

use anyhow::Result;

use crate::build::{self, OBJECT_VARIABLE};
use crate::command::{cargo, run};
use crate::step::step;
use crate::{doctor, ebpf, licences};

/// Formatting, licences and sources, clippy on both halves, documentation.
///
/// # Errors
/// At the first check that fails.
pub fn lint() -> Result<()> {
    step("formatting", || {
        run(cargo().args(["fmt", "--all", "--check"]))
    })?;
    step("licences and sources", licences::check)?;
    let toolchain = doctor::require_toolchain()?;
    step("clippy on the eBPF half", || ebpf::clippy(&toolchain))?;
    let object = build::object()?;
    step("clippy on the host half", || {
        run(cargo()
            .args(["clippy", "--locked", "--workspace", "--all-targets"])
            .args(["--", "-D", "warnings"])
            .env(OBJECT_VARIABLE, &object))
    })?;
    step("documentation", || {
        run(cargo()
            .args(["doc", "--locked", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .env(OBJECT_VARIABLE, &object))
    })
}

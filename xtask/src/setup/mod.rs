//! `cargo xtask setup`: installs what is missing and nothing else.

mod apt;
mod services;
mod toolchain;

use anyhow::{Context, Result};

use crate::doctor;
use crate::programs::{self, Use};
use crate::step::step;
use crate::toolchain::Found;

/// Installs what is missing to build, and to run the demo or the tests.
///
/// # Errors
/// If something is still missing; the lines that say what have been printed.
pub fn setup(demo: bool, test: bool) -> Result<()> {
    let found = Found::look();
    if found.toolchain().is_none() {
        doctor::refuse_unusable_choice(&found)?;
        step("toolchain of the eBPF half", || {
            toolchain::install();
            doctor::require_toolchain()
        })?;
    }
    if demo {
        programs_for(Use::Demo)?;
    }
    if test {
        programs_for(Use::Test)?;
        toolchain::install_clippy()?;
    }
    Ok(())
}

/// Installs what is missing to build and to measure.
///
/// # Errors
/// If something is still missing; the lines that say what have been printed.
pub fn for_bench() -> Result<()> {
    setup(false, false)?;
    programs_for(Use::Bench)
}

fn programs_for(wanted: Use) -> Result<()> {
    let packages = programs::missing_packages(wanted);
    if packages.is_empty() {
        return Ok(());
    }
    step(&format!("packages: {}", packages.join(" ")), || {
        apt::install(&packages)
    })
    .with_context(|| {
        format!(
            "missing; run `apt-get install {}` as root",
            packages.join(" ")
        )
    })
}

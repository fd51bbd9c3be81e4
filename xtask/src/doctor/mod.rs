//! `cargo xtask doctor`: what this machine has, what it lacks, what mends it.

mod kernel;
mod toolchain;

use std::env;

use anyhow::{Result, bail};

use crate::programs;
use crate::toolchain::{Found, Toolchain};

/// One thing that the project needs on a machine.
pub struct Part {
    /// What it is called.
    pub name: String,
    /// What was found, or what is missing and the command that mends it.
    pub state: Result<String, String>,
}

impl Part {
    /// A part and its state.
    pub fn new(name: impl Into<String>, state: Result<String, String>) -> Self {
        Self {
            name: name.into(),
            state,
        }
    }

    fn is_missing(&self) -> bool {
        self.state.is_err()
    }

    fn line(&self) -> String {
        match &self.state {
            Ok(found) => format!("  ok       {}: {found}", self.name),
            Err(missing) => format!("  MISSING  {}: {missing}", self.name),
        }
    }
}

/// Prints every part, one line each.
///
/// # Errors
/// If a part of the build is missing. What only running, the demo, the tests
/// or the measurements need is shown but is no error.
pub fn doctor() -> Result<()> {
    let build = toolchain::parts(&Found::look());
    print("To build", &build);
    print("To run with the kernel's help", &kernel::parts());
    print(
        "For the demo (cargo xtask setup --demo)",
        &programs::parts(programs::Use::Demo),
    );
    print(
        "For the tests (cargo xtask setup --test)",
        &programs::parts(programs::Use::Test),
    );
    print(
        "For the measurements (cargo xtask bench)",
        &programs::parts(programs::Use::Bench),
    );
    if build.iter().any(Part::is_missing) {
        bail!("a part of the build is missing: see the MISSING lines");
    }
    Ok(())
}

/// The toolchain of the eBPF half.
///
/// # Errors
/// If there is none; the lines that say what is missing have been printed.
pub fn require_toolchain() -> Result<Toolchain> {
    let found = Found::look();
    match found.toolchain() {
        Some(toolchain) => Ok(toolchain),
        None => {
            print("To build", &toolchain::parts(&found));
            bail!("the eBPF half cannot be built on this machine yet: run `cargo xtask setup`")
        }
    }
}

/// Whoever names a compiler or a linker gets that one or none: nothing that could
/// be installed would be used.
///
/// # Errors
/// If `$EBPF_RUSTC` or `$BPF_LINKER` names something that does not do.
pub fn refuse_unusable_choice(found: &Found) -> Result<()> {
    let unusable = [
        ("EBPF_RUSTC", found.compilers.is_empty()),
        ("BPF_LINKER", true),
    ];
    for (name, is_unusable) in unusable {
        if let Some(value) = env::var_os(name).filter(|_| is_unusable) {
            print("To build", &toolchain::parts(found));
            bail!(
                "${name} is {}, which does not do: correct or unset it",
                value.display()
            );
        }
    }
    Ok(())
}

fn print(title: &str, parts: &[Part]) {
    println!("{title}:");
    for part in parts {
        println!("{}", part.line());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_line() {
        let found = Part::new("kernel", Ok("6.18".into()));
        assert_eq!(found.line(), "  ok       kernel: 6.18");
        let missing = Part::new("bpffs", Err("mount it".into()));
        assert_eq!(missing.line(), "  MISSING  bpffs: mount it");
        assert!(missing.is_missing() && !found.is_missing());
    }
}

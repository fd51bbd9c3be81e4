//! Debian packages.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::{Result, bail};

use super::services;
use crate::command::{run, stdout};
use crate::{paths, sys};

/// Whether packages can be installed here.
///
/// # Errors
/// If not, with the reason.
pub fn usable() -> Result<()> {
    if paths::program("apt-get").is_none() {
        bail!("this machine has no apt-get");
    }
    if !sys::is_root() {
        bail!("apt-get needs root");
    }
    Ok(())
}

/// Whether the package lists have `package`.
pub fn knows(package: &str) -> bool {
    if usable().is_err() {
        return false;
    }
    update();
    Command::new("apt-cache")
        .args(["show", "--no-all-versions", package])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Installs `packages` without what they merely recommend. Services that come
/// with them are neither started now nor at the next boot.
///
/// # Errors
/// If there is no apt-get, no root, or apt-get fails.
pub fn install(packages: &[&str]) -> Result<()> {
    usable()?;
    update();
    let before = installed()?;
    let denial = services::deny_starts()?;
    let result = run(Command::new("apt-get")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null()));
    drop(denial);
    let new: Vec<String> = installed()?.difference(&before).cloned().collect();
    services::disable_those_of(&new)?;
    result
}

/// Reads the package lists anew, once in this run. Old lists may do as well, so
/// a failure is only shown.
fn update() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(error) = run(Command::new("apt-get").args(["update", "-q"])) {
            eprintln!("warning: {error:#}; going on with the package lists of before");
        }
    });
}

fn installed() -> Result<BTreeSet<String>> {
    let mut query = Command::new("dpkg-query");
    let text = stdout(query.args(["--show", "--showformat=${db:Status-Abbrev} ${Package}\n"]))?;
    Ok(parse_installed(&text))
}

/// The names in lines such as `ii  mosquitto`; those of removed packages start
/// otherwise.
fn parse_installed(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("ii "))
        .map(|name| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let text = "ii  mosquitto\nrc  haproxy\nii  libc6\nun  ejabberd\n";
        let names: Vec<_> = parse_installed(text).into_iter().collect();
        assert_eq!(names, ["libc6", "mosquitto"]);
    }
}

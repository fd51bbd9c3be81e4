//! Keeps the services of newly installed packages from running: the demo and
//! the tests start their own brokers on their own ports.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{run, stdout};
use crate::{paths, sys};

/// Debian asks this program before any package script starts a service; exit
/// code 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const SCRIPT: &str =
    "#!/bin/sh\n# Written by mqtt-lb's `cargo xtask setup`, which removes it again.\nexit 101\n";

/// Services are not started until this is dropped.
pub struct Denial {
    policy: PathBuf,
    saved: Option<PathBuf>,
}

/// Forbids package scripts to start services. A policy that was there is moved
/// aside, and put back in the end.
///
/// # Errors
/// If the policy cannot be written.
pub fn deny_starts() -> Result<Denial> {
    // The policy must be put back even after a Ctrl-C.
    sys::note_interrupts();
    deny_starts_at(Path::new(POLICY))
}

fn deny_starts_at(policy: &Path) -> Result<Denial> {
    let write = || -> io::Result<Denial> {
        let saved = match fs::read(policy) {
            // Left by a setup that was killed.
            Ok(text) if text == SCRIPT.as_bytes() => None,
            Ok(_) => {
                let saved = policy.with_extension("d.saved-by-mqtt-lb");
                fs::rename(policy, &saved)?;
                Some(saved)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let denial = Denial {
            policy: policy.into(),
            saved,
        };
        fs::write(policy, SCRIPT)?;
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
        Ok(denial)
    };
    write().with_context(|| format!("cannot write {}", policy.display()))
}

impl Drop for Denial {
    fn drop(&mut self) {
        let result = match &self.saved {
            Some(saved) => fs::rename(saved, &self.policy),
            None => fs::remove_file(&self.policy),
        };
        if let Err(error) = result {
            eprintln!("warning: {} is left behind: {error}", self.policy.display());
        }
    }
}

/// Takes the services of `packages` out of the next boot.
///
/// # Errors
/// If a package's files cannot be listed or a service cannot be disabled.
pub fn disable_those_of(packages: &[String]) -> Result<()> {
    for package in packages {
        let files = stdout(Command::new("dpkg").args(["--listfiles", package]))?;
        for script in names(&files, "/etc/init.d/") {
            run(Command::new("update-rc.d").args([script, "disable"]))?;
        }
        if paths::program("systemctl").is_some() {
            for unit in names(&files, "/lib/systemd/system/").filter(|unit| is_started(unit)) {
                run(Command::new("systemctl").args(["--quiet", "disable", unit]))?;
            }
        }
    }
    Ok(())
}

/// The files that stand right in `dir`.
fn names<'a>(files: &'a str, dir: &'a str) -> impl Iterator<Item = &'a str> {
    files
        .lines()
        .filter_map(move |file| file.strip_prefix("/usr").unwrap_or(file).strip_prefix(dir))
        .filter(|name| !name.contains('/'))
}

/// Whether a unit can be started at boot by its own name: templates cannot.
fn is_started(unit: &str) -> bool {
    let kind = unit.ends_with(".service") || unit.ends_with(".socket");
    kind && !unit.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_scripts_are_found_among_a_packages_files() {
        let files = "/.\n/etc/init.d\n/etc/init.d/mosquitto\n/lib/systemd/system\n\
                     /lib/systemd/system/mosquitto.service\n/usr/sbin/mosquitto\n\
                     /usr/lib/systemd/system/epmd@.service\n\
                     /lib/systemd/system/x.service.d/local.conf\n";
        assert_eq!(
            names(files, "/etc/init.d/").collect::<Vec<_>>(),
            ["mosquitto"]
        );
        let units: Vec<_> = names(files, "/lib/systemd/system/").collect();
        assert_eq!(units, ["mosquitto.service", "epmd@.service"]);
        assert!(is_started(units[0]) && !is_started(units[1]));
    }

    #[test]
    fn a_policy_that_was_there_comes_back() {
        let dir = std::env::temp_dir().join(format!("xtask-policy-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let policy = dir.join("policy-rc.d");

        drop(deny_starts_at(&policy).unwrap());
        assert!(!policy.exists());

        fs::write(&policy, "#!/bin/sh\nexit 0\n").unwrap();
        let denial = deny_starts_at(&policy).unwrap();
        assert_eq!(fs::read_to_string(&policy).unwrap(), SCRIPT);
        drop(denial);
        assert_eq!(fs::read_to_string(&policy).unwrap(), "#!/bin/sh\nexit 0\n");

        fs::write(&policy, SCRIPT).unwrap();
        drop(deny_starts_at(&policy).unwrap());
        assert!(!policy.exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}

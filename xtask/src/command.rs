//! Running other programs, with errors that name the whole command.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::sys;

/// The host's cargo: the one that runs this program, else the one in `$PATH`.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::paths::root());
    command
}

/// Runs `command` to its end.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    if sys::interrupted() {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote on its standard output.
///
/// # Errors
/// If it cannot be started or fails; what it wrote on its standard error is in
/// the message.
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", line(command), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a user would type it.
pub fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}

/// Removes from `command` what the cargo around this program has set: another
/// compiler's cargo would otherwise build with this one's parts and flags.
pub fn leave_outer_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_outer_cargos) {
            command.env_remove(name);
        }
    }
    // `cargo run` puts its toolchain's libraries in front; theirs must not
    // stand in for the other compiler's.
    if let Some(value) = env::var_os("LD_LIBRARY_PATH") {
        let ours = [crate::paths::target(), crate::paths::rustup_home()];
        let theirs: Vec<_> = env::split_paths(&value)
            .filter(|dir| !is_below(dir, &ours))
            .collect();
        match env::join_paths(&theirs) {
            Ok(rest) if !rest.is_empty() => command.env("LD_LIBRARY_PATH", rest),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
}

fn is_below(dir: &Path, parents: &[impl AsRef<Path>]) -> bool {
    parents.iter().any(|parent| dir.starts_with(parent))
}

/// Whether a variable steers one particular cargo or compiler. Those that say
/// where things are and how to reach the registry stay.
fn is_outer_cargos(name: &str) -> bool {
    const STAY: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let steers = name.starts_with("CARGO")
        || name.starts_with("RUSTC")
        || ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUSTDOCFLAGS"].contains(&name);
    steers && !STAY.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_cargos_variables_go() {
        for name in [
            "CARGO",
            "CARGO_PKG_NAME",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(is_outer_cargos(name), "{name}");
        }
    }

    #[test]
    fn the_users_variables_stay() {
        for name in [
            "CARGO_HOME",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_SOURCE_MINE_REPLACE_WITH",
            "CARGO_NET_OFFLINE",
            "CARGO_TERM_COLOR",
            "RUSTUP_HOME",
            "RUST_BACKTRACE",
            "PATH",
        ] {
            assert!(!is_outer_cargos(name), "{name}");
        }
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("apt-get");
        command.args(["install", "-y"]);
        assert_eq!(line(&command), "apt-get install -y");
    }
}

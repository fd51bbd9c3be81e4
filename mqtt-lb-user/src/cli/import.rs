//! `mqtt-lb import`: reads the file, prints what came of it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use mqtt_lb_user::import::{self, Imported, Note};

/// Exit code when the result lacks something that the original does.
const INCOMPLETE: u8 = 3;

/// Bytes of a file at most; a device or a wrong file is refused.
const MAX_FILE: u64 = 16 << 20;

/// Turn a configuration of HAProxy or NGINX into one of mqtt-lb.
///
/// Reads a haproxy.cfg or an nginx.conf and prints a configuration that runs, with the
/// line that each value comes from. Everything that was not taken as it is goes to
/// standard error, one line each, as FILE:LINE: text: how: why, what to do. How is one of
/// "not needed", "differs" and "not taken".
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  a configuration that does all that the original does for MQTT
  1  no configuration
  2  wrong command line
  3  a configuration; of the original's behaviour it lacks what is \"not taken\"

Examples:
  mqtt-lb import /etc/haproxy/haproxy.cfg -o /etc/mqtt-lb.toml
  mqtt-lb import --resolve nginx.conf > mqtt-lb.toml && mqtt-lb check -f mqtt-lb.toml")]
pub struct Import {
    /// The haproxy.cfg or nginx.conf.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the configuration to this file, which must not be there yet.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Overwrite the output file.
    #[arg(long, requires = "output")]
    force: bool,
    /// Look up host names of brokers now, and write the addresses they have.
    #[arg(long)]
    resolve: bool,
}

impl Import {
    /// Imports the file.
    ///
    /// # Errors
    /// The file cannot be read, the output not written, or nothing that could run is left.
    pub fn run(&self) -> Result<ExitCode> {
        let name = self.file.display().to_string();
        let text = read(&self.file).with_context(|| format!("{name} cannot be read"))?;
        let resolve: import::Resolve<'_> = if self.resolve { &look_up } else { &|_| None };
        match import::import(&name, &text, resolve) {
            Ok(imported) => {
                report(&name, &imported.notes);
                self.write(&imported)?;
                Ok(match imported.complete() {
                    true => ExitCode::SUCCESS,
                    false => ExitCode::from(INCOMPLETE),
                })
            }
            Err(failed) => {
                report(&name, &failed.notes);
                bail!("{name} makes no configuration: {}", failed.why.join("; "))
            }
        }
    }

    fn write(&self, imported: &Imported) -> Result<()> {
        let Some(path) = &self.output else {
            let mut out = std::io::stdout().lock();
            return out
                .write_all(imported.config.as_bytes())
                .context("standard output");
        };
        let mut open = OpenOptions::new();
        open.write(true);
        match self.force {
            true => open.create(true).truncate(true),
            false => open.create_new(true),
        };
        let hint = || match self.force {
            true => format!("{} cannot be written", path.display()),
            false => format!(
                "{} cannot be written; --force overwrites a file",
                path.display()
            ),
        };
        open.open(path)
            .and_then(|mut file| file.write_all(imported.config.as_bytes()))
            .with_context(hint)
    }
}

/// Prints the notes, in lines that editors can follow.
fn report(name: &str, notes: &[Note]) {
    for note in notes {
        eprintln!("{name}:{note}");
    }
}

/// The text of a file; what is not UTF-8 in it will not be understood, and noted.
fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("it is larger than 16 MiB: this is not a configuration file");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An address of a host, as the system's resolver has it; IPv4 before IPv6, as HAProxy
/// and NGINX take it.
fn look_up(host: &str) -> Option<IpAddr> {
    let all: Vec<IpAddr> = (host, 0).to_socket_addrs().ok()?.map(|a| a.ip()).collect();
    let v4 = all.iter().find(|ip| ip.is_ipv4());
    v4.or(all.first()).copied()
}

//! The balancer of the demo.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::broker::Broker;
use super::{free_address, until};
use crate::command;
use crate::kept::Kept;

/// The name of the demo's pool.
pub const POOL: &str = "brokers";

/// A running balancer.
pub struct Lb {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where metrics and health are.
    pub http: SocketAddr,
    binary: PathBuf,
    socket: PathBuf,
    process: Kept,
}

impl Lb {
    /// Starts `binary` in front of `brokers`, with its files in `dir`, and waits
    /// until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(binary: &Path, brokers: &[Broker], dir: &Path) -> Result<Self> {
        let (listen, http) = (free_address(1883)?, free_address(9180)?);
        let socket = dir.join("admin.sock");
        let config = dir.join("mqtt-lb.toml");
        fs::write(&config, configuration(listen, http, &socket, brokers)?)?;
        let mut command = Command::new(binary);
        command.args(["run", "-f"]).arg(&config);
        let process = Kept::start("mqtt-lb", &mut command, dir.join("mqtt-lb.log"))?;
        let mut lb = Self {
            listen,
            http,
            binary: binary.to_owned(),
            socket,
            process,
        };
        until(Duration::from_secs(10), || {
            lb.must_run()?;
            Ok(lb.ask(&["backend", "list"]).is_ok())
        })
        .context("mqtt-lb does not answer on its admin socket")?;
        Ok(lb)
    }

    /// # Errors
    /// If it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// The answer to a command on the admin socket.
    ///
    /// # Errors
    /// If there is none.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        command::stdout(&mut self.command(words))
    }

    /// The same command as a user would type it.
    pub fn command_line(&self, words: &[&str]) -> String {
        command::line(&self.command(words))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--socket").arg(&self.socket);
        command
    }
}

fn configuration(
    listen: SocketAddr,
    http: SocketAddr,
    socket: &Path,
    brokers: &[Broker],
) -> Result<String> {
    let mut text = format!(
        r#"[admin]
socket = "{}"

[http]
listen = "{http}"

[timeouts]
shutdown_grace = "1s"

# Nothing of the demo is to stay: neither flows nor programs, on lo only.
[splice]
interfaces = ["lo"]
pin = "/sys/fs/bpf/mqtt-lb-demo"
drop_flows = true

[listener.mqtt]
bind = "{listen}"
pool = "{POOL}"

[pool.{POOL}]
balance = "leastconn"
proxy_protocol = "off"

[pool.{POOL}.stick]
size = "100k"
expire = "30m"

[pool.{POOL}.health]
type = "mqtt"
interval = "2s"
"#,
        socket.display()
    );
    for Broker { name, address, .. } in brokers {
        write!(
            text,
            "\n[[pool.{POOL}.backend]]\nname = \"{name}\"\naddress = \"{address}\"\n"
        )?;
    }
    Ok(text)
}

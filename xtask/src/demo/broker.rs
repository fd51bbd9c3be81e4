//! One mosquitto on a free port.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{free_address, until};
use crate::kept::Kept;
use crate::{paths, sys};

/// The user and group that own nothing.
const NOBODY: u32 = 65534;

/// A running broker.
pub struct Broker {
    /// Its name in the balancer's configuration: `b1`, `b2`, …
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    process: Kept,
}

impl Broker {
    /// Starts broker `number` with its configuration and log in `dir`, and
    /// waits until it accepts connections.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(number: u32, dir: &Path) -> Result<Self> {
        let name = format!("b{number}");
        let address = free_address(0)?;
        let config = dir.join(format!("{name}.conf"));
        fs::write(&config, configuration(address))?;
        let program = paths::program("mosquitto").context("mosquitto is not installed")?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config);
        if sys::is_root() {
            // It would do the same by itself, but later: then the kernel would
            // no longer end it with this process.
            command.uid(NOBODY).gid(NOBODY);
        }
        let log = dir.join(format!("{name}.log"));
        let process = Kept::start(&format!("mosquitto {name}"), &mut command, log)?;
        let mut broker = Self {
            name,
            address,
            process,
        };
        until(Duration::from_secs(10), || {
            broker.must_run()?;
            Ok(TcpStream::connect(address).is_ok())
        })
        .with_context(|| format!("mosquitto {} on {address}", broker.name))?;
        Ok(broker)
    }

    /// # Errors
    /// If it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// What it has logged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }
}

fn configuration(address: SocketAddr) -> String {
    format!(
        "listener {} {}\nallow_anonymous true\npersistence false\nlog_dest stdout\nlog_type all\n",
        address.port(),
        address.ip()
    )
}

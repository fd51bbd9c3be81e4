//! A real broker behind the balancer.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mqtt_lb_tests::netns::Netns;

use crate::kept::Kept;
use crate::{paths, sys};

/// Time to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// mosquitto, ended on drop.
pub struct Mosquitto {
    _process: Kept,
}

impl Mosquitto {
    /// Starts it for anonymous clients, without a log of what they do, and waits until
    /// it listens. Its files are in `dir`.
    ///
    /// # Errors
    /// If it does not; its last words are in the message.
    pub fn start(ns: &Netns, address: SocketAddr, dir: &Path) -> Result<Self> {
        let file = dir.join("mosquitto.conf");
        let (ip, port) = (address.ip(), address.port());
        let text = format!(
            "listener {port} {ip}\nallow_anonymous true\nuser root\nlog_type error\n\
             set_tcp_nodelay true\n"
        );
        fs::write(&file, text)?;
        let program = paths::program("mosquitto").context("mosquitto is not installed")?;
        let mut command = ns.command(program);
        command.arg("-c").arg(&file);
        let mut process = Kept::start("mosquitto", &mut command, dir.join("mosquitto.log"))?;
        let end = Instant::now() + PATIENCE;
        while ns.connect(address).is_err() {
            process.must_run()?;
            if sys::interrupted() {
                bail!("interrupted");
            }
            if Instant::now() > end {
                bail!("mosquitto does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _process: process })
    }
}

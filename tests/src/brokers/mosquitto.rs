//! Eclipse mosquitto: one process, one listener, starts at once.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Process;
use crate::require::find;
use crate::wait;

/// A running mosquitto, killed on drop.
#[derive(Debug)]
pub struct Mosquitto {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub process: Process,
    _dir: TempDir,
}

impl Mosquitto {
    /// Starts one for anonymous clients; `settings` are added to its file.
    pub fn start(ns: &Netns, address: SocketAddr, settings: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let file = dir.path().join("mosquitto.conf");
        let text = format!(
            "listener {} {}\nallow_anonymous true\nuser root\nlog_type all\n{settings}\n",
            address.port(),
            address.ip()
        );
        std::fs::write(&file, text).expect("write mosquitto.conf");
        let program = find("mosquitto").expect("mosquitto");
        let mut command = ns.command(program);
        command.arg("-c").arg(&file);
        let process = Process::start("mosquitto", dir.path(), &mut command);
        wait::for_true("mosquitto should listen", Duration::from_secs(10), || {
            ns.connect(address).is_ok()
        });
        Self {
            address,
            process,
            _dir: dir,
        }
    }
}

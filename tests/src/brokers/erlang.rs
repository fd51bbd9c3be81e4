//! What the two brokers written in Erlang share: a port mapper of their own, a
//! cookie, a home.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Process;
use crate::require::find;
use crate::wait;

/// Port of the port mapper; the namespace has no other.
const EPMD_PORT: u16 = 4369;

/// Home and port mapper of a cluster.
#[derive(Debug)]
pub struct Erlang<'a> {
    /// The namespace.
    pub ns: &'a Netns,
    dir: TempDir,
    _epmd: Process,
}

impl<'a> Erlang<'a> {
    /// Starts the port mapper on the loopback of a namespace.
    pub fn start(ns: &'a Netns) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let cookie = dir.path().join(".erlang.cookie");
        std::fs::write(&cookie, format!("mqttlb{}", std::process::id())).expect("cookie");
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&cookie, owner_only).expect("cookie permissions");
        let mut command = ns.command(find("epmd").expect("epmd"));
        command.args(["-port", &EPMD_PORT.to_string(), "-address", "127.0.0.1"]);
        let epmd = Process::start("epmd", dir.path(), &mut command);
        let address = ([127, 0, 0, 1], EPMD_PORT).into();
        wait::for_true("epmd should listen", Duration::from_secs(10), || {
            ns.connect(address).is_ok()
        });
        Self {
            ns,
            dir,
            _epmd: epmd,
        }
    }

    /// The cluster's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A fresh directory for a node.
    pub fn node_dir(&self, node: &str) -> PathBuf {
        let dir = self.dir.path().join(node);
        std::fs::create_dir_all(dir.join("mnesia")).expect("node directory");
        dir
    }

    /// A command with the cluster's home, in its namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.ns.command(program);
        command
            .env("HOME", self.dir())
            .env("ERL_EPMD_PORT", EPMD_PORT.to_string());
        command
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .current_dir(self.dir());
        command
    }
}

/// Emulator flags for small machines: two schedulers, no busy waiting.
pub const QUIET: [&str; 8] = [
    "+S",
    "2:2",
    "+sbwt",
    "none",
    "+sbwtdcpu",
    "none",
    "+sbwtdio",
    "none",
];

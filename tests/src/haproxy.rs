//! HAProxy, to be measured beside the program under test.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::Netns;
use crate::process::Process;
use crate::require::find;
use crate::wait;

/// A running HAProxy, killed on drop.
#[derive(Debug)]
pub struct Haproxy {
    _process: Process,
    dir: TempDir,
}

impl Haproxy {
    /// Starts the published recipe (`docs/recipes.md`) with what it needs to stick and to
    /// check, and with a check twice a second; the backend is `brokers`, its servers are
    /// `b1`, `b2`, ...
    pub fn start(ns: &Netns, bind: SocketAddr, backends: &[SocketAddr]) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let socket = dir.path().join("admin.sock");
        let mut text = format!(
            "global\n  stats socket {} level admin\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 600s\n  \
             timeout server 600s\n\
             frontend mqtt\n  bind {bind}\n  tcp-request inspect-delay 10s\n  \
             tcp-request content reject unless {{ req.payload(0,0),mqtt_is_valid }}\n  \
             default_backend brokers\n\
             backend brokers\n  balance roundrobin\n  \
             stick-table type string len 32 size 100k expire 30m\n  \
             stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)\n  \
             default-server check inter 500ms fall 2 rise 1 check-send-proxy send-proxy-v2\n",
            socket.display(),
        );
        for (n, address) in (1..).zip(backends) {
            let _ = writeln!(text, "  server b{n} {address}");
        }
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("write haproxy.cfg");
        let mut command = ns.command(find("haproxy").expect("haproxy"));
        command.arg("-db").arg("-f").arg(&file);
        let process = Process::start("haproxy", dir.path(), &mut command);
        wait::for_true("HAProxy should listen", Duration::from_secs(10), || {
            ns.connect(bind).is_ok()
        });
        Self {
            _process: process,
            dir,
        }
    }

    /// Gives a command to the stats socket; what it answers.
    pub fn command(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("the stats socket");
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("a command");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Whether a server takes clients, according to `show stat`.
    pub fn is_up(&self, server: &str) -> bool {
        let stat = self.command("show stat");
        let row = format!("brokers,{server},");
        let line = stat.lines().find(|line| line.starts_with(&row));
        let status = line.and_then(|line| line.split(',').nth(17));
        status.is_some_and(|status| status.starts_with("UP"))
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }
}

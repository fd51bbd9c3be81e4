//! `mosquitto_pub` and `mosquitto_sub`: clients that somebody else wrote.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::netns::Netns;
use crate::process::Process;
use crate::require::{Need, find};

/// What it takes to run them.
pub const NEEDS: &[Need] = &[
    Need::Program("stdbuf"),
    Need::Program("mosquitto_pub"),
    Need::Program("mosquitto_sub"),
];

/// A client's id and user name; its password is `any`.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The client id.
    pub id: &'a str,
    /// The user name.
    pub user: &'a str,
}

/// A subscriber of `topic` with a session that outlives it; prints what it gets.
pub fn subscribe(ns: &Netns, dir: &Path, at: SocketAddr, who: Who<'_>, topic: &str) -> Process {
    let mut command = command(ns, "mosquitto_sub", at, who);
    // It prints its packets, of which SUBACK says that it is subscribed.
    command.args(["-d", "-c", "-q", "1", "-t", topic]);
    let mut process = Process::start(&format!("sub-{}", who.id), dir, &mut command);
    process.wait_line("received SUBACK", Duration::from_secs(20));
    process
}

/// Publishes one message with QoS 1 and ends.
pub fn publish(ns: &Netns, at: SocketAddr, who: Who<'_>, topic: &str, message: &str) {
    let mut command = command(ns, "mosquitto_pub", at, who);
    command.args(["-q", "1", "-t", topic, "-m", message]);
    let out = command.output().expect("run mosquitto_pub");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "mosquitto_pub as {who:?}: {error}");
}

fn command(ns: &Netns, program: &str, at: SocketAddr, who: Who<'_>) -> Command {
    // They keep what they print while their output is a file.
    let mut command = ns.command(find("stdbuf").expect("stdbuf"));
    command.arg("-oL").arg(find(program).expect(program));
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    command.args(["-h", &host, "-p", &port, "-i", who.id]);
    command.args(["-u", who.user, "-P", "any"]);
    command
}

//! RabbitMQ with its MQTT plugin, expecting a PROXY header.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::erlang::{Erlang, QUIET};
use crate::netns::Netns;
use crate::process::Process;
use crate::require::Need;
use crate::wait;

/// What it takes to run one.
pub const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("ip"),
    Need::Program("epmd"),
    Need::Program("rabbitmq-server"),
];

/// A running node, killed on drop.
#[derive(Debug)]
pub struct RabbitMq<'a> {
    /// Where its MQTT listener is.
    pub address: SocketAddr,
    _node: Process,
    erlang: Erlang<'a>,
}

impl<'a> RabbitMq<'a> {
    /// Starts a node and waits for its MQTT listener.
    pub fn start(ns: &'a Netns, address: SocketAddr) -> Self {
        let erlang = Erlang::start(ns);
        let dir = erlang.node_dir("rabbit");
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:5672\nmqtt.listeners.tcp.1 = {address}\n\
             mqtt.proxy_protocol = true\nmqtt.allow_anonymous = true\n\
             mqtt.default_user = guest\nmqtt.default_pass = guest\nloopback_users = none\n\
             vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
        );
        std::fs::write(dir.join("rabbitmq.conf"), config).expect("write rabbitmq.conf");
        std::fs::write(dir.join("enabled_plugins"), "[rabbitmq_mqtt].").expect("plugins");
        let mut command = script(&erlang, "rabbitmq-server");
        command.env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            format!(
                "{} -kernel inet_dist_use_interface {{127,0,0,1}}",
                QUIET.join(" ")
            ),
        );
        let node = Process::start("rabbit", erlang.dir(), &mut command);
        wait::for_true(
            "RabbitMQ's MQTT listener should open",
            Duration::from_secs(120),
            || ns.connect(address).is_ok(),
        );
        Self {
            address,
            _node: node,
            erlang,
        }
    }

    /// Client id and peer address of every MQTT connection, as
    /// `rabbitmqctl list_mqtt_connections` shows them.
    pub fn mqtt_connections(&self) -> Vec<(String, String)> {
        let mut command = script(&self.erlang, "rabbitmqctl");
        command.args([
            "-q",
            "list_mqtt_connections",
            "client_id",
            "peer_host",
            "peer_port",
        ]);
        let out = command.output().expect("run rabbitmqctl");
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "rabbitmqctl: {error}");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let row = |line: &str| {
            let mut words = line.split('\t');
            let id = words.next()?.to_owned();
            Some((id, format!("{}:{}", words.next()?, words.next()?)))
        };
        text.lines().filter_map(row).collect()
    }
}

/// A script of the package itself: the ones on PATH insist on other users.
fn script(erlang: &Erlang<'_>, name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/rabbitmq/lib").expect("RabbitMQ's directory");
    let sbin = versions
        .flatten()
        .map(|entry| entry.path().join("sbin").join(name));
    let program: PathBuf = sbin
        .into_iter()
        .find(|path| path.exists())
        .expect("RabbitMQ's script");
    let dir = erlang.dir().join("rabbit");
    let mut command = erlang.command(program);
    command.env("RABBITMQ_NODENAME", "rabbit@localhost");
    command
        .env("RABBITMQ_NODE_PORT", "5672")
        .env("RABBITMQ_DIST_PORT", "25672");
    command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
    command.env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"));
    command.env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"));
    command
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", &dir);
    command.env("RABBITMQ_PID_FILE", dir.join("pid"));
    command
}

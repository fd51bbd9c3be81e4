//! `mqtt-lb explain`: where a client would go.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::Args;
use mqtt_lb_user::escape::Word;

use super::Socket;
use super::admin::{self, Key};

/// A client as its CONNECT would have it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mqtt-lb explain sensor-17
  mqtt-lb explain sensor-17 --listener mqtt --level 5 --property tenant=t1
  mqtt-lb explain '' --source 192.0.2.7     a client without an id")]
pub struct Explain {
    /// The client id, written as in the log (\xNN is a byte).
    #[arg(value_parser = admin::parse_key)]
    client_id: Key,
    /// The listener; may be left out when there is only one.
    #[arg(long, value_name = "NAME", conflicts_with = "pool")]
    listener: Option<String>,
    /// The pool, whatever the listener's routes say.
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// The protocol level: 3 (MQTT 3.1), 4 (3.1.1), 5 (5.0).
    #[arg(long)]
    level: Option<u8>,
    /// The username.
    #[arg(long, value_name = "TEXT", value_parser = admin::parse_key)]
    username: Option<Key>,
    /// The topic of the will.
    #[arg(long, value_name = "TEXT", value_parser = admin::parse_key)]
    will_topic: Option<Key>,
    /// A user property of the CONNECT, such as tenant=t1; may be repeated.
    #[arg(long, value_name = "NAME=TEXT", value_parser = parse_property)]
    property: Vec<Key>,
    /// The client's address.
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
    /// Where the balancer is.
    #[command(flatten)]
    pub socket: Socket,
}

impl Explain {
    /// The command in the words of the admin socket.
    pub fn line(&self) -> String {
        let text = |text: &String| text.clone().into_bytes();
        let source = self.source.map(|source| source.to_string());
        let level = self.level.map(|level| level.to_string());
        let settings = [
            ("listener", self.listener.as_ref().map(text)),
            ("pool", self.pool.as_ref().map(text)),
            ("level", level.as_ref().map(text)),
            ("username", self.username.as_ref().map(|key| key.0.clone())),
            (
                "will_topic",
                self.will_topic.as_ref().map(|key| key.0.clone()),
            ),
            ("source", source.as_ref().map(text)),
        ];
        let properties = self.property.iter();
        let properties = properties.map(|property| ("property", Some(property.0.clone())));
        let mut line = format!("explain {}", Word(&self.client_id.0));
        for (name, value) in settings.into_iter().chain(properties) {
            if let Some(value) = value {
                let setting = [name.as_bytes(), b"=", &value].concat();
                let _ = write!(line, " {}", Word(&setting));
            }
        }
        line
    }
}

fn parse_property(text: &str) -> Result<Key, String> {
    if !text.contains('=') {
        return Err("write NAME=TEXT, such as tenant=t1".to_owned());
    }
    admin::parse_key(text)
}

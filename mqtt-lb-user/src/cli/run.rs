//! `mqtt-lb run`: a file, or flags that say as much as a first try needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use mqtt_lb_user::config::{
    BackendFlag, Balance, Config, ConfigError, DEFAULT_ADMIN_SOCKET, DEFAULT_HTTP, Flags,
    LogFormat, Origin, PathKind, ProxyProtocol, from_flags, parse_address, parse_socket_path,
};

/// Balance, from a configuration file or from flags alone.
#[derive(Debug, Args)]
#[command(override_usage = "\
mqtt-lb run -f <FILE>
       mqtt-lb run --listen <IP:PORT> --backend <[NAME=]IP:PORT> [OPTIONS]")]
#[command(after_help = "\
Examples:
  mqtt-lb run -f /etc/mqtt-lb.toml
  mqtt-lb run --listen 0.0.0.0:1883 --backend 10.0.0.1:1883 --backend 10.0.0.2:1883
  mqtt-lb run --listen 0.0.0.0:1883 --backend a=10.0.0.1:1883 --proxy-protocol v2 --http off

SIGHUP reads the file again; SIGTERM stops, after the connections had time to end.
With flags every client goes to one pool named \"default\".")]
pub struct Run {
    /// Configuration file; read again on SIGHUP.
    #[arg(short, long, value_name = "FILE", env = "MQTT_LB_CONFIG")]
    file: Option<PathBuf>,

    /// Address clients connect to; may be repeated.
    #[arg(
        long,
        value_name = "IP:PORT",
        env = "MQTT_LB_LISTEN",
        value_delimiter = ','
    )]
    #[arg(conflicts_with = "file", required_unless_present = "file", value_parser = parse_address)]
    listen: Vec<SocketAddr>,

    /// A broker node; may be repeated. Without NAME= they are called b1, b2, …
    #[arg(
        long,
        value_name = "[NAME=]IP:PORT",
        env = "MQTT_LB_BACKEND",
        value_delimiter = ','
    )]
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    backend: Vec<BackendFlag>,

    /// How a client that the stick table does not know gets its backend.
    #[arg(
        long,
        value_name = "HOW",
        env = "MQTT_LB_BALANCE",
        conflicts_with = "file"
    )]
    #[arg(value_enum, default_value = "roundrobin")]
    balance: Balance,

    /// PROXY protocol header for the backends; they must expect it.
    #[arg(
        long,
        value_name = "VERSION",
        env = "MQTT_LB_PROXY_PROTOCOL",
        conflicts_with = "file"
    )]
    #[arg(value_enum, default_value = "off")]
    proxy_protocol: ProxyProtocol,

    /// Do without a stick table: clients are balanced anew at each connection.
    #[arg(long, conflicts_with = "file")]
    no_stick: bool,

    /// Data paths in order of preference, separated by commas.
    #[arg(
        long,
        value_name = "PATHS",
        env = "MQTT_LB_DATAPATH",
        conflicts_with = "file"
    )]
    #[arg(
        value_enum,
        value_delimiter = ',',
        default_value = "splice,sockmap,copy"
    )]
    datapath: Vec<PathKind>,

    /// On SIGTERM end the connections of the splice path too; else they go on
    /// without the process, and the next one takes them over.
    #[arg(long)]
    drop_flows: bool,

    /// Shape of the log lines.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MQTT_LB_LOG_FORMAT",
        conflicts_with = "file"
    )]
    #[arg(value_enum, default_value = "text")]
    log_format: LogFormat,

    /// Unix socket for `mqtt-lb table`, `backend` and `flows list`, or off.
    #[arg(
        long,
        value_name = "PATH",
        env = "MQTT_LB_ADMIN_SOCKET",
        conflicts_with = "file"
    )]
    #[arg(default_value = DEFAULT_ADMIN_SOCKET, value_parser = parse_socket)]
    admin_socket: OrOff<PathBuf>,

    /// Address of /metrics, /healthz and /readyz, or off.
    #[arg(
        long,
        value_name = "IP:PORT",
        env = "MQTT_LB_HTTP",
        conflicts_with = "file"
    )]
    #[arg(default_value_t = OrOff::On(DEFAULT_HTTP), value_parser = parse_http)]
    http: OrOff<SocketAddr>,
}

impl Run {
    /// The configuration, and the file to read again on SIGHUP.
    ///
    /// # Errors
    /// Everything that is wrong with the file or the flags.
    pub fn config(self) -> Result<(Config, Option<Origin>), ConfigError> {
        if let Some(file) = self.file {
            let origin = Origin {
                file,
                drop_flows: self.drop_flows,
            };
            return Ok((origin.load()?, Some(origin)));
        }
        let flags = Flags {
            listen: self.listen,
            backends: self.backend,
            balance: self.balance,
            proxy_protocol: self.proxy_protocol,
            stick: !self.no_stick,
            datapath: self.datapath,
            drop_flows: self.drop_flows,
            log_format: self.log_format,
            admin: self.admin_socket.into(),
            http: self.http.into(),
        };
        Ok((from_flags(&flags)?, None))
    }
}

/// A value, or the word `off`.
#[derive(Debug, Clone)]
enum OrOff<T> {
    On(T),
    Off,
}

impl<T> From<OrOff<T>> for Option<T> {
    fn from(value: OrOff<T>) -> Self {
        match value {
            OrOff::On(value) => Some(value),
            OrOff::Off => None,
        }
    }
}

impl<T: std::fmt::Display> std::fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::On(value) => value.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

fn parse_socket(text: &str) -> Result<OrOff<PathBuf>, String> {
    match text {
        "off" => Ok(OrOff::Off),
        path => parse_socket_path(path).map(OrOff::On),
    }
}

fn parse_http(text: &str) -> Result<OrOff<SocketAddr>, String> {
    match text {
        "off" => Ok(OrOff::Off),
        address => parse_address(address).map(OrOff::On),
    }
}

//! A configuration from command line flags, without a file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::backend::{check_broker, check_name};
use super::clash::Addresses;
use super::error::ConfigError;
use super::listener::DEFAULT_BACKLOG;
use super::value::parse_address;
use super::{Backend, Balance, Config, Listener, LogFormat, PathKind, Pool, ProxyProtocol, Stick};

/// Name of the only pool of a configuration from flags.
const POOL: &str = "default";

/// What the flags of `mqtt-lb run` say.
#[derive(Debug, Clone, PartialEq)]
pub struct Flags {
    /// Addresses clients connect to.
    pub listen: Vec<SocketAddr>,
    /// The backends, in order.
    pub backends: Vec<BackendFlag>,
    /// How a client without a stick table entry gets its backend.
    pub balance: Balance,
    /// Which PROXY protocol header the backends get.
    pub proxy_protocol: ProxyProtocol,
    /// Whether there is a stick table, of the default size and expiry.
    pub stick: bool,
    /// Data paths in order of preference; empty for the default.
    pub datapath: Vec<PathKind>,
    /// End the spliced flows on SIGTERM.
    pub drop_flows: bool,
    /// Shape of the log lines.
    pub log_format: LogFormat,
    /// The unix admin socket; `None` switches it off.
    pub admin: Option<PathBuf>,
    /// The HTTP endpoint; `None` switches it off.
    pub http: Option<SocketAddr>,
}

/// A backend on the command line: `[NAME=]IP:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendFlag {
    /// Its name; without one it is `b1`, `b2`, … by its place.
    pub name: Option<String>,
    /// Its address.
    pub address: SocketAddr,
}

impl FromStr for BackendFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name), address),
            None => (None, text),
        };
        name.map_or(Ok(()), check_name)?;
        let address = parse_address(address)?;
        check_broker(address)?;
        Ok(Self {
            name: name.map(str::to_owned),
            address,
        })
    }
}

/// Makes a configuration: every listener leads to one pool named `default`.
///
/// # Errors
/// What no configuration file may say either, such as one address twice.
pub fn from_flags(flags: &Flags) -> Result<Config, ConfigError> {
    let mut config = Config {
        admin: flags.admin.clone(),
        http: flags.http,
        ..Config::default()
    };
    config.log.format = flags.log_format;
    config.splice.drop_flows = flags.drop_flows;
    if !flags.datapath.is_empty() {
        config.datapath = PathKind::in_order(flags.datapath.clone())
            .map_err(|message| ConfigError::whole("--datapath", message))?;
    }
    let mut addresses = Addresses::new();
    for (i, &bind) in flags.listen.iter().enumerate() {
        let name = format!("l{}", i + 1);
        addresses.bound(bind, format!("listener {name}"), "--listen");
        let listener = Listener {
            bind,
            pool: POOL.to_owned(),
            routes: Vec::new(),
            backlog: DEFAULT_BACKLOG,
        };
        config.listeners.insert(name, listener);
    }
    if let Some(http) = flags.http {
        addresses.bound(http, "the HTTP endpoint".to_owned(), "--http");
    }
    let backends = backends(flags)?;
    for backend in &backends {
        addresses.backend(POOL, &backend.name, backend.address, "--backend");
    }
    let pool = Pool {
        balance: flags.balance,
        stick: flags.stick.then(Stick::default),
        proxy_protocol: flags.proxy_protocol,
        backends,
        ..Pool::default()
    };
    config.pools.insert(POOL.to_owned(), pool);
    match addresses.clashes().into_iter().next() {
        Some((flag, message)) => Err(ConfigError::whole(flag, message)),
        None => Ok(config),
    }
}

fn backends(flags: &Flags) -> Result<Vec<Backend>, ConfigError> {
    let mut backends: Vec<Backend> = Vec::new();
    for (i, flag) in flags.backends.iter().enumerate() {
        let name = flag.name.clone();
        let name = name.unwrap_or_else(|| format!("b{}", i + 1));
        if backends.iter().any(|b| b.name == name) {
            let message = format!("{name} is already the name of a backend: take another one");
            return Err(ConfigError::whole("--backend", message));
        }
        backends.push(Backend::new(&name, flag.address));
    }
    Ok(backends)
}

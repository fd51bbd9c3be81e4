//! `server` and `default-server` lines (configuration manual, 5.2).

use std::collections::BTreeMap;

use super::words::Line;
use crate::import::note::Said;

/// Parameters that are followed by a value.
const WITH_VALUE: [&str; 61] = [
    "addr",
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "cookie",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "guid",
    "hash-key",
    "id",
    "init-addr",
    "inter",
    "interface",
    "log-proto",
    "max-reuse",
    "maxconn",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-max-conn",
    "pool-purge-delay",
    "port",
    "proto",
    "proxy-v2-options",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "rise",
    "shard",
    "slowstart",
    "sni",
    "source",
    "weight",
    "socks4",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-ut",
    "track",
    "verify",
    "verifyhost",
    "ws",
];

/// A server of a backend.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) said: Said,
    pub(super) name: String,
    /// As it is written.
    pub(super) address: String,
    /// Its parameters over those of `default-server`.
    pub(super) params: Params,
}

/// Parameters by name, the last of each.
pub(super) type Params = BTreeMap<String, Param>;

/// A parameter with its value, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Param {
    pub(super) said: Said,
    pub(super) value: Option<String>,
}

impl Param {
    /// Its value; empty when it lacks one.
    pub(super) fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// The server that a line `server NAME ADDRESS …` says; `None` when it lacks one of them.
pub(super) fn server(line: &Line, defaults: &Params) -> Option<Server> {
    let [_, name, address, params @ ..] = line.words.as_slice() else {
        return None;
    };
    let mut all = defaults.clone();
    read(params, &line.said, &mut all);
    Some(Server {
        said: line.said.piece(&format!("server {name} {address}")),
        name: name.clone(),
        address: address.clone(),
        params: all,
    })
}

/// Reads parameters over those that are there; `no-NAME` takes one away.
pub(super) fn read(words: &[String], said: &Said, params: &mut Params) {
    let mut words = words.iter();
    while let Some(name) = words.next() {
        let value = match takes_value(name) {
            true => words.next().cloned(),
            false => None,
        };
        let text = match &value {
            Some(value) => format!("{name} {value}"),
            None => name.clone(),
        };
        let said = said.piece(&text);
        match name.strip_prefix("no-") {
            Some(other) if params.remove(other).is_some() => {}
            // It takes away what is not there.
            Some(
                "backup" | "check" | "check-ssl" | "send-proxy" | "send-proxy-v2" | "ssl" | "tfo",
            ) => {}
            _ => _ = params.insert(name.clone(), Param { said, value }),
        }
    }
}

fn takes_value(name: &str) -> bool {
    WITH_VALUE.contains(&name)
}

//! The servers of a backend, written as the backends and the checks of a pool.

use super::Reader;
use super::back::Back;
use super::server::{Param, Server};
use super::units;
use crate::import::address::{broker, split};
use crate::import::draft::TableId;
use crate::import::name::Names;
use crate::import::note::Said;
use crate::import::toml_text::{self, text};

/// Writes `servers`; one without a port has that of the listeners.
pub(super) fn write(
    reader: &mut Reader<'_>,
    back: &Back<'_>,
    servers: &[Server],
    port: Option<u16>,
) {
    let mut names = Names::default();
    proxy_protocol(reader, back, servers);
    health(reader, back, servers);
    on_marked_down(reader, back, servers);
    let mut limits = servers.iter().filter_map(|s| s.params.get("maxconn"));
    if let Some(limit) = limits.find(|limit| limit.value() != "0") {
        back.queue(reader, &limit.said);
    }
    let backups = servers.iter().filter_map(|s| s.params.get("backup"));
    for backup in backups.skip(1).filter(|_| !back.all_backups) {
        let why = "backups share the clients; HAProxy uses the first that is up";
        reader.draft.notes.differs(&backup.said, why);
    }
    for server in servers {
        let name = names.take(&server.name);
        if name != server.name {
            let why = format!("it is named {name}: that is what a name may be here");
            reader.draft.notes.differs(&server.said, why);
        }
        let path = ["pool", back.name, "backend"];
        let table = reader.draft.append(&path, &server.said);
        reader.draft.set(table, "name", text(&name), &server.said);
        address(reader, table, server, port);
        for (name, param) in &server.params {
            take(reader, back, table, name, param);
        }
    }
}

/// Writes a server's address; one that mqtt-lb cannot have leaves the server out.
fn address(reader: &mut Reader<'_>, table: TableId, server: &Server, port: Option<u16>) {
    let said = &server.said;
    let written = server.address.as_str();
    let bare = written
        .strip_prefix("ipv4@")
        .or(written.strip_prefix("ipv6@"));
    let (host, own) = split(bare.unwrap_or(written));
    let why = match own.or(port) {
        Some(port) => {
            let (address, why) = broker(reader.draft, host, port, said, reader.resolve);
            reader.draft.set(table, "address", text(&address), said);
            why
        }
        None => {
            Some("it has no port, nor have its clients one in common: write IP:PORT".to_owned())
        }
    };
    let disabled = server.params.contains_key("disabled");
    let encrypted = server.params.contains_key("ssl");
    if encrypted {
        let why = "mqtt-lb has no TLS towards brokers";
        reader.draft.notes.not_taken(&said.piece("ssl"), why);
        reader.draft.leave_out(table, why);
    } else if let Some(why) = why {
        reader.draft.notes.not_taken(said, why.clone());
        reader.draft.leave_out(table, why);
    } else if disabled {
        let why = "it is disabled: mqtt-lb has no backends that start in maintenance";
        reader.draft.notes.not_taken(said, why);
        reader.draft.leave_out(table, why);
    }
}

/// Takes a parameter of one server.
fn take(reader: &mut Reader<'_>, back: &Back<'_>, table: TableId, name: &str, param: &Param) {
    let said = &param.said;
    let value = param.value();
    let notes = &mut reader.draft.notes;
    match name {
        // Those that are the pool's, and those with which the server is left out.
        "check"
        | "inter"
        | "rise"
        | "fall"
        | "send-proxy"
        | "send-proxy-v2"
        | "send-proxy-v2-ssl"
        | "send-proxy-v2-ssl-cn"
        | "check-send-proxy"
        | "on-marked-down"
        | "ssl"
        | "disabled" => {}
        "weight" => super::number(reader, table, "weight", value, said),
        "maxconn" if value != "0" => super::number(reader, table, "maxconn", value, said),
        "maxconn" => {}
        "backup" => reader.draft.set(table, "backup", "true".to_owned(), said),
        "slowstart" => super::time(reader, back.table, "slow_start", value, said),
        "fastinter" | "downinter" => {
            notes.differs(
                said,
                "checks have one interval: [pool.NAME.health] interval",
            );
        }
        "enabled" | "id" | "guid" | "cookie" | "redir" | "proto" | "check-proto" | "ws" => {
            notes.not_needed(said, "it changes nothing for MQTT over TCP");
        }
        "verify" | "ca-file" | "crl-file" | "crt" | "sni" | "verifyhost" | "alpn" | "ciphers"
        | "ciphersuites" | "curves" | "npn" | "ssl-min-ver" | "ssl-max-ver" => {
            notes.not_needed(said, "it is for TLS only");
        }
        "init-addr" | "resolve-prefer" | "resolve-net" | "resolve-opts" | "resolvers" => {
            notes.not_needed(said, "mqtt-lb does not look names up");
        }
        "pool-max-conn" | "pool-purge-delay" | "max-reuse" | "tfo" => {
            notes.not_needed(said, "each client has a connection of its own");
        }
        "port" | "addr" => {
            notes.not_taken(said, "checks go to the address that clients go to");
        }
        "proxy-v2-options" => notes.not_taken(said, "the header has no options"),
        "agent-check" | "agent-addr" | "agent-inter" | "agent-port" | "agent-send" => {
            let why = "agents are not asked: `mqtt-lb backend drain` and `ready` do their work";
            notes.not_taken(said, why);
        }
        "observe" | "on-error" | "error-limit" => {
            let why = "a backend that fails a client is left for the next one at once; only \
                       checks mark it down";
            notes.differs(said, why);
        }
        "source" | "interface" | "namespace" => {
            notes.not_taken(
                said,
                "the routing table decides where connections to brokers leave",
            );
        }
        _ => notes.not_taken(said, "backends have nothing like it"),
    }
}

/// The PROXY header that a server gets.
fn header(server: &Server) -> (&'static str, &Said) {
    let v2 = ["send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"];
    let said = |name: &str| server.params.get(name).map(|param| &param.said);
    let v2 = v2
        .iter()
        .find_map(|name| said(name))
        .map(|said| ("v2", said));
    let v1 = || said("send-proxy").map(|said| ("v1", said));
    v2.or_else(v1).unwrap_or(("off", &server.said))
}

fn proxy_protocol(reader: &mut Reader<'_>, back: &Back<'_>, servers: &[Server]) {
    let headers: Vec<_> = servers.iter().map(header).collect();
    let sends = headers.iter().any(|(version, _)| *version != "off");
    for (version, said) in headers.into_iter().filter(|_| sends) {
        reader
            .draft
            .set(back.table, "proxy_protocol", text(version), said);
    }
    for server in servers {
        let params = &server.params;
        let details = ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"];
        if let Some(param) = details.iter().find_map(|name| params.get(*name)) {
            let why = "the header says nothing about TLS, which mqtt-lb does not have";
            reader.draft.notes.not_taken(&param.said, why);
        }
        if let Some(check) = params
            .get("check-send-proxy")
            .filter(|_| header(server).0 == "off")
        {
            let why = "checks send the header that clients' connections send: none";
            reader.draft.notes.not_taken(&check.said, why);
        }
    }
}

fn health(reader: &mut Reader<'_>, back: &Back<'_>, servers: &[Server]) {
    let path = ["pool", back.name, "health"];
    let checked = |server: &&Server| server.params.contains_key("check");
    let unchecked: Vec<&Server> = servers.iter().filter(|s| !checked(s)).collect();
    for server in unchecked {
        let why = format!(
            "it has no `check`, and is checked here: [pool.{}.health] type = \"off\" ends it for \
             the whole pool",
            back.name
        );
        reader.draft.notes.differs(&server.said, why);
    }
    for server in servers.iter().filter(checked) {
        for (name, key) in [("inter", "interval"), ("rise", "rise"), ("fall", "fall")] {
            if let Some(param) = server.params.get(name) {
                let table = reader.draft.table(&path, &param.said);
                match name {
                    "inter" => super::time(reader, table, key, param.value(), &param.said),
                    _ => super::number(reader, table, key, param.value(), &param.said),
                }
            }
        }
    }
    let checks = &back.checks;
    if let Some(said) = &checks.connect {
        match checks.connack {
            true => {
                let table = reader.draft.table(&path, said);
                reader.draft.set(table, "type", text("mqtt"), said);
            }
            false => {
                let why = "a check that sends a CONNECT and waits for no CONNACK is like one \
                           that only connects";
                reader.draft.notes.differs(said, why);
            }
        }
    }
    if let Some((limit, said)) = &checks.timeout {
        let interval = servers
            .iter()
            .filter(checked)
            .find_map(|s| s.params.get("inter"));
        let interval = interval.and_then(|inter| units::time(inter.value()));
        // HAProxy's own interval when a server says none.
        let interval = interval.unwrap_or(std::time::Duration::from_secs(2));
        let table = reader.draft.table(&path, said);
        match units::time(limit) {
            Some(limit) if limit > interval => {
                let why = "a check is over when the next one is due";
                reader.draft.notes.differs(said, why);
                let interval = toml_text::time(interval);
                reader.draft.set(table, "timeout", interval, said);
            }
            _ => super::time(reader, table, "timeout", limit, said),
        }
    }
}

fn on_marked_down(reader: &mut Reader<'_>, back: &Back<'_>, servers: &[Server]) {
    let said = |server: &Server| Some(server.params.get("on-marked-down")?.said.clone());
    for param in servers
        .iter()
        .filter_map(|s| s.params.get("on-marked-down"))
    {
        let path = ["pool", back.name, "on_marked_down"];
        let table = reader.draft.table(&path, &param.said);
        match param.value() {
            "shutdown-sessions" => {
                reader
                    .draft
                    .set(table, "sessions", text("close"), &param.said);
            }
            _ => reader
                .draft
                .notes
                .not_taken(&param.said, "it is not understood"),
        }
    }
    if servers.iter().any(|server| said(server).is_none()) {
        let why = format!(
            "sessions of a backend that its checks find down are reset here, and stay in HAProxy: \
             [pool.{}.on_marked_down] sessions = \"keep\" lets them stay",
            back.name
        );
        reader.draft.notes.differs(back.said, why);
    }
}

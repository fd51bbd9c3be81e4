//! `server` blocks: listeners, and where their clients go.

use super::main_block::INCLUDE;
use super::pool::{self, Settings};
use super::syntax::Directive;
use super::{Reader, routes};
use crate::import::address::numeric;
use crate::import::draft::TableId;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// Reads the servers and what holds for all of them, in the order of the file.
pub(super) fn read_all(reader: &mut Reader<'_>) {
    let stream = reader.stream.clone();
    for directive in &stream {
        match directive.words().as_slice() {
            ["server"] | ["upstream", _] | ["match", _] => {}
            _ => common(reader, directive),
        }
    }
    for directive in stream.iter().filter(|d| d.words() == ["server"]) {
        server(reader, directive, &stream);
    }
}

/// Takes a directive of the stream block that its servers have in common; those of a
/// pool are read with each server.
fn common(reader: &mut Reader<'_>, directive: &Directive) {
    let said = &directive.said;
    match directive.words().as_slice() {
        [
            "proxy_protocol" | "proxy_connect_timeout" | "preread_timeout",
            ..,
        ] => {}
        ["js_import" | "js_path" | "js_set" | "js_var", ..] => {
            let why = "no scripts are run: CONNECT is read by mqtt-lb itself";
            reader.draft.notes.not_needed(said, why);
        }
        ["map", _, variable] if routes::map(reader, variable).is_some() => {}
        ["map" | "geo" | "split_clients", ..] => {
            let why = "variables are not taken: write routes, [[listener.NAME.route]]";
            reader
                .draft
                .notes
                .not_taken(&said.piece(&directive.words.join(" ")), why);
        }
        _ if take(reader, directive) => {}
        _ => reader.draft.notes.not_taken(said, "it is not understood"),
    }
}

fn server(reader: &mut Reader<'_>, directive: &Directive, stream: &[&Directive]) {
    let inner = directive.inner();
    let has = |name: &str| {
        let own = inner.iter().find(|d| d.name() == name);
        own.or_else(|| stream.iter().copied().find(|d| d.name() == name))
    };
    let Some(pass) = has("proxy_pass") else {
        let why = "it has no proxy_pass, so it is left out";
        return reader.draft.notes.not_taken(&directive.said, why);
    };
    if has("proxy_ssl").is_some_and(|d| d.words() == ["proxy_ssl", "on"]) {
        let why = "mqtt-lb has no TLS towards brokers: the listener is left out";
        return reader.draft.notes.not_taken(&directive.said, why);
    }
    let mut listeners = Vec::new();
    for listen in inner.iter().filter(|d| d.name() == "listen") {
        listeners.extend(listener(reader, listen));
    }
    if listeners.is_empty() {
        let why = "no listener is left of it, so it is left out";
        return reader.draft.notes.not_taken(&directive.said, why);
    }
    for (name, key) in [
        ("proxy_connect_timeout", "connect"),
        ("preread_timeout", "connect_packet"),
    ] {
        if let Some(directive) = has(name) {
            let text = directive.words[1..].join(" ");
            reader.time(&["timeouts"], key, &text, &directive.said);
        }
    }
    let own = Settings {
        proxy_protocol: has("proxy_protocol"),
        health_check: has("health_check"),
        health_check_timeout: has("health_check_timeout"),
    };
    lead(reader, pass, &own, &listeners);
    let read = [
        "listen",
        "proxy_pass",
        "proxy_protocol",
        "health_check",
        "health_check_timeout",
        "proxy_connect_timeout",
        "preread_timeout",
    ];
    for directive in inner.iter().filter(|d| !read.contains(&d.name())) {
        if !take(reader, directive) {
            reader
                .draft
                .notes
                .not_taken(&directive.said, "it is not understood");
        }
    }
}

/// Leads `listeners` where `pass` says: to a pool, or by a map to several.
fn lead(reader: &mut Reader<'_>, pass: &Directive, own: &Settings<'_>, listeners: &[TableId]) {
    let target = pass.words.get(1).map_or("", String::as_str);
    let (default, routes) = match routes::map(reader, target) {
        Some(block) => {
            let all = routes::read(reader, block);
            (all.default, all.routes)
        }
        None => (Some((target.to_owned(), pass.said.clone())), Vec::new()),
    };
    if default.is_none() {
        let why = "its map has no default: the listener is left out";
        reader.draft.notes.not_taken(&pass.said, why);
    }
    let default = default.and_then(|(to, said)| pool::pool(reader, &said, &to, own));
    for &listener in listeners {
        match &default {
            Some(pool) => reader.draft.set(listener, "pool", text(pool), &pass.said),
            None => reader.draft.leave_out(listener, "there is no pool for it"),
        }
    }
    if default.is_none() {
        return;
    }
    for (key, pattern, to, said) in routes {
        let Some(pool) = pool::pool(reader, &said, &to, own) else {
            continue;
        };
        for &listener in listeners {
            let path = reader.draft[listener].below("route");
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let table = reader.draft.append(&path, &said);
            reader.draft.set(table, "pool", text(&pool), &said);
            reader.draft.set(table, key, text(&pattern), &said);
        }
    }
}

/// Takes a directive that stands in the stream block or in a server; whether it is known.
fn take(reader: &mut Reader<'_>, directive: &Directive) -> bool {
    let notes = &mut reader.draft.notes;
    let said = &directive.said;
    match directive.words().as_slice() {
        // What mqtt-lb does anyway.
        ["mqtt_preread", "on"] | ["js_preread" | "tcp_nodelay" | "status_zone", ..] => {}
        ["proxy_next_upstream", "on"] | ["proxy_half_close", "on"] => {}
        ["proxy_next_upstream", "off"] => {
            notes.differs(said, "a client always goes on to the next backend");
        }
        [
            "proxy_next_upstream_tries" | "proxy_next_upstream_timeout",
            ..,
        ] => {
            notes.differs(said, "[timeouts] connect bounds all tries together");
        }
        ["proxy_timeout", ..] => {
            let why = "quiet clients are not cut; TCP keepalive and their brokers find those that are gone";
            notes.not_needed(said, why);
        }
        ["proxy_socket_keepalive", ..] => {
            notes.not_needed(
                said,
                "[timeouts] tcp_keepalive is on, for clients and brokers",
            );
        }
        [
            "preread_buffer_size" | "proxy_buffer_size" | "variables_hash_bucket_size",
            ..,
        ]
        | [
            "variables_hash_max_size" | "proxy_half_close" | "zone_sync",
            ..,
        ] => {
            notes.not_needed(
                said,
                "mqtt-lb has its own buffers, which hold any client id",
            );
        }
        [
            "access_log" | "error_log" | "log_format" | "open_log_file_cache",
            ..,
        ] => {
            let why =
                "each session is a line on standard error, in the shape of tcplog or JSON: [log]";
            notes.differs(said, why);
        }
        ["resolver" | "resolver_timeout", ..] => {
            notes.not_taken(
                said,
                "names are not looked up while running: backends have addresses",
            );
        }
        ["include", ..] => notes.not_taken(said, INCLUDE),
        ["allow" | "deny", ..] => {
            notes.not_taken(
                said,
                "there are no rules for addresses: the firewall has to do it",
            );
        }
        ["limit_conn" | "limit_conn_zone", ..] => {
            notes.not_taken(
                said,
                "[limits] bounds all clients together, not each address",
            );
        }
        ["proxy_download_rate" | "proxy_upload_rate", ..] => {
            notes.not_taken(said, "there are no limits on bytes per second");
        }
        ["proxy_bind", ..] => {
            notes.not_taken(
                said,
                "the routing table decides where connections to brokers leave",
            );
        }
        ["mqtt" | "mqtt_set_connect" | "mqtt_buffers", ..] => {
            notes.not_taken(said, "the bytes of clients are passed on as they are");
        }
        ["mqtt_preread", ..] => {
            notes.differs(said, "CONNECT is always read: what is not MQTT is refused");
        }
        [name, ..] if name.starts_with("ssl_") || name.starts_with("proxy_ssl") => {
            notes.not_needed(said, "it is for TLS only: listeners with TLS are left out");
        }
        _ => return false,
    }
    true
}

/// Makes the listener of a `listen` directive.
fn listener(reader: &mut Reader<'_>, listen: &Directive) -> Option<TableId> {
    let said = &listen.said;
    let words = listen.words();
    let [_, address, params @ ..] = words.as_slice() else {
        reader.draft.notes.not_taken(said, "it has no address");
        return None;
    };
    let left_out = match params.iter().find(|p| ["ssl", "udp", "quic"].contains(p)) {
        Some(&"ssl") => Some("mqtt-lb has no TLS: the listener is left out"),
        Some(_) => Some("mqtt-lb takes MQTT over TCP: the listener is left out"),
        None => None,
    };
    if let Some(why) = left_out {
        reader.draft.notes.not_taken(said, why);
        return None;
    }
    let Some(bind) = socket(address) else {
        let why = "listeners are IP:PORT: it is left out";
        reader.draft.notes.not_taken(said, why);
        return None;
    };
    let name = reader.listeners.take("mqtt");
    let table = reader.draft.table(&["listener", &name], said);
    reader.draft.set(table, "bind", text(&bind), said);
    for param in params {
        listen_param(reader, table, param, &said.piece(param));
    }
    Some(table)
}

fn listen_param(reader: &mut Reader<'_>, table: TableId, param: &str, said: &Said) {
    let notes = &mut reader.draft.notes;
    match param.split_once('=').unwrap_or((param, "")) {
        ("backlog", backlog) if backlog.parse::<u32>().is_ok() => {
            reader.draft.set(table, "backlog", backlog.to_owned(), said);
        }
        ("reuseport" | "bind" | "deferred" | "default_server", _) | ("so_keepalive", _) => {
            notes.not_needed(said, "each worker has its own socket, with TCP keepalive");
        }
        ("fastopen" | "multipath" | "rcvbuf" | "sndbuf", _) => {
            notes.not_needed(said, "the kernel's defaults are used");
        }
        ("ipv6only", "off") => {}
        ("ipv6only", _) => notes.not_taken(said, "[::] takes IPv4, too: bind an IPv6 address"),
        ("proxy_protocol", _) => {
            let why = "mqtt-lb reads no PROXY header of clients and would refuse them: \
                       have what is in front connect without one";
            notes.not_taken(said, why);
        }
        _ => notes.not_taken(said, "listeners have nothing like it"),
    }
}

/// The address of `listen`, as the configuration writes it.
fn socket(address: &str) -> Option<String> {
    let port = |port: &str| port.parse::<u16>().ok();
    if let Some(port) = port(address) {
        return Some(format!("0.0.0.0:{port}"));
    }
    let (host, port) = address
        .rsplit_once(':')
        .and_then(|(h, p)| Some((h, port(p)?)))?;
    match host {
        "*" => Some(format!("0.0.0.0:{port}")),
        host => numeric(host).map(|ip| std::net::SocketAddr::new(ip, port).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("1883", Some("0.0.0.0:1883")),
            ("*:1883", Some("0.0.0.0:1883")),
            ("10.0.0.1:1883", Some("10.0.0.1:1883")),
            ("[::]:1883", Some("[::]:1883")),
            ("localhost:1883", None),
            ("unix:/run/s", None),
            ("", None),
        ] {
            assert_eq!(socket(address).as_deref(), expected, "{address}");
        }
    }
}

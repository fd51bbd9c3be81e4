//! Frontends: listeners, and the pool that their clients go to.

use super::condition::{Acls, Conditions, routes};
use super::fetch::{Field, fetch};
use super::sections::Proxy;
use super::units::size;
use super::words::Line;
use super::{Reader, bind, mode, number, shared, time};
use crate::import::draft::TableId;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// Reads the frontends, in the order of the file.
pub(super) fn read_all(reader: &mut Reader<'_>) {
    let mut limits: Vec<(u64, Said)> = Vec::new();
    let mut fronts = 0;
    for proxy in reader.proxies.iter().filter(|proxy| proxy.front) {
        match mode(proxy) {
            "tcp" => {
                fronts += 1;
                read(reader, proxy, &mut limits);
            }
            "http" => http(reader, proxy),
            other => {
                let why = format!("mode {other} is left out: mqtt-lb takes MQTT over TCP");
                reader.draft.notes.not_taken(&proxy.said, why);
            }
        }
    }
    limit(reader, fronts, &limits);
}

fn read(reader: &mut Reader<'_>, proxy: &Proxy, limits: &mut Vec<(u64, Said)>) {
    let mut listeners = Vec::new();
    for line in proxy.lines.iter().filter(|line| line.words[0] == "bind") {
        if reader.clear(line) {
            listeners.extend(bind::listeners(reader, line, &proxy.name));
            reader.known(line, true);
        }
    }
    if listeners.is_empty() {
        let why = "no listener is left of it, so it is left out";
        return reader.draft.notes.not_taken(&proxy.said, why);
    }
    let mut default = proxy.back.then(|| (proxy.name.clone(), proxy.said.clone()));
    let mut everyone = None;
    let acls = acls(proxy);
    for line in proxy.lines.iter().filter(|line| line.words[0] != "bind") {
        if !reader.clear(line) {
            continue;
        }
        let said = &line.said;
        let words = line.words();
        let known = match words.as_slice() {
            ["default_backend", name] if !proxy.back => {
                default = Some(((*name).to_owned(), said.clone()));
                true
            }
            ["acl", ..] => true,
            ["use_backend", ..] if everyone.is_some() => {
                let why = "no client comes that far: a line above takes all of them";
                reader.draft.notes.not_needed(said, why);
                true
            }
            ["use_backend", name] => {
                everyone = Some(((*name).to_owned(), said.clone()));
                true
            }
            ["use_backend", name, "if", ..] => {
                match routes(&line.words[3..], &acls) {
                    Ok(routes) => write_routes(reader, name, &routes, &listeners, said),
                    Err(why) => reader.draft.notes.not_taken(said, why),
                }
                true
            }
            ["use_backend", _, "unless", ..] => {
                reader
                    .draft
                    .notes
                    .not_taken(said, "routes cannot ask for what is not");
                true
            }
            ["maxconn", number] => {
                match size(number) {
                    Some(number) => limits.push((number, said.clone())),
                    None => reader.draft.notes.not_taken(said, "it is not a number"),
                }
                true
            }
            ["backlog", backlog] => {
                for &listener in &listeners {
                    number(reader, listener, "backlog", backlog, said);
                }
                true
            }
            ["tcp-request", rule @ ..] => tcp_request(reader, rule, line),
            words => shared::take(reader, words, said),
        };
        reader.known(line, known);
    }
    lead(reader, proxy, everyone.or(default), &listeners);
}

/// The acls of a proxy.
fn acls(proxy: &Proxy) -> Acls<'_> {
    let mut acls = Acls::new();
    for line in &proxy.lines {
        if let [first, name, test @ ..] = line.words.as_slice() {
            if first == "acl" && line.unclear.is_none() {
                acls.entry(name).or_default().push(test);
            }
        }
    }
    acls
}

/// Writes the routes of each listener to the pool of the backend `name`.
fn write_routes(
    reader: &mut Reader<'_>,
    name: &str,
    routes: &[Conditions],
    listeners: &[TableId],
    said: &Said,
) {
    let Some(pool) = reader.pool(name, listeners) else {
        let why = format!("there is no backend {name} in this file");
        return reader.draft.notes.not_taken(said, why);
    };
    for &listener in listeners {
        for route in routes {
            let path = reader.draft[listener].below("route");
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let table = reader.draft.append(&path, said);
            reader.draft.set(table, "pool", text(&pool), said);
            if let Some(levels) = &route.level {
                let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
                let levels = format!("[{}]", levels.join(", "));
                reader.draft.set(table, "level", levels, said);
            }
            if let Some(pattern) = &route.client_id {
                reader.draft.set(table, "client_id", text(pattern), said);
            }
            if let Some(pattern) = &route.username {
                reader.draft.set(table, "username", text(pattern), said);
            }
        }
    }
}

/// Leads `listeners` to the pool of their default backend.
fn lead(
    reader: &mut Reader<'_>,
    proxy: &Proxy,
    default: Option<(String, Said)>,
    listeners: &[TableId],
) {
    let pool = default.and_then(|(name, said)| Some((reader.pool(&name, listeners)?, said)));
    for &listener in listeners {
        match &pool {
            Some((pool, said)) => reader.draft.set(listener, "pool", text(pool), said),
            None => reader
                .draft
                .leave_out(listener, "it has no default_backend in this file"),
        }
    }
    if pool.is_none() {
        let why = "it has no default_backend in this file: its listeners are left out";
        reader.draft.notes.not_taken(&proxy.said, why);
    }
}

/// Takes a `tcp-request` rule; whether it is understood.
fn tcp_request(reader: &mut Reader<'_>, rule: &[&str], line: &Line) -> bool {
    match rule {
        ["inspect-delay", delay] => {
            let timeouts = reader.draft.table(&["timeouts"], &line.said);
            time(reader, timeouts, "connect_packet", delay, &line.said);
        }
        // Routing waits for CONNECT, and what is not MQTT is refused, always.
        ["content", "reject", "unless", condition @ ..]
        | ["content", "accept", "if", condition @ ..]
            if is_valid(condition, false) => {}
        ["content", "reject", "if", condition @ ..] if is_valid(condition, true) => {}
        ["content", "accept"] | ["content", "accept", "if", "WAIT_END" | "{", ..] => {
            let why = "clients wait for their CONNECT anyway, and are then accepted";
            reader.draft.notes.not_needed(&line.said, why);
        }
        ["connection" | "content" | "session", ..] => {
            let why = "there are no rules for connections: the firewall, the broker or [limits] \
                       have to do it";
            reader.draft.notes.not_taken(&line.said, why);
        }
        _ => return false,
    }
    true
}

/// Whether a condition is `{ req.payload(0,0),mqtt_is_valid }`, negated or not.
fn is_valid(condition: &[&str], negated: bool) -> bool {
    let (open, condition) = match (negated, condition) {
        (true, ["!", "{", rest @ ..] | ["!{", rest @ ..]) => (true, rest),
        (false, ["{", rest @ ..]) => (true, rest),
        (_, rest) => (false, rest),
    };
    let ([expression, "}"] | [expression, "-m", "bool", "}"]) = condition else {
        return false;
    };
    open && fetch(expression).field == Field::Valid
}

/// Says what becomes of a proxy for HTTP; one that only serves figures has a counterpart.
fn http(reader: &mut Reader<'_>, proxy: &Proxy) {
    let says = |words: &[&str]| {
        let mut lines = proxy.lines.iter();
        lines.any(|line| line.words().windows(words.len()).any(|w| w == words))
    };
    if says(&["use-service", "prometheus-exporter"]) {
        let bind = proxy.lines.iter().find(|line| line.words[0] == "bind");
        let socket = bind.and_then(|line| bind::first_socket(&line.words()).zip(Some(&line.said)));
        if let Some((socket, said)) = socket {
            let table = reader.draft.table(&["http"], said);
            reader.draft.set(table, "listen", text(&socket), said);
            let why = "/metrics has the figures of mqtt-lb under their own names";
            return reader.draft.notes.differs(&proxy.said, why);
        }
    }
    let why = match says(&["stats", "enable"]) || says(&["stats", "uri"]) {
        true => {
            "there is no page of statistics: see /metrics on [http] listen, `mqtt-lb backend list`"
        }
        false => "mode http is left out: mqtt-lb takes MQTT over TCP",
    };
    reader.draft.notes.not_taken(&proxy.said, why);
}

/// Takes what frontends say about connections at most, beside the global section.
fn limit(reader: &mut Reader<'_>, fronts: usize, limits: &[(u64, Said)]) {
    let Some((least, said)) = limits.iter().min().filter(|(least, _)| *least > 0) else {
        return;
    };
    let table = reader.draft.find(&["limits"]);
    let global = table.and_then(|table| reader.draft.get(table, "max_connections"));
    let global: Option<u64> = global.and_then(|number| number.parse().ok());
    if fronts > 1 {
        for (_, said) in limits {
            let why = "[limits] max_connections is one number for all listeners";
            reader.draft.notes.not_taken(said, why);
        }
    } else if global.is_none_or(|global| *least < global) {
        let table = reader.draft.table(&["limits"], said);
        reader.draft[table]
            .entries
            .retain(|entry| entry.key != "max_connections");
        let limit = least.to_string();
        reader.draft.set(table, "max_connections", limit, said);
    }
}

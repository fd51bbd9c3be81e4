//! `bind` lines: where clients connect (configuration manual, 4.2 "bind" and 5.1).

use super::Reader;
use super::words::Line;
use crate::import::address::{numeric, split};
use crate::import::draft::TableId;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// Ports of one range at most: each becomes a listener.
const MAX_PORTS: u16 = 64;

/// Makes the listeners of a `bind` line of the proxy `proxy`.
pub(super) fn listeners(reader: &mut Reader<'_>, line: &Line, proxy: &str) -> Vec<TableId> {
    let words = line.words();
    let [_, addresses, params @ ..] = words.as_slice() else {
        reader
            .draft
            .notes
            .not_taken(&line.said, "it has no address");
        return Vec::new();
    };
    let params = read(params, &line.said);
    if params.iter().any(|param| param.name == "ssl") {
        let why = "mqtt-lb has no TLS: the listener is left out, leave it to HAProxy in front";
        reader.draft.notes.not_taken(&line.said, why);
        return Vec::new();
    }
    let mut made = Vec::new();
    for address in addresses.split(',') {
        let said = line.said.piece(&format!("bind {address}"));
        match sockets(address) {
            Ok(sockets) => {
                for socket in sockets {
                    let wanted = params
                        .iter()
                        .find(|p| p.name == "name")
                        .and_then(|p| p.value);
                    let name = reader.listeners.take(wanted.unwrap_or(proxy));
                    let table = reader.draft.table(&["listener", &name], &said);
                    reader.draft.set(table, "bind", text(&socket), &said);
                    made.push(table);
                }
            }
            Err(why) => reader.draft.notes.not_taken(&said, why),
        }
    }
    for param in &params {
        take(reader, param, &made);
    }
    made
}

/// A parameter with its value, if it has one.
struct Param<'a> {
    said: Said,
    name: &'a str,
    value: Option<&'a str>,
}

fn read<'a>(words: &[&'a str], said: &Said) -> Vec<Param<'a>> {
    let with_value = [
        "alpn",
        "backlog",
        "ca-file",
        "ciphers",
        "crt",
        "crt-list",
        "gid",
        "group",
        "id",
        "interface",
        "level",
        "maxconn",
        "mode",
        "mss",
        "name",
        "namespace",
        "nice",
        "process",
        "proto",
        "shards",
        "tcp-ut",
        "thread",
        "uid",
        "user",
        "verify",
    ];
    let mut words = words.iter();
    let mut params = Vec::new();
    while let Some(&name) = words.next() {
        let value = match with_value.contains(&name) {
            true => words.next().copied(),
            false => None,
        };
        let text = match value {
            Some(value) => format!("{name} {value}"),
            None => name.to_owned(),
        };
        params.push(Param {
            said: said.piece(&text),
            name,
            value,
        });
    }
    params
}

fn take(reader: &mut Reader<'_>, param: &Param<'_>, listeners: &[TableId]) {
    let notes = &mut reader.draft.notes;
    match param.name {
        "name" | "v4v6" => {}
        "backlog" => {
            for &listener in listeners {
                let backlog = param.value.unwrap_or_default().to_owned();
                super::number(reader, listener, "backlog", &backlog, &param.said);
            }
        }
        "accept-proxy" => {
            let why = "mqtt-lb reads no PROXY header of clients and would refuse them: \
                       have what is in front connect without one";
            notes.not_taken(&param.said, why);
        }
        "defer-accept" | "id" | "nice" | "process" | "proto" | "shards" | "thread" | "level" => {
            notes.not_needed(
                &param.said,
                "each worker has its own socket and takes clients as they come",
            );
        }
        "tfo" => notes.not_needed(&param.said, "clients fall back to the usual handshake"),
        "v6only" => notes.not_taken(&param.said, "[::] takes IPv4, too: bind an IPv6 address"),
        _ => notes.not_taken(&param.said, "listeners have nothing like it"),
    }
}

/// The addresses, as the configuration writes them.
fn sockets(address: &str) -> Result<Vec<String>, String> {
    let (bare, any) = match address.split_once('@') {
        Some(("ipv4", rest)) => (rest, "0.0.0.0"),
        Some(("ipv6", rest)) => (rest, "[::]"),
        Some((family, _)) => {
            return Err(format!("there are no listeners on {family}@, only IP:PORT"));
        }
        None => (address, "0.0.0.0"),
    };
    let (host, ports) = bare
        .rsplit_once(':')
        .ok_or("it has no port: write IP:PORT")?;
    let host = match host {
        "" | "*" => any.to_owned(),
        "::" => "[::]".to_owned(),
        host => match numeric(host) {
            Some(ip) if ip.is_ipv6() => format!("[{ip}]"),
            Some(ip) => ip.to_string(),
            None => {
                return Err(format!(
                    "{host} is not the address of a host: write IP:PORT"
                ));
            }
        },
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        return Err(format!("{ports} is not a port"));
    };
    if last < first || last - first >= MAX_PORTS {
        return Err(format!(
            "{ports} are not 1 to {MAX_PORTS} ports: write one bind for each"
        ));
    }
    Ok((first..=last)
        .map(|port| format!("{host}:{port}"))
        .collect())
}

/// The first address of a `bind` line, as the configuration writes it.
pub(super) fn first_socket(words: &[&str]) -> Option<String> {
    sockets(words.get(1)?).ok()?.into_iter().next()
}

/// The port that all of `listeners` have, if it is one.
pub(super) fn common_port(reader: &Reader<'_>, listeners: &[TableId]) -> Option<u16> {
    let port = |id: &TableId| {
        let bind = reader.draft.get(*id, "bind")?;
        split(bind.trim_matches('"')).1
    };
    let first = port(listeners.first()?)?;
    listeners
        .iter()
        .all(|id| port(id) == Some(first))
        .then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("*:1883", vec!["0.0.0.0:1883"]),
            (":1883", vec!["0.0.0.0:1883"]),
            ("10.0.0.1:1883", vec!["10.0.0.1:1883"]),
            ("ipv4@*:1883", vec!["0.0.0.0:1883"]),
            ("ipv6@:1883", vec!["[::]:1883"]),
            (":::1883", vec!["[::]:1883"]),
            ("[::]:1883", vec!["[::]:1883"]),
            ("[2001:db8::1]:1883", vec!["[2001:db8::1]:1883"]),
            ("2001:db8::1:1883", vec!["[2001:db8::1]:1883"]),
            ("*:1-2", vec!["0.0.0.0:1", "0.0.0.0:2"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(sockets(address), Ok(expected), "{address}");
        }
        for bad in [
            "",
            "1883",
            "host:1883",
            "*:x",
            "*:9-1",
            "*:1-999",
            "unix@/s",
            "/s",
            "fd@3",
        ] {
            assert!(sockets(bad).is_err(), "{bad}");
        }
    }
}

//! `upstream` blocks: backends and how clients get to them.

use super::Reader;
use super::syntax::Directive;
use crate::import::address::{broker, numeric, split};
use crate::import::draft::TableId;
use crate::import::name::Names;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// Writes the pool `pool` for the block `block`.
pub(super) fn read(reader: &mut Reader<'_>, block: &Directive, pool: &str) {
    let table = reader.draft.table(&["pool", pool], &block.said);
    let mut names = Names::default();
    let mut count = 0;
    for directive in block.inner() {
        let said = &directive.said;
        match directive.words().as_slice() {
            ["server", address, params @ ..] => {
                count += 1;
                let wanted = match split(address).0 {
                    host if numeric(host).is_none() && !host.starts_with("unix:") => {
                        host.to_owned()
                    }
                    _ => format!("{pool}{count}"),
                };
                let name = names.take(&wanted);
                let backend = backend(reader, pool, &name, address, said);
                for param in params {
                    server_param(reader, table, backend, param, &said.piece(param));
                }
            }
            ["hash", key, rest @ ..] => hash(reader, pool, table, key, rest, said),
            ["least_conn"] => reader.draft.set(table, "balance", text("leastconn"), said),
            ["least_time", ..] => {
                let why = "answers are not timed: least connections is taken";
                reader.draft.notes.differs(said, why);
                reader.draft.set(table, "balance", text("leastconn"), said);
            }
            ["random", rest @ ..] => {
                if !matches!(rest, ["two"] | ["two", "least_conn"]) {
                    let why = "the better one of two random backends is taken";
                    reader.draft.notes.differs(said, why);
                }
                reader.draft.set(table, "balance", text("random"), said);
            }
            // Figures are on /metrics, and state is not shared between workers.
            ["zone", ..] => {}
            ["state", ..] => reader
                .draft
                .notes
                .not_taken(said, "backends stand in the file, which SIGHUP reads again"),
            ["resolver" | "resolver_timeout", ..] => {
                let why = "names are not looked up while running: backends have addresses";
                reader.draft.notes.not_taken(said, why);
            }
            _ => reader.draft.notes.not_taken(said, "it is not understood"),
        }
    }
}

/// Writes a backend; one whose address mqtt-lb cannot have is left out.
pub(super) fn backend(
    reader: &mut Reader<'_>,
    pool: &str,
    name: &str,
    address: &str,
    said: &Said,
) -> TableId {
    let table = reader.draft.append(&["pool", pool, "backend"], said);
    reader.draft.set(table, "name", text(name), said);
    let (address, why) = match split(address) {
        (host, Some(port)) => broker(reader.draft, host, port, said, reader.resolve),
        (_, None) => {
            let why = "it is not IP:PORT, or leads to no upstream of this file".to_owned();
            (address.to_owned(), Some(why))
        }
    };
    reader.draft.set(table, "address", text(&address), said);
    if let Some(why) = why {
        reader.draft.notes.not_taken(said, why.clone());
        reader.draft.leave_out(table, why);
    }
    table
}

fn server_param(
    reader: &mut Reader<'_>,
    pool: TableId,
    backend: TableId,
    param: &str,
    said: &Said,
) {
    let notes = &mut reader.draft.notes;
    let (name, value) = param.split_once('=').unwrap_or((param, ""));
    let number = value.parse::<u64>().ok().map(|number| number.to_string());
    match (name, number) {
        ("weight", Some(weight)) => reader.draft.set(backend, "weight", weight, said),
        ("max_conns", Some(most)) if most == "0" => {}
        ("max_conns", Some(most)) => reader.draft.set(backend, "maxconn", most, said),
        ("backup", _) => reader.draft.set(backend, "backup", "true".to_owned(), said),
        ("slow_start", _) => match super::units::time(value) {
            Some(time) => {
                let time = crate::import::toml_text::time(time);
                reader.draft.set(pool, "slow_start", time, said);
            }
            None => notes.not_taken(said, format!("{value} is not a time")),
        },
        ("max_fails" | "fail_timeout", _) => {
            let why = "a client that a backend fails goes on to the next one at once, and checks \
                       keep others away from it: [pool.NAME.health]";
            notes.not_needed(said, why);
        }
        ("down", _) => {
            let why = "it is down: mqtt-lb has no backends that start in maintenance";
            notes.not_taken(said, why);
            reader.draft.leave_out(backend, why);
        }
        ("resolve" | "service", _) => {
            notes.not_taken(
                said,
                "names are not looked up while running: backends have addresses",
            );
        }
        _ => notes.not_taken(said, "backends have nothing like it"),
    }
}

/// Takes `hash KEY [consistent]`.
fn hash(
    reader: &mut Reader<'_>,
    pool: &str,
    table: TableId,
    key: &str,
    rest: &[&str],
    said: &Said,
) {
    let variable = key.replace(['{', '}'], "");
    let from = match variable.as_str() {
        "$mqtt_preread_clientid" => "client_id",
        "$mqtt_preread_username" => "username",
        "$remote_addr" => {
            if rest != ["consistent"] {
                moved(reader, said);
            }
            return reader.draft.set(table, "balance", text("source"), said);
        }
        script if set_by_script(reader, script) => {
            let why =
                "taken as the client id, which scripts for MQTT give: look whether this one does";
            reader.draft.notes.differs(said, why);
            "client_id"
        }
        _ => {
            let why = "it is not one of the keys there are: client id, username, source address; \
                       balanced round robin";
            return reader.draft.notes.not_taken(said, why);
        }
    };
    if rest != ["consistent"] {
        moved(reader, said);
    }
    reader.draft.set(table, "balance", text("hash"), said);
    if from != "client_id" {
        let key = reader.draft.table(&["pool", pool, "key"], said);
        reader.draft.set(key, "from", text(from), said);
    }
}

/// A hash that is not consistent has other answers than one that is.
fn moved(reader: &mut Reader<'_>, said: &Said) {
    let why = "the hash is consistent: clients get another node than nginx gives them, the same \
               one each time";
    reader.draft.notes.differs(said, why);
}

/// Whether a script sets `variable`.
fn set_by_script(reader: &Reader<'_>, variable: &str) -> bool {
    let set =
        |d: &&Directive| d.name() == "js_set" && d.words.get(1).is_some_and(|v| v == variable);
    reader.stream.iter().any(set)
}

/// Notes the upstreams that no listener leads to.
pub(super) fn read_unused(reader: &mut Reader<'_>) {
    for directive in reader.stream.clone() {
        if let ["upstream", name] = directive.words().as_slice() {
            if !reader.pool_of.contains_key(*name) {
                let why = "no listener leads to it: it is left out";
                reader.draft.notes.not_needed(&directive.said, why);
            }
        }
    }
}

//! `stick-table` and `stick`: whether a pool has a stick table, and its key.

use std::time::Duration;

use super::Reader;
use super::back::Back;
use super::fetch::{Field, fetch};
use super::units::size;
use super::words::Line;
use crate::import::draft::TableId;
use crate::import::note::Said;
use crate::import::toml_text;

/// What stands for "never" where an expiry is needed.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// Reads the stick lines of the backend `name`.
pub(super) fn read(reader: &mut Reader<'_>, back: &mut Back<'_>, lines: &[Line], name: &str) {
    let mut of = None;
    for line in lines.iter().filter(|line| line.words[0] == "stick") {
        let words = line.words();
        let [_, rule, expression, rest @ ..] = words.as_slice() else {
            reader
                .draft
                .notes
                .not_taken(&line.said, "it is not understood");
            continue;
        };
        let fetch = fetch(expression);
        if *rule == "store-response" && matches!(fetch.field, Field::Connack(_)) {
            let why = "an id that the broker gives a client is learned anyway";
            reader.draft.notes.not_needed(&line.said, why);
            continue;
        }
        match fetch.key() {
            Ok(key) if ["on", "match", "store-request"].contains(rule) => {
                back.set_key(reader, key, &line.said);
                let table = table_of(reader, rest, &line.said);
                of.get_or_insert((table.unwrap_or(name.to_owned()), line.said.clone()));
            }
            Ok(_) => reader
                .draft
                .notes
                .not_taken(&line.said, "it is not understood"),
            Err(why) => reader.draft.notes.not_taken(&line.said, why),
        }
    }
    let own = lines.iter().find(|line| line.words[0] == "stick-table");
    let Some((of, said)) = of else {
        if let Some(own) = own {
            let why = "nothing sticks by it here: the pool has no stick table";
            reader.draft.notes.not_taken(&own.said, why);
        }
        return;
    };
    match find(reader, &of) {
        Some(line) => write(reader, back, &line),
        None => {
            let why = format!("{of} has no stick-table: the pool has one of the usual size");
            reader.draft.notes.differs(&said, why);
            reader.draft.table(&["pool", back.name, "stick"], &said);
        }
    }
    if let Some(own) = own.filter(|_| of != name) {
        let why = format!("clients stick by the table of {of}");
        reader.draft.notes.not_needed(&own.said, why);
    }
}

/// The table that a rule names; what else it says is noted.
fn table_of(reader: &mut Reader<'_>, rest: &[&str], said: &Said) -> Option<String> {
    let (table, rest) = match rest {
        ["table", table, rest @ ..] => (Some((*table).to_owned()), rest),
        rest => (None, rest),
    };
    if !rest.is_empty() {
        let why = "clients stick without a condition: all with a key do";
        reader
            .draft
            .notes
            .not_taken(&said.piece(&rest.join(" ")), why);
    }
    table
}

/// The stick table of the proxy `name`.
fn find(reader: &mut Reader<'_>, name: &str) -> Option<Line> {
    let proxies = reader.proxies;
    let mut named = proxies.iter().enumerate().filter(|(_, p)| p.name == name);
    named.find_map(|(at, proxy)| {
        let mut lines = proxy.lines.iter();
        let line = lines.find(|line| line.words[0] == "stick-table")?;
        if !reader.tables.insert(at) {
            let why = "each pool has a table of its own";
            reader.draft.notes.differs(&line.said, why);
        }
        Some(line.clone())
    })
}

/// Writes `[pool.NAME.stick]`.
fn write(reader: &mut Reader<'_>, back: &Back<'_>, line: &Line) {
    let table = reader
        .draft
        .table(&["pool", back.name, "stick"], &line.said);
    let mut expires = false;
    let words = line.words();
    let mut words = words[1..].iter();
    while let Some(&name) = words.next() {
        let value = match name {
            "nopurge" | "srvkey" | "write-to" => None,
            _ => words.next().copied(),
        };
        let value_text = value.unwrap_or_default();
        let said = line.said.piece(format!("{name} {value_text}").trim());
        match name {
            // The kind and the length of keys: they are whole, whatever they are.
            "type" => {}
            "len" => {
                let why = "keys are whole, and clients that begin alike have each their own entry";
                reader.draft.notes.not_needed(&said, why);
            }
            "size" => set_size(reader, table, value_text, &said),
            "expire" => {
                expires = true;
                super::time(reader, table, "expire", value_text, &said);
            }
            "nopurge" => reader.draft.set(table, "nopurge", "true".to_owned(), &said),
            "peers" => {
                let why = "tables are not sent to peers: [share] and shared = true in \
                           [pool.NAME.stick] share them through Redis";
                reader.draft.notes.not_taken(&said, why);
            }
            "store" => {
                let why = "tables hold the backend and nothing else: see /metrics";
                reader.draft.notes.not_taken(&said, why);
            }
            _ => reader
                .draft
                .notes
                .not_taken(&said, "stick tables have nothing like it"),
        }
    }
    if !expires {
        let why = "without expire entries stay for ever in HAProxy, and for a year here";
        reader.draft.notes.differs(&line.said, why);
        let never = toml_text::time(NEVER);
        reader.draft.set(table, "expire", never, &line.said);
    }
}

fn set_size(reader: &mut Reader<'_>, table: TableId, value: &str, said: &Said) {
    let Some(entries) = size(value) else {
        return reader
            .draft
            .notes
            .not_taken(said, format!("{value} is not a size"));
    };
    let written = toml_text::text(&crate::config::units::size_text(entries));
    reader.draft.set(table, "size", written, said);
}

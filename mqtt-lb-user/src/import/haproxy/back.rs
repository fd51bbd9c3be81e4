//! Backends: pools.

use super::fetch::Key;
use super::sections::Proxy;
use super::server::{Params, server};
use super::{Pool, Reader, balance, bind, check, mode, servers, shared, stick, time};
use crate::import::draft::TableId;
use crate::import::note::Said;
use crate::import::toml_text::text;

/// A pool while its backend is read.
pub(super) struct Back<'a> {
    pub(super) name: &'a str,
    pub(super) said: &'a Said,
    pub(super) table: TableId,
    /// What its clients are told apart by, and where that is said.
    pub(super) key: Option<(Key, Said)>,
    /// What checks send and expect.
    pub(super) checks: check::Checks,
    /// Time a client may wait for a place.
    queue: Option<(String, Said)>,
    /// All backups are used at once.
    pub(super) all_backups: bool,
}

/// Reads the backends that frontends lead to, in the order of the file.
pub(super) fn read_all(reader: &mut Reader<'_>) {
    for (at, pool) in reader.pool_of.clone() {
        let proxy = &reader.proxies[at];
        match mode(proxy) {
            "tcp" => read(reader, proxy, &pool),
            other => {
                let why = format!("mode {other} is left out: mqtt-lb takes MQTT over TCP");
                reader.draft.notes.not_taken(&proxy.said, why);
            }
        }
    }
}

fn read(reader: &mut Reader<'_>, proxy: &Proxy, pool: &Pool) {
    if pool.name != proxy.name {
        let why = format!(
            "the pool is named {}: that is what a name may be here",
            pool.name
        );
        reader.draft.notes.differs(&proxy.said, why);
    }
    let mut back = Back {
        name: &pool.name,
        said: &proxy.said,
        table: reader.draft.table(&["pool", &pool.name], &proxy.said),
        key: None,
        checks: check::Checks::default(),
        queue: connect_timeout(proxy),
        all_backups: false,
    };
    let mut defaults = Params::new();
    let mut all = Vec::new();
    for line in &proxy.lines {
        if !reader.clear(line) {
            continue;
        }
        let said = &line.said;
        let words = line.words();
        let known = match words.as_slice() {
            ["balance", algorithm, args @ ..] => {
                balance::take(reader, &mut back, algorithm, args, said);
                true
            }
            ["hash-type", rest @ ..] => {
                balance::hash_type(reader, rest, said);
                true
            }
            ["hash-balance-factor", factor] => {
                balance::factor(reader, &back, factor, said);
                true
            }
            ["stick-table" | "stick", ..] => true,
            ["server", ..] => server(line, &defaults)
                .map(|server| all.push(server))
                .is_some(),
            ["default-server", ..] => {
                super::server::read(&line.words[1..], said, &mut defaults);
                true
            }
            ["server-template", ..] => {
                let why = "mqtt-lb does not look names up: write a backend for each address";
                reader.draft.notes.not_taken(said, why);
                true
            }
            ["timeout", "queue", limit] => {
                back.queue = Some(((*limit).to_owned(), said.clone()));
                true
            }
            ["timeout", "check", limit] => {
                back.checks.timeout = Some(((*limit).to_owned(), said.clone()));
                true
            }
            ["retries" | "retry-on", ..] => {
                let why = "a client goes on to the next backend until [timeouts] connect is over";
                reader.draft.notes.not_needed(said, why);
                true
            }
            ["option", "allbackups"] => {
                back.all_backups = true;
                true
            }
            words => {
                check::take(reader, &mut back.checks, words, said)
                    || shared::take(reader, words, said)
            }
        };
        // What a `listen` has for its clients was read with them.
        if known || !proxy.front {
            reader.known(line, known);
        }
    }
    stick::read(reader, &mut back, &proxy.lines, &proxy.name);
    write_key(reader, &back);
    let port = bind::common_port(reader, &pool.from);
    servers::write(reader, &back, &all, port);
}

/// Writes `[pool.NAME.key]`, when it is not what a pool does anyway.
fn write_key(reader: &mut Reader<'_>, back: &Back<'_>) {
    let Some((key, said)) = back.key.as_ref().filter(|(key, _)| !key.is_default()) else {
        return;
    };
    let table = reader.draft.table(&["pool", back.name, "key"], said);
    reader.draft.set(table, "from", text(key.from), said);
    if let Some((pattern, template)) = &key.pattern {
        reader.draft.set(table, "match", text(pattern), said);
        reader.draft.set(table, "template", text(template), said);
    }
}

impl Back<'_> {
    /// Takes what clients are told apart by; a pool has one key for its table and its hash.
    pub(super) fn set_key(&mut self, reader: &mut Reader<'_>, key: Key, said: &Said) {
        match &self.key {
            Some((first, at)) if *first != key => {
                let why = format!("a pool has one key, and line {} has another one", at.line);
                reader.draft.notes.not_taken(said, why);
            }
            _ => self.key = Some((key, said.clone())),
        }
    }

    /// Writes the queue, in which HAProxy has clients wait for servers that are full.
    pub(super) fn queue(&self, reader: &mut Reader<'_>, maxconn: &Said) {
        let path = ["pool", self.name, "queue"];
        let table = reader.draft.table(&path, maxconn);
        if let Some((limit, said)) = &self.queue {
            time(reader, table, "timeout", limit, said);
        }
        let why = format!(
            "clients wait for a place, 1000 at most: [pool.{}.queue] size",
            self.name
        );
        reader.draft.notes.differs(maxconn, why);
    }
}

/// What HAProxy takes for the time in the queue when there is no `timeout queue`.
fn connect_timeout(proxy: &Proxy) -> Option<(String, Said)> {
    let mut lines = proxy.lines.iter();
    lines.find_map(|line| match line.words().as_slice() {
        ["timeout", "connect", limit] => Some(((*limit).to_owned(), line.said.clone())),
        _ => None,
    })
}

//! haproxy.cfg, as the configuration manual of HAProxy 2.6 to 3.2 describes it.

mod back;
mod balance;
mod bind;
mod check;
mod condition;
mod fetch;
mod front;
mod global;
mod sections;
mod server;
mod servers;
mod shared;
mod stick;
mod units;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use sections::is_section;

use super::Resolve;
use super::draft::{Draft, TableId};
use super::name::Names;
use super::note::Said;
use sections::{Proxy, sections};
use words::Line;

/// Reads the file `text` into `draft`.
pub(super) fn read(text: &str, resolve: Resolve<'_>, draft: &mut Draft) {
    let sections = sections(text, &mut draft.notes);
    global::read(&sections.global, draft);
    let mut reader = Reader {
        draft,
        resolve,
        proxies: &sections.proxies,
        listeners: Names::default(),
        pools: Names::default(),
        pool_of: BTreeMap::new(),
        read: BTreeMap::new(),
        tables: BTreeSet::new(),
    };
    front::read_all(&mut reader);
    back::read_all(&mut reader);
    reader.finish();
}

/// What is known while a file is read.
struct Reader<'a> {
    draft: &'a mut Draft,
    resolve: Resolve<'a>,
    proxies: &'a [Proxy],
    /// Names of listeners.
    listeners: Names,
    /// Names of pools.
    pools: Names,
    /// The pools that clients go to, by their backends' places in `proxies`.
    pool_of: BTreeMap<usize, Pool>,
    /// The lines that were read, and whether one of their readers knew them.
    read: BTreeMap<Said, bool>,
    /// Backends whose stick table a pool has.
    tables: BTreeSet<usize>,
}

/// A pool that clients go to.
#[derive(Debug, Clone)]
struct Pool {
    name: String,
    /// The listeners that lead to it.
    from: Vec<TableId>,
}

impl Reader<'_> {
    /// The name of the pool for the backend `name`, to which `listeners` lead; `None`
    /// when there is no such backend.
    fn pool(&mut self, name: &str, listeners: &[TableId]) -> Option<String> {
        let mut backs = self.proxies.iter().enumerate();
        let (at, proxy) = backs.find(|(_, proxy)| proxy.back && proxy.name == name)?;
        let pools = &mut self.pools;
        let pool = self.pool_of.entry(at).or_insert_with(|| Pool {
            name: pools.take(&proxy.name),
            from: Vec::new(),
        });
        pool.from.extend(listeners);
        Some(pool.name.clone())
    }

    /// Notes that a line was read.
    fn known(&mut self, line: &Line, known: bool) {
        *self.read.entry(line.said.clone()).or_default() |= known;
    }

    /// Whether a line can be read; one with a variable is noted instead.
    fn clear(&mut self, line: &Line) -> bool {
        if let Some(why) = line.unclear {
            self.draft.notes.not_taken(&line.said, why);
            self.known(line, true);
        }
        line.unclear.is_none()
    }

    /// Notes the lines that nobody knew, and the backends that nobody leads to.
    fn finish(self) {
        for (said, known) in self.read {
            if !known {
                self.draft
                    .notes
                    .not_taken(&said, "it is not understood here");
            }
        }
        for (at, proxy) in self.proxies.iter().enumerate() {
            let used = proxy.front || self.pool_of.contains_key(&at) || self.tables.contains(&at);
            if !used {
                let why = "no listener leads to it: it is left out";
                self.draft.notes.not_needed(&proxy.said, why);
            }
        }
    }
}

/// The mode of a proxy; HAProxy's own default is TCP.
fn mode(proxy: &Proxy) -> &str {
    let modes = proxy
        .lines
        .iter()
        .rev()
        .filter_map(|line| match line.words.as_slice() {
            [first, mode, ..] if first == "mode" => Some(mode.as_str()),
            _ => None,
        });
    modes.into_iter().next().unwrap_or("tcp")
}

/// Sets `key` to a whole number, which the reader of the configuration judges.
fn number(reader: &mut Reader<'_>, table: TableId, key: &'static str, text: &str, said: &Said) {
    match units::size(text) {
        Some(number) => reader.draft.set(table, key, number.to_string(), said),
        None => reader
            .draft
            .notes
            .not_taken(said, format!("{text} is not a number")),
    }
}

/// Sets `key` to a time, which the reader of the configuration judges.
fn time(reader: &mut Reader<'_>, table: TableId, key: &'static str, text: &str, said: &Said) {
    match units::time(text) {
        Some(time) => {
            let time = super::toml_text::time(time);
            reader.draft.set(table, key, time, said);
        }
        None => reader
            .draft
            .notes
            .not_taken(said, format!("{text} is not a time")),
    }
}

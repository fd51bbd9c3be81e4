//! The configuration while it is put together: tables and values, each with the
//! piece of the source it comes from.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use super::note::{Notes, Said};
use super::toml_text::key;

/// The result so far, and what there is to say about the source.
#[derive(Debug, Default)]
pub(super) struct Draft {
    tables: Vec<Table>,
    /// Where each `[table]` is, and the first one of each listener and pool.
    places: HashMap<Vec<String>, TableId>,
    /// What there is to say.
    pub(super) notes: Notes,
}

/// A table of a [`Draft`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableId(usize);

/// A `[table]` or an element of a `[[list]]`.
#[derive(Debug)]
pub(super) struct Table {
    path: Vec<String>,
    list: bool,
    /// The first table of its listener or pool.
    owner: TableId,
    pub(super) said: Said,
    pub(super) entries: Vec<Entry>,
    /// Why it is only shown as a comment.
    pub(super) left_out: Option<String>,
}

/// A `key = value`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    /// As TOML writes it.
    pub(super) value: String,
    pub(super) said: Said,
    /// It is only shown as a comment.
    pub(super) left_out: bool,
}

impl Table {
    /// `[path]` or `[[path]]`; empty for the top level.
    pub(super) fn header(&self) -> String {
        let keys: Vec<String> = self.path.iter().map(|name| key(name)).collect();
        let path = keys.join(".");
        match self.list {
            _ if path.is_empty() => path,
            true => format!("[[{path}]]"),
            false => format!("[{path}]"),
        }
    }

    /// The path of what is named `name` in it.
    pub(super) fn below(&self, name: &str) -> Vec<String> {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        path
    }

    /// Whether nothing but the table itself is lost when the value of `key` is wrong.
    ///
    /// A backend without its address is none, and a route without one of its conditions
    /// would take more clients than it may.
    pub(super) fn can_lose(&self, key: &str) -> bool {
        let route = self.list && self.path.last().is_some_and(|name| name == "route");
        !route && !["address", "bind", "from", "name", "pool"].contains(&key)
    }

    /// Where it stands in the file: top level, sections, listeners, pools; what belongs
    /// to a listener or pool is behind it.
    fn order(&self) -> (usize, TableId, usize) {
        let groups = [
            "log", "admin", "http", "limits", "timeouts", "share", "listener", "pool",
        ];
        let parts = ["key", "stick", "queue", "health", "on_marked_down"];
        let rank = |names: &[&str], at: usize| {
            let name = self.path.get(at);
            name.map_or(0, |name| {
                1 + names.iter().position(|n| n == name).unwrap_or(names.len())
            })
        };
        (rank(&groups, 0), self.owner, rank(&parts, 2))
    }
}

impl Index<TableId> for Draft {
    type Output = Table;

    fn index(&self, id: TableId) -> &Table {
        &self.tables[id.0]
    }
}

impl IndexMut<TableId> for Draft {
    fn index_mut(&mut self, id: TableId) -> &mut Table {
        &mut self.tables[id.0]
    }
}

impl Draft {
    /// The table `path`, made when it is not there.
    pub(super) fn table(&mut self, path: &[&str], said: &Said) -> TableId {
        let there = self.find(path);
        there.unwrap_or_else(|| self.push(path, said, false))
    }

    /// The table `path`, if it is there.
    pub(super) fn find(&self, path: &[&str]) -> Option<TableId> {
        self.places.get(&owned(path)).copied()
    }

    /// One more element of the list `path`.
    pub(super) fn append(&mut self, path: &[&str], said: &Said) -> TableId {
        self.push(path, said, true)
    }

    fn push(&mut self, path: &[&str], said: &Said, list: bool) -> TableId {
        let id = TableId(self.tables.len());
        let path = owned(path);
        let above = path[..path.len().min(2)].to_vec();
        let owner = *self.places.entry(above).or_insert(id);
        if !list {
            self.places.insert(path.clone(), id);
        }
        self.tables.push(Table {
            path,
            list,
            owner,
            said: said.clone(),
            entries: Vec::new(),
            left_out: None,
        });
        id
    }

    /// Sets `key` to `value`. When the source says it twice and differently, for what is
    /// one value here, the first one stays.
    pub(super) fn set(&mut self, table: TableId, key: &'static str, value: String, said: &Said) {
        let table = &mut self.tables[table.0];
        match table.entries.iter().find(|entry| entry.key == key) {
            None => table.entries.push(Entry {
                key,
                value,
                said: said.clone(),
                left_out: false,
            }),
            Some(first) if first.value != value => {
                let (at, said_first) = (first.said.line, &first.value);
                let why = format!(
                    "{key} of {} is one value here, and line {at} has set it to {said_first}",
                    table.header()
                );
                self.notes.not_taken(said, why);
            }
            Some(_) => {}
        }
    }

    /// The value of `key`, as TOML writes it.
    pub(super) fn get(&self, table: TableId, key: &str) -> Option<&str> {
        let entries = &self[table].entries;
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Shows a table only as a comment that says why.
    pub(super) fn leave_out(&mut self, table: TableId, why: impl Into<String>) {
        self[table].left_out = Some(why.into());
    }

    /// Whether a table, or the one it belongs to, is only shown as a comment.
    pub(super) fn is_out(&self, id: TableId) -> bool {
        let out = |id: TableId| self[id].left_out.is_some();
        let path = &self[id].path;
        let mut above = (1..path.len()).filter_map(|len| self.places.get(&path[..len]));
        out(id) || above.any(|id| out(*id))
    }

    /// The tables in the order of the file to write.
    pub(super) fn in_order(&self) -> Vec<TableId> {
        let mut ids: Vec<TableId> = (0..self.tables.len()).map(TableId).collect();
        ids.sort_by_key(|id| self[*id].order());
        ids
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&name| name.to_owned()).collect()
}

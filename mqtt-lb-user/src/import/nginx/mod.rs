//! nginx.conf: its `stream` block, as NGINX Plus R29 to R34 describe it.

mod main_block;
mod pool;
mod routes;
mod server;
mod syntax;
mod units;
mod upstream;

use std::collections::BTreeMap;

use super::Resolve;
use super::draft::Draft;
use super::name::Names;
use super::note::Said;
use syntax::{Directive, directives};

/// Reads the file `text` into `draft`.
pub(super) fn read(text: &str, resolve: Resolve<'_>, draft: &mut Draft) {
    let all = directives(text, &mut draft.notes);
    let blocks: Vec<&Directive> = all.iter().filter(|d| d.name() == "stream").collect();
    // A file that the stream block includes has its directives at the top.
    let part = blocks.is_empty() && all.iter().any(|d| d.name() == "upstream");
    let stream: Vec<&Directive> = match part {
        true => all.iter().collect(),
        false => blocks.into_iter().flat_map(Directive::inner).collect(),
    };
    if !part {
        main_block::read(&all, draft);
    }
    let mut reader = Reader {
        draft,
        resolve,
        stream,
        listeners: Names::default(),
        pools: Names::default(),
        pool_of: BTreeMap::new(),
    };
    server::read_all(&mut reader);
    upstream::read_unused(&mut reader);
}

/// What is known while a file is read.
struct Reader<'a> {
    draft: &'a mut Draft,
    resolve: Resolve<'a>,
    /// What stands in the stream block.
    stream: Vec<&'a Directive>,
    /// Names of listeners.
    listeners: Names,
    /// Names of pools.
    pools: Names,
    /// The pools that were written, by what `proxy_pass` says.
    pool_of: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    /// The block `upstream NAME`.
    fn upstream(&self, name: &str) -> Option<&'a Directive> {
        let mut blocks = self.stream.iter();
        blocks.find(|d| d.words() == ["upstream", name]).copied()
    }

    fn time(&mut self, path: &[&str], key: &'static str, text: &str, said: &Said) {
        match units::time(text) {
            Some(time) => {
                let table = self.draft.table(path, said);
                let time = super::toml_text::time(time);
                self.draft.set(table, key, time, said);
            }
            None => self
                .draft
                .notes
                .not_taken(said, format!("{text} is not a time")),
        }
    }
}

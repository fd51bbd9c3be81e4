//! Commands on stick tables.

use super::{Command, CommandError, Group, Parsed, name};

/// What an operator can ask of stick tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableCommand {
    /// `show table`
    List,
    /// `show table NAME [key KEY]`
    Show {
        /// The pool the table belongs to.
        pool: String,
        /// The only key wanted; all when `None`.
        key: Option<Vec<u8>>,
    },
    /// `set table NAME key KEY backend BACKEND`
    Set {
        /// The pool the table belongs to.
        pool: String,
        /// The client id.
        key: Vec<u8>,
        /// Its new backend.
        backend: String,
    },
    /// `clear table NAME [key KEY | backend BACKEND]`
    Clear {
        /// The pool the table belongs to.
        pool: String,
        /// Which entries go.
        which: Entries,
    },
}

/// Which entries of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entries {
    /// All of them.
    All,
    /// The one of this client id.
    Key(Vec<u8>),
    /// Those of this backend.
    Backend(String),
}

pub(super) const SHOW: &str = "show table [NAME [key KEY]]";
pub(super) const SET: &str = "set table NAME key KEY backend BACKEND";
pub(super) const CLEAR: &str = "clear table NAME [key KEY | backend BACKEND]";

pub(super) const GROUP: Group = Group {
    help: &[
        (SHOW, "the stick tables, or the entries of one"),
        (SET, "where a client id goes"),
        (CLEAR, "forget entries"),
    ],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    let command = match words {
        [b"show", b"table"] => TableCommand::List,
        [b"show", b"table", pool] => TableCommand::Show {
            pool: name(pool, SHOW)?,
            key: None,
        },
        [b"show", b"table", pool, b"key", key] => TableCommand::Show {
            pool: name(pool, SHOW)?,
            key: Some(key.to_vec()),
        },
        [b"show", b"table", ..] => return Err(CommandError::Usage(SHOW)),
        [b"set", b"table", pool, b"key", key, b"backend", backend] => TableCommand::Set {
            pool: name(pool, SET)?,
            key: key.to_vec(),
            backend: name(backend, SET)?,
        },
        [b"set", b"table", ..] => return Err(CommandError::Usage(SET)),
        [b"clear", b"table", pool, rest @ ..] => {
            let which = match rest {
                [] => Entries::All,
                [b"key", key] => Entries::Key(key.to_vec()),
                [b"backend", backend] => Entries::Backend(name(backend, CLEAR)?),
                _ => return Err(CommandError::Usage(CLEAR)),
            };
            TableCommand::Clear {
                pool: name(pool, CLEAR)?,
                which,
            }
        }
        [b"clear", b"table"] => return Err(CommandError::Usage(CLEAR)),
        _ => return Ok(None),
    };
    Ok(Some(Command::Table(command)))
}

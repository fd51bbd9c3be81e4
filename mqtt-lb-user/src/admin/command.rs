//! The commands of the admin socket, in HAProxy's words.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum as _;

use super::words::{self, WordError};
use crate::backend::AdminState;
use crate::config::PathKind;
use crate::config::units::parse_duration;
use crate::escape::Escaped;

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `help`
    Help,
    /// `prompt`: stay, and ask for the next line.
    Prompt,
    /// `quit`
    Quit,
    /// `show info`
    ShowInfo,
    /// `show backends [POOL]`
    ShowBackends {
        /// The pool; all when `None`.
        pool: Option<String>,
    },
    /// `set backend POOL/NAME state STATE`
    SetBackend {
        /// The pool.
        pool: String,
        /// The backend's name in it.
        backend: String,
        /// What the operator wants of it.
        state: AdminState,
        /// Draining: when its sessions are ended.
        deadline: Option<Duration>,
    },
    /// `shutdown sessions server POOL/NAME`
    ShutdownSessions {
        /// The pool.
        pool: String,
        /// The backend's name in it.
        backend: String,
    },
    /// `show flows [path PATH]`
    ShowFlows {
        /// The only data path wanted; all when `None`.
        path: Option<PathKind>,
    },
    /// `show table`
    ShowTables,
    /// `show table NAME [key KEY]`
    ShowTable {
        /// The pool the table belongs to.
        pool: String,
        /// The only key wanted; all when `None`.
        key: Option<Vec<u8>>,
    },
    /// `set table NAME key KEY backend BACKEND`
    SetTable {
        /// The pool the table belongs to.
        pool: String,
        /// The client id.
        key: Vec<u8>,
        /// Its new backend.
        backend: String,
    },
    /// `clear table NAME [key KEY | backend BACKEND]`
    ClearTable {
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

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// The line cannot be cut into words.
    Words(WordError),
    /// The first words are no command.
    Unknown(Vec<u8>),
    /// The command's words are not the ones it takes.
    Usage(&'static str),
}

impl From<WordError> for CommandError {
    fn from(error: WordError) -> Self {
        Self::Words(error)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(error) => error.fmt(f),
            Self::Unknown(words) => {
                write!(f, "unknown command \"{}\": try help", Escaped(words))
            }
            Self::Usage(usage) => write!(f, "usage: {usage}"),
        }
    }
}

const SHOW_BACKENDS: &str = "show backends [POOL]";
const SET_BACKEND: &str = "set backend POOL/NAME state ready|drain [deadline TIME]|maint";
const SHUTDOWN_SESSIONS: &str = "shutdown sessions server POOL/NAME";
const SHOW_FLOWS: &str = "show flows [path splice|sockmap|copy]";
const SHOW_TABLE: &str = "show table [NAME [key KEY]]";
const SET_TABLE: &str = "set table NAME key KEY backend BACKEND";
const CLEAR_TABLE: &str = "clear table NAME [key KEY | backend BACKEND]";

/// What `help` answers.
pub const HELP: [(&str, &str); 11] = [
    ("help", "this list"),
    ("prompt", "stay connected and ask for the next line"),
    ("quit", "end the connection"),
    (
        "show info",
        "the process: version, uptime, phase, connections",
    ),
    (SHOW_BACKENDS, "the backends and their state"),
    (SET_BACKEND, "what a backend may get"),
    (SHUTDOWN_SESSIONS, "end the sessions of a backend"),
    (SHOW_FLOWS, "the connections and their data path"),
    (SHOW_TABLE, "the stick tables, or the entries of one"),
    (SET_TABLE, "where a client id goes"),
    (CLEAR_TABLE, "forget entries"),
];

/// Reads a line of commands separated by `;`. One bad command and none is read.
///
/// # Errors
/// Says what is wrong and what would be right.
pub fn parse(line: &[u8]) -> Result<Vec<Command>, CommandError> {
    words::commands(line)?
        .iter()
        .map(|words| {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            command(&words)
        })
        .collect()
}

fn command(words: &[&[u8]]) -> Result<Command, CommandError> {
    let command = match words {
        [b"help"] => Command::Help,
        [b"prompt"] => Command::Prompt,
        [b"quit"] => Command::Quit,
        [b"show", b"info"] => Command::ShowInfo,
        [b"show", b"backends"] => Command::ShowBackends { pool: None },
        [b"show", b"backends", pool] => Command::ShowBackends {
            pool: Some(name(pool, SHOW_BACKENDS)?),
        },
        [b"show", b"backends", ..] => return Err(CommandError::Usage(SHOW_BACKENDS)),
        [b"set", b"backend", path, b"state", state] => set_backend(path, state, None)?,
        [
            b"set",
            b"backend",
            path,
            b"state",
            state @ b"drain",
            b"deadline",
            time,
        ] => {
            let time = name(time, SET_BACKEND)?;
            let time = parse_duration(&time).map_err(|_| CommandError::Usage(SET_BACKEND))?;
            set_backend(path, state, Some(time))?
        }
        [b"set", b"backend", ..] => return Err(CommandError::Usage(SET_BACKEND)),
        [b"shutdown", b"sessions", b"server", path] => {
            let (pool, backend) = backend_path(path, SHUTDOWN_SESSIONS)?;
            Command::ShutdownSessions { pool, backend }
        }
        [b"shutdown", b"sessions", ..] => return Err(CommandError::Usage(SHUTDOWN_SESSIONS)),
        [b"show", b"flows"] => Command::ShowFlows { path: None },
        [b"show", b"flows", b"path", path] => {
            let path = PathKind::from_str(&name(path, SHOW_FLOWS)?, false);
            Command::ShowFlows {
                path: Some(path.map_err(|_| CommandError::Usage(SHOW_FLOWS))?),
            }
        }
        [b"show", b"flows", ..] => return Err(CommandError::Usage(SHOW_FLOWS)),
        [b"show", b"table"] => Command::ShowTables,
        [b"show", b"table", pool] => Command::ShowTable {
            pool: name(pool, SHOW_TABLE)?,
            key: None,
        },
        [b"show", b"table", pool, b"key", key] => Command::ShowTable {
            pool: name(pool, SHOW_TABLE)?,
            key: Some(key.to_vec()),
        },
        [b"show", b"table", ..] => return Err(CommandError::Usage(SHOW_TABLE)),
        [b"set", b"table", pool, b"key", key, b"backend", backend] => Command::SetTable {
            pool: name(pool, SET_TABLE)?,
            key: key.to_vec(),
            backend: name(backend, SET_TABLE)?,
        },
        [b"set", b"table", ..] => return Err(CommandError::Usage(SET_TABLE)),
        [b"clear", b"table", pool, rest @ ..] => {
            let which = match rest {
                [] => Entries::All,
                [b"key", key] => Entries::Key(key.to_vec()),
                [b"backend", backend] => Entries::Backend(name(backend, CLEAR_TABLE)?),
                _ => return Err(CommandError::Usage(CLEAR_TABLE)),
            };
            Command::ClearTable {
                pool: name(pool, CLEAR_TABLE)?,
                which,
            }
        }
        [b"clear", b"table"] => return Err(CommandError::Usage(CLEAR_TABLE)),
        _ => return Err(CommandError::Unknown(shown(words))),
    };
    Ok(command)
}

fn set_backend(
    path: &[u8],
    state: &[u8],
    deadline: Option<Duration>,
) -> Result<Command, CommandError> {
    let (pool, backend) = backend_path(path, SET_BACKEND)?;
    let state = name(state, SET_BACKEND)?.parse();
    Ok(Command::SetBackend {
        pool,
        backend,
        state: state.map_err(|_| CommandError::Usage(SET_BACKEND))?,
        deadline,
    })
}

/// `POOL/NAME`
fn backend_path(path: &[u8], usage: &'static str) -> Result<(String, String), CommandError> {
    let path = name(path, usage)?;
    let (pool, backend) = path.split_once('/').ok_or(CommandError::Usage(usage))?;
    Ok((pool.to_owned(), backend.to_owned()))
}

/// A name out of the configuration: always UTF-8.
fn name(word: &[u8], usage: &'static str) -> Result<String, CommandError> {
    String::from_utf8(word.to_vec()).map_err(|_| CommandError::Usage(usage))
}

/// As much of an unknown command as an error can repeat.
fn shown(words: &[&[u8]]) -> Vec<u8> {
    let mut start = words[..words.len().min(2)].join(&b' ');
    start.truncate(40);
    start
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;

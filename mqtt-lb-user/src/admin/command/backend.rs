//! Commands on backends.

use std::time::Duration;

use super::{Command, CommandError, Group, Parsed, name};
use crate::backend::AdminState;
use crate::config::MAX_WEIGHT;
use crate::config::units::parse_duration;

/// What an operator can ask of backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendCommand {
    /// `show backends [POOL]`
    Show {
        /// The pool; all when `None`.
        pool: Option<String>,
    },
    /// `set backend POOL/NAME state STATE`
    SetState {
        /// The pool.
        pool: String,
        /// The backend's name in it.
        backend: String,
        /// What the operator wants of it.
        state: AdminState,
        /// Draining: when its sessions are ended.
        deadline: Option<Duration>,
    },
    /// `set backend POOL/NAME weight WEIGHT`
    SetWeight {
        /// The pool.
        pool: String,
        /// The backend's name in it.
        backend: String,
        /// Its share of new clients.
        weight: u32,
    },
    /// `shutdown sessions server POOL/NAME`
    Shutdown {
        /// The pool.
        pool: String,
        /// The backend's name in it.
        backend: String,
    },
}

pub(super) const SHOW: &str = "show backends [POOL]";
pub(super) const SET_STATE: &str = "set backend POOL/NAME state ready|drain [deadline TIME]|maint";
pub(super) const SET_WEIGHT: &str = "set backend POOL/NAME weight 0-256";
pub(super) const SHUTDOWN: &str = "shutdown sessions server POOL/NAME";

pub(super) const GROUP: Group = Group {
    help: &[
        (SHOW, "the backends and their state"),
        (SET_STATE, "what a backend may get"),
        (SET_WEIGHT, "a backend's share of new clients"),
        (SHUTDOWN, "end the sessions of a backend"),
    ],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    let command = match words {
        [b"show", b"backends"] => BackendCommand::Show { pool: None },
        [b"show", b"backends", pool] => BackendCommand::Show {
            pool: Some(name(pool, SHOW)?),
        },
        [b"show", b"backends", ..] => return Err(CommandError::Usage(SHOW)),
        [b"set", b"backend", path, b"state", state] => set_state(path, state, None)?,
        [
            b"set",
            b"backend",
            path,
            b"state",
            state @ b"drain",
            b"deadline",
            time,
        ] => {
            let time = parse_duration(&name(time, SET_STATE)?);
            let time = time.map_err(|_| CommandError::Usage(SET_STATE))?;
            set_state(path, state, Some(time))?
        }
        [b"set", b"backend", path, b"weight", weight] => {
            let (pool, backend) = backend_path(path, SET_WEIGHT)?;
            let weight = name(weight, SET_WEIGHT)?.parse().ok();
            BackendCommand::SetWeight {
                pool,
                backend,
                weight: weight
                    .filter(|weight| *weight <= MAX_WEIGHT)
                    .ok_or(CommandError::Usage(SET_WEIGHT))?,
            }
        }
        [b"set", b"backend", _, b"weight", ..] => return Err(CommandError::Usage(SET_WEIGHT)),
        [b"set", b"backend", ..] => return Err(CommandError::Usage(SET_STATE)),
        [b"shutdown", b"sessions", b"server", path] => {
            let (pool, backend) = backend_path(path, SHUTDOWN)?;
            BackendCommand::Shutdown { pool, backend }
        }
        [b"shutdown", b"sessions", ..] => return Err(CommandError::Usage(SHUTDOWN)),
        _ => return Ok(None),
    };
    Ok(Some(Command::Backend(command)))
}

fn set_state(
    path: &[u8],
    state: &[u8],
    deadline: Option<Duration>,
) -> Result<BackendCommand, CommandError> {
    let (pool, backend) = backend_path(path, SET_STATE)?;
    let state = name(state, SET_STATE)?.parse();
    Ok(BackendCommand::SetState {
        pool,
        backend,
        state: state.map_err(|_| CommandError::Usage(SET_STATE))?,
        deadline,
    })
}

/// `POOL/NAME`
fn backend_path(path: &[u8], usage: &'static str) -> Result<(String, String), CommandError> {
    let path = name(path, usage)?;
    let (pool, backend) = path.split_once('/').ok_or(CommandError::Usage(usage))?;
    Ok((pool.to_owned(), backend.to_owned()))
}

//! The commands of the admin socket, in HAProxy's words.
//!
//! Each group of commands has a file: what it can ask, its lines of `help`, and how
//! its words are read.

mod backend;
mod explain;
mod flows;
mod guard;
mod ids;
mod session;
mod table;

use std::fmt;

use super::words::{self, WordError};
use crate::config::PathKind;
use crate::escape::Escaped;

pub use backend::BackendCommand;
pub use explain::ExplainCommand;
pub use ids::IdsCommand;
pub use table::{Entries, TableCommand};

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
    /// Something of backends.
    Backend(BackendCommand),
    /// `show flows [path PATH]`
    ShowFlows {
        /// The only data path wanted; all when `None`.
        path: Option<PathKind>,
    },
    /// `show guard [COUNT]`
    ShowGuard {
        /// Prefixes to name at most.
        count: usize,
    },
    /// `explain CLIENT_ID [NAME=VALUE]...`
    Explain(Box<ExplainCommand>),
    /// Something of client ids.
    Ids(IdsCommand),
    /// Something of stick tables.
    Table(TableCommand),
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

/// What a group makes of words: `None` when they are none of its commands.
type Parsed = Result<Option<Command>, CommandError>;

struct Group {
    /// Usage and purpose of each command.
    help: &'static [(&'static str, &'static str)],
    parse: fn(&[&[u8]]) -> Parsed,
}

/// In the order of `help`.
const GROUPS: [Group; 7] = [
    session::GROUP,
    backend::GROUP,
    flows::GROUP,
    table::GROUP,
    guard::GROUP,
    explain::GROUP,
    ids::GROUP,
];

/// Usage and purpose of every command.
pub fn help() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS.iter().flat_map(|group| group.help.iter().copied())
}

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
    for group in &GROUPS {
        if let Some(command) = (group.parse)(words)? {
            return Ok(command);
        }
    }
    Err(CommandError::Unknown(shown(words)))
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
mod tests;

//! Commands on what is seen of client ids.

use super::{Command, CommandError, Group, Parsed, name};

/// What an operator can ask of client ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdsCommand {
    /// `show ids [COUNT]`
    Show {
        /// How many of them.
        count: usize,
    },
    /// `clear ids`
    Clear,
}

/// Ids shown when nobody says how many.
const COUNT: usize = 10;

pub(super) const SHOW: &str = "show ids [COUNT]";
pub(super) const CLEAR: &str = "clear ids";

pub(super) const GROUP: Group = Group {
    help: &[
        (SHOW, "the client ids that connect most often"),
        (CLEAR, "count anew who connects most often"),
    ],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    let command = match words {
        [b"show", b"ids"] => IdsCommand::Show { count: COUNT },
        [b"show", b"ids", count] => {
            let count = name(count, SHOW)?.parse();
            IdsCommand::Show {
                count: count.map_err(|_| CommandError::Usage(SHOW))?,
            }
        }
        [b"show", b"ids", ..] => return Err(CommandError::Usage(SHOW)),
        [b"clear", b"ids"] => IdsCommand::Clear,
        [b"clear", b"ids", ..] => return Err(CommandError::Usage(CLEAR)),
        _ => return Ok(None),
    };
    Ok(Some(Command::Ids(command)))
}

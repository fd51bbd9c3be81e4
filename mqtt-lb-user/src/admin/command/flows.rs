//! Commands on connections.

use clap::ValueEnum as _;

use super::{Command, CommandError, Group, Parsed, name};
use crate::config::PathKind;

pub(super) const SHOW: &str = "show flows [path splice|sockmap|copy]";

pub(super) const GROUP: Group = Group {
    help: &[(SHOW, "the connections and their data path")],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    let path = match words {
        [b"show", b"flows"] => None,
        [b"show", b"flows", b"path", path] => {
            let path = PathKind::from_str(&name(path, SHOW)?, false);
            Some(path.map_err(|_| CommandError::Usage(SHOW))?)
        }
        [b"show", b"flows", ..] => return Err(CommandError::Usage(SHOW)),
        _ => return Ok(None),
    };
    Ok(Some(Command::ShowFlows { path }))
}

//! Commands on the guard.

use super::{Command, CommandError, Group, Parsed, name};

/// Prefixes that are named when the operator does not say how many.
const COUNT: usize = 20;

pub(super) const SHOW: &str = "show guard [COUNT]";

pub(super) const GROUP: Group = Group {
    help: &[(SHOW, "SYNs the guard dropped, and who sent most")],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    let count = match words {
        [b"show", b"guard"] => COUNT,
        [b"show", b"guard", count] => {
            let count = name(count, SHOW)?.parse();
            count.map_err(|_| CommandError::Usage(SHOW))?
        }
        [b"show", b"guard", ..] => return Err(CommandError::Usage(SHOW)),
        _ => return Ok(None),
    };
    Ok(Some(Command::ShowGuard { count }))
}

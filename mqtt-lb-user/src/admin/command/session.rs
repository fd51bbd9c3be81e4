//! Commands on the conversation and the process.

use super::{Command, Group, Parsed};

pub(super) const GROUP: Group = Group {
    help: &[
        ("help", "this list"),
        ("prompt", "stay connected and ask for the next line"),
        ("quit", "end the connection"),
        (
            "show info",
            "the process: version, uptime, phase, connections",
        ),
    ],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    Ok(match words {
        [b"help"] => Some(Command::Help),
        [b"prompt"] => Some(Command::Prompt),
        [b"quit"] => Some(Command::Quit),
        [b"show", b"info"] => Some(Command::ShowInfo),
        _ => None,
    })
}

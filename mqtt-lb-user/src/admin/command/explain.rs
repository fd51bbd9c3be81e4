//! The command that explains where a client would go.

use std::net::IpAddr;

use super::{Command, CommandError, Group, Parsed, name};

/// `explain CLIENT_ID [NAME=VALUE]...`: a client as its CONNECT would have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainCommand {
    /// The client id.
    pub client_id: Vec<u8>,
    /// The listener; the only one when `None`.
    pub listener: Option<String>,
    /// The pool, whatever the listener's routes say.
    pub pool: Option<String>,
    /// The protocol level.
    pub level: Option<u8>,
    /// The username.
    pub username: Option<Vec<u8>>,
    /// The topic of the will.
    pub will_topic: Option<Vec<u8>>,
    /// User properties, in order.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// The client's address.
    pub source: Option<IpAddr>,
}

pub(super) const EXPLAIN: &str = "explain CLIENT_ID [NAME=VALUE]...";
/// What it answers to a value that it cannot use.
pub(super) const NAMES: &str = "explain CLIENT_ID [listener=NAME] [pool=NAME] [level=3|4|5] [username=TEXT] \
     [will_topic=TEXT] [source=IP] [property=NAME=TEXT]...";

pub(super) const GROUP: Group = Group {
    help: &[(EXPLAIN, "where a client would go, and why")],
    parse,
};

fn parse(words: &[&[u8]]) -> Parsed {
    match words {
        [b"explain", client_id, settings @ ..] => {
            let mut command = ExplainCommand {
                client_id: client_id.to_vec(),
                ..ExplainCommand::default()
            };
            for setting in settings {
                set(&mut command, setting)?;
            }
            Ok(Some(Command::Explain(Box::new(command))))
        }
        [b"explain"] => Err(CommandError::Usage(NAMES)),
        _ => Ok(None),
    }
}

fn set(command: &mut ExplainCommand, setting: &[u8]) -> Result<(), CommandError> {
    const WRONG: CommandError = CommandError::Usage(NAMES);
    let (key, value) = split(setting).ok_or(WRONG)?;
    match key {
        b"listener" => command.listener = Some(name(value, NAMES)?),
        b"pool" => command.pool = Some(name(value, NAMES)?),
        b"level" => command.level = Some(name(value, NAMES)?.parse().map_err(|_| WRONG)?),
        b"username" => command.username = Some(value.to_vec()),
        b"will_topic" => command.will_topic = Some(value.to_vec()),
        b"source" => command.source = Some(name(value, NAMES)?.parse().map_err(|_| WRONG)?),
        b"property" => {
            let (key, value) = split(value).ok_or(WRONG)?;
            command.properties.push((key.to_vec(), value.to_vec()));
        }
        _ => return Err(WRONG),
    }
    Ok(())
}

fn split(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = word.iter().position(|byte| *byte == b'=')?;
    Some((&word[..at], &word[at + 1..]))
}

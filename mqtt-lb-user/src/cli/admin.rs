//! The other end of the admin socket: one command, one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use mqtt_lb_user::config::PathKind;
use mqtt_lb_user::config::units::duration_text;
use mqtt_lb_user::escape::{Word, unescape};
use mqtt_lb_user::metrics::path_name;

use super::{BackendCommand, IdsCommand, TableCommand, Target, Which};

/// Time the balancer may take for each piece of its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the answer of a refused command begins.
const ERROR: &str = "error: ";

/// A client id, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub(super) Vec<u8>);

/// Reads a client id in the notation of the log: `\xNN` is a byte.
pub fn parse_key(text: &str) -> Result<Key, String> {
    let mut rest = text.as_bytes();
    let mut key = Vec::with_capacity(rest.len());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first == b'\\' {
            let (byte, length) = unescape(rest).ok_or(
                "a backslash begins an escape: write \\xNN for a byte, \\\\ for a backslash",
            )?;
            key.push(byte);
            rest = &rest[length..];
        } else {
            key.push(first);
        }
    }
    Ok(Key(key))
}

/// Reads `POOL/BACKEND`.
pub fn parse_target(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((pool, backend)) if !pool.is_empty() && !backend.is_empty() => Ok(text.to_owned()),
        _ => Err("write POOL/BACKEND, such as emqx/emqx1 (see mqtt-lb backend list)".to_owned()),
    }
}

impl TableCommand {
    /// The command in the words of the admin socket.
    pub fn line(&self) -> String {
        match self {
            Self::Show { pool: None, .. } => "show table".to_owned(),
            Self::Show {
                pool: Some(pool),
                key: None,
            } => format!("show table {}", word(pool)),
            Self::Show {
                pool: Some(pool),
                key: Some(key),
            } => {
                format!("show table {} key {}", word(pool), Word(&key.0))
            }
            Self::Set { pool, key, backend } => {
                let (pool, backend) = (word(pool), word(backend));
                format!("set table {pool} key {} backend {backend}", Word(&key.0))
            }
            Self::Clear { pool, which } => match which {
                Which { key: Some(key), .. } => {
                    format!("clear table {} key {}", word(pool), Word(&key.0))
                }
                Which {
                    backend: Some(backend),
                    ..
                } => {
                    format!("clear table {} backend {}", word(pool), word(backend))
                }
                Which { .. } => format!("clear table {}", word(pool)),
            },
        }
    }
}

impl IdsCommand {
    /// The command in the words of the admin socket.
    pub fn line(&self) -> String {
        match self {
            Self::Top { count } => format!("show ids {count}"),
            Self::Clear => "clear ids".to_owned(),
        }
    }
}

impl BackendCommand {
    /// The command in the words of the admin socket.
    pub fn line(&self) -> String {
        let state = |Target { target }: &Target, state| {
            format!("set backend {} state {state}", word(target))
        };
        match self {
            Self::List { pool: None } => "show backends".to_owned(),
            Self::List { pool: Some(pool) } => format!("show backends {}", word(pool)),
            Self::Drain {
                target,
                deadline: None,
            } => state(target, "drain"),
            Self::Drain {
                target,
                deadline: Some(deadline),
            } => {
                let drain = state(target, "drain");
                format!("{drain} deadline {}", duration_text(*deadline))
            }
            Self::Ready(target) => state(target, "ready"),
            Self::Maint(target) => state(target, "maint"),
            Self::Weight {
                target: Target { target },
                weight,
            } => format!("set backend {} weight {weight}", word(target)),
            Self::Shutdown(Target { target }) => {
                format!("shutdown sessions server {}", word(target))
            }
        }
    }
}

/// The words of the admin socket for the connections on `path`, or all.
pub fn show_flows(path: Option<PathKind>) -> String {
    match path {
        None => "show flows".to_owned(),
        Some(path) => format!("show flows path {}", path_name(path)),
    }
}

fn word(text: &str) -> Word<'_> {
    Word(text.as_bytes())
}

/// Sends `line` to the balancer at `socket` and writes its answer to `out`.
///
/// # Errors
/// Nobody answers there, the connection breaks, or the answer is an error.
pub fn ask(socket: &Path, line: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let whom = || format!("the balancer at {}", socket.display());
    let mut stream = UnixStream::connect(socket).with_context(|| {
        let hint = "is it running, and is this its [admin] socket? (--socket PATH)";
        format!("cannot reach {}: {hint}", whom())
    })?;
    let talk = |stream: &mut UnixStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        writeln!(stream, "{line}")?;
        stream.shutdown(Shutdown::Write)
    };
    talk(&mut stream).with_context(|| format!("cannot ask {}", whom()))?;

    let mut answer = BufReader::new(stream);
    let mut start = Vec::new();
    let lost = || format!("the answer of {} broke off", whom());
    let limit = ERROR.len() as u64;
    answer
        .by_ref()
        .take(limit)
        .read_to_end(&mut start)
        .with_context(lost)?;
    if start == ERROR.as_bytes() {
        let mut message = String::new();
        answer
            .take(64 << 10)
            .read_line(&mut message)
            .with_context(lost)?;
        bail!("{}", message.trim_end());
    }
    print(&start, out)?;
    loop {
        let piece = answer.fill_buf().with_context(lost)?;
        let length = piece.len();
        if length == 0 || !print(piece, out)? {
            return Ok(());
        }
        answer.consume(length);
    }
}

/// Writes a piece of the answer; `false` when the reader has seen enough (`| head`).
fn print(piece: &[u8], out: &mut impl Write) -> anyhow::Result<bool> {
    match out.write_all(piece).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot print the answer"),
    }
}

//! One connection to the admin socket: lines in, answers out.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::Context;
use super::answer::{ERROR, answer};
use super::command::{Command, parse};

/// Bytes of a line: room for a key of 64 KiB with every byte escaped.
const LINE: u64 = 300 << 10;

/// How long the other side may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until its first line is there.
    pub first: Duration,
    /// Until the next line is there after `prompt`, and to read a part of an answer.
    pub idle: Duration,
}

/// Answers one line and ends; or all lines, after `prompt`.
///
/// # Errors
/// The connection failed, or the other side took too long.
pub(super) async fn hold<S>(stream: S, context: &Context, patience: Patience) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut stay = false;
    loop {
        let wait = if stay { patience.idle } else { patience.first };
        line.clear();
        let read = timeout(wait, (&mut stream).take(LINE).read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        if !whole && read as u64 == LINE {
            let refusal = format!("{ERROR}the line is longer than {LINE} bytes\n");
            return write(&mut stream, &refusal, patience).await;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let quit = run(line, &mut stay, &mut stream, context, patience).await?;
        if quit || !stay || !whole {
            return Ok(());
        }
        write(&mut stream, "\n> ", patience).await?;
    }
}

/// Carries out one line; several answers are separated by an empty line.
async fn run<S: AsyncWrite + Unpin>(
    line: &[u8],
    stay: &mut bool,
    stream: &mut S,
    context: &Context,
    patience: Patience,
) -> io::Result<bool> {
    let commands = match parse(line) {
        Ok(commands) => commands,
        Err(error) => {
            write(stream, &format!("{ERROR}{error}\n"), patience).await?;
            return Ok(false);
        }
    };
    for (nth, command) in commands.into_iter().enumerate() {
        match command {
            Command::Quit => return Ok(true),
            Command::Prompt => *stay = true,
            command => {
                if nth > 0 {
                    write(stream, "\n", patience).await?;
                }
                for part in answer(command, context) {
                    write(stream, &part, patience).await?;
                }
            }
        }
    }
    Ok(false)
}

async fn write<S>(stream: &mut S, text: &str, patience: Patience) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    timeout(patience.idle, stream.write_all(text.as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;

    use super::*;
    use crate::backend::Pools;
    use crate::config::Config;
    use crate::metrics::Metrics;

    const PATIENCE: Patience = Patience {
        first: Duration::from_millis(50),
        idle: Duration::from_millis(50),
    };

    fn context() -> Context {
        let metrics = Arc::new(Metrics::new());
        let pools = Pools::new(&Config::default(), &metrics);
        Context::new(Arc::new(pools), metrics)
    }

    #[tokio::test]
    async fn a_silent_connection_ends() {
        for sent in [&b""[..], b"show in", b"prompt\n"] {
            let (mut ours, theirs) = tokio::io::duplex(1024);
            ours.write_all(sent).await.expect("room");
            let error = hold(theirs, &context(), PATIENCE).await.expect_err("ended");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_ends() {
        let (mut ours, theirs) = tokio::io::duplex(16);
        ours.write_all(b"help\n").await.expect("room");
        let error = hold(theirs, &context(), PATIENCE).await.expect_err("ended");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

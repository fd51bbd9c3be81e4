//! Waits for a backend's answer while it and what the client sends stay in the kernel.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::time::Instant;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::verdict::{Verdict, Why, judge};
use crate::connect::connack;

/// Why the backend should be left for another one by `deadline`; `None` when the
/// client stays, also because it has begun to close: then its end is passed on.
///
/// The answer is only looked at, never taken from the socket: whoever relays the
/// flow later reads all of it.
pub(super) async fn refusal(
    backend: &TcpStream,
    client: &TcpStream,
    codes: &[u8],
    deadline: Instant,
) -> Option<Why> {
    tokio::select! {
        biased;
        () = hung_up(client) => None,
        why = answer(backend, codes) => why,
        () = tokio::time::sleep_until(deadline.into()) => Some(Why::Timeout),
    }
}

/// Waits for the peer's FIN or reset, and for no data.
pub(super) async fn hung_up(stream: &TcpStream) {
    // The runtime has not asked for urgent data: of what belongs to this interest only
    // the close can come.
    while let Ok(ready) = stream.ready(Interest::PRIORITY).await {
        if ready.is_read_closed() {
            return;
        }
    }
}

async fn answer(backend: &TcpStream, codes: &[u8]) -> Option<Why> {
    loop {
        let Ok(ready) = backend.ready(Interest::READABLE).await else {
            return Some(Why::Closed);
        };
        // Asked before the look: behind a close there are no bytes to come.
        let closed = ready.is_read_closed();
        let look = backend.try_io(Interest::READABLE, || match peek(backend, codes, closed)? {
            // Not ready until more has come.
            Verdict::Wait => Err(ErrorKind::WouldBlock.into()),
            verdict => Ok(verdict),
        });
        match look {
            Ok(Verdict::Leave(why)) => return Some(why),
            Ok(Verdict::Stay | Verdict::Wait) => return None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Some(Why::Closed),
        }
    }
}

/// Judges what is in the socket's receive queue.
fn peek(backend: &TcpStream, codes: &[u8], closed: bool) -> io::Result<Verdict> {
    let mut bytes = [MaybeUninit::<u8>::uninit(); connack::ENOUGH];
    let n = match SockRef::from(backend).peek(&mut bytes) {
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            return peek(backend, codes, closed);
        }
        Err(error) => return Err(error),
    };
    // SAFETY: the kernel has filled the first `n` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), n) };
    Ok(judge(bytes, closed || n == 0, codes))
}

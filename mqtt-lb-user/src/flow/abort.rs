//! A side was reset: the other gets what was sent before, then a reset too.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::datapath::copy::Pump;
use crate::datapath::{Directions, Side, tcp};

/// Longest pause between two looks at a queue that empties.
const PAUSE: Duration = Duration::from_millis(64);

/// Passes the reset of `aborted` on, not before the other side has acknowledged
/// what came ahead of it, or `drain` has passed.
pub(super) async fn pass_on(mut pump: Pump, dirs: &mut Directions, aborted: Side, drain: Duration) {
    let deadline = Instant::now() + drain;
    loop {
        let look = Instant::now() + pump.next_look(dirs).unwrap_or(drain);
        let flush = poll_fn(|cx| pump.poll_flush(cx, dirs, aborted));
        match tokio::time::timeout_at(look.min(deadline).into(), flush).await {
            Ok(Ok(())) => break,
            Ok(Err(_)) => return,
            Err(_) if Instant::now() >= deadline => break,
            Err(_) => {}
        }
    }
    let survivor = pump.socket(aborted.other());
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline && tcp::unacknowledged(survivor).is_ok_and(|n| n > 0) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
    }
    reset(survivor);
}

/// Makes the close of a socket reset its peer.
pub(super) fn reset(socket: &impl AsFd) {
    // Without it the close sends FIN, which the peer survives as well.
    let _ = tcp::reset_on_close(socket);
}

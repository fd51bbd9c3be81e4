//! A CONNECT that its backend does not take goes on to the next one.

use std::time::Instant;

use tokio::net::TcpStream;
use tracing::warn;

use super::dial::{Dialer, Reached};
use super::hold;
use super::record::Record;
use super::verdict::{Patience, Why};
use crate::backend::Pool;

/// Goes on from the backend reached first to the one that takes the client, or to
/// the last one that could be asked: the client gets its answer, whatever it is.
/// Also says whether that one has taken the client, as far as is known.
///
/// Nothing is read of the client or of a backend meanwhile. So a backend can be left
/// without a trace, and each gets the same bytes.
pub(super) async fn search(
    first: Reached,
    dialer: &mut Dialer<'_>,
    patience: &mut Patience,
    client: &TcpStream,
    pool: &Pool,
    record: &mut Record,
) -> (Reached, bool) {
    let settings = pool.settings();
    let codes = &settings.failover_codes;
    let mut reached = first;
    if codes.is_empty() || dialer.remaining() == 0 {
        return (reached, true);
    }
    loop {
        let share = patience.share(dialer.remaining());
        let begin = Instant::now();
        let refusal = hold::refusal(&reached.stream, client, codes, begin + share.time).await;
        patience.spend(begin.elapsed());
        let Some(why) = refusal else {
            return (reached, true);
        };
        let backend = reached.lease.backend();
        backend.metrics().error(why.reason());
        warn!("backend {}/{}: {why}", pool.name, backend.name);
        if share.last {
            return (reached, false);
        }
        let Some(next) = dialer.next().await else {
            // No answer so far is the best there is: it may still come.
            return (reached, why == Why::Timeout);
        };
        pool.metrics().replayed.inc();
        record.reached(&next);
        reached = next;
    }
}

/// Counts a CONNECT that has not been kept whole, and so stays where it is.
pub(super) fn too_long(dialer: &Dialer<'_>, pool: &Pool) {
    if dialer.remaining() > 0 && !pool.settings().failover_codes.is_empty() {
        pool.metrics().too_long.inc();
    }
}

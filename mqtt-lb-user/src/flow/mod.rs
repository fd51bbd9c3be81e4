//! One connection: accept, sniff, route, dial, relay, hand over, end.

mod abort;
mod accept;
mod answer;
mod dial;
mod record;
mod relay;
mod shared;
mod sniff;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tracing::info;

pub use accept::accept;
pub use shared::{Listener, Shared};

use crate::session::End;
use record::Record;
use shared::{Open, Pending};

/// A client that has just been accepted, with its places in the counts.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    open: Open,
    pending: Pending,
}

/// Serves one client from accept to its log line.
async fn serve(accepted: Accepted, shared: Arc<Shared>) {
    let Accepted {
        stream,
        peer,
        listener,
        open,
        pending,
    } = accepted;
    let mut record = Record::start(peer, &listener.name);
    let end = run(stream, peer, &listener, pending, &shared, &mut record).await;
    record.finish(end, &shared);
    drop(open);
}

async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    listener: &Listener,
    pending: Pending,
    shared: &Arc<Shared>,
    record: &mut Record,
) -> End {
    let config = shared.config.load_full();
    let Some(pool) = config
        .listeners
        .get(&listener.name)
        .and_then(|settings| shared.pools.get(&settings.pool))
    else {
        return End::NoBackend;
    };
    record.pool(&pool.name);

    let deadline = record.started() + config.timeouts.connect_packet;
    let sniffed = match sniff::connect(&stream, &config.limits, deadline).await {
        Ok(sniffed) => sniffed,
        Err(fault) => {
            if let Some(reason) = fault.reason() {
                listener.metrics.refused(reason);
                info!("listener {}: client {peer} refused: {fault}", listener.name);
            }
            return fault.end();
        }
    };
    record.sniffed(&sniffed);
    let Some(key) = dial::Key::of(&sniffed, pool.settings().empty_client_id, peer) else {
        listener.metrics.refused("empty_client_id");
        return End::Refused("empty_client_id");
    };
    let routed = match dial::reach(&pool, &key, &sniffed, &stream, peer, &config.timeouts).await {
        Some(routed) => routed,
        None => return End::NoBackend,
    };
    record.routed(&routed);
    let rest = sniffed.rest(deadline, pending);
    relay::relay(stream, routed, rest, &config, shared, record).await
}

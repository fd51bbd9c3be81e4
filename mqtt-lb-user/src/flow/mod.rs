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
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::info;

pub use accept::accept;
pub use shared::{Listener, Shared};

use crate::session::End;
use dial::Routed;
use record::Record;
use shared::{Open, Pending};
use sniff::{Fault, Sniffed};

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
    let deadline = record.started() + config.timeouts.connect_packet;
    let mut stop = shared.stop.clone();
    let arrival = arrive(&stream, peer, listener, deadline, shared, record);
    let arrived = tokio::select! {
        arrived = arrival => arrived,
        _ = stop.wait_for(|stop| *stop) => Err(End::Shutdown),
    };
    let (sniffed, routed) = match arrived {
        Ok(arrived) => arrived,
        Err(end) => return end,
    };
    let rest = sniffed.rest(deadline, pending);
    match relay::relay(stream, routed, rest, &config, shared, record).await {
        End::ConnectTimeout => refuse(&Fault::Timeout, peer, listener),
        end => end,
    }
}

/// Counts and logs a client without a CONNECT, when it is the balancer that gives up.
fn refuse(fault: &Fault, peer: SocketAddr, listener: &Listener) -> End {
    if let Some(reason) = fault.reason() {
        listener.metrics.refused(reason);
        info!("listener {}: client {peer} refused: {fault}", listener.name);
    }
    fault.end()
}

/// Brings the client's CONNECT to a backend.
async fn arrive(
    stream: &TcpStream,
    peer: SocketAddr,
    listener: &Listener,
    deadline: Instant,
    shared: &Shared,
    record: &mut Record,
) -> Result<(Sniffed, Routed), End> {
    let config = shared.config.load_full();
    let pool = config
        .listeners
        .get(&listener.name)
        .and_then(|settings| shared.pools.get(&settings.pool))
        .ok_or(End::NoBackend)?;
    record.pool(&pool.name);
    let sniffed = sniff::connect(stream, &config.limits, deadline).await;
    let sniffed = sniffed.map_err(|fault| refuse(&fault, peer, listener))?;
    record.sniffed(&sniffed);
    let key = dial::Key::of(&sniffed, pool.settings().empty_client_id, peer).ok_or_else(|| {
        listener.metrics.refused("empty_client_id");
        End::Refused("empty_client_id")
    })?;
    let routed = dial::reach(&pool, &key, &sniffed, stream, peer, &config.timeouts)
        .await
        .ok_or(End::NoBackend)?;
    record.routed(&routed);
    Ok((sniffed, routed))
}

//! One connection: accept, sniff, route, dial, relay, hand over, end.

mod abort;
mod accept;
mod admit;
mod answer;
mod assigned;
pub mod closer;
mod dial;
mod failover;
mod hold;
mod live;
pub mod mover;
mod record;
mod relay;
mod shared;
mod sniff;
mod spliced;
mod verdict;
mod visitor;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::info;

pub use accept::accept;
pub use live::{Live, LiveFlow};
pub use shared::{Listener, Shared};
pub use spliced::adopt;

use crate::affinity::{Fields, Key, routes};
use crate::backend::Pool;
use crate::session::End;
use admit::Denied;
use dial::Dialer;
use record::Record;
use relay::{Relayed, Routed};
use shared::{Open, Pending};
use sniff::Fault;
use spliced::Spliced;
use verdict::Patience;
use visitor::Visitor;

/// A client that has just been accepted, with its places in the counts.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    open: Open,
    pending: Pending,
}

/// Serves one client from accept to its log line, or until it needs no sockets.
async fn serve(accepted: Accepted, shared: Arc<Shared>) {
    let Accepted {
        stream,
        peer,
        listener,
        open,
        pending,
    } = accepted;
    let mut record = Record::start(peer, &listener.name);
    match run(stream, peer, &listener, pending, &shared, &mut record).await {
        Relayed::Over(end) => record.finish(end, &shared),
        Relayed::Gone(gone) => {
            let memo = record.memo(gone.lease.backend().tag);
            let resident = Box::new(Spliced {
                open: open.detach(),
                lease: Some(gone.lease),
                id: gone.id,
            });
            gone.departure.depart(gone.ends, &memo, resident);
        }
    }
}

async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    listener: &Listener,
    pending: Pending,
    shared: &Arc<Shared>,
    record: &mut Record,
) -> Relayed {
    let config = shared.config.load_full();
    let mut stop = shared.stop.clone();
    let arrival = arrive(&stream, peer, listener, pending, shared, record);
    let arrived = tokio::select! {
        arrived = arrival => arrived,
        _ = stop.wait_for(|stop| *stop) => Err(End::Shutdown),
    };
    match arrived {
        Ok(routed) => match relay::relay(stream, peer, routed, &config, shared, record).await {
            Relayed::Over(End::ConnectTimeout) => {
                Relayed::Over(refuse(&Fault::Timeout, peer, listener))
            }
            relayed => relayed,
        },
        Err(end) => Relayed::Over(end),
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

/// Counts and logs a client that gets no place.
fn deny(denied: Denied, peer: SocketAddr, listener: &Listener) -> End {
    if let Some(reason) = denied.reason() {
        listener.metrics.refused(reason);
        info!(
            "listener {}: client {peer} refused: {denied}",
            listener.name
        );
    }
    denied.end()
}

/// The client's pool, by the configuration of this moment, and its key there.
fn route(
    client: &Fields<'_>,
    listener: &Listener,
    shared: &Shared,
    record: &mut Record,
) -> Result<(Arc<Pool>, Key), End> {
    let config = shared.config.load();
    let settings = config.listeners.get(&listener.name);
    let name = routes::route(settings.ok_or(End::NoBackend)?, client).pool;
    record.pool(name);
    listener.metrics.routed(name);
    let pool = shared.pools.get(name).ok_or(End::NoBackend)?;
    let key = pool.key(client).ok_or_else(|| {
        listener.metrics.refused("empty_client_id");
        End::Refused("empty_client_id")
    })?;
    Ok((pool, key))
}

/// Brings the client's CONNECT to a backend.
async fn arrive(
    stream: &TcpStream,
    peer: SocketAddr,
    listener: &Listener,
    pending: Pending,
    shared: &Arc<Shared>,
    record: &mut Record,
) -> Result<Routed, End> {
    let config = shared.config.load_full();
    let settings = config.listeners.get(&listener.name);
    record.pool(&settings.ok_or(End::NoBackend)?.pool);
    let deadline = record.started() + config.timeouts.connect_packet;
    let sniffed = sniff::connect(stream, &config.limits, deadline).await;
    let sniffed = sniffed.map_err(|fault| refuse(&fault, peer, listener))?;
    record.sniffed(&sniffed);
    let (pool, key) = route(&sniffed.fields(peer.ip()), listener, shared, record)?;
    let visitor = Visitor::arrive(shared, &pool, &sniffed.connect(), Instant::now());
    let mut rest = sniffed.rest(deadline, pending);
    let admitted = admit::admit(&pool, key.client(peer.ip()), stream).await;
    let admitted = admitted.map_err(|denied| deny(denied, peer, listener))?;
    record.admitted();
    if let Some(rest) = &mut rest {
        // Nothing has been read of it meanwhile.
        rest.deadline += admitted.waited;
    }
    let displaced = admitted.displaced;
    let dialer = Dialer::new(
        &pool,
        admitted,
        &sniffed,
        &shared.paths,
        stream,
        peer,
        &config.timeouts,
    );
    let mut dialer = dialer.ok_or(End::NoBackend)?;
    let first = dialer.next().await.ok_or(End::NoBackend)?;
    record.reached(&first);
    let mut patience = Patience::new(config.timeouts.connack);
    let (reached, taken) = match rest {
        None => failover::search(first, &mut dialer, &mut patience, stream, &pool, record).await,
        Some(_) => {
            failover::too_long(&dialer, &pool);
            (first, true)
        }
    };
    let backend = reached.lease.backend();
    if taken && displaced {
        record.settled(pool.visit(backend));
    } else if taken {
        record.settled(pool.settle(Instant::now(), key.bytes(), backend));
    } else {
        backend.metrics().sessions.inc();
    }
    Ok(Routed {
        reached,
        client_id: sniffed.connect().client_id().to_vec(),
        sniffed: sniffed.bytes.len() as u64,
        rest,
        connack: patience.left(),
        visitor,
    })
}

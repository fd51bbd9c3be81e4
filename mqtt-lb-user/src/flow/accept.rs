//! The accept loop of one listener on one worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::warn;

use super::shared::{Listener, Open, Pending, Shared};
use super::{Accepted, serve};
use crate::backend::dial::set_keepalive;

/// Pause after accept has failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts clients until `closing` turns true, then empties the kernel's queue:
/// those clients have been told that they are connected.
pub async fn accept(
    socket: TcpListener,
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) {
    let mut short = false;
    let mut inherited = None;
    loop {
        let wanted = Inherited {
            keepalive: shared.config.load().timeouts.tcp_keepalive,
            max_segment: shared.paths.max_segment(),
        };
        if inherited != Some(wanted) {
            inherited = Some(wanted);
            wanted.set(&socket);
        }
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                short = false;
                admit(stream, peer, &listener, &shared);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                listener.metrics.refused("accept_error");
                if !short {
                    warn!("listener {}: accepting clients: {error}", listener.name);
                    short = true;
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    if let Err(error) = empty(socket, &listener, &shared) {
        warn!("listener {}: the last clients: {error}", listener.name);
    }
}

/// What every accepted socket inherits of the listening one (`sk_clone_lock`), which
/// spares system calls per client.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Inherited {
    keepalive: Duration,
    max_segment: Option<u16>,
}

impl Inherited {
    fn set(self, socket: &TcpListener) {
        let listener = SockRef::from(socket);
        // Without them clients are served all the same, a dead one is noticed later.
        let _ = listener.set_tcp_nodelay(true);
        let _ = listener.set_keepalive(!self.keepalive.is_zero());
        let _ = set_keepalive(socket, self.keepalive);
        if let Some(bytes) = self.max_segment {
            let _ = listener.set_tcp_mss(bytes.into());
        }
    }
}

/// Accepts who is in the kernel's queue, whether the runtime has noticed or not.
fn empty(socket: TcpListener, listener: &Arc<Listener>, shared: &Arc<Shared>) -> io::Result<()> {
    let socket = socket.into_std()?;
    loop {
        match socket.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                admit(TcpStream::from_std(stream)?, peer, listener, shared);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Errors of the connection that was to be accepted, not of the listener (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn admit(stream: TcpStream, peer: SocketAddr, listener: &Arc<Listener>, shared: &Arc<Shared>) {
    let config = shared.config.load();
    listener.metrics.accepted.inc();
    let Some(open) = Open::take(shared, listener, config.limits.max_connections) else {
        listener.metrics.refused("max_connections");
        return;
    };
    let Some(pending) = Pending::take(listener, config.limits.max_pending) else {
        listener.metrics.refused("max_pending");
        return;
    };
    let accepted = Accepted {
        stream,
        peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
        listener: listener.clone(),
        open,
        pending,
    };
    tokio::spawn(serve(accepted, shared.clone()));
}

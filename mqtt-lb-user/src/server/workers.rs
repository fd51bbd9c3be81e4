//! Worker threads: each runs its share of the connections from accept to end.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::listen::Sockets;
use crate::flow::{Listener, Shared, accept};

/// All worker threads.
pub(super) struct Workers(Vec<JoinHandle<()>>);

/// One listener on one worker.
type Share = (Arc<Listener>, TcpListener);

impl Workers {
    /// Starts one thread per socket of each listener; `sockets` are in the order of the
    /// shared listeners.
    pub(super) fn start(
        sockets: Vec<Sockets>,
        shared: &Arc<Shared>,
        closing: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let workers = sockets.first().map_or(0, |s| s.sockets.len());
        let mut shares: Vec<Vec<Share>> = (0..workers).map(|_| Vec::new()).collect();
        for (Sockets { sockets, .. }, listener) in sockets.into_iter().zip(&shared.listeners) {
            for (share, socket) in shares.iter_mut().zip(sockets) {
                share.push((listener.clone(), socket));
            }
        }
        let start = |(i, share)| {
            let (shared, closing) = (shared.clone(), closing.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("starting a worker's runtime")?;
            thread::Builder::new()
                .name(format!("worker-{i}"))
                .spawn(move || work(&runtime, share, shared, closing))
                .context("starting a worker thread")
        };
        let threads = shares.into_iter().enumerate().map(start);
        Ok(Self(threads.collect::<anyhow::Result<_>>()?))
    }

    /// Waits for all of them; their connections have been told to end.
    pub(super) fn join(self) {
        for thread in self.0 {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn work(runtime: &Runtime, share: Vec<Share>, shared: Arc<Shared>, closing: watch::Receiver<bool>) {
    let mut stop = shared.stop.clone();
    runtime.block_on(async move {
        for (listener, socket) in share {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => {
                    tokio::spawn(accept(socket, listener, shared.clone(), closing.clone()));
                }
                Err(error) => tracing::error!("listener {}: {error}", listener.name),
            }
        }
        let _ = stop.wait_for(|stop| *stop).await;
        // The connections see the same signal; their last lines are worth a moment.
        super::shutdown::settle(&shared).await;
    });
}

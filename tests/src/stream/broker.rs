//! A broker that knows the streams: it takes an optional PROXY header, reads
//! CONNECT, answers CONNACK and then plays the flow of that client id.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::end::{Counts, End};
use super::plan::Flow;
use crate::brokers::session::Session;
use crate::netns::Netns;

/// A listening stream broker; stops accepting on drop.
#[derive(Debug)]
pub struct StreamBroker {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    flows: Arc<[Flow]>,
    stall: Duration,
    stop: AtomicBool,
    others: AtomicU32,
    ended: Mutex<BTreeMap<u32, Vec<Result<Counts, String>>>>,
}

impl StreamBroker {
    /// Starts a broker for the given flows. `stall` is the longest time a
    /// stream may stand still.
    pub fn start(ns: &Netns, address: SocketAddr, flows: &Arc<[Flow]>, stall: Duration) -> Self {
        let listener = ns.listen(address);
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared {
            flows: Arc::clone(flows),
            stall,
            stop: AtomicBool::new(false),
            others: AtomicU32::new(0),
            ended: Mutex::new(BTreeMap::new()),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// How the connections of a flow have ended, in order.
    pub fn ended(&self, flow: u32) -> Vec<Result<Counts, String>> {
        let ended = self
            .shared
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ended.get(&flow).cloned().unwrap_or_default()
    }

    /// Connections that were none of the flows: checks, or cut short.
    pub fn others(&self) -> u32 {
        self.shared.others.load(Relaxed)
    }
}

impl Drop for StreamBroker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    use std::os::fd::AsRawFd;
    while !shared.stop.load(Relaxed) {
        let mut fd = libc::pollfd {
            fd: listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&mut fd, 1, 100) } <= 0 {
            continue;
        }
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        let shared = Arc::clone(shared);
        super::spawn_detached(move || serve(stream, &shared));
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let Ok(session) = Session::open(stream) else {
        shared.others.fetch_add(1, Relaxed);
        return;
    };
    let number = Flow::number(&session.connect.client_id);
    let Some(flow) = number.and_then(|n| shared.flows.iter().find(|flow| flow.id == n)) else {
        shared.others.fetch_add(1, Relaxed);
        let _ = (&session.stream).write_all(session.connect.connack());
        return;
    };
    let end = End {
        stream: &session.stream,
        head: vec![flow.connack().to_vec()],
        send: &flow.down,
        expect_head: &[],
        received: session.rest,
        expect: &flow.up,
        stall: shared.stall,
    };
    let result = end.exchange();
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    ended.entry(flow.id).or_default().push(result);
}

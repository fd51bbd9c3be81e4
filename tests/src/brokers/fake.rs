//! A broker for tests of routing: it accepts everyone, answers pings, echoes
//! QoS 0 messages and keeps a list of who came.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Session;
use crate::mqtt;
use crate::netns::Netns;
use crate::stream::spawn_detached;

/// A client that has connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Its client id.
    pub client_id: String,
    /// Its address according to the PROXY header.
    pub proxied: Option<SocketAddr>,
    /// Where the connection came from.
    pub peer: SocketAddr,
}

/// A running fake broker. Dropped, it is dead at once: its port refuses and its
/// connections are closed.
#[derive(Debug)]
pub struct FakeBroker {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    visitors: Mutex<Vec<Visitor>>,
    open: Mutex<Vec<Arc<TcpStream>>>,
}

impl FakeBroker {
    /// Starts a broker.
    pub fn start(ns: &Netns, address: SocketAddr) -> Self {
        let listener = ns.listen(address);
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared::default());
        let inside = Arc::clone(&shared);
        let accepting = Some(std::thread::spawn(move || accept(&listener, &inside)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Everyone who has connected so far, in order.
    pub fn visitors(&self) -> Vec<Visitor> {
        lock(&self.shared.visitors).clone()
    }

    /// How often a client id has connected.
    pub fn visits(&self, client_id: &str) -> usize {
        lock(&self.shared.visitors)
            .iter()
            .filter(|v| v.client_id == client_id)
            .count()
    }

    /// Connections open now, those of health checks included.
    pub fn open(&self) -> usize {
        lock(&self.shared.open).len()
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
        for stream in lock(&self.shared.open).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.stop.load(Relaxed) {
        let mut fd = libc::pollfd {
            fd: listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&mut fd, 1, 20) } <= 0 {
            continue;
        }
        let Ok((stream, peer)) = listener.accept() else {
            continue;
        };
        let shared = Arc::clone(shared);
        let kept = Arc::new(stream.try_clone().expect("duplicate the connection"));
        lock(&shared.open).push(Arc::clone(&kept));
        spawn_detached(move || {
            serve(stream, peer, &shared);
            lock(&shared.open).retain(|other| !Arc::ptr_eq(other, &kept));
        });
    }
}

fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    let Ok(mut session) = Session::open(stream) else {
        return;
    };
    let client_id = String::from_utf8_lossy(&session.connect.client_id).into_owned();
    lock(&shared.visitors).push(Visitor {
        client_id,
        proxied: session.proxied,
        peer,
    });
    let stream = &mut session.stream;
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(None);
    let _ = stream.write_all(session.connect.connack());
    let mut buffer = session.rest;
    loop {
        while let Some((head, _, end)) = mqtt::frame(&buffer) {
            let packet: Vec<u8> = buffer.drain(..end).collect();
            let written = match head & 0xf6 {
                0xc0 => stream.write_all(&[0xd0, 0]),
                0x30 => stream.write_all(&packet),
                _ => Ok(()),
            };
            if written.is_err() || head == 0xe0 {
                return;
            }
        }
        let mut piece = [0; 16_384];
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => buffer.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

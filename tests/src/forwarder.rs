//! A plain TCP forwarder that can be told to do damage: it stands in for the
//! balancer where a test has to prove that it can fail.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};

use crate::netns::Netns;

/// What goes wrong with the stream of every third connection, client to broker
/// and broker to client alike, behind the given byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// One bit is flipped.
    Flip,
    /// A piece is left out.
    Lose,
    /// A piece is sent twice.
    Duplicate,
    /// Two pieces change places.
    Swap,
    /// The first FIN ends both directions: no half-close.
    CloseBoth,
    /// Takes whatever comes into its own memory: no back-pressure.
    Hoard,
}

/// Where the damage begins.
const FROM: u64 = 3_000;

/// A running forwarder; stops accepting on drop.
#[derive(Debug)]
pub struct Forwarder {
    stop: Arc<AtomicBool>,
}

impl Forwarder {
    /// Forwards what arrives at `listen` to `target`.
    pub fn start(ns: &Netns, listen: SocketAddr, target: SocketAddr, fault: Fault) -> Self {
        let listener = ns.listen(listen);
        listener
            .set_nonblocking(true)
            .expect("nonblocking listener");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let accept = move || {
            let count = AtomicU64::new(0);
            while !flag.load(Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    continue;
                };
                let damaged = count.fetch_add(1, Relaxed).is_multiple_of(3);
                let fault = if damaged { fault } else { Fault::None };
                crate::stream::spawn_detached(move || forward(client, target, fault));
            }
        };
        // Threads inherit the namespace of the thread that starts them.
        ns.run(|| std::thread::spawn(accept));
        Self { stop }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn forward(client: TcpStream, target: SocketAddr, fault: Fault) {
    let _ = client.set_nonblocking(false);
    let Ok(backend) = TcpStream::connect(target) else {
        return;
    };
    std::thread::scope(|scope| {
        crate::stream::spawn(scope, || copy(&client, &backend, fault));
        copy(&backend, &client, fault);
    });
}

fn copy(mut from: &TcpStream, to: &TcpStream, fault: Fault) {
    let mut buffer = [0; 8_192];
    let mut damage = Damage {
        fault,
        at: 0,
        done: false,
        kept: Vec::new(),
    };
    let (hand_over, pieces) = mpsc::channel();
    std::thread::scope(|scope| {
        let write = move |piece: &[u8]| {
            let mut to = to;
            to.write_all(piece).is_ok()
        };
        if fault == Fault::Hoard {
            let drain = move || pieces.into_iter().all(|piece: Vec<u8>| write(&piece));
            crate::stream::spawn(scope, drain);
        }
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let piece = damage.apply(&buffer[..n]);
            let taken = match fault {
                Fault::Hoard => hand_over.send(piece).is_ok(),
                _ => write(&piece),
            };
            if !taken {
                break;
            }
        }
        drop(hand_over);
        write(&damage.kept);
    });
    let _ = to.shutdown(if fault == Fault::CloseBoth {
        Shutdown::Both
    } else {
        Shutdown::Write
    });
}

/// Damages one piece of a stream.
struct Damage {
    fault: Fault,
    at: u64,
    done: bool,
    kept: Vec<u8>,
}

impl Damage {
    fn apply(&mut self, piece: &[u8]) -> Vec<u8> {
        let due = !self.done && self.at >= FROM;
        self.at += piece.len() as u64;
        let mut out = piece.to_vec();
        out.append(&mut self.kept);
        if !due {
            return out;
        }
        self.done = true;
        match self.fault {
            Fault::Flip => out[0] ^= 1,
            Fault::Lose => out.clear(),
            Fault::Duplicate => out.extend_from_slice(piece),
            Fault::Swap => self.kept = std::mem::take(&mut out),
            Fault::None | Fault::CloseBoth | Fault::Hoard => {}
        }
        out
    }
}

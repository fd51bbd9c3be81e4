//! Processes that only hold connections: one process may not have enough
//! descriptors for all of them.
//!
//! A holder is the test program itself, started again for one ignored test that
//! calls [`act`] and does nothing unless it was started by a [`Holder`].

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::brokers::session::Session;
use crate::mqtt::Connect;
use crate::netns::Netns;
use crate::process::Process;
use crate::require::say;

/// Name of the ignored test that a test file with holders must have.
pub const TEST: &str = "hold";
const ROLE: &str = "MQTT_LB_HOLD";
const READY: &str = "holding all";

/// A process that holds connections, killed on drop.
#[derive(Debug)]
pub struct Holder(Process);

impl Holder {
    /// Takes every connection that comes to an address and accepts its CONNECT.
    pub fn broker(ns: &Netns, dir: &Path, address: SocketAddr) -> Self {
        let mut holder = Self::start(ns, dir, &format!("broker {address}"));
        holder.0.wait_line(READY, Duration::from_secs(10));
        holder
    }

    /// Opens `count` connections from an address to another, one by one; CONNECT
    /// and CONNACK are exchanged on each. [`Holder::ready`] waits for the last.
    pub fn clients(ns: &Netns, dir: &Path, from: IpAddr, to: SocketAddr, count: usize) -> Self {
        Self::start(ns, dir, &format!("clients {from} {to} {count}"))
    }

    /// Waits until all connections of clients are there.
    pub fn ready(&mut self, within: Duration) {
        self.0.wait_line(READY, within);
    }

    fn start(ns: &Netns, dir: &Path, role: &str) -> Self {
        let mut command = ns.command(std::env::current_exe().expect("the test program"));
        command.args([TEST, "--exact", "--ignored", "--nocapture"]);
        command.env(ROLE, role);
        let name = role.replace(['/', ' '], "-");
        Self(Process::start(&name, dir, &mut command))
    }
}

/// What the ignored test does: nothing, or, in a holder, never return.
pub fn act() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["broker", address] => broker(address.parse().expect("address")),
        ["clients", from, to, count] => clients(
            from.parse().expect("address"),
            to.parse().expect("address"),
            count.parse().expect("a count"),
        ),
        _ => panic!("no such role: {role}"),
    }
}

fn broker(address: SocketAddr) {
    let listener = TcpListener::bind(address).expect("listen");
    say(READY);
    let mut held = Vec::new();
    for stream in listener.incoming() {
        // Who only looks whether somebody listens has no CONNECT.
        let Ok(mut session) = Session::open(stream.expect("accept")) else {
            continue;
        };
        let connack = session.connect.connack();
        session.stream.write_all(connack).expect("CONNACK");
        held.push(session.stream);
    }
}

fn clients(from: IpAddr, to: SocketAddr, count: usize) {
    let one = |n: usize| {
        let mut stream = connect(from, to);
        let id = format!("held-{from}-{n}");
        let connect = Connect {
            keepalive: 0,
            ..Connect::new(&id)
        };
        stream.write_all(&connect.encode()).expect("CONNECT");
        stream.read_exact(&mut [0; 4]).expect("CONNACK");
        stream
    };
    let held: Vec<_> = (0..count).map(one).collect();
    say(READY);
    loop {
        std::thread::park();
        std::hint::black_box(&held);
    }
}

fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let domain = socket2::Domain::for_address(to);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("bind");
    let timeout = Duration::from_secs(10);
    socket
        .connect_timeout(&to.into(), timeout)
        .expect("connect");
    socket.into()
}

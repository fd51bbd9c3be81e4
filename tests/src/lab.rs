//! The usual test network: clients, balancer and backends in three namespaces,
//! each link a veth pair or a bad wire.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use crate::brokers::session::Session;
use crate::ethtool;
use crate::impair::{Impairment, Relay};
use crate::mqtt::Connect;
use crate::netns::{Netns, veth};

/// Where the clients are.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 2));
/// The balancer's address on the clients' side.
pub const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 1));
/// The balancer's address on the backends' side.
pub const BACK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 1));
/// Where the backends are.
pub const BACKEND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 2));

/// Three namespaces in a row: client, balancer, backend.
#[derive(Debug)]
pub struct Lab {
    /// The relays, when the wires are bad ones (clients' side first).
    pub relays: Vec<Relay>,
    /// Namespace of the clients.
    pub client: Netns,
    /// Namespace of the balancer.
    pub lb: Netns,
    /// Namespace of the backends.
    pub backend: Netns,
    _wires: Vec<Netns>,
}

impl Lab {
    /// Good wires.
    pub fn new() -> Self {
        Self::build(None)
    }

    /// The same impairment on both wires.
    pub fn impaired(how: Impairment, seed: u64) -> Self {
        Self::build(Some((how, seed)))
    }

    fn build(impairment: Option<(Impairment, u64)>) -> Self {
        let (client, lb, backend) = (
            Netns::new("client"),
            Netns::new("lb"),
            Netns::new("backend"),
        );
        let mut relays = Vec::new();
        let mut wires = Vec::new();
        let links = [
            ((&client, "c0"), (&lb, "front")),
            ((&lb, "back"), (&backend, "b0")),
        ];
        for (n, ((left, left_if), (right, right_if))) in links.into_iter().enumerate() {
            let Some((how, seed)) = impairment else {
                veth(left, left_if, right, right_if);
                continue;
            };
            let wire = Netns::new("wire");
            veth(left, left_if, &wire, "w0");
            veth(right, right_if, &wire, "w1");
            left.run(|| ethtool::plain(left_if));
            right.run(|| ethtool::plain(right_if));
            relays.push(Relay::start(&wire, "w0", "w1", how, seed + n as u64));
            wires.push(wire);
        }
        client.ip(&format!("addr add {CLIENT}/24 dev c0"));
        lb.ip(&format!("addr add {FRONT}/24 dev front"));
        lb.ip(&format!("addr add {BACK}/24 dev back"));
        backend.ip(&format!("addr add {BACKEND}/24 dev b0"));
        Self {
            relays,
            client,
            lb,
            backend,
            _wires: wires,
        }
    }
}

/// A client of the balancer at [`FRONT`] and the broker's end of its connection
/// on `listener`, CONNECT and CONNACK exchanged.
pub fn pair(lab: &Lab, listener: &TcpListener, client_id: &str) -> (TcpStream, TcpStream) {
    let mut client = lab.client.connect((FRONT, 1883).into()).expect("connect");
    client
        .write_all(&Connect::new(client_id).encode())
        .expect("CONNECT");
    let mut broker = Session::accept(listener);
    broker
        .stream
        .write_all(broker.connect.connack())
        .expect("CONNACK");
    client.read_exact(&mut [0; 4]).expect("CONNACK");
    (client, broker.stream)
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

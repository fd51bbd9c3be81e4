//! The usual test network: clients, balancer and backends in three namespaces,
//! each link a veth pair or a bad wire.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

use crate::brokers::session::Session;
use crate::capture::Capture;
use crate::ethtool;
use crate::impair::{Impairment, Relay};
use crate::mqtt::Connect;
use crate::netns::{Netns, veth};
use crate::xdp::Pass;

/// Where the clients are.
pub const CLIENT: IpAddr = four(1, 2);
/// The balancer's address on the clients' side.
pub const FRONT: IpAddr = four(1, 1);
/// The balancer's address on the backends' side.
pub const BACK: IpAddr = four(2, 1);
/// Where the backends are.
pub const BACKEND: IpAddr = four(2, 2);
/// [`CLIENT`] with IPv6.
pub const CLIENT6: IpAddr = six(1, 2);
/// [`FRONT`] with IPv6.
pub const FRONT6: IpAddr = six(1, 1);
/// [`BACK`] with IPv6.
pub const BACK6: IpAddr = six(2, 1);
/// [`BACKEND`] with IPv6.
pub const BACKEND6: IpAddr = six(2, 2);

const fn four(net: u8, host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, net, host))
}

const fn six(net: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd77, net, 0, 0, 0, 0, 0, host))
}

/// How a lab is built. The default has good wires and one for each side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Bad wires, and the seed of what they do.
    pub impairment: Option<(Impairment, u64)>,
    /// All three hosts on one switch, the balancer with one interface.
    pub one_arm: bool,
    /// MTU of the clients' link.
    pub client_mtu: Option<u32>,
    /// A router between clients and balancer, and the MTU of the link behind it,
    /// which the clients do not tell: who sends them more must be told by ICMP.
    pub narrow: Option<u32>,
    /// Room for native XDP on the balancer's interfaces.
    pub xdp: bool,
}

/// Three namespaces: client, balancer, backend.
#[derive(Debug)]
pub struct Lab {
    /// The relays, when the wires are bad ones (clients' side first).
    pub relays: Vec<Relay>,
    _passes: Vec<Pass>,
    /// Namespace of the clients.
    pub client: Netns,
    /// Namespace of the balancer.
    pub lb: Netns,
    /// Namespace of the backends.
    pub backend: Netns,
    wires: Vec<Netns>,
    switch: Option<Netns>,
    router: Option<Netns>,
    one_arm: bool,
}

impl Lab {
    /// Good wires.
    pub fn new() -> Self {
        Self::build(&Layout::default())
    }

    /// The same impairment on both wires.
    pub fn impaired(how: Impairment, seed: u64) -> Self {
        Self::build(&Layout {
            impairment: Some((how, seed)),
            ..Layout::default()
        })
    }

    /// As laid out.
    pub fn build(layout: &Layout) -> Self {
        let mut lab = Self {
            relays: Vec::new(),
            _passes: Vec::new(),
            client: Netns::new("client"),
            lb: Netns::new("lb"),
            backend: Netns::new("backend"),
            wires: Vec::new(),
            switch: layout.one_arm.then(|| Netns::new("switch")),
            router: layout.narrow.map(|_| Netns::new("router")),
            one_arm: layout.one_arm,
        };
        if let Some(switch) = &lab.switch {
            switch.ip("link add br0 type bridge");
            switch.ip("link set br0 up");
            veth(&lab.lb, "front", switch, "arm");
            switch.ip("link set arm master br0");
        }
        for side in [Side::Client, Side::Backend] {
            lab.link(side, layout.impairment);
        }
        if layout.one_arm && layout.impairment.is_some() {
            lab.lb.run(|| ethtool::plain("front"));
        }
        let back = lab.interface(Side::Backend);
        match (&lab.router, layout.narrow) {
            (Some(router), Some(mtu)) => lab.route(router, mtu),
            _ => {
                lab.addresses(&lab.client, "c0", [CLIENT, CLIENT6]);
                lab.addresses(&lab.lb, "front", [FRONT, FRONT6]);
            }
        }
        lab.addresses(&lab.lb, back, [BACK, BACK6]);
        lab.addresses(&lab.backend, "b0", [BACKEND, BACKEND6]);
        if let Some(mtu) = layout.client_mtu {
            lab.client.ip(&format!("link set c0 mtu {mtu}"));
            if !layout.one_arm {
                lab.lb.ip(&format!("link set front mtu {mtu}"));
            }
        }
        if layout.xdp {
            lab._passes = lab
                .peers()
                .iter()
                .map(|(ns, name)| Pass::attach(ns, name))
                .collect();
        }
        lab
    }

    /// Joins the host of a side to the balancer or to the switch.
    fn link(&mut self, side: Side, impairment: Option<(Impairment, u64)>) {
        let (host, host_if) = self.host(side);
        let (near, near_if) = match (&self.switch, side) {
            (Some(switch), Side::Client) => (switch, "s0"),
            (Some(switch), Side::Backend) => (switch, "s1"),
            (None, Side::Client) if self.router.is_some() => return,
            (None, _) => (&self.lb, self.interface(side)),
        };
        if let Some((mut how, seed)) = impairment {
            let wire = Netns::new("wire");
            veth(host, host_if, &wire, "w0");
            veth(near, near_if, &wire, "w1");
            host.run(|| ethtool::plain(host_if));
            near.run(|| ethtool::plain(near_if));
            how.odd_bits = side == Side::Backend;
            let relay = Relay::start(&wire, "w0", "w1", how, seed + self.relays.len() as u64);
            self.relays.push(relay);
            self.wires.push(wire);
        } else {
            veth(host, host_if, near, near_if);
        }
        if let Some(switch) = &self.switch {
            switch.ip(&format!("link set {near_if} master br0"));
        }
    }

    /// Puts the clients behind a router, in a network of their own.
    fn route(&self, router: &Netns, mtu: u32) {
        veth(&self.client, "c0", router, "near");
        veth(router, "far", &self.lb, "front");
        router.sysctl("net.ipv4.ip_forward", "1");
        router.sysctl("net.ipv6.conf.all.forwarding", "1");
        self.addresses(&self.client, "c0", [four(3, 2), six(3, 2)]);
        self.addresses(router, "near", [four(3, 1), six(3, 1)]);
        self.addresses(router, "far", [four(1, 2), six(1, 2)]);
        for (ns, interface) in [(&self.client, "c0"), (router, "near")] {
            ns.ip(&format!("link set {interface} mtu {mtu}"));
        }
        for via in [four(3, 1), six(3, 1)] {
            let any = if via.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            self.client
                .ip(&format!("route add {any} via {via} advmss 1400"));
        }
        self.addresses(&self.lb, "front", [FRONT, FRONT6]);
        self.lb
            .ip(&format!("route add {}/24 via {}", four(3, 0), four(1, 2)));
        self.lb
            .ip(&format!("route add {}/64 via {}", six(3, 0), six(1, 2)));
    }

    fn addresses(&self, ns: &Netns, interface: &str, [four, six]: [IpAddr; 2]) {
        ns.ip(&format!("addr add {four}/24 dev {interface}"));
        ns.ip(&format!("addr add {six}/64 dev {interface} nodad"));
    }

    fn host(&self, side: Side) -> (&Netns, &'static str) {
        match side {
            Side::Client => (&self.client, "c0"),
            Side::Backend => (&self.backend, "b0"),
        }
    }

    /// The balancer's interface towards a side.
    pub fn interface(&self, side: Side) -> &'static str {
        match side {
            Side::Backend if !self.one_arm => "back",
            _ => "front",
        }
    }

    /// Where the balancer's frames arrive: the other ends of its interfaces,
    /// the clients' side first.
    pub fn peers(&self) -> Vec<(&Netns, &'static str)> {
        match (&self.switch, &self.wires[..]) {
            (Some(switch), _) => vec![(switch, "arm")],
            (None, []) => vec![(&self.client, "c0"), (&self.backend, "b0")],
            (None, wires) => wires.iter().map(|wire| (wire, "w1")).collect(),
        }
    }

    /// Records the TCP segments that the balancer sends from now on. Needs bad
    /// wires (they may be perfect): elsewhere checksums are not complete.
    pub fn capture(&self) -> Vec<Capture> {
        assert!(!self.wires.is_empty(), "no wire to listen on");
        self.peers()
            .into_iter()
            .map(|(ns, interface)| Capture::start(ns, interface))
            .collect()
    }
}

/// One of the two sides of the balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The clients'.
    Client,
    /// The backends'.
    Backend,
}

/// A client of the balancer at [`FRONT`] and the broker's end of its connection
/// on `listener`, CONNECT and CONNACK exchanged.
pub fn pair(lab: &Lab, listener: &TcpListener, client_id: &str) -> (TcpStream, TcpStream) {
    let client = lab.client.connect((FRONT, 1883).into()).expect("connect");
    introduce(client, listener, &Connect::new(client_id))
}

/// The same of a connected client and its CONNECT.
pub fn introduce(
    mut client: TcpStream,
    listener: &TcpListener,
    connect: &Connect<'_>,
) -> (TcpStream, TcpStream) {
    client.write_all(&connect.encode()).expect("CONNECT");
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

//! The four addresses of a spliced flow, and what the maps make of them. Sans-IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mqtt_lb_ebpf::checksum::difference;
use mqtt_lb_ebpf::splice_slot::{SpliceSlot, end};
use mqtt_lb_ebpf::tuple::{Place, Place6, Tuple4, Tuple6};

use crate::datapath::Refusal;

/// Client and our address it connected to, our address towards the backend and the
/// backend. All of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corners(pub [SocketAddr; 4]);

/// The index entries of a flow, by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// IPv4.
    V4([Tuple4; 2]),
    /// IPv6, with the values but for the place.
    V6([(Tuple6, [Ipv6Addr; 2]); 2]),
}

impl Corners {
    /// # Errors
    /// [`Refusal::Family`] when the addresses are not of one family, or of one link only.
    pub fn new(
        client: SocketAddr,
        front: SocketAddr,
        source: SocketAddr,
        backend: SocketAddr,
    ) -> Result<Self, Refusal> {
        let all = [client, front, source, backend];
        let alike = all.iter().all(|a| a.is_ipv4() == client.is_ipv4());
        let scoped = |a: &SocketAddr| matches!(a, SocketAddr::V6(a) if a.scope_id() != 0);
        if !alike || all.iter().any(scoped) {
            return Err(Refusal::Family);
        }
        Ok(Self(all))
    }

    /// Those of an IPv4 flow that was found.
    pub fn of_slot(slot: &SpliceSlot) -> Self {
        let at = |i: usize| {
            let ip = IpAddr::V4(Ipv4Addr::from(slot.addresses[i]));
            SocketAddr::new(ip, u16::from_be_bytes(slot.ports[i]))
        };
        Self([at(0), at(1), at(2), at(3)])
    }

    /// Those of an IPv6 flow that was found, from its entry of direction 0.
    pub fn of_entry(slot: &SpliceSlot, key: &Tuple6, value: &Place6) -> Self {
        let addresses = [key.source, key.destination, value.source, value.destination];
        let at = |i: usize| {
            let ip = IpAddr::V6(Ipv6Addr::from(addresses[i]));
            SocketAddr::new(ip, u16::from_be_bytes(slot.ports[i]))
        };
        Self([at(0), at(1), at(2), at(3)])
    }

    /// The client.
    pub fn client(&self) -> SocketAddr {
        self.0[end::CLIENT]
    }

    /// Our address the client connected to.
    pub fn front(&self) -> SocketAddr {
        self.0[end::FRONT]
    }

    /// Our address towards the backend.
    pub fn source(&self) -> SocketAddr {
        self.0[end::SOURCE]
    }

    /// The backend.
    pub fn backend(&self) -> SocketAddr {
        self.0[end::BACKEND]
    }

    /// Writes addresses, ports and their checksum differences into a slot.
    pub fn describe(&self, slot: &mut SpliceSlot) {
        let octets = self.0.map(|a| match a.ip() {
            IpAddr::V4(ip) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&ip.octets());
                bytes
            }
            IpAddr::V6(ip) => ip.octets(),
        });
        let v4 = self.client().is_ipv4();
        slot.family = if v4 { 4 } else { 6 };
        slot.ports = self.0.map(|a| a.port().to_be_bytes());
        for (address, octets) in slot.addresses.iter_mut().zip(&octets) {
            address.copy_from_slice(if v4 { &octets[..4] } else { &[0; 4] });
        }
        let [client, front, source, backend] = octets;
        slot.address_sum = difference(&[client, front].concat(), &[source, backend].concat());
        let [client, front, source, backend] = slot.ports;
        slot.port_sum = difference(&[client, front].concat(), &[source, backend].concat());
    }

    /// The keys under which packets of both directions arrive.
    pub fn keys(&self) -> Keys {
        let port = |i: usize| self.0[i].port().to_be_bytes();
        let [client, front, source, backend] = self.0.map(|a| a.ip());
        match (client, front, source, backend) {
            (IpAddr::V4(client), IpAddr::V4(front), IpAddr::V4(source), IpAddr::V4(backend)) => {
                let key = |from: Ipv4Addr, to: Ipv4Addr, ports: [usize; 2]| Tuple4 {
                    source: from.octets(),
                    destination: to.octets(),
                    source_port: port(ports[0]),
                    destination_port: port(ports[1]),
                };
                Keys::V4([
                    key(client, front, [end::CLIENT, end::FRONT]),
                    key(backend, source, [end::BACKEND, end::SOURCE]),
                ])
            }
            (client, front, source, backend) => {
                let [client, front, source, backend] = [client, front, source, backend].map(v6);
                let key = |from: Ipv6Addr, to: Ipv6Addr, ports: [usize; 2]| Tuple6 {
                    source: from.octets(),
                    destination: to.octets(),
                    source_port: port(ports[0]),
                    destination_port: port(ports[1]),
                };
                let up = key(client, front, [end::CLIENT, end::FRONT]);
                let down = key(backend, source, [end::BACKEND, end::SOURCE]);
                Keys::V6([(up, [source, backend]), (down, [front, client])])
            }
        }
    }
}

/// The value of an IPv6 index entry.
pub fn place6(place: Place, [source, destination]: [Ipv6Addr; 2]) -> Place6 {
    Place6 {
        place,
        source: source.octets(),
        destination: destination.octets(),
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_lb_ebpf::checksum::{sum, update};

    fn corners(addresses: [&str; 4]) -> Result<Corners, Refusal> {
        let [client, front, source, backend] = addresses.map(|a| a.parse().unwrap());
        Corners::new(client, front, source, backend)
    }

    const V4: [&str; 4] = [
        "10.1.0.2:40000",
        "10.1.0.1:1883",
        "10.2.0.1:10000",
        "10.2.0.2:1884",
    ];
    const V6: [&str; 4] = [
        "[2001:db8:1::2]:40000",
        "[2001:db8:1::1]:1883",
        "[2001:db8:2::1]:10000",
        "[2001:db8:2::2]:1884",
    ];

    #[test]
    fn a_slot_says_whose_it_is() {
        let corners = corners(V4).unwrap();
        let mut slot = SpliceSlot::default();
        corners.describe(&mut slot);
        assert_eq!(slot.family, 4);
        assert_eq!(Corners::of_slot(&slot), corners);
        let old = [slot.addresses[0], slot.addresses[1]].concat();
        let new = [slot.addresses[2], slot.addresses[3]].concat();
        assert_eq!(update(!sum(&old), slot.address_sum), !sum(&new));
        let old = [slot.ports[0], slot.ports[1]].concat();
        let new = [slot.ports[2], slot.ports[3]].concat();
        assert_eq!(update(!sum(&old), slot.port_sum), !sum(&new));
    }

    #[test]
    fn an_ipv6_entry_says_whose_it_is() {
        let corners = corners(V6).unwrap();
        let mut slot = SpliceSlot::default();
        corners.describe(&mut slot);
        assert_eq!((slot.family, slot.addresses), (6, [[0; 4]; 4]));
        let Keys::V6([(key, rewrite), (down, back)]) = corners.keys() else {
            panic!("IPv6 keys")
        };
        let value = place6(Place::new(3, 0), rewrite);
        assert_eq!(Corners::of_entry(&slot, &key, &value), corners);
        assert_eq!(
            (down.source, down.destination),
            (value.destination, value.source)
        );
        assert_eq!(back.map(|ip| ip.octets()), [key.destination, key.source]);
    }

    #[test]
    fn keys_are_what_arrives() {
        let Keys::V4([up, down]) = corners(V4).unwrap().keys() else {
            panic!("IPv4 keys")
        };
        assert_eq!((up.source, up.destination), ([10, 1, 0, 2], [10, 1, 0, 1]));
        assert_eq!(up.destination_port, 1883u16.to_be_bytes());
        assert_eq!(
            (down.source, down.destination),
            ([10, 2, 0, 2], [10, 2, 0, 1])
        );
        assert_eq!(down.source_port, 1884u16.to_be_bytes());
    }

    #[test]
    fn families_do_not_mix() {
        let mixed = [V4[0], V4[1], V6[2], V6[3]];
        assert_eq!(corners(mixed), Err(Refusal::Family));
        let mut link = V6;
        link[0] = "[fe80::1%2]:40000";
        assert_eq!(corners(link), Err(Refusal::Family));
    }
}

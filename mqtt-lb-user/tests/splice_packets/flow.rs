//! Flows for the tests: keys, a slot, and packets that belong to them.

use mqtt_lb_ebpf::checksum;
use mqtt_lb_ebpf::splice_slot::{Lane, SpliceSlot, end, flag, state};
use mqtt_lb_ebpf::tuple::{Place, Place6, Tuple4, Tuple6};

use crate::packet::{ACK, Segment, Sum};

/// A flow; the slot is its index.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Index of its slot.
    pub index: u32,
    /// 4 or 6.
    pub family: u8,
    /// By [`end`]; the first 4 bytes with IPv4.
    pub addresses: [[u8; 16]; 4],
    /// By [`end`].
    pub ports: [u16; 4],
}

/// Ends of an arriving packet, by direction: source and destination.
pub const ARRIVES: [[usize; 2]; 2] = [[end::CLIENT, end::FRONT], [end::BACKEND, end::SOURCE]];

/// Ends of a packet that leaves, by direction: source and destination.
pub const LEAVES: [[usize; 2]; 2] = [[end::SOURCE, end::BACKEND], [end::FRONT, end::CLIENT]];

impl Flow {
    /// The flow of a slot.
    pub fn new(index: u32, family: u8) -> Self {
        let mut addresses = [[0; 16]; 4];
        for (at, address) in (1..).zip(&mut addresses) {
            match family {
                4 => address[..4].copy_from_slice(&[10, at, index as u8, 250 + at]),
                _ => {
                    address[..4].copy_from_slice(&[0xfd, 0x00, at, 0xfe]);
                    address[12..].copy_from_slice(&[at, 0xff, index as u8, 7 * at]);
                }
            }
        }
        let ports = [40_000 + index as u16, 1883, 10_007 + index as u16, 21_883];
        Self {
            index,
            family,
            addresses,
            ports,
        }
    }

    fn width(&self) -> usize {
        if self.family == 4 { 4 } else { 16 }
    }

    /// Whether a packet with these addresses and ports arrives in a direction of the flow.
    pub fn direction_of(&self, addresses: &[u8], ports: [u8; 4]) -> Option<usize> {
        let width = self.width();
        (addresses.len() == 2 * width).then_some(()).and_then(|()| {
            ARRIVES.iter().position(|[from, to]| {
                addresses[..width] == self.addresses[*from][..width]
                    && addresses[width..] == self.addresses[*to][..width]
                    && ports[..2] == self.ports[*from].to_be_bytes()
                    && ports[2..] == self.ports[*to].to_be_bytes()
            })
        })
    }

    /// Keys for IPv4.
    pub fn keys4(&self) -> [(Tuple4, Place); 2] {
        let address = |at: usize| self.addresses[at][..4].try_into().expect("4 bytes");
        [0, 1].map(|d| {
            let [from, to] = ARRIVES[d];
            let key = Tuple4 {
                source: address(from),
                destination: address(to),
                source_port: self.ports[from].to_be_bytes(),
                destination_port: self.ports[to].to_be_bytes(),
            };
            (key, Place::new(self.index, d as u32))
        })
    }

    /// Keys for IPv6.
    pub fn keys6(&self) -> [(Tuple6, Place6); 2] {
        [0, 1].map(|d| {
            let [from, to] = ARRIVES[d];
            let key = Tuple6 {
                source: self.addresses[from],
                destination: self.addresses[to],
                source_port: self.ports[from].to_be_bytes(),
                destination_port: self.ports[to].to_be_bytes(),
            };
            let [from, to] = LEAVES[d];
            let place = Place6 {
                place: Place::new(self.index, d as u32),
                source: self.addresses[from],
                destination: self.addresses[to],
            };
            (key, place)
        })
    }

    /// A slot that forwards, in the middle of the flow's life: every number has a value
    /// that shows where it was used, sequence numbers are near their wrap.
    pub fn slot(&self) -> SpliceSlot {
        let width = self.width();
        let [old, new] = [ARRIVES[0], LEAVES[0]]
            .map(|ends| ends.map(|at| self.addresses[at][..width].to_vec()).concat());
        let [old_ports, new_ports] = [ARRIVES[0], LEAVES[0]]
            .map(|ends| ends.map(|at| self.ports[at].to_be_bytes()).concat());
        let lane = |d: u8, ifindex, seq_end: u32, ack: u32| Lane {
            peer_mac: [2, 0xaa, d, 1, 1, 1],
            own_mac: [2, 0xbb, d, 2, 2, 2],
            ifindex,
            seq_end,
            ack,
            last_s: 5,
            packets: 7,
            bytes: 1000,
            ..Lane::default()
        };
        let mut slot = SpliceSlot {
            state: state::FORWARD,
            generation: 3,
            family: self.family,
            flags: flag::TIMESTAMPS,
            addresses: self.addresses.map(|a| match self.family {
                4 => a[..4].try_into().expect("4 bytes"),
                _ => [0; 4],
            }),
            ports: self.ports.map(u16::to_be_bytes),
            seq_delta: [0x1234_5678, 0xdead_beef],
            ts_delta: [0x0102_0304, 0xfff0_0ff1],
            address_sum: checksum::difference(&old, &new),
            port_sum: checksum::difference(&old_ports, &new_ports),
            scales: [[7, 5], [3, 8]],
            seen: [mqtt_lb_ebpf::splice_slot::seen::EDGE; 2],
            lanes: [lane(0, 1, 0xffff_ff00, 0), lane(1, 1, 0x8000_0100, 0)],
            ..SpliceSlot::default()
        };
        // Each side has acknowledged all but the last 16 bytes of the other.
        for d in [0, 1] {
            let other = slot.lanes[1 - d].seq_end.wrapping_sub(16);
            slot.lanes[d].ack = other.wrapping_add(slot.seq_delta[1 - d]);
        }
        slot
    }

    /// The next packet of a direction: a bare ACK of everything.
    pub fn segment(&self, slot: &SpliceSlot, d: usize) -> Segment {
        let ends = ARRIVES[d];
        let lane = &slot.lanes[d];
        Segment {
            family: self.family,
            macs: [lane.own_mac, lane.peer_mac],
            vlan: None,
            addresses: ends.map(|at| self.addresses[at]),
            ports: ends.map(|at| self.ports[at]),
            hops: 64,
            fragment: 0x4000,
            ip_options: Vec::new(),
            extensions: Vec::new(),
            seq: lane.seq_end,
            ack: self.acknowledges(slot, d),
            flags: ACK,
            window: 501,
            options: Vec::new(),
            payload: Vec::new(),
            sum: Sum::Right,
            trailer: 0,
        }
    }

    /// A packet as we sent it to the peer whose packets arrive in direction `d`.
    pub fn sent_to(&self, slot: &SpliceSlot, d: usize) -> Segment {
        let ends = LEAVES[1 - d];
        let mut segment = self.segment(slot, d);
        segment.addresses = ends.map(|at| self.addresses[at]);
        segment.ports = ends.map(|at| self.ports[at]);
        segment.seq = slot.lanes[1 - d]
            .seq_end
            .wrapping_add(slot.seq_delta[1 - d]);
        segment.ack = slot.lanes[d].seq_end;
        segment
    }

    /// What a packet of direction `d` acknowledges when it acknowledges everything.
    pub fn acknowledges(&self, slot: &SpliceSlot, d: usize) -> u32 {
        slot.lanes[1 - d]
            .seq_end
            .wrapping_add(slot.seq_delta[1 - d])
    }
}

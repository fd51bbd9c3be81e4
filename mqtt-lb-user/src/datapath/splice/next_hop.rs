//! Which MAC addresses the next hops have, and the flows that follow when one changes.
//!
//! The programs learn MAC addresses from arriving packets. A peer that only listens
//! would never tell its new one: the kernel's neighbour table does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ptr::{addr_of, addr_of_mut};

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, end, state};

/// A MAC address.
pub type Mac = [u8; 6];

/// A next hop has another MAC address than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Interface towards it.
    pub ifindex: u32,
    /// Its address.
    pub address: IpAddr,
    /// The MAC address it had.
    pub old: Mac,
    /// The one it has.
    pub new: Mac,
    /// Whether another next hop still has the old one, so that only flows whose peer
    /// is this very address are known to follow.
    pub is_shared: bool,
}

/// The next hops whose MAC address is known.
#[derive(Debug, Default)]
pub struct NextHops(HashMap<(u32, IpAddr), Mac>);

impl NextHops {
    /// Notes the MAC address of a next hop; the change, when it had another one.
    pub fn note(&mut self, ifindex: u32, address: IpAddr, new: Mac) -> Option<Change> {
        let old = self.0.insert((ifindex, address), new)?;
        (old != new).then(|| Change {
            ifindex,
            address,
            old,
            new,
            is_shared: self
                .0
                .iter()
                .any(|((at, _), mac)| *at == ifindex && *mac == old),
        })
    }

    /// The MAC address a next hop had, if it was known.
    pub fn mac(&self, ifindex: u32, address: IpAddr) -> Option<Mac> {
        self.0.get(&(ifindex, address)).copied()
    }

    /// Forgets a next hop.
    pub fn forget(&mut self, ifindex: u32, address: IpAddr) {
        self.0.remove(&(ifindex, address));
    }
}

/// Whether the flow in `slot` sends by this MAC address on that interface.
///
/// # Safety
/// `slot` is valid; the programs may write it at the same time.
pub unsafe fn uses(slot: *mut SpliceSlot, ifindex: u32, mac: Mac) -> bool {
    // SAFETY: as the caller says.
    let lanes = unsafe { [0, 1].map(|d| (lane_ifindex(slot, d), lane_mac(slot, d))) };
    // SAFETY: as the caller says.
    let is_free = unsafe { addr_of!((*slot).state).read_volatile() } == state::FREE;
    !is_free && lanes.contains(&(ifindex, mac))
}

/// Sends the flow in `slot` to where its next hop is now; whether it had to.
///
/// A program that learns the MAC address at the same moment may leave a mixture of the
/// two: that costs a packet, and the next one from there puts it right.
///
/// # Safety
/// As [`uses`].
pub unsafe fn follow(slot: *mut SpliceSlot, change: &Change) -> bool {
    // SAFETY: as the caller says.
    if !unsafe { uses(slot, change.ifindex, change.old) } {
        return false;
    }
    let mut followed = false;
    for (direction, peer) in [(0, end::CLIENT), (1, end::BACKEND)] {
        // SAFETY: as the caller says.
        unsafe {
            let address = addr_of!((*slot).addresses[peer]).read_volatile();
            let is_peer = IpAddr::from(address) == change.address;
            if lane_ifindex(slot, direction) == change.ifindex
                && lane_mac(slot, direction) == change.old
                && (is_peer || !change.is_shared)
            {
                addr_of_mut!((*slot).lanes[direction].peer_mac).write_volatile(change.new);
                followed = true;
            }
        }
    }
    followed
}

unsafe fn lane_ifindex(slot: *mut SpliceSlot, direction: usize) -> u32 {
    // SAFETY: as the caller says.
    unsafe { addr_of!((*slot).lanes[direction].ifindex).read_volatile() }
}

unsafe fn lane_mac(slot: *mut SpliceSlot, direction: usize) -> Mac {
    // SAFETY: as the caller says.
    unsafe { addr_of!((*slot).lanes[direction].peer_mac).read_volatile() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Mac = [2, 0, 0, 0, 0, 1];
    const NEW: Mac = [2, 0, 0, 0, 0, 2];

    fn router() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn change() -> Change {
        Change {
            ifindex: 3,
            address: router(),
            old: OLD,
            new: NEW,
            is_shared: false,
        }
    }

    /// A flow whose client is behind the router, and whose backend is not.
    fn flow() -> SpliceSlot {
        let mut slot = SpliceSlot {
            state: state::FORWARD,
            ..SpliceSlot::default()
        };
        slot.lanes[0].ifindex = 3;
        slot.lanes[0].peer_mac = OLD;
        slot.lanes[1].ifindex = 4;
        slot.lanes[1].peer_mac = OLD;
        slot
    }

    fn followed(mut slot: SpliceSlot, change: &Change) -> Option<SpliceSlot> {
        // SAFETY: a slot of our own.
        unsafe { follow(&mut slot, change) }.then_some(slot)
    }

    #[test]
    fn only_the_lane_on_that_interface_follows() {
        let mut expected = flow();
        expected.lanes[0].peer_mac = NEW;
        assert_eq!(followed(flow(), &change()), Some(expected));
        let other = Change {
            ifindex: 5,
            ..change()
        };
        assert_eq!(followed(flow(), &other), None);
        let other = Change {
            old: NEW,
            ..change()
        };
        assert_eq!(followed(flow(), &other), None);
    }

    #[test]
    fn nobody_follows_in_a_free_slot() {
        let free = SpliceSlot {
            state: state::FREE,
            ..flow()
        };
        assert_eq!(followed(free, &change()), None);
    }

    #[test]
    fn with_a_shared_mac_only_the_peer_itself_follows() {
        let shared = Change {
            is_shared: true,
            ..change()
        };
        assert_eq!(followed(flow(), &shared), None);
        let mut neighbour = flow();
        neighbour.addresses[end::CLIENT] = [10, 0, 0, 1];
        let after = followed(neighbour, &shared).expect("it is the peer");
        assert_eq!(after.lanes[0].peer_mac, NEW);
    }

    #[test]
    fn a_change_is_from_one_known_mac_to_another() {
        let mut hops = NextHops::default();
        assert_eq!(hops.note(3, router(), OLD), None);
        assert_eq!(hops.note(3, router(), OLD), None);
        assert_eq!(hops.note(4, router(), NEW), None, "another interface");
        assert_eq!(hops.note(3, router(), NEW), Some(change()));
        hops.forget(3, router());
        assert_eq!(hops.note(3, router(), OLD), None);
    }

    #[test]
    fn a_mac_that_another_next_hop_keeps_is_shared() {
        let mut hops = NextHops::default();
        hops.note(3, router(), OLD);
        hops.note(3, "10.0.0.9".parse().unwrap(), OLD);
        assert!(hops.note(3, router(), NEW).expect("a change").is_shared);
    }
}

//! Keys of the splice path's indexes: the 4-tuple of an arriving packet.
//!
//! They stay as they are in every [`crate::LAYOUT`]: a process has to see which ports
//! flows of another version occupy. Those of IPv4 lie in a [`crate::index::Bucket`].

/// An IPv4 packet's addresses and ports as they stand in it (network byte order).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple4 {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Source port.
    pub source_port: [u8; 2],
    /// Destination port.
    pub destination_port: [u8; 2],
}

/// An IPv6 packet's addresses and ports as they stand in it (network byte order).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple6 {
    /// Source address.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Source port.
    pub source_port: [u8; 2],
    /// Destination port.
    pub destination_port: [u8; 2],
}

/// Which direction of which slot a packet belongs to: `slot << 1 | direction`,
/// direction 0 from client to backend, 1 from backend to client.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(pub u32);

/// Value of the IPv6 index. Its addresses stand here and not in the slot, so that
/// flows over IPv4 do not pay for them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place6 {
    /// The direction of the slot.
    pub place: Place,
    /// Source address of the packet that goes out.
    pub source: [u8; 16],
    /// Destination address of the packet that goes out.
    pub destination: [u8; 16],
}

impl Place {
    /// The place of packets of `direction` (0 or 1) of a flow.
    #[inline(always)]
    pub const fn new(slot: u32, direction: u32) -> Self {
        Self(slot << 1 | direction)
    }

    /// The flow's slot.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 >> 1
    }

    /// 0 from client to backend, 1 from backend to client.
    #[inline(always)]
    pub const fn direction(self) -> usize {
        (self.0 & 1) as usize
    }
}

const _: () = assert!(size_of::<Tuple4>() == 12);
const _: () = assert!(size_of::<Tuple6>() == 36);
const _: () = assert!(size_of::<Place>() == 4);
const _: () = assert!(size_of::<Place6>() == 36);

#[cfg(feature = "user")]
mod pod {
    use super::{Place6, Tuple6};

    // SAFETY: `repr(C)`, integers only, no padding.
    unsafe impl aya::Pod for Tuple6 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Place6 {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_slot_and_a_direction() {
        let place = Place::new(41, 1);
        assert_eq!((place.slot(), place.direction()), (41, 1));
        assert_eq!(Place::new(41, 0).direction(), 0);
    }
}

//! Looks an IPv4 packet up in the index.

use core::ptr::addr_of;

use mqtt_lb_ebpf::index::{Key, Spot, WAYS, place};
use mqtt_lb_ebpf::tuple::Place;

use crate::{SPLICE_IDX4, SPLICE_SEED};

/// The flow and direction of packets of this 4-tuple, if any.
#[inline(always)]
pub fn find(key: Key) -> Option<Place> {
    // SAFETY: userspace writes it before the programs are attached.
    let spot = unsafe { &*SPLICE_SEED.get_ptr(0)? }.spot(key);
    match within(spot.buckets[0], &spot, key) {
        None => within(spot.buckets[1], &spot, key),
        found => found,
    }
}

/// Userspace writes an entry's key while its word is 0, so a key is whole when the
/// word is the same behind it.
#[inline(always)]
fn within(bucket: u32, spot: &Spot, key: Key) -> Option<Place> {
    let bucket = SPLICE_IDX4.get_ptr(bucket)?;
    for way in 0..WAYS {
        // SAFETY: a live map value; both halves access it by whole words.
        unsafe {
            let at = addr_of!((*bucket).words[way]);
            let word = at.read_volatile();
            if spot.may_be(word)
                && addr_of!((*bucket).keys[way]).read_volatile() == key
                && at.read_volatile() == word
            {
                return Some(place(word));
            }
        }
    }
    None
}

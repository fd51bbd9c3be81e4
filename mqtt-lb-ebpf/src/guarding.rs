//! The guard: drops SYNs of source prefixes that are over their budget, before the
//! kernel spends a socket on them. All other packets pass after one look.

use core::ptr::addr_of_mut;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::maps::lpm_trie::Key;
use mqtt_lb_ebpf::guard::{Address, Budget, Terms, mapped, prefix, total};
use mqtt_lb_ebpf::headers::is_later_fragment;
use mqtt_lb_ebpf::tcp::{self, flag};

use crate::splice::hook::{ETHERNET, Hook};
use crate::{GUARD_ALLOWED, GUARD_BUDGETS, GUARD_PORTS, GUARD_TERMS, GUARD_TOTALS};

/// EtherTypes.
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// What to do with a packet.
#[inline(always)]
pub fn packet<H: Hook>(hook: H) -> i32 {
    let Some(source) = syn(hook) else {
        return H::PASS;
    };
    let (address, is_v4) = source;
    let Some(terms) = GUARD_TERMS.get(0) else {
        return H::PASS;
    };
    let what = judge(terms, address, is_v4);
    if let Some(counter) = GUARD_TOTALS.get_ptr_mut(what) {
        // SAFETY: this processor's own value.
        unsafe { *counter += 1 };
    }
    if what == total::DROPPED {
        H::DROP
    } else {
        H::PASS
    }
}

/// The sender of a SYN to one of our listeners, and whether it came over IPv4.
#[inline(always)]
fn syn<H: Hook>(hook: H) -> Option<(Address, bool)> {
    let kind = hook.get::<2>(ETHERNET - 2)?;
    let (address, is_v4, at) = match kind {
        IPV4 => {
            let ip = hook.get::<20>(ETHERNET)?;
            let length = u32::from(ip[0] & 15) * 4;
            if ip[9] != tcp::PROTOCOL || is_later_fragment([ip[6], ip[7]]) {
                return None;
            }
            let source = [ip[12], ip[13], ip[14], ip[15]];
            (mapped(source), true, ETHERNET + length)
        }
        IPV6 => {
            if hook.get::<1>(ETHERNET + 6)? != [tcp::PROTOCOL] {
                return None;
            }
            (hook.get::<16>(ETHERNET + 8)?, false, ETHERNET + 40)
        }
        _ => return None,
    };
    let header = hook.get::<14>(at)?;
    if header[13] & (flag::SYN | flag::ACK) != flag::SYN {
        return None;
    }
    GUARD_PORTS.get_ptr(u16::from_ne_bytes([header[2], header[3]]))?;
    Some((address, is_v4))
}

/// Which total the SYN counts for.
#[inline(always)]
fn judge(terms: &Terms, address: Address, is_v4: bool) -> u32 {
    if GUARD_ALLOWED.get(Key::new(128, address)).is_some() {
        return total::ALLOWED;
    }
    let mask = if is_v4 { terms.mask4 } else { terms.mask6 };
    let key = prefix(address, mask);
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let budget = match GUARD_BUDGETS.get_ptr_mut(key) {
        Some(budget) => budget,
        None => {
            // Another processor may be the first one.
            let _ = GUARD_BUDGETS.insert(key, Budget::default(), BPF_NOEXIST.into());
            match GUARD_BUDGETS.get_ptr_mut(key) {
                Some(budget) => budget,
                None => return total::UNTRACKED,
            }
        }
    };
    // SAFETY: a live map value, accessed by whole words. This target has no atomic
    // exchange: processors that look at the same moment may each let a SYN pass where
    // one was left, and count one of them.
    unsafe {
        let (due, passed, dropped) = (
            addr_of_mut!((*budget).due),
            addr_of_mut!((*budget).passed),
            addr_of_mut!((*budget).dropped),
        );
        match terms.admit(due.read_volatile(), now) {
            Some(next) => {
                due.write_volatile(next);
                passed.write_volatile(passed.read_volatile() + 1);
                total::PASSED
            }
            None => {
                dropped.write_volatile(dropped.read_volatile() + 1);
                total::DROPPED
            }
        }
    }
}

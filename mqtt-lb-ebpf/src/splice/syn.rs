//! SYN editor: our SYN to a backend does not offer what the client lacks. There is
//! no socket option for it, so the socket's mark tells.

use core::ffi::c_void;
use core::ptr::addr_of_mut;

use aya_ebpf::helpers::bpf_loop;
use aya_ebpf::programs::TcContext;
use mqtt_lb_ebpf::checksum::Difference;
use mqtt_lb_ebpf::splice_slot::{MARK, MARK_MASK, MARK_NO_SACK, MARK_NO_TIMESTAMPS};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tcp::{CHECKSUM, HEADER, PROTOCOL, flag};
use mqtt_lb_ebpf::tcp_options::{AREA, MAX, Unwanted, erase};

use super::hook::Hook as _;
use super::options::{ROOM, options_sum};
use super::packet::{IP, bounded, count, tcp_at};
use super::parse::PLAIN4;
use super::tcx::Skb;

/// The next program, or the wire.
const TCX_NEXT: i32 = -1;

/// Options and how far they have been walked.
#[repr(C, align(8))]
struct Walk {
    area: [u8; AREA],
    at: u32,
    end: u32,
    unwanted: Unwanted,
    has_changed: bool,
}

/// Edits the packet if it is a SYN with our mark. It always passes.
#[inline(always)]
pub fn edit(ctx: &TcContext) -> i32 {
    // SAFETY: a load of a context field the verifier knows.
    let mark = unsafe { (*ctx.skb.skb).mark };
    if mark & MARK_MASK == MARK {
        // What cannot be edited goes as it is: the flow is refused later.
        let _edited = syn(ctx, mark);
    }
    TCX_NEXT
}

#[inline(always)]
fn syn(ctx: &TcContext, mark: u32) -> Option<()> {
    let tcp = tcp(ctx)?;
    let head: [u8; 2] = ctx.load(tcp as usize + 12).ok()?;
    if head[1] & (flag::SYN | flag::ACK) != flag::SYN {
        return None;
    }
    let at = tcp + HEADER;
    let len = (u32::from(head[0] >> 4) * 4).wrapping_sub(HEADER);
    if len == 0 || len > MAX {
        return None;
    }
    let mut walk = Walk {
        area: [0; AREA],
        at: 0,
        end: len,
        unwanted: Unwanted {
            timestamps: mark & MARK_NO_TIMESTAMPS != 0,
            sack: mark & MARK_NO_SACK != 0,
        },
        has_changed: false,
    };
    let skb = Skb::of(ctx);
    // SAFETY: `area` has room for the longest options.
    if !unsafe { skb.load(at, walk.area.as_mut_ptr(), bounded::<ROOM>(len)) } {
        return None;
    }
    let old = options_sum(&walk.area);
    let step: unsafe extern "C" fn(u32, *mut Walk) -> i64 = step;
    // SAFETY: the callback gets the walk, which outlives the loop.
    unsafe {
        bpf_loop(MAX, step as *mut c_void, addr_of_mut!(walk).cast(), 0);
    }
    if !walk.has_changed {
        return None;
    }
    let changed = Difference::none().word(old, options_sum(&walk.area)).fold();
    // SAFETY: as many were loaded.
    if !unsafe { skb.store(at, walk.area.as_ptr(), bounded::<ROOM>(len)) } {
        return None;
    }
    let check = (tcp + CHECKSUM) as usize;
    ctx.l4_csum_replace(check, 0, changed.into(), 0).ok()?;
    count(Stat::SynEdited);
    Some(())
}

/// Where the TCP header of a plain packet is.
#[inline(always)]
fn tcp(ctx: &TcContext) -> Option<u32> {
    // SAFETY: a load of a context field the verifier knows.
    let protocol = unsafe { (*ctx.skb.skb).protocol };
    let ip: [u8; 10] = ctx.load(IP as usize).ok()?;
    match u16::from_be(protocol as u16) {
        0x0800 if ip[0] == PLAIN4 && ip[9] == PROTOCOL => Some(tcp_at(false)),
        0x86dd if ip[6] == PROTOCOL => Some(tcp_at(true)),
        _ => None,
    }
}

/// Erases the next option; 1 ends the loop.
///
/// # Safety
/// `walk` is live.
unsafe extern "C" fn step(_: u32, walk: *mut Walk) -> i64 {
    // SAFETY: promised by the caller.
    let walk = unsafe { &mut *walk };
    let (at, end) = (walk.at, walk.end);
    if at >= end {
        return 1;
    }
    walk.at = erase(
        &mut walk.area,
        at,
        end,
        walk.unwanted,
        &mut walk.has_changed,
    );
    0
}

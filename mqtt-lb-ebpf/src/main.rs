//! The BPF programs of mqtt-lb: map definitions and thin entry points.
#![no_std]
#![no_main]
// The program macros generate functions without docs, and a program has no API.
#![allow(missing_docs)]

mod sockmap;
mod splice;

use aya_ebpf::macros::{classifier, map, sk_msg, sock_ops, stream_verdict, xdp};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf, SockHash, SockMap};
use aya_ebpf::programs::{SkBuffContext, SkMsgContext, SockOpsContext, TcContext, XdpContext};
use mqtt_lb_ebpf::index::{Bucket, Seed};
use mqtt_lb_ebpf::local::{LocalArm, LocalCount, LocalKey};
use mqtt_lb_ebpf::slot::Slot;
use mqtt_lb_ebpf::splice_slot::{Note, SpliceSlot};
use mqtt_lb_ebpf::splice_stat::Stat;
use mqtt_lb_ebpf::tuple::{Place6, Tuple6};

/// `BPF_F_MMAPABLE`: userspace edits the slots in place.
const MMAPABLE: u32 = 1 << 10;

/// `BPF_F_NO_PREALLOC`: memory grows with the flows there are.
const ON_DEMAND: u32 = 1;

/// Both sockets of every flow, by slot.
#[map]
static SOCKS: SockMap = SockMap::with_max_entries(2, 0);

/// Socket cookie to slot. A cookie is unique over namespaces and never used
/// again, so neither port reuse nor IPv6 needs a case of its own.
#[map]
static FLOWS: HashMap<u64, u32> = HashMap::with_max_entries(2, ON_DEMAND);

/// State of every direction.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(2, MMAPABLE);

/// Slots that stopped redirecting; one record per stop.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Sockets of brokers on this host.
#[map]
static LOCAL_SOCKS: SockHash<LocalKey> = SockHash::with_max_entries(2, 0);

/// Bytes those sockets have sent.
#[map]
static LOCAL_COUNTS: HashMap<LocalKey, LocalCount> = HashMap::with_max_entries(2, ON_DEMAND);

/// Which of them may write straight into a client's socket.
#[map]
static LOCAL_ARMS: HashMap<LocalKey, LocalArm> = HashMap::with_max_entries(2, ON_DEMAND);

/// Ports of the backends on this host.
#[map]
static LOCAL_PORTS: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);

/// Which flow an IPv4 packet belongs to. Two entries per flow.
#[map]
static SPLICE_IDX4: Array<Bucket> = Array::with_max_entries(2, MMAPABLE);

/// Where they are in it.
#[map]
static SPLICE_SEED: Array<Seed> = Array::with_max_entries(1, 0);

/// Which flow an IPv6 packet belongs to. Two entries per flow.
#[map]
static SPLICE_IDX6: HashMap<Tuple6, Place6> = HashMap::with_max_entries(2, ON_DEMAND);

/// State of every spliced flow.
#[map]
static SPLICE_SLOTS: Array<SpliceSlot> = Array::with_max_entries(2, MMAPABLE);

/// What userspace knows of them; the programs never look.
#[map]
static SPLICE_NOTES: Array<Note> = Array::with_max_entries(2, MMAPABLE);

/// What became of packets.
#[map]
static SPLICE_STATS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Stat::ALL.len() as u32, 0);

/// Ports of our listeners as they stand in a packet.
#[map]
static SPLICE_LISTENERS: HashMap<u16, u8> = HashMap::with_max_entries(256, 0);

/// Forwards, or hands to userspace, each segment that arrives on a mapped socket.
#[stream_verdict]
pub fn mqtt_lb_verdict(ctx: SkBuffContext) -> u32 {
    sockmap::verdict::verdict(&ctx)
}

/// Forwards, or lets go over TCP, each `send` of a broker on this host.
#[sk_msg]
pub fn mqtt_lb_msg(ctx: SkMsgContext) -> u32 {
    sockmap::msg::verdict(&ctx)
}

/// Enters the sockets of brokers on this host as they are accepted.
#[sock_ops]
pub fn mqtt_lb_ops(ctx: SockOpsContext) -> u32 {
    sockmap::ops::observe(&ctx);
    1
}

/// Forwards packets of spliced flows, on tcx ingress.
#[classifier]
pub fn mqtt_lb_tcx(ctx: TcContext) -> i32 {
    splice::tcx::classify(&ctx)
}

/// Forwards packets of spliced flows, on native XDP.
#[xdp]
pub fn mqtt_lb_xdp(ctx: XdpContext) -> u32 {
    splice::xdp::process(&ctx)
}

/// Takes from our SYNs what the client does not have, on tcx egress.
#[classifier]
pub fn mqtt_lb_syn(ctx: TcContext) -> i32 {
    splice::syn::edit(&ctx)
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

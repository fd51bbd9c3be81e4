//! A broker on this host: its socket writes straight into the client's.
//!
//! `sent` is counted by the kernel half only and the arming is written by
//! userspace only, so neither can overwrite the other.

/// A connection as the broker's socket sees it. IPv4 addresses are v4-mapped,
/// everything is in network byte order but the ports.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalKey {
    /// Address of the broker.
    pub broker: [u8; 16],
    /// Address the balancer connected from.
    pub balancer: [u8; 16],
    /// Port of the broker, host order.
    pub broker_port: u32,
    /// Port the balancer connected from, host order.
    pub balancer_port: u32,
    /// Network namespace of the broker's socket (`bpf_get_netns_cookie`).
    pub netns: u64,
}

const _: () = assert!(size_of::<LocalKey>() == 48);

/// What the kernel half counts of a broker's socket.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalCount {
    /// Bytes the broker has sent over TCP since the connection was established.
    pub sent: u64,
}

/// Where a broker's socket may write, and from when.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LocalArm {
    /// Redirect while `sent` equals this: the client has all of it already.
    pub arm_at: u64,
    /// SOCKMAP index of the client's socket; its peer's slot counts the `send` calls.
    pub client: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<LocalCount>() == 8);
const _: () = assert!(size_of::<LocalArm>() == 16);

#[cfg(feature = "user")]
mod pod {
    use super::{LocalArm, LocalCount, LocalKey};

    // SAFETY: `repr(C)`, integers only, no padding.
    unsafe impl aya::Pod for LocalKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LocalCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LocalArm {}
}

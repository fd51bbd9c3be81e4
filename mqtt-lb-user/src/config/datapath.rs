//! `datapath = [...]` and `[sockmap]`: how established flows are forwarded.

/// A data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// The kernel redirects between the two sockets.
    Sockmap,
    /// Userspace copies.
    Copy,
}

/// Settings of the sockmap path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockmap {
    /// When a flow moves into the kernel and out of it.
    pub policy: SockmapPolicy,
    /// Bytes the kernel may hold in flight per direction.
    pub limit: u64,
    /// Flows the maps have room for.
    pub max_flows: u32,
    /// Let brokers on this host write straight into the client's socket (sk_msg).
    pub local_brokers: bool,
}

/// When a flow moves into the kernel and out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SockmapPolicy {
    /// Quiet flows in the kernel, busy ones batched in userspace.
    Auto,
    /// In the kernel whenever it is possible.
    Always,
}

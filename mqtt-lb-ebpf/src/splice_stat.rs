//! What the splice programs count, one number per verdict: indices of `SPLICE_STATS`.

/// One counter of the splice programs.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stat {
    /// Packets translated and forwarded.
    Forwarded = 0,
    /// Packets of flows in LEARN that went to the stack.
    Learned = 1,
    /// Packets dropped while a flow was handed over.
    Held = 2,
    /// Packets of new connections on the 4-tuple of a flow that is over, to the stack.
    Reborn = 3,
    /// Fragments of a flow, dropped.
    Fragment = 4,
    /// Packets with IP options or IPv6 extension headers, dropped.
    IpOptions = 5,
    /// Packets whose lengths do not fit together, dropped.
    Malformed = 6,
    /// Packets that have no hop left, dropped.
    Expired = 7,
    /// Packets of a flow whose next hop on the other side is not known, dropped.
    NoRoute = 8,
    /// ICMP errors about a flow, translated.
    IcmpTranslated = 9,
    /// ICMP errors about a flow that could not be translated, dropped.
    IcmpDropped = 10,
    /// RSTs that were forwarded but not believed: wrong sequence number or checksum.
    RstDoubted = 11,
    /// SYNs to a listener that asked for ECN and do no longer.
    EcnStripped = 12,
    /// Our SYNs that offered what the client lacks and do no longer.
    SynEdited = 13,
    /// Packets whose checksum was only begun by a local sender, completed (XDP).
    ChecksumCompleted = 14,
    /// Packets that could not be rewritten, dropped.
    RewriteFailed = 15,
}

impl Stat {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Forwarded,
        Self::Learned,
        Self::Held,
        Self::Reborn,
        Self::Fragment,
        Self::IpOptions,
        Self::Malformed,
        Self::Expired,
        Self::NoRoute,
        Self::IcmpTranslated,
        Self::IcmpDropped,
        Self::RstDoubted,
        Self::EcnStripped,
        Self::SynEdited,
        Self::ChecksumCompleted,
        Self::RewriteFailed,
    ];

    /// Metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Learned => "learned",
            Self::Held => "held",
            Self::Reborn => "reborn",
            Self::Fragment => "fragment",
            Self::IpOptions => "ip_options",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::NoRoute => "no_route",
            Self::IcmpTranslated => "icmp_translated",
            Self::IcmpDropped => "icmp_dropped",
            Self::RstDoubted => "rst_doubted",
            Self::EcnStripped => "ecn_stripped",
            Self::SynEdited => "syn_edited",
            Self::ChecksumCompleted => "checksum_completed",
            Self::RewriteFailed => "rewrite_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        for (i, stat) in Stat::ALL.into_iter().enumerate() {
            assert_eq!(stat as usize, i);
        }
    }
}

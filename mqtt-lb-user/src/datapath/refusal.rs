//! Why a path did not take a flow.

/// Why a path did not take a flow. The flow goes on where it is, unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The path's tables have no room for another flow.
    TableFull,
    /// A socket is no longer ESTABLISHED (its peer has begun to close).
    NotEstablished,
    /// Bytes arrived during the hand-over; the next quiet moment will do.
    NotQuiet,
    /// The kernel refused a step; the errno is in the log at debug level.
    Kernel,
    /// Only one of the two connections uses TCP timestamps.
    Timestamps,
    /// Only one of the two connections uses SACK.
    Sack,
    /// Only one of the two connections uses ECN.
    Ecn,
    /// One side may send larger segments than the other takes.
    Mss,
    /// No packet of a side was seen where the programs are attached.
    NotLearned,
    /// One connection is IPv4, the other IPv6.
    Family,
    /// Every source port towards the backend is taken.
    NoPort,
}

impl Refusal {
    /// Metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TableFull => "table_full",
            Self::NotEstablished => "not_established",
            Self::NotQuiet => "not_quiet",
            Self::Kernel => "kernel",
            Self::Timestamps => "timestamps",
            Self::Sack => "sack",
            Self::Ecn => "ecn",
            Self::Mss => "mss",
            Self::NotLearned => "not_learned",
            Self::Family => "family",
            Self::NoPort => "no_port",
        }
    }
}

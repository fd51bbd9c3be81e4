//! Whether a backend's first bytes keep the client there, and how long to wait for them.

use std::fmt;
use std::time::Duration;

use crate::connect::connack::{self, ConnackPeek};

/// Backends that may get one CONNECT. A client whose CONNECT makes brokers hang up
/// must not go through all of them.
const TRIES: usize = 3;

/// What a backend's first bytes mean for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer is not whole.
    Wait,
    /// The client stays and gets the answer, whatever it is.
    Stay,
    /// Another backend should get the CONNECT.
    Leave(Why),
}

/// Why a backend has not taken a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It said so, with this code.
    Connack(u8),
    /// It closed before a whole CONNACK.
    Closed,
    /// It did not answer in time.
    Timeout,
}

impl Why {
    /// Metric label.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connack(_) => "connack",
            Self::Closed => "closed",
            Self::Timeout => "connack_timeout",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connack(code) => write!(f, "answered CONNECT with code {code:#04x}"),
            Self::Closed => f.write_str("closed before its CONNACK"),
            Self::Timeout => f.write_str("sent no CONNACK in time"),
        }
    }
}

/// Judges everything a backend has sent so far; `closed` when no more will come.
/// `codes` are those of a CONNACK with which a client should leave.
pub(super) fn judge(bytes: &[u8], closed: bool, codes: &[u8]) -> Verdict {
    match connack::peek(bytes) {
        ConnackPeek::Connack(connack) if codes.contains(&connack.code) => {
            Verdict::Leave(Why::Connack(connack.code))
        }
        ConnackPeek::Connack(_) | ConnackPeek::NotConnack => Verdict::Stay,
        ConnackPeek::NeedMore if closed => Verdict::Leave(Why::Closed),
        ConnackPeek::NeedMore => Verdict::Wait,
    }
}

/// What one backend has of the time for a CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// How long to wait for it.
    pub(super) time: Duration,
    /// No other backend may be asked after it.
    pub(super) last: bool,
}

/// Divides the time for a CONNACK among the backends that may be asked.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    tries: usize,
}

impl Patience {
    /// `time` for all backends together.
    pub(super) fn new(time: Duration) -> Self {
        let tries = TRIES;
        Self { left: time, tries }
    }

    /// The share of the backend at hand when `others` are still untried.
    pub(super) fn share(&mut self, others: usize) -> Share {
        self.tries = self.tries.saturating_sub(1);
        let others = others.min(self.tries);
        Share {
            time: self.left / (others as u32 + 1),
            last: others == 0,
        }
    }

    /// So much time has gone by in waiting.
    pub(super) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// What is left for the backend that the client stays with.
    pub(super) fn left(&self) -> Duration {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [u8; 2] = [0x03, 0x88];

    #[test]
    fn a_refusal_is_known_by_its_code_alone() {
        for (bytes, verdict) in [
            (&b"\x20\x02\0\0"[..], Verdict::Stay),
            (b"\x20\x02\x01\0", Verdict::Stay),
            (b"\x20\x02\0\x05", Verdict::Stay),
            (b"\x20\x02\0\x03", Verdict::Leave(Why::Connack(0x03))),
            (b"\x20\x03\0\x88\0", Verdict::Leave(Why::Connack(0x88))),
            (b"\x20\x03\0\x89\0", Verdict::Stay),
            (b"\xf0\x02\x18\0", Verdict::Stay),
            (b"\xf0", Verdict::Stay),
            (b"HTTP/1.1 503", Verdict::Stay),
        ] {
            assert_eq!(judge(bytes, false, &CODES), verdict, "{bytes:?}");
            assert_eq!(judge(bytes, true, &CODES), verdict, "{bytes:?}");
        }
    }

    #[test]
    fn a_cut_answer_is_waited_for_unless_it_is_all_there_will_be() {
        let bytes = b"\x20\x03\0\x88\0";
        for cut in 0..bytes.len() {
            let bytes = &bytes[..cut];
            assert_eq!(judge(bytes, false, &CODES), Verdict::Wait);
            assert_eq!(judge(bytes, true, &CODES), Verdict::Leave(Why::Closed));
        }
    }

    fn share(seconds: u64, last: bool) -> Share {
        let time = Duration::from_secs(seconds);
        Share { time, last }
    }

    #[test]
    fn each_backend_has_its_share_and_the_last_one_the_rest() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(9 * second);
        assert_eq!(patience.share(7), share(3, false));
        patience.spend(3 * second);
        assert_eq!(patience.share(6), share(3, false));
        patience.spend(second);
        assert_eq!(patience.share(5), share(5, true), "three are asked");
        patience.spend(7 * second);
        assert_eq!(patience.left(), Duration::ZERO);
    }

    #[test]
    fn there_are_no_more_shares_than_backends() {
        let mut patience = Patience::new(Duration::from_secs(8));
        assert_eq!(patience.share(1), share(4, false));
        assert_eq!(patience.share(0), share(8, true));
    }

    #[test]
    fn reasons_for_people() {
        assert_eq!(
            Why::Connack(3).to_string(),
            "answered CONNECT with code 0x03"
        );
    }
}

//! Watches the backend's first bytes for its CONNACK, while they are relayed.

use crate::connect::connack::{self, ConnackPeek};

/// What the backend has answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing whole yet; the bytes so far.
    Waiting(Vec<u8>),
    /// A CONNACK.
    Connack {
        /// Its code.
        code: u8,
        /// The id it gives the client.
        assigned: Option<Vec<u8>>,
    },
    /// Something else.
    Other,
}

impl Answer {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        Self::Waiting(Vec::new())
    }

    /// Takes in bytes of the backend. Keeps no more than a CONNACK can need.
    pub(super) fn observe(&mut self, bytes: &[u8]) {
        let Self::Waiting(seen) = self else { return };
        let room = connack::ENOUGH - seen.len();
        seen.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match connack::peek(seen) {
            ConnackPeek::NeedMore if seen.len() < connack::ENOUGH => {}
            ConnackPeek::Connack(connack) => {
                *self = Self::Connack {
                    code: connack.code,
                    assigned: connack.assigned_client_id.map(<[u8]>::to_vec),
                }
            }
            ConnackPeek::NeedMore | ConnackPeek::NotConnack => *self = Self::Other,
        }
    }

    /// Whether the backend has yet to answer.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// The code of its CONNACK.
    pub(super) fn code(&self) -> Option<u8> {
        match self {
            Self::Connack { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The id that a client which was accepted has been given, the first time it is
    /// asked for.
    pub(super) fn take_assigned(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Connack { code: 0, assigned } => assigned.take().filter(|id| !id.is_empty()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_connack_is_put_together() {
        let mut answer = Answer::new();
        for byte in [0x20, 0x02, 0x00] {
            answer.observe(&[byte]);
            assert!(answer.is_waiting());
        }
        answer.observe(&[0x05, 0x30]);
        assert_eq!(answer.code(), Some(5));
        answer.observe(b"more");
        assert_eq!(answer.code(), Some(5));
    }

    #[test]
    fn an_assigned_id_is_told_once_and_only_to_a_client_that_is_accepted() {
        for (code, told) in [(0, Some(b"id".to_vec())), (0x87, None)] {
            let mut answer = Answer::new();
            for byte in [0x20, 8, 0, code, 5, 0x12, 0, 2, b'i', b'd'] {
                assert_eq!(answer.take_assigned(), None);
                answer.observe(&[byte]);
            }
            assert_eq!(answer.code(), Some(code));
            assert_eq!(answer.take_assigned(), told);
            assert_eq!(answer.take_assigned(), None);
        }
    }

    #[test]
    fn anything_else_is_not_waited_for() {
        let mut answer = Answer::new();
        answer.observe(b"HTTP/1.1 400 Bad Request\r\n");
        assert!(!answer.is_waiting());
        assert_eq!(answer.code(), None);
    }
}

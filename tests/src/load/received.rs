//! What has come to the backend: a sender alone would count what waits in buffers.

use std::time::Duration;

/// Bytes of an encoded answer.
pub const LEN: usize = 16;

/// What the backend has taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes dropped so far, of all connections.
    pub bytes: u64,
    /// The backend's time, from any beginning.
    pub time: Duration,
}

impl Received {
    /// As it goes over the wire.
    pub fn encode(self) -> [u8; LEN] {
        let mut wire = [0; LEN];
        wire[..8].copy_from_slice(&self.bytes.to_le_bytes());
        wire[8..].copy_from_slice(&(self.time.as_nanos() as u64).to_le_bytes());
        wire
    }

    /// From the wire.
    pub fn decode(wire: [u8; LEN]) -> Self {
        let [bytes, nanos] = [0, 8].map(|at| {
            let mut word = [0; 8];
            word.copy_from_slice(&wire[at..at + 8]);
            u64::from_le_bytes(word)
        });
        Self {
            bytes,
            time: Duration::from_nanos(nanos),
        }
    }

    /// Bytes a second since `earlier`.
    pub fn rate_since(self, earlier: Self) -> f64 {
        let bytes = self.bytes - earlier.bytes;
        bytes as f64 / (self.time - earlier.time).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_comes_over_the_wire() {
        let at = |bytes, ms| {
            let time = Duration::from_millis(ms);
            Received::decode(Received { bytes, time }.encode())
        };
        assert_eq!(at(5000, 1500).rate_since(at(3000, 500)), 2000.0);
    }
}

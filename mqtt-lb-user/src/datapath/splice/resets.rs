//! Flows that are being reset: both sides are told, more than once, then forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_lb_ebpf::splice_slot::SpliceSlot;

use super::corners::Corners;
use super::segment::Segment;
use crate::datapath::Fate;

/// Times that both sides are told. The first may be lost or come with an
/// acknowledgement that is old; the peer's answer to it brings the newest.
const TIMES: u8 = 3;

/// Flows that are being reset.
#[derive(Default)]
pub struct Resets(Mutex<HashMap<u64, Reset>>);

#[derive(Clone, Copy)]
struct Reset {
    fate: Fate,
    left: u8,
}

/// What to do with a flow that is being reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Tell both sides.
    Tell,
    /// It is over.
    Over(Fate),
}

impl Resets {
    /// Begins with a flow; false when that has happened before.
    pub fn begin(&self, id: u64, fate: Fate) -> bool {
        let reset = Reset { fate, left: TIMES };
        let mut resets = self.lock();
        let new = !resets.contains_key(&id);
        resets.entry(id).or_insert(reset);
        new
    }

    /// The next step of every flow.
    pub fn steps(&self) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        self.lock().retain(|id, reset| {
            if reset.left == 0 {
                steps.push((*id, Step::Over(reset.fate)));
                return false;
            }
            reset.left -= 1;
            steps.push((*id, Step::Tell));
            true
        });
        steps
    }

    /// Whether nobody is being reset.
    pub fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Reset>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The resets for both sides: each as if it came from the address that side knows, at
/// the place of the stream that it has acknowledged.
pub fn segments(corners: &Corners, slot: &SpliceSlot) -> [Segment; 2] {
    let side = |from, to, direction: usize| Segment {
        from,
        to,
        seq: slot.lanes[direction].ack,
        ack: slot.lanes[direction].seq_end,
        window: 0,
        timestamps: None,
        reset: true,
    };
    [
        side(corners.front(), corners.client(), 0),
        side(corners.source(), corners.backend(), 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_told_more_than_once() {
        let resets = Resets::default();
        assert!(resets.begin(7, Fate::Killed));
        assert!(!resets.begin(7, Fate::Idle));
        for _ in 0..TIMES {
            assert_eq!(resets.steps(), [(7, Step::Tell)]);
            assert!(!resets.is_idle());
        }
        assert_eq!(resets.steps(), [(7, Step::Over(Fate::Killed))]);
        assert!(resets.is_idle() && resets.steps().is_empty());
    }

    #[test]
    fn each_side_is_told_in_its_own_numbers() {
        let corners = Corners([
            "10.1.0.2:40000".parse().unwrap(),
            "10.1.0.1:1883".parse().unwrap(),
            "10.2.0.1:10000".parse().unwrap(),
            "10.2.0.2:1884".parse().unwrap(),
        ]);
        let mut slot = SpliceSlot::default();
        slot.lanes[0].ack = 5;
        slot.lanes[1].ack = 6;
        let [client, backend] = segments(&corners, &slot);
        assert_eq!(
            (client.from, client.to, client.seq),
            (corners.front(), corners.client(), 5)
        );
        assert_eq!((backend.to, backend.seq), (corners.backend(), 6));
        assert!(client.reset && backend.reset);
    }
}

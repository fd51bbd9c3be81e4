//! When a flow without sockets is over. Sans-IO.

use std::time::Duration;

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, seen};

use crate::datapath::{Fate, Side};

/// Time without packets after which two FINs are the end: the last acknowledgement
/// may have been lost, and the FIN come again.
const FIN_QUIET: u32 = 5;
/// The same after a reset.
const RST_QUIET: u32 = 1;
/// Keepalives without a packet that a flow may last: brokers close after one and a
/// half (MQTT 3.1.1, 3.1.2.10).
const KEEPALIVES: u32 = 2;

/// How the flow has ended, if it has. `keepalive` is that of its CONNECT in seconds,
/// `idle` the time without a packet that is too long for one that has none.
pub fn judge(slot: &SpliceSlot, keepalive: u16, idle: Duration, now_s: u32) -> Option<Fate> {
    let quiet = now_s.saturating_sub(newest(slot));
    if let Some((fate, rest)) = ending(slot) {
        return (quiet >= rest).then_some(fate);
    }
    let limit = match keepalive {
        0 => u32::try_from(idle.as_secs()).unwrap_or(u32::MAX),
        keepalive => KEEPALIVES * u32::from(keepalive),
    };
    (quiet > limit).then_some(Fate::Idle)
}

/// How both sides have ended the flow, and the seconds without a packet after which
/// nothing more can come.
pub fn ending(slot: &SpliceSlot) -> Option<(Fate, u32)> {
    let [client, backend] = slot.seen;
    let side = |bit: u8| {
        if client & bit != 0 {
            Side::Client
        } else {
            Side::Backend
        }
    };
    if (client | backend) & seen::RST != 0 {
        return Some((Fate::Aborted(side(seen::RST)), RST_QUIET));
    }
    (client & backend & seen::PEER_FIN != 0).then(|| (Fate::Closed(side(seen::FIRST)), FIN_QUIET))
}

/// Second of CLOCK_MONOTONIC of a flow's last packet.
pub fn newest(slot: &SpliceSlot) -> u32 {
    slot.lanes[0].last_s.max(slot.lanes[1].last_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(3600);

    fn slot(client: u8, backend: u8, last: u32) -> SpliceSlot {
        let mut slot = SpliceSlot {
            seen: [client, backend],
            ..SpliceSlot::default()
        };
        slot.lanes[1].last_s = last;
        slot
    }

    #[test]
    fn a_flow_lives_while_there_are_packets() {
        assert_eq!(judge(&slot(0, 0, 100), 30, IDLE, 160), None);
        assert_eq!(judge(&slot(0, 0, 100), 30, IDLE, 161), Some(Fate::Idle));
        assert_eq!(judge(&slot(0, 0, 100), 0, IDLE, 3700), None);
        assert_eq!(judge(&slot(0, 0, 100), 0, IDLE, 3701), Some(Fate::Idle));
        assert_eq!(
            judge(&slot(0, 0, 100), 30, IDLE, 99),
            None,
            "a packet came meanwhile"
        );
    }

    #[test]
    fn two_acknowledged_fins_and_a_while() {
        let (first, second) = (
            seen::FIN | seen::FIRST | seen::PEER_FIN,
            seen::FIN | seen::PEER_FIN,
        );
        assert_eq!(judge(&slot(first, second, 100), 30, IDLE, 104), None);
        let over = judge(&slot(first, second, 100), 30, IDLE, 105);
        assert_eq!(over, Some(Fate::Closed(Side::Client)));
        let over = judge(&slot(second, first, 100), 30, IDLE, 105);
        assert_eq!(over, Some(Fate::Closed(Side::Backend)));
        assert_eq!(
            judge(&slot(first, seen::FIN, 100), 30, IDLE, 105),
            None,
            "half closed"
        );
    }

    #[test]
    fn a_reset_is_the_end_after_a_second() {
        assert_eq!(judge(&slot(0, seen::RST, 100), 30, IDLE, 100), None);
        let over = judge(&slot(0, seen::RST, 100), 30, IDLE, 101);
        assert_eq!(over, Some(Fate::Aborted(Side::Backend)));
    }
}

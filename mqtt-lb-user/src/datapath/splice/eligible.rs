//! Whether two connections can become one: what both handshakes agreed on. Sans-IO.

use mqtt_lb_ebpf::splice_slot::{Lane, seen};

use super::info::TcpInfo;
use crate::datapath::Refusal;

/// What the programs have learned of both sides while packets passed.
#[derive(Debug, Clone, Copy)]
pub struct Learned {
    /// Direction 0, from the client.
    pub client: Lane,
    /// Direction 1, from the backend.
    pub backend: Lane,
    /// [`mqtt_lb_ebpf::splice_slot::SpliceSlot::seen`].
    pub seen: [u8; 2],
}

/// Refuses pairs that packets cannot be translated between.
///
/// `client` is the socket of the client's connection, `backend` that of the backend's.
///
/// # Errors
/// The first thing that does not fit.
pub fn check(client: &TcpInfo, backend: &TcpInfo, learned: &Learned) -> Result<(), Refusal> {
    if !client.established || !backend.established {
        return Err(Refusal::NotEstablished);
    }
    if client.timestamps != backend.timestamps {
        return Err(Refusal::Timestamps);
    }
    if client.sack != backend.sack {
        return Err(Refusal::Sack);
    }
    if client.ecn != backend.ecn {
        return Err(Refusal::Ecn);
    }
    let lacks_tsval = learned.seen.iter().any(|seen| seen & seen::TSVAL == 0);
    let lacks_side = learned.client.ifindex == 0 || learned.backend.ifindex == 0;
    if lacks_side || (client.timestamps && lacks_tsval) {
        return Err(Refusal::NotLearned);
    }
    Ok(())
}

/// Refuses pairs of which one side may send more than the other takes: each sends what
/// the other's socket here has promised to take. `takes` is the MSS that client and
/// backend have announced, bytes.
///
/// # Errors
/// [`Refusal::Mss`].
pub fn check_mss(client: &TcpInfo, backend: &TcpInfo, takes: [u32; 2]) -> Result<(), Refusal> {
    if client.advmss > takes[1] || backend.advmss > takes[0] {
        return Err(Refusal::Mss);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> TcpInfo {
        TcpInfo {
            established: true,
            timestamps: true,
            sack: true,
            ecn: false,
            snd_wscale: 7,
            rcv_wscale: 7,
            snd_mss: 1448,
            advmss: 1460,
        }
    }

    fn learned() -> Learned {
        let lane = Lane {
            ifindex: 2,
            ..Lane::default()
        };
        Learned {
            client: lane,
            backend: lane,
            seen: [seen::TSVAL; 2],
        }
    }

    #[test]
    fn equals_fit() {
        assert_eq!(check(&info(), &info(), &learned()), Ok(()));
        let other = TcpInfo {
            snd_wscale: 0,
            rcv_wscale: 2,
            ..info()
        };
        assert_eq!(
            check(&info(), &other, &learned()),
            Ok(()),
            "windows are rescaled"
        );
    }

    #[test]
    fn every_difference_has_its_name() {
        for (other, refusal) in [
            (
                TcpInfo {
                    established: false,
                    ..info()
                },
                Refusal::NotEstablished,
            ),
            (
                TcpInfo {
                    timestamps: false,
                    ..info()
                },
                Refusal::Timestamps,
            ),
            (
                TcpInfo {
                    sack: false,
                    ..info()
                },
                Refusal::Sack,
            ),
            (
                TcpInfo {
                    ecn: true,
                    ..info()
                },
                Refusal::Ecn,
            ),
        ] {
            assert_eq!(check(&info(), &other, &learned()), Err(refusal));
            assert_eq!(check(&other, &info(), &learned()), Err(refusal));
        }
    }

    #[test]
    fn what_was_not_seen_cannot_be_translated() {
        let mut blind = learned();
        blind.client.ifindex = 0;
        assert_eq!(check(&info(), &info(), &blind), Err(Refusal::NotLearned));
        let mut timeless = learned();
        timeless.seen[1] = 0;
        assert_eq!(check(&info(), &info(), &timeless), Err(Refusal::NotLearned));
        let plain = TcpInfo {
            timestamps: false,
            snd_mss: 1460,
            ..info()
        };
        assert_eq!(check(&plain, &plain, &timeless), Ok(()));
    }

    #[test]
    fn nobody_may_send_more_than_the_other_takes() {
        let mss = |takes| check_mss(&info(), &info(), takes);
        assert_eq!(mss([1460, 1460]), Ok(()));
        assert_eq!(mss([1459, 1460]), Err(Refusal::Mss));
        assert_eq!(mss([1460, 1459]), Err(Refusal::Mss));
        let told = TcpInfo {
            advmss: 1360,
            ..info()
        };
        assert_eq!(check_mss(&info(), &told, [1360, 1460]), Ok(()));
    }
}

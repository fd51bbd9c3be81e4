//! A [`Memo`] as it lies in the pinned notes. Sans-IO.

use std::time::{Duration, SystemTime};

use mqtt_lb_ebpf::splice_slot::Note;

use crate::affinity::Sticky;
use crate::datapath::Memo;

/// Packs what is known of a flow; a long client id is cut.
pub fn pack(memo: &Memo, generation: u16) -> Note {
    let kept = memo.client_id.len().min(Note::ID);
    let mut id = [0; Note::ID];
    id[..kept].copy_from_slice(&memo.client_id[..kept]);
    let whole = kept == memo.client_id.len() && !memo.cut;
    let since = memo.accepted.duration_since(SystemTime::UNIX_EPOCH);
    Note {
        generation,
        keepalive: memo.keepalive,
        level: memo.level,
        id_len: if whole { kept as u8 } else { Note::LONG },
        connack: memo.connack,
        sticky: sticky_code(memo.sticky),
        accepted_s: since.map_or(0, |since| since.as_secs() as u32),
        backend: memo.backend,
        listener: memo.listener,
        waited_ms: millis(memo.waited),
        connecting_ms: millis(memo.connecting),
        id,
    }
}

/// What a note says.
pub fn unpack(note: &Note) -> Memo {
    let cut = note.id_len == Note::LONG;
    let kept = if cut {
        Note::ID
    } else {
        usize::from(note.id_len).min(Note::ID)
    };
    Memo {
        client_id: note.id[..kept].to_vec(),
        cut,
        keepalive: note.keepalive,
        level: note.level,
        connack: note.connack,
        sticky: sticky(note.sticky),
        accepted: SystemTime::UNIX_EPOCH + Duration::from_secs(note.accepted_s.into()),
        backend: note.backend,
        listener: note.listener,
        waited: Duration::from_millis(note.waited_ms.into()),
        connecting: Duration::from_millis(note.connecting_ms.into()),
    }
}

fn millis(time: Duration) -> u16 {
    u16::try_from(time.as_millis()).unwrap_or(u16::MAX)
}

fn sticky_code(sticky: Sticky) -> u8 {
    match sticky {
        Sticky::None => 0,
        Sticky::Hit => 1,
        Sticky::New => 2,
        Sticky::Moved => 3,
        Sticky::Returned => 4,
    }
}

fn sticky(code: u8) -> Sticky {
    match code {
        1 => Sticky::Hit,
        2 => Sticky::New,
        3 => Sticky::Moved,
        4 => Sticky::Returned,
        _ => Sticky::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo(id: &[u8]) -> Memo {
        Memo {
            client_id: id.to_vec(),
            cut: false,
            keepalive: 60,
            level: 5,
            connack: 0,
            sticky: Sticky::New,
            accepted: SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000),
            backend: 7,
            listener: 9,
            waited: Duration::from_millis(3),
            connecting: Duration::from_millis(80_000),
        }
    }

    #[test]
    fn a_memo_comes_back_as_it_was() {
        let whole = Memo {
            connecting: Duration::from_millis(1),
            ..memo(&[b'x'; Note::ID])
        };
        assert_eq!(unpack(&pack(&whole, 1)), whole);
        assert_eq!(
            unpack(&pack(&memo(b"c0"), 1)).connecting,
            Duration::from_millis(65_535)
        );
        for sticky in [
            Sticky::None,
            Sticky::Hit,
            Sticky::New,
            Sticky::Moved,
            Sticky::Returned,
        ] {
            let memo = Memo {
                sticky,
                ..memo(b"")
            };
            assert_eq!(unpack(&pack(&memo, 1)).sticky, sticky);
        }
    }

    #[test]
    fn a_long_client_id_says_that_it_was_cut() {
        let long = unpack(&pack(&memo(&[b'x'; Note::ID + 1]), 1));
        assert!(long.cut);
        assert_eq!(long.client_id, [b'x'; Note::ID]);
        assert!(unpack(&pack(&long, 1)).cut, "and goes on saying so");
    }
}

//! CONNACK peek: no panic, bounded, and an answer once given stands.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_lb_user::connect::connack::{Connack, ConnackPeek, ENOUGH, peek};

fuzz_target!(|bytes: &[u8]| {
    let whole = peek(bytes);
    assert!(whole != ConnackPeek::NeedMore || bytes.len() < ENOUGH);
    for end in (0..bytes.len()).take(64) {
        let cut = peek(&bytes[..end]);
        assert!(cut == ConnackPeek::NeedMore || cut == whole);
    }
    if let ConnackPeek::Connack(Connack {
        assigned_client_id: Some(id),
        ..
    }) = whole
    {
        let (id, inside) = (id.as_ptr_range(), bytes.as_ptr_range());
        assert!(inside.start <= id.start && id.end <= inside.end);
    }
});

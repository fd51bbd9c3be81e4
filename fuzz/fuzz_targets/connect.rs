//! CONNECT reader: no panic, the same answer for any cut, offsets that fit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_lb_user::connect::{Connect, Field, Limits, Reader, Refusal, Status};

const LIMITS: Limits = Limits {
    buffer: 0,
    properties: 256,
};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes, []);
    assert_eq!(read(bytes, 0..bytes.len()), whole, "byte by byte");
    for end in 0..bytes.len().min(128) {
        assert_eq!(read(bytes, [end]), whole, "cut at {end}");
    }
});

/// The answer to bytes that arrive in pieces, and the values in words.
fn read(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
) -> (Result<Status, Refusal>, Option<usize>, Option<String>) {
    let mut reader = Reader::new(LIMITS);
    for end in ends {
        if let Err(refusal) = reader.advance(&bytes[..end]) {
            return (Err(refusal), reader.packet_len(), None);
        }
    }
    let answer = reader.advance(bytes);
    let values = answer.ok().and_then(|status| {
        consistent(status, &reader, bytes);
        reader.view(bytes).map(values)
    });
    (answer, reader.packet_len(), values)
}

fn values(connect: Connect<'_>) -> String {
    format!(
        "{:?} {} {} {} {} {:?} {:?} {:?}",
        connect.client_id(),
        connect.level(),
        connect.bridge(),
        connect.clean(),
        connect.keepalive(),
        connect.username(),
        connect.will_topic(),
        connect.user_properties().collect::<Vec<_>>(),
    )
}

/// The status, the length and the values of a CONNECT fit together.
fn consistent(status: Status, reader: &Reader, bytes: &[u8]) {
    let Some(connect) = reader.view(bytes) else {
        assert_eq!(status, Status::NeedMore);
        return;
    };
    let len = reader.packet_len().expect("the id lies behind the length");
    let packet = &bytes[..len.min(bytes.len())];
    let inside = packet.as_ptr_range();
    let mut borrowed = vec![connect.client_id()];
    borrowed.extend(
        connect
            .user_properties()
            .flat_map(|(name, value)| [name, value]),
    );
    for field in [connect.username(), connect.will_topic()] {
        match field {
            Field::Present(bytes) => borrowed.push(bytes),
            Field::Pending => assert_eq!(status, Status::Routable),
            Field::Absent => {}
        }
    }
    for field in borrowed {
        let field = field.as_ptr_range();
        assert!(inside.start <= field.start && field.end <= inside.end);
    }
    match status {
        Status::NeedMore => panic!("a client id without a status that says so"),
        Status::Routable => assert!(bytes.len() < len),
        Status::Complete { len: whole } => assert!(whole == len && len <= bytes.len()),
    }
}

//! CONNECT reader: no panic, the same answer for any cut, offsets that fit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_lb_user::connect::{Connect, Field, Limits, Reader, Refusal, Status};

const LIMITS: Limits = Limits {
    buffer: 0,
    properties: 256,
};

fuzz_target!(|input: (Vec<u16>, &[u8])| {
    let (mut ends, bytes) = input;
    for end in &mut ends {
        *end %= bytes.len() as u16 + 1;
    }
    ends.sort_unstable();
    let ends: Vec<_> = ends.into_iter().map(usize::from).collect();

    let (whole, answer) = read(bytes, &[]);
    let (cut, answer_of_pieces) = read(bytes, &ends);
    assert_eq!(answer, answer_of_pieces);
    assert_eq!(whole.packet_len(), cut.packet_len());

    if let Ok(status) = answer {
        let values = whole.view(bytes).map(|connect| values(&connect));
        assert_eq!(
            values,
            cut.view(bytes).map(|connect| self::values(&connect))
        );
        consistent(status, &whole, bytes);
    }
});

fn read(bytes: &[u8], ends: &[usize]) -> (Reader, Result<Status, Refusal>) {
    let mut reader = Reader::new(LIMITS);
    for &end in ends {
        if let Err(refusal) = reader.advance(&bytes[..end]) {
            return (reader, Err(refusal));
        }
    }
    let answer = reader.advance(bytes);
    (reader, answer)
}

fn values(connect: &Connect<'_>) -> impl PartialEq + std::fmt::Debug {
    (
        connect.client_id().to_vec(),
        (
            connect.level(),
            connect.bridge(),
            connect.clean(),
            connect.keepalive(),
        ),
        format!("{:?} {:?}", connect.username(), connect.will_topic()),
        format!("{:?}", connect.user_properties().collect::<Vec<_>>()),
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

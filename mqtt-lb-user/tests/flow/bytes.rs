//! Packets and streams whose every byte is known.

/// CONNACK of MQTT 3.1.1, accepted.
pub const CONNACK: &[u8] = &[0x20, 2, 0, 0];

/// A CONNECT of MQTT 3.1.1 with this client id.
pub fn connect(id: &str) -> Vec<u8> {
    packet(0x02, &string(id.as_bytes()))
}

/// A CONNECT of MQTT 3.1.1 that is about 190 KiB long: will, user name and password
/// are as long as they may be.
pub fn long_connect(id: &str) -> Vec<u8> {
    let long = |seed| string(&pattern(seed, 65_535));
    let fields = [
        string(id.as_bytes()),
        string(b"will/topic"),
        long(1),
        long(2),
        long(3),
    ];
    packet(0xc6, &fields.concat())
}

fn packet(flags: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 60];
    let mut left = head.len() + payload.len();
    let mut packet = vec![0x10];
    loop {
        let more = if left > 127 { 0x80 } else { 0 };
        packet.push((left % 128) as u8 | more);
        left /= 128;
        if left == 0 {
            break;
        }
    }
    packet.extend(head);
    packet.extend(payload);
    packet
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("at most 65,535");
    [&length.to_be_bytes(), bytes].concat()
}

/// A stream that repeats itself nowhere near, the same for the same seed (xorshift64).
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Asserts that both are the same, and says where they differ instead of showing them.
#[track_caller]
pub fn assert_same(got: &[u8], wanted: &[u8]) {
    let differ = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!(differ, None, "first byte that differs");
    assert_eq!(got.len(), wanted.len(), "length");
}

//! The packets of the load, prepared once.

use super::wrong;
use crate::mqtt::packet;
use std::io;

/// The packet identifier of all messages: their order says which is which.
const ID: [u8; 2] = [0, 1];
/// The answer to a message.
pub const PUBACK: [u8; 4] = [0x40, 2, ID[0], ID[1]];
/// Bytes of a buffer for bulk data.
const BULK: usize = 256 << 10;
/// Bytes of a small message.
pub const SMALL: usize = 64;
/// What a client sends now and then.
pub const PINGREQ: [u8; 2] = [0xc0, 0];
/// The broker's answer to it.
pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// A PUBLISH with QoS 1 of that many bytes in all.
pub fn message(size: usize) -> io::Result<Vec<u8>> {
    // One byte each of type and length, the topic `b` with its length, the identifier.
    let least = 2 + 3 + ID.len();
    let header = if size <= 129 { 2 } else { 3 };
    if size < least || size > 16_000 || size == 130 {
        return Err(wrong(format!("no message has {size} bytes")));
    }
    let mut body = vec![0, 1, b'b', ID[0], ID[1]];
    body.resize(size - header, b'x');
    Ok(packet(0x32, &body))
}

/// PUBLISH packets with QoS 0, one behind the other; to be sent again and again.
pub fn bulk() -> Vec<u8> {
    publish(8192).repeat(BULK / 8192)
}

/// A PUBLISH with QoS 0; to be sent again and again.
pub fn small() -> Vec<u8> {
    publish(SMALL)
}

fn publish(size: usize) -> Vec<u8> {
    let header = if size <= 129 { 2 } else { 3 };
    let mut body = vec![0, 1, b'b'];
    body.resize(size - header, b'x');
    packet(0x30, &body)
}

/// Counts the answers in the bytes of one connection and checks each byte.
#[derive(Debug, Default, Clone, Copy)]
pub struct Answers {
    received: usize,
}

impl Answers {
    /// Takes in bytes; how many answers they complete.
    pub fn count(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.received;
        for byte in bytes {
            if *byte != PUBACK[self.received % PUBACK.len()] {
                return Err(wrong(format!(
                    "not an answer: {:02x?}",
                    &bytes[..4.min(bytes.len())]
                )));
            }
            self.received += 1;
        }
        Ok(self.received / PUBACK.len() - before / PUBACK.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::frame;

    #[test]
    fn messages_have_the_size_they_should() {
        for size in [7, 64, 128, 129, 131, 1024, 16_000] {
            let message = message(size).expect("a message");
            let (_, _, end) = frame(&message).expect("whole");
            assert_eq!((message.len(), end), (size, size));
        }
        assert!(message(6).is_err() && message(130).is_err());
        assert_eq!((bulk().len(), small().len()), (BULK, SMALL));
    }

    #[test]
    fn answers_are_counted_across_cuts_and_checked() {
        let mut answers = Answers::default();
        assert_eq!(answers.count(&[0x40, 2, 0]).ok(), Some(0));
        assert_eq!(answers.count(&[1, 0x40, 2, 0, 1, 0x40]).ok(), Some(2));
        assert!(answers.count(&[3]).is_err());
    }
}

//! Variable byte integers (MQTT 3.1.1 §2.2.3, MQTT 5.0 §1.5.5).

/// What the bytes at the start of a slice say about a variable byte integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The last byte has not arrived.
    NeedMore,
    /// The value and how many bytes encode it, 1 to 4.
    Known { value: usize, size: usize },
    /// The fourth byte announces a fifth.
    TooLong,
}

/// Reads the variable byte integer at the start of `bytes`.
///
/// Encodings longer than needed (`80 00` for 0) are read like any other: MQTT
/// 3.1.1 does not forbid them.
pub(super) fn read(bytes: &[u8]) -> Length {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Length::Known {
                value,
                size: index + 1,
            };
        }
    }
    if bytes.len() < 4 {
        Length::NeedMore
    } else {
        Length::TooLong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_specification() {
        let table: [(&[u8], usize); 10] = [
            (&[0x00], 0),
            (&[0x7f], 127),
            (&[0x80, 0x01], 128),
            (&[0xff, 0x7f], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xff, 0xff, 0x7f], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xff, 0xff, 0xff, 0x7f], 268_435_455),
            (&[0x80, 0x00], 0),
            (&[0x80, 0x80, 0x80, 0x00], 0),
        ];
        for (bytes, value) in table {
            let size = bytes.len();
            assert_eq!(read(bytes), Length::Known { value, size }, "{bytes:02x?}");
            let followed = [bytes, &[0xff; 4]].concat();
            assert_eq!(
                read(&followed),
                Length::Known { value, size },
                "{followed:02x?}"
            );
            for cut in 0..size {
                assert_eq!(
                    read(&bytes[..cut]),
                    Length::NeedMore,
                    "{bytes:02x?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_fifth_byte_is_too_long() {
        assert_eq!(read(&[0x80; 4]), Length::TooLong);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x00]), Length::TooLong);
    }
}

//! Bytes from clients as printable text, and back.
//!
//! One alphabet everywhere, in log lines, tables and commands: printable ASCII
//! stands for itself, `\"` and `\\` for a quote and a backslash, `\xNN` for
//! every other byte. What a client sends can so neither break a line nor forge one.

use std::fmt::{self, Display, Write};

/// Displays bytes in the alphabet of this module, without quotes around them.
pub struct Escaped<'a>(pub &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => {
                    f.write_char('\\')?;
                    f.write_char(char::from(byte))?;
                }
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// Displays bytes as one word of a command: bare where nothing in it is special,
/// else in quotes.
pub struct Word<'a>(pub &'a [u8]);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\;#'".contains(byte);
        if !self.0.is_empty() && self.0.iter().all(plain) {
            Escaped(self.0).fmt(f)
        } else {
            write!(f, "\"{}\"", Escaped(self.0))
        }
    }
}

/// Reads one escape; `rest` begins behind its backslash. Returns the byte it
/// stands for and the length read, or `None` if it is not an escape.
pub fn unescape(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [b'x', high, low, ..] => {
            let digit = |c: &u8| char::from(*c).to_digit(16);
            let value = digit(high)? * 16 + digit(low)?;
            Some((u8::try_from(value).ok()?, 3))
        }
        [c, ..] if c.is_ascii_punctuation() || *c == b' ' => Some((*c, 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_printable_and_comes_back() {
        for byte in 0..=u8::MAX {
            let text = Escaped(&[byte]).to_string();
            assert!(text.bytes().all(|c| (b' '..=b'~').contains(&c)), "{text:?}");
            let back = match text.strip_prefix('\\') {
                Some(rest) => unescape(rest.as_bytes()),
                None => Some((text.as_bytes()[0], 0)),
            };
            assert_eq!(back.map(|(b, _)| b), Some(byte));
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(Escaped(b"a b\n\"\\\xff").to_string(), r#"a b\x0a\"\\\xff"#);
        assert_eq!(unescape(b"x4"), None);
        assert_eq!(unescape(b"xg0"), None);
        assert_eq!(unescape(b"n"), None);
        assert_eq!(unescape(b""), None);
        assert_eq!(unescape(b"x41z"), Some((b'A', 3)));
    }

    #[test]
    fn words() {
        assert_eq!(Word(b"c0").to_string(), "c0");
        assert_eq!(Word(b"").to_string(), "\"\"");
        assert_eq!(Word(b"my client").to_string(), "\"my client\"");
        assert_eq!(Word(b"a;b").to_string(), "\"a;b\"");
        assert_eq!(Word(b"\xe2\x82\xac").to_string(), r#""\xe2\x82\xac""#);
    }
}

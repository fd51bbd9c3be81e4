//! The words of a command line: bytes, quotes and escapes.

use std::fmt;

use crate::escape::unescape;

/// One command: its words, as bytes.
pub type Words = Vec<Vec<u8>>;

/// Why a line has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    /// A quote is not closed.
    OpenQuote,
    /// A backslash begins no known escape.
    Escape,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenQuote => "a quote is not closed",
            Self::Escape => "unknown escape: use \\xNN, \\\\, \\\" or quotes",
        })
    }
}

/// Splits a line into commands at `;` and each command into words at blanks.
/// Quotes keep blanks and `;` in a word. `\xNN` stands for a byte, and a
/// backslash before a punctuation mark or a blank for that character, in quotes
/// and outside. Commands without words are left out.
///
/// # Errors
/// A quote that is not closed, or an unknown escape.
pub fn commands(line: &[u8]) -> Result<Vec<Words>, WordError> {
    let mut commands = Vec::new();
    let mut words = Words::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        at += 1;
        match byte {
            b'\\' => {
                let (byte, length) = unescape(&line[at..]).ok_or(WordError::Escape)?;
                word.get_or_insert_default().push(byte);
                at += length;
            }
            b'"' => {
                word.get_or_insert_default();
                quoted = !quoted;
            }
            b' ' | b'\t' | b'\r' if !quoted => words.extend(word.take()),
            b';' if !quoted => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if quoted {
        return Err(WordError::OpenQuote);
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::Word;

    fn split(line: &[u8]) -> Vec<Vec<Vec<u8>>> {
        commands(line).expect("valid line")
    }

    #[test]
    fn blanks_and_semicolons() {
        assert_eq!(
            split(b" show \t table;;help\r"),
            [vec![&b"show"[..], b"table"], vec![b"help"]]
        );
        assert_eq!(split(b""), Vec::<Words>::new());
        assert_eq!(split(b" ; "), Vec::<Words>::new());
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(
            split(br#"a" b;"c \x00\xFF\\ "" \; \"\ x"#),
            [vec![&b"a b;c"[..], b"\x00\xff\\", b"", b";", b"\" x",]]
        );
    }

    #[test]
    fn errors() {
        assert_eq!(commands(b"show \"x"), Err(WordError::OpenQuote));
        for line in [&b"\\"[..], b"\\n", b"\\x4", b"\\xgg"] {
            assert_eq!(commands(line), Err(WordError::Escape), "{line:?}");
        }
    }

    #[test]
    fn every_word_that_is_shown_can_be_typed() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        for word in [&b""[..], b"c0", b"a b", b";", b"\"", b"\\", b"\n", &all] {
            let line = format!("key {} end", Word(word));
            assert_eq!(split(line.as_bytes()), [vec![&b"key"[..], word, b"end"]]);
        }
    }
}

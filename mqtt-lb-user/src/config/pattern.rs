//! Regular expressions of the configuration, on bytes: what a client sends need not be
//! UTF-8.

use regex::bytes::{Regex, RegexBuilder};
use toml::de::DeValue;

use super::value::{Read, string};

/// Bytes that a compiled expression may take. Its cache, of which each worker has one,
/// may take as much again.
const COMPILED: usize = 1 << 20;

/// A regular expression in the syntax of the `regex` crate. It takes linear time,
/// whatever a client sends.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// One line: what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text)
            .size_limit(COMPILED)
            .dfa_size_limit(COMPILED)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => format!(
                    "{text:?} takes more than {} MiB when compiled: write smaller repetitions",
                    COMPILED >> 20
                ),
                other => format!("{text:?} is not a regular expression: {}", reason(&other)),
            })
    }

    /// The compiled expression.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.0
    }

    pub(super) fn read(value: &DeValue<'_>) -> Read<Self> {
        Self::new(&string(value)?)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// The last line of the crate's message: those before it draw the place.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_bytes_that_are_not_text() {
        let pattern = Pattern::new(r"^dev-(?-u:[\x00-\xff])$").unwrap();
        assert!(pattern.regex().is_match(b"dev-\xff"));
        assert!(pattern.regex().is_match(b"dev-\0"));
        assert!(!pattern.regex().is_match("dev-\u{e9}".as_bytes()));
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let unclosed = Pattern::new("^(a").unwrap_err();
        assert_eq!(
            unclosed,
            r#""^(a" is not a regular expression: unclosed group"#
        );
        let huge = Pattern::new(r"(\w{100}){100}").unwrap_err();
        assert!(huge.contains("takes more than 1 MiB"), "{huge}");
    }
}

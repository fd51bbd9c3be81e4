//! Syntax errors in the words of someone who writes a configuration.

use std::ops::Range;

/// Parts of the parser's messages about values that are neither number, date
/// nor true or false: mostly addresses, durations and words without quotes.
const UNQUOTED: [&str; 8] = [
    "boolean",
    "date-time",
    "exponent",
    "float",
    "fraction",
    "integer",
    "mantissa",
    "quoted",
];

/// What is wrong at `span` of `text` and what to do, from the parser's message.
pub(super) fn explain(text: &str, span: &Range<usize>, message: &str) -> String {
    let before = text.get(..span.start).unwrap_or_default();
    if span.is_empty() && before.trim_end_matches([' ', '\t']).ends_with('=') {
        return "not TOML: no value behind the `=`, write one".to_owned();
    }
    if UNQUOTED.iter().any(|word| message.contains(word)) {
        return "not TOML: not a number, true or false: a string needs quotes".to_owned();
    }
    format!("not TOML: {message}")
}

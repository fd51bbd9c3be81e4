//! Values as TOML writes them.

use std::time::Duration;

use crate::config::units::duration_text;

/// A string in quotes.
pub(super) fn text(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A duration, at least a millisecond unless it is zero.
pub(super) fn time(duration: Duration) -> String {
    let millis = duration.as_micros().div_ceil(1000);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    text(&duration_text(Duration::from_millis(millis)))
}

/// A name as part of a table's path.
pub(super) fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match !name.is_empty() && name.bytes().all(bare) {
        true => name.to_owned(),
        false => text(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for name in ["plain", "", "a.b:c", "\"\\\n\u{7f}\u{85}é"] {
            let written = format!("[{}]\nv = {}\n", key(name), text(name));
            let read: toml::Table = written.parse().expect(&written);
            assert_eq!(read[name]["v"].as_str(), Some(name), "{written}");
        }
        assert_eq!(time(Duration::from_micros(1)), "\"1ms\"");
        assert_eq!(time(Duration::from_secs(1800)), "\"30m\"");
        assert_eq!(time(Duration::ZERO), "\"0s\"");
    }
}

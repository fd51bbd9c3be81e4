//! Durations and sizes as people write them: `30m`, `500ms`, `100k`, `64KiB`.

use std::time::Duration;

/// Milliseconds of each unit of time that is written, longest first.
const TIME: [(u128, &str); 5] = [
    (86_400_000, "d"),
    (3_600_000, "h"),
    (60_000, "m"),
    (1_000, "s"),
    (1, "ms"),
];

/// Factors of the size suffixes. All are powers of 1024, as in HAProxy.
const SIZE: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "k")];

/// Reads a duration such as `30m`, `1h 30m` or `500ms`.
///
/// # Errors
/// One line: what is wrong and how a duration is written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    // humantime takes a bare "0" and "1M" (a month); both hide mistakes here.
    let usual = !text.contains('M') && !text.bytes().all(|b| b.is_ascii_digit());
    humantime::parse_duration(text)
        .ok()
        .filter(|_| usual)
        .ok_or_else(|| {
            format!(
                "{text:?} is not a duration: write a number with ms, s, m, h or d, such as \"10s\""
            )
        })
}

/// Reads a size such as `4096`, `100k`, `1M` or `64KiB`; k, M and G are powers of 1024.
///
/// # Errors
/// One line: what is wrong and how a size is written.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let factor = match suffix {
        "" => Some(1),
        _ => SIZE.iter().find_map(|&(factor, unit)| {
            let letter = suffix.strip_suffix("iB").unwrap_or(suffix);
            letter.eq_ignore_ascii_case(unit).then_some(factor)
        }),
    };
    let value = number.parse::<u64>().ok();
    value
        .zip(factor)
        .and_then(|(value, factor)| value.checked_mul(factor))
        .ok_or_else(|| {
            format!("{text:?} is not a size: write a number with k, M or G (powers of 1024) or none, such as \"100k\"")
        })
}

/// Writes a duration of whole milliseconds in its largest exact unit.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let exact = TIME.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    match exact {
        Some((unit, name)) if millis > 0 => format!("{}{name}", millis / unit),
        _ => format!("{}s", duration.as_secs()),
    }
}

/// Writes a size in its largest exact unit.
pub fn size_text(size: u64) -> String {
    let exact = SIZE
        .iter()
        .find(|(unit, _)| size > 0 && size.is_multiple_of(*unit));
    match exact {
        Some((unit, name)) => format!("{}{name}", size / unit),
        None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("30m", 1_800_000),
            ("1h 30m", 5_400_000),
            ("2d", 172_800_000),
            ("1.5s", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "10", "0", "s", "-1s", "1M", "10 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("100k", 102_400),
            ("100K", 102_400),
            ("64KiB", 65_536),
            ("1m", 1_048_576),
            ("1M", 1_048_576),
            ("2GiB", 2_147_483_648),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5k",
            "64KB",
            "1T",
            "iB",
            "1iB",
            "99999999999G",
            "10 k",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 500, 1_000, 90_000, 3_600_000, 86_400_000, 86_401_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
        for size in [0, 1, 1023, 1024, 65_554, 1 << 20, 3 << 30] {
            assert_eq!(parse_size(&size_text(size)), Ok(size));
        }
        assert_eq!(duration_text(Duration::from_secs(1800)), "30m");
        assert_eq!(size_text(102_400), "100k");
    }
}

//! Times and sizes as HAProxy writes them (configuration manual, 2.4 and 2.5).

use std::time::Duration;

/// A time; without a unit it is in milliseconds.
pub(super) fn time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros = match unit {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

/// A size or a count; k, m and g are powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time("5000"), Some(Duration::from_secs(5)));
        assert_eq!(time("500us"), Some(Duration::from_micros(500)));
        assert_eq!(time("30m"), Some(Duration::from_secs(1800)));
        assert_eq!(time("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(size("100k"), Some(102_400));
        assert_eq!(size("1M"), Some(1 << 20));
        for bad in ["", "s", "1.5s", "-1", "5x", "99999999999999999999"] {
            assert_eq!((time(bad), size(bad)), (None, None), "{bad}");
        }
    }
}

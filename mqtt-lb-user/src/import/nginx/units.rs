//! Times as nginx writes them: `30s`, `1h 30m`, `500ms`; without a unit, seconds.

use std::time::Duration;

/// Reads a time.
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "M" => 2_592_000_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        let part = Duration::from_millis(number.checked_mul(millis)?);
        sum = sum.checked_add(part)?;
        rest = behind.trim_start();
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("30"), Some(Duration::from_secs(30)));
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("1h 30m"), Some(Duration::from_secs(5400)));
        assert_eq!(time("1h30m"), Some(Duration::from_secs(5400)));
        for bad in ["", "s", "1x", "-1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}

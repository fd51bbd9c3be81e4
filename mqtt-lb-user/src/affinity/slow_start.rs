//! Slow start: a backend that has come up gets its weight back bit by bit.

use std::time::Duration;

use super::RAMPED;

/// Percent of its weight that a backend has `since` it came up, when all of it takes
/// `slow_start`. It grows evenly and begins with one percent: a backend that got
/// nothing could not warm up.
#[must_use]
pub fn ramp(since: Duration, slow_start: Duration) -> u32 {
    if since >= slow_start {
        return RAMPED;
    }
    let percent = since.as_nanos() * u128::from(RAMPED) / slow_start.as_nanos();
    (percent as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_evenly_from_one_percent() {
        let minute = Duration::from_secs(60);
        for (seconds, percent) in [(0, 1), (3, 5), (30, 50), (59, 98), (60, 100), (90, 100)] {
            assert_eq!(ramp(Duration::from_secs(seconds), minute), percent);
        }
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), RAMPED);
    }
}

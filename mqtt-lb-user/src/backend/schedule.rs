//! When the next check of a backend is due, so that checks do not bunch. Sans-IO.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The first checks of all backends are spread over this time, or over the interval
/// when that is shorter: a dead backend is to be known soon after the start.
const START: Duration = Duration::from_secs(1);

/// Time from the start of check `round - 1` to the start of check `round`; round 0
/// counts from the moment the backend is first watched.
///
/// Always the same for the same backend and round. Later rounds come 0.9 to 1.1
/// intervals apart, so backends that happen to meet drift apart again.
pub fn delay(pool: &str, backend: &str, round: u64, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (pool, backend, round).hash(&mut hasher);
    let fraction = f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX);
    match round {
        0 => interval.min(START).mul_f64(fraction),
        _ => interval.mul_f64(0.9 + 0.2 * fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn is_deterministic() {
        for round in 0..3 {
            assert_eq!(
                delay("p", "b", round, INTERVAL),
                delay("p", "b", round, INTERVAL)
            );
        }
    }

    #[test]
    fn first_checks_are_spread_over_a_second() {
        let mut tenths = [0; 10];
        for n in 0..1000 {
            let delay = delay("p", &format!("b{n}"), 0, INTERVAL);
            assert!(delay <= START);
            tenths[(delay.as_millis() / 100).min(9) as usize] += 1;
        }
        assert!(tenths.iter().all(|&n| (60..140).contains(&n)), "{tenths:?}");
    }

    #[test]
    fn a_short_interval_bounds_the_first_delay() {
        let short = Duration::from_millis(50);
        assert!((0..100).all(|n| delay("p", &n.to_string(), 0, short) <= short));
    }

    #[test]
    fn later_checks_keep_the_interval_within_a_tenth() {
        let delays: Vec<_> = (1..1000).map(|n| delay("p", "b", n, INTERVAL)).collect();
        assert!(
            delays
                .iter()
                .all(|d| (9.0..=11.0).contains(&d.as_secs_f64()))
        );
        let mean = delays.iter().sum::<Duration>().as_secs_f64() / delays.len() as f64;
        assert!((9.9..10.1).contains(&mean), "mean {mean}");
    }
}

//! Waiting for a condition with a deadline, instead of sleeping.

use std::time::{Duration, Instant};

/// Polls until `ready` yields a value; panics with `what` after `within`.
pub fn until<T>(what: &str, within: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "{what}: not within {:.1} s",
            within.as_secs_f64()
        );
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Polls until the condition holds; panics with `what` after `within`.
pub fn for_true(what: &str, within: Duration, mut ready: impl FnMut() -> bool) {
    until(what, within, || ready().then_some(()));
}

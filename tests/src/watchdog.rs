//! Ends a test binary whose test hangs: a run must come to its end.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::require::say;

/// Longest time from the beginning of one test to that of the next. With
/// `MQTT_LB_LONG` set, tests take their time.
const LIMIT: Duration = Duration::from_secs(420);
const LONG_LIMIT: Duration = Duration::from_secs(3600);

static CURRENT: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// The calling test begins: it, and whatever comes before the next one, has
/// a limit of time.
pub fn begin() {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let mut current = CURRENT.lock().expect("watchdog");
    let first = current.replace((name, Instant::now())).is_none();
    if first {
        std::thread::spawn(watch);
    }
}

fn watch() {
    let long = std::env::var_os("MQTT_LB_LONG").is_some();
    let limit = if long { LONG_LIMIT } else { LIMIT };
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let current = CURRENT.lock().expect("watchdog").clone();
        let Some((name, since)) = current else {
            continue;
        };
        if since.elapsed() > limit {
            say(&format!("{name} hangs: nothing has ended after {limit:?}"));
            std::process::abort();
        }
    }
}

//! Ends a test binary whose test hangs: a run must come to its end.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::require::say;
use crate::size::size;
use crate::{bpffs, netns};

/// Longest time from the beginning of one test to that of the next. With
/// `MQTT_LB_LONG` set, tests take their time.
const LIMIT: Duration = Duration::from_secs(420);
const LONG_LIMIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
struct Current {
    name: String,
    since: Instant,
    limit: Duration,
}

static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

/// The calling test begins: it, and whatever comes before the next one, has
/// a limit of time.
pub fn begin() {
    limit(size(LIMIT, LONG_LIMIT));
}

/// Like [`begin`], with another limit.
pub fn limit(limit: Duration) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let since = Instant::now();
    let mut current = CURRENT.lock().expect("watchdog");
    let first = current.replace(Current { name, since, limit }).is_none();
    if first {
        std::thread::spawn(watch);
    }
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let current = CURRENT.lock().expect("watchdog").clone();
        let Some(Current { name, since, limit }) = current else {
            continue;
        };
        if since.elapsed() > limit {
            say(&format!("{name} hangs: it has not ended after {limit:?}"));
            // Threads that hang cannot be stopped one by one; children die with us.
            netns::abandon();
            bpffs::abandon();
            std::process::exit(101);
        }
    }
}

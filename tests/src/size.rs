//! How much a test does: little in continuous integration, all of it on demand.

use std::time::Duration;

/// Whether `MQTT_LB_LONG` is set: the full sizes, hours rather than minutes.
pub fn long() -> bool {
    std::env::var_os("MQTT_LB_LONG").is_some_and(|value| value != "0")
}

/// The first of two sizes, or the second with `MQTT_LB_LONG`.
pub fn size<T>(short: T, full: T) -> T {
    if long() { full } else { short }
}

/// Three minutes, or `full` with `MQTT_LB_LONG`: for the watchdog.
pub fn deadline(full: Duration) -> Duration {
    size(Duration::from_secs(180), full.max(Duration::from_secs(180)))
}

//! The clocks that outlive a process.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::affinity::snapshot::Stamp;

/// What they say now.
pub(super) fn now() -> Stamp {
    let mut uptime = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: one valid structure. CLOCK_BOOTTIME is there since Linux 2.6.39.
    let known = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut uptime) } == 0;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    Stamp {
        boot: boot
            .ok()
            .filter(|_| known)
            .and_then(|id| bytes(&id))
            .unwrap_or_default(),
        uptime: uptime.tv_sec as u64 * 1_000_000_000 + uptime.tv_nsec as u64,
        wall: wall.map_or(0, |wall| wall.as_nanos() as u64),
    }
}

/// The bytes of a UUID (random(4), `boot_id`).
fn bytes(uuid: &str) -> Option<[u8; 16]> {
    let digits: String = uuid.trim().chars().filter(|&c| c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok()?;
    (digits.len() == 32).then_some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_sixteen_bytes() {
        let id = bytes("00010203-0405-0607-0809-0a0b0c0d0e0f\n");
        assert_eq!(id, Some(std::array::from_fn(|i| i as u8)));
        assert_eq!(bytes("0001"), None);
        assert_eq!(bytes(""), None);
    }

    #[test]
    fn two_looks_are_in_one_boot() {
        let (first, second) = (now(), now());
        assert_ne!(first.boot, [0; 16]);
        assert_eq!(first.boot, second.boot);
        assert!(first.uptime <= second.uptime && first.uptime > 0);
    }
}

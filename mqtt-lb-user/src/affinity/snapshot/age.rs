//! How much time has passed since a snapshot, as far as the clocks can be believed.
//!
//! Within one boot the uptime says it exactly. Across boots there is only the wall
//! clock, and that may have jumped: a host without a battery starts in 1970. What
//! it says is taken, but no entry loses more than three quarters of the time that
//! it had left, so that a jump cannot throw a table away.

use std::time::Duration;

/// Share of its time that an entry keeps whatever the wall clock says: one in so many.
const KEPT: u32 = 4;

/// A moment, on the clocks that outlive a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Names the boot of the host; zeros when it is not known.
    pub boot: [u8; 16],
    /// Nanoseconds since that boot, with those asleep.
    pub uptime: u64,
    /// Nanoseconds since 1970.
    pub wall: u64,
}

/// Time between two stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It is known.
    Exactly(Duration),
    /// The wall clock says so.
    Perhaps(Duration),
}

impl Passed {
    /// The time from `then` to `now`.
    #[must_use]
    pub fn between(then: &Stamp, now: &Stamp) -> Self {
        let same = then.boot == now.boot && then.boot != [0; 16];
        match now.uptime.checked_sub(then.uptime) {
            Some(passed) if same => Self::Exactly(Duration::from_nanos(passed)),
            _ => Self::Perhaps(Duration::from_nanos(now.wall.saturating_sub(then.wall))),
        }
    }

    /// The age now of an entry that was matched `age` before the snapshot and lives
    /// for `expire`; `None` when it has expired. Who was older stays older.
    #[must_use]
    pub fn age(self, age: Duration, expire: Duration) -> Option<Duration> {
        let left = expire.checked_sub(age)?;
        let left = match self {
            Self::Exactly(passed) => left.checked_sub(passed)?,
            Self::Perhaps(passed) => left.saturating_sub(passed).max(left / KEPT),
        };
        (!left.is_zero()).then(|| expire - left)
    }
}

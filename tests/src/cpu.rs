//! Processor time that the machine spends on what a test does: its processes, the
//! kernel's threads and interrupts, but not what else happens to run.

use std::time::{Duration, Instant};

/// `PF_KTHREAD` of a process's flags (include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A reading of the clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at: Instant,
    processors: u32,
    /// Ticks that no one has used. The kernel measures them; the others it samples.
    idle: u64,
    /// Ticks of processes that are not the test's, and of their children that have
    /// ended: what a process has used goes over to its parent, and the sum stays.
    others: u64,
}

impl Clock {
    /// Reads the clocks.
    pub fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
        let (processors, idle) = idle(&stat);
        Self {
            at: Instant::now(),
            processors,
            idle,
            others: others(),
        }
    }

    /// Time spent since `earlier`.
    pub fn since(self, earlier: Self) -> Duration {
        let spent = |now: u64, before: u64| (now as f64 - before as f64) / per_second();
        let wall = (self.at - earlier.at).as_secs_f64() * f64::from(self.processors);
        let seconds = wall - spent(self.idle, earlier.idle) - spent(self.others, earlier.others);
        Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// The number of processors, and their ticks idle, waiting for disks and stolen (proc(5)).
fn idle(stat: &str) -> (u32, u64) {
    let mut lines = stat.lines();
    let first = lines.next().expect("/proc/stat has lines");
    let field = |n: usize| first.split_whitespace().nth(n)?.parse::<u64>().ok();
    let ticks = [4, 5, 8].map(|n| field(n).unwrap_or_else(|| panic!("/proc/stat: {first}")));
    let processors = lines.take_while(|line| line.starts_with("cpu")).count();
    (processors as u32, ticks.iter().sum())
}

fn others() -> u64 {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (parent, ticks) = process(&stat)?;
        (pid != own && parent != own).then_some(ticks)
    })
    .sum()
}

/// Parent and ticks, with those of waited-for children; none for a kernel thread.
fn process(stat: &str) -> Option<(u32, u64)> {
    // The name may hold anything, so fields are counted from behind it.
    let (_, behind) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = behind.split(' ').collect();
    let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    if number(9)? & KERNEL_THREAD != 0 {
        return None;
    }
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    Some((u32::try_from(number(4)?).ok()?, ticks))
}

fn per_second() -> f64 {
    // SAFETY: sysconf has no preconditions.
    (unsafe { libc::sysconf(libc::_SC_CLK_TCK) }) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_proc_says() {
        let stat = "cpu  1 2 3 400 50 6 7 8 9 0\ncpu0 1 2\ncpu1 3 4\nintr 9";
        assert_eq!(idle(stat), (2, 458));
        let stat = |flags: u64| format!("7 (a) b) S 3 7 7 0 -1 {flags} 1 2 3 4 10 20 30 40 20 0");
        assert_eq!(process(&stat(64)), Some((3, 100)));
        assert_eq!(process(&stat(KERNEL_THREAD)), None);
    }

    #[test]
    fn own_work_counts() {
        let before = Clock::now();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(300) {}
        let spent = Clock::now().since(before);
        assert!(spent > Duration::from_millis(50), "{spent:?}");
    }
}

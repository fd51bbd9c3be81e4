//! Processor time that the machine spends on what a test does: its processes, the
//! kernel's threads and interrupts, but not what else happens to run.

use std::time::{Duration, Instant};

/// `PF_KTHREAD` of a process's flags (include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A reading of how much of the machine has been in use, by whomever.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    at: Instant,
    processors: u32,
    /// Ticks that no one has used. The kernel measures them; the others it samples.
    idle: u64,
    /// Those of them that the hypervisor gave to another guest.
    stolen: u64,
}

impl Machine {
    /// Reads `/proc/stat`.
    pub fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
        let (processors, idle, stolen) = idle(&stat);
        Self {
            at: Instant::now(),
            processors,
            idle,
            stolen,
        }
    }

    /// Processor time there was since `earlier`, used or not.
    fn offered_since(self, earlier: Self) -> f64 {
        (self.at - earlier.at).as_secs_f64() * f64::from(self.processors)
    }

    /// Processor time used since `earlier`.
    pub fn busy_since(self, earlier: Self) -> Duration {
        let seconds = self.offered_since(earlier) - spent(self.idle, earlier.idle);
        Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// A reading of the clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    machine: Machine,
    /// Ticks of processes that are not the test's, and of their children that have
    /// ended: what a process has used goes over to its parent, and the sum stays.
    others: u64,
}

impl Clock {
    /// Reads the clocks.
    pub fn now() -> Self {
        Self {
            machine: Machine::now(),
            others: others(),
        }
    }

    /// Time spent since `earlier`.
    pub fn since(self, earlier: Self) -> Duration {
        let busy = self.machine.busy_since(earlier.machine).as_secs_f64();
        Duration::from_secs_f64((busy - spent(self.others, earlier.others)).max(0.0))
    }

    /// Part of the machine, 0 to 1, that processes which are not the test's and other
    /// guests of the hypervisor have had since `earlier`.
    pub fn foreign_since(self, earlier: Self) -> f64 {
        let stolen = spent(self.machine.stolen, earlier.machine.stolen);
        let foreign = spent(self.others, earlier.others).max(0.0) + stolen;
        (foreign / self.machine.offered_since(earlier.machine)).clamp(0.0, 1.0)
    }
}

/// Seconds between two counts of ticks.
fn spent(now: u64, before: u64) -> f64 {
    (now as f64 - before as f64) / per_second()
}

/// The number of processors, their ticks idle, waiting for disks and stolen, and those
/// stolen alone (proc(5)).
fn idle(stat: &str) -> (u32, u64, u64) {
    let mut lines = stat.lines();
    let first = lines.next().expect("/proc/stat has lines");
    let field = |n: usize| first.split_whitespace().nth(n)?.parse::<u64>().ok();
    let ticks = [4, 5, 8].map(|n| field(n).unwrap_or_else(|| panic!("/proc/stat: {first}")));
    let processors = lines.take_while(|line| line.starts_with("cpu")).count();
    (processors as u32, ticks.iter().sum(), ticks[2])
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
        assert_eq!(idle(stat), (2, 458, 8));
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
        let busy = Machine::now().busy_since(before.machine);
        assert!(busy >= spent, "{busy:?} < {spent:?}");
        let foreign = Clock::now().foreign_since(before);
        assert!((0.0..=1.0).contains(&foreign), "{foreign}");
    }
}

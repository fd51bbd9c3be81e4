//! Child processes: stopped by pid, killed on drop, their output kept in files.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait;

/// Lines of a child's log shown when its test fails.
const TAIL: usize = 60;

/// A child in a process group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command with its output in `dir/NAME.log`.
    ///
    /// The child dies with the thread that started it, so that a killed test
    /// leaves nothing behind: start it on the thread that keeps it.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).expect("create the log file");
        command.stdin(Stdio::null()).process_group(0);
        command
            .stdout(out.try_clone().expect("duplicate the log handle"))
            .stderr(out);
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for a log line that contains `text` and returns it.
    pub fn wait_line(&mut self, text: &str, within: Duration) -> String {
        let end = std::time::Instant::now() + within;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let gone = self.child.try_wait().ok().flatten();
            assert!(
                gone.is_none() && std::time::Instant::now() < end,
                "{}: no line with {text:?} ({gone:?}); its log:\n{log}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so the pid is still its own.
        let answer = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(
            answer,
            0,
            "{}: {}",
            self.name,
            std::io::Error::last_os_error()
        );
    }

    /// The exit status, when it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for the child")
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} should end", self.name);
        wait::until(&what, within, || {
            self.child.try_wait().expect("wait for the child")
        })
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Resident memory in KiB.
    pub fn rss_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0)
    }

    /// Number of open file descriptors.
    pub fn open_fds(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The group: brokers have helpers of their own.
            // SAFETY: the group was made by `start` and its leader is not reaped.
            unsafe { libc::kill(-(self.pid() as i32), libc::SIGKILL) };
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(TAIL);
            let tail: Vec<&str> = log.lines().skip(skipped).collect();
            let tail = tail.join("\n");
            eprintln!(
                "--- log of {} without its first {skipped} lines:\n{tail}",
                self.name
            );
        }
    }
}

//! Ends a program that says nothing for too long, with everything it has started: a run
//! has to come to an end also when a test hangs.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

/// Longer than any test may take, and than anything is built in.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// Shows the lines of a child's output as they come.
///
/// # Errors
/// It was silent for too long, and was killed.
pub fn lines(
    child: &mut Child,
    output: impl Read + Send + 'static,
    mut show: impl FnMut(&str),
) -> Result<()> {
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => show(&line),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                kill_family(child.id());
                bail!("nothing was said for {} minutes", SILENCE.as_secs() / 60);
            }
        }
    }
}

/// Kills a process and all that descend from it.
fn kill_family(head: u32) {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().parse();
        let stat = fs::read_to_string(entry.path().join("stat"));
        if let (Ok(pid), Some(parent)) = (pid, stat.ok().as_deref().and_then(parent)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![head];
    while let Some(pid) = family.pop() {
        family.extend(children.remove(&pid).unwrap_or_default());
        // SAFETY: takes no pointer.
        unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    }
}

/// The fourth field of `/proc/PID/stat` (proc(5)); the second may hold anything, in
/// parentheses.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn parents_are_found_behind_any_name() {
        assert_eq!(parent("17 (a b) S 3 17 17 0"), Some(3));
        assert_eq!(parent("17 (a) S 9) R 4 1"), Some(4));
        assert_eq!(parent("17"), None);
    }

    #[test]
    fn lines_come_in_order_until_the_end() {
        let mut child = Command::new("sh")
            .args(["-c", "echo one; echo two"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let mut seen = Vec::new();
        lines(&mut child, output, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two"]);
        child.wait().unwrap();
    }

    #[test]
    fn a_family_dies_with_its_head() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & wait"])
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(100));
        kill_family(child.id());
        assert!(!child.wait().unwrap().success());
    }
}

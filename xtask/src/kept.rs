//! A program that is stopped when its owner is dropped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{command, sys};

/// How long a program may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running program whose output goes to a file.
pub struct Kept {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Kept {
    /// Starts `command`, which the user knows as `name`.
    ///
    /// # Errors
    /// If it or its log cannot be opened.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        sys::keep(command);
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run `{}`", command::line(command)))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        sys::signal(&self.child, signal);
    }

    /// What it has written so far.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes =
            fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// # Errors
    /// If it has ended; its last line is in the message.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = self.log()?;
            let last = log.lines().last().unwrap_or("it wrote nothing");
            bail!("{} ended ({status}): {last}", self.name);
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        sys::terminate(&self.child);
        let start = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if start.elapsed() > PATIENCE {
                eprintln!("warning: {} does not end, killing it", self.name);
                let _already_ended = self.child.kill();
                let _status = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

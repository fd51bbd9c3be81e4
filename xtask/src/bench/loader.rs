//! A process of `mqtt-lb-load`, in a namespace.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mqtt_lb_tests::lab::Lab;
use mqtt_lb_tests::load::Job;
use mqtt_lb_tests::netns::Netns;
use serde_json::Value;

use crate::sys;

/// Where a load process runs.
pub struct Place<'a> {
    ns: &'a Netns,
    /// Its processor; none: any.
    processor: Option<usize>,
}

impl<'a> Place<'a> {
    /// The clients', all on the first processor: a scheduler that puts client and
    /// backend together in one round and apart in the next would be measured instead.
    pub fn client(lab: &'a Lab) -> Self {
        Self {
            ns: &lab.client,
            processor: Some(0),
        }
    }

    /// The backends', on the last processor.
    pub fn backend(lab: &'a Lab) -> Self {
        Self {
            ns: &lab.backend,
            processor: sys::processors().checked_sub(1),
        }
    }

    /// A namespace, on any processor.
    pub fn anywhere(ns: &'a Netns) -> Self {
        Self {
            ns,
            processor: None,
        }
    }
}

/// A load process, killed on drop.
pub struct Loader {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    errors: ChildStderr,
}

impl Loader {
    /// Starts `binary` at a place with a job, and waits until it is ready for it.
    ///
    /// # Errors
    /// If it cannot be started or is not ready in `time`; what it said is in the message.
    pub fn start(binary: &Path, place: &Place, job: &Job, time: Duration) -> Result<Self> {
        let mut command: Command = place.ns.command(binary);
        if let Some(processor) = place.processor {
            sys::pin(&mut command, processor);
        }
        command.args(job.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        sys::keep(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let output = child.stdout.take().context("a piped output")?;
        let (sender, lines) = mpsc::channel();
        // Ends with the child's output.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut loader = Self {
            input: child.stdin.take().context("a piped input")?,
            errors: child.stderr.take().context("piped errors")?,
            lines,
            child,
        };
        loader.ready(time)?;
        Ok(loader)
    }

    /// Waits until it is ready to go on.
    ///
    /// # Errors
    /// If it is not in `time`; what it said is in the message.
    pub fn ready(&mut self, time: Duration) -> Result<()> {
        match self.line(time)?.as_str() {
            "ready" => Ok(()),
            other => bail!("mqtt-lb-load said {other:?}"),
        }
    }

    /// Lets it work.
    ///
    /// # Errors
    /// If it has ended.
    pub fn go(&mut self) -> Result<()> {
        self.input
            .write_all(b"go\n")
            .context("mqtt-lb-load has ended")
    }

    /// Its report, when it has done its job.
    ///
    /// # Errors
    /// If it fails or takes longer than `time`.
    pub fn report(&mut self, time: Duration) -> Result<Value> {
        let line = self.line(time)?;
        serde_json::from_str(&line).with_context(|| format!("mqtt-lb-load said {line:?}"))
    }

    fn line(&mut self, time: Duration) -> Result<String> {
        let end = Instant::now() + time;
        loop {
            if sys::interrupted() {
                bail!("interrupted");
            }
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("mqtt-lb-load says nothing for {} s", time.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let mut said = String::new();
                    self.errors.read_to_string(&mut said)?;
                    let said = said.trim();
                    bail!(
                        "{}",
                        if said.is_empty() {
                            "mqtt-lb-load ended"
                        } else {
                            said
                        }
                    );
                }
            }
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

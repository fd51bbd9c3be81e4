//! A balancer that runs what `mqtt-lb import` has made of another one's file.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tempfile::TempDir;

use crate::lb::binary;
use crate::netns::Netns;
use crate::process::Process;

/// A running balancer and the files around it, killed on drop.
#[derive(Debug)]
pub struct Imported<'a> {
    /// The process.
    pub process: Process,
    /// What the import has printed to standard error.
    pub notes: String,
    /// Its exit code.
    pub code: Option<i32>,
    ns: &'a Netns,
    dir: TempDir,
}

impl<'a> Imported<'a> {
    /// Imports `source`, a file named `name`, checks what comes out and runs it. In
    /// `source`, DIR stands for a directory of its own.
    pub fn start(ns: &'a Netns, name: &str, source: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let file = write(dir.path(), name, source);
        let out = dir.path().join("mqtt-lb.toml");
        let import = ns
            .command(binary())
            .arg("import")
            .arg(&file)
            .arg("-o")
            .arg(&out)
            .output()
            .expect("run mqtt-lb import");
        let notes = text(&import.stderr);
        assert!(out.exists(), "{notes}");
        let check = ns
            .command(binary())
            .arg("check")
            .arg("-f")
            .arg(&out)
            .output();
        let check = check.expect("run mqtt-lb check");
        assert_eq!(text(&check.stdout), "configuration is valid\n");
        let mut command = ns.command(binary());
        // Nothing is to stay pinned where the program pins by default.
        command.arg("run").arg("--drop-flows").arg("-f").arg(&out);
        let mut process = Process::start("mqtt-lb", dir.path(), &mut command);
        process.wait_line("is serving", Duration::from_secs(10));
        Self {
            process,
            notes,
            code: import.status.code(),
            ns,
            dir,
        }
    }

    /// What an admin command prints; it must work.
    pub fn admin(&self, words: &[&str]) -> String {
        let mut command = self.ns.command(binary());
        let socket = self.dir.path().join("admin.sock");
        let out = command.args(words).arg("--socket").arg(socket).output();
        let out = out.expect("run mqtt-lb");
        let error = text(&out.stderr);
        assert!(out.status.success(), "mqtt-lb {}: {error}", words.join(" "));
        text(&out.stdout)
    }

    /// Ends the balancer and its connections.
    pub fn stop(mut self) {
        self.process.signal(libc::SIGTERM);
        assert!(self.process.wait(Duration::from_secs(60)).success());
    }
}

impl Drop for Imported<'_> {
    /// One that a panic ends leaves its pins where the program pins by default.
    fn drop(&mut self) {
        self.process.kill();
        let _ = self.ns.command(binary()).args(["flows", "flush"]).output();
    }
}

/// Writes a configuration into `dir`, for which DIR stands in it.
pub fn write(dir: &Path, name: &str, source: &str) -> PathBuf {
    let file = dir.join(name);
    let source = source.replace("DIR", &dir.display().to_string());
    std::fs::write(&file, source).expect("write the configuration");
    file
}

/// What `haproxy -c` says about `source`.
pub fn haproxy_check(ns: &Netns, source: &str) -> Output {
    let dir = TempDir::new().expect("temporary directory");
    let file = write(dir.path(), "haproxy.cfg", source);
    let mut command = ns.command(crate::require::find("haproxy").expect("haproxy"));
    command.arg("-c").arg("-f").arg(file);
    command.output().expect("run haproxy")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

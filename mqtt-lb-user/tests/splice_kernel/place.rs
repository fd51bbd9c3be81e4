//! A network namespace and a directory of pins for one test, gone with it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use mqtt_lb_user::config::Splice;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// One test at a time: a child of another one has every descriptor of this process,
/// also a lock that was given up, from its fork to its exec.
static TURN: Mutex<()> = Mutex::new(());

/// Where one test works.
pub struct Place {
    base: PathBuf,
}

impl Place {
    /// The directory of pins.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// A small configuration with pins here.
    pub fn config(&self) -> Splice {
        Splice {
            max_flows: 64,
            pin: self.base.clone(),
            ..Splice::default()
        }
    }

    /// The only directory below the base that has pins.
    pub fn pins(&self) -> PathBuf {
        let only = |path: &Path| {
            let mut entries = std::fs::read_dir(path).expect("pins");
            entries.next().expect("an entry").expect("entry").path()
        };
        only(&only(&self.base))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.base);
    }
}

fn remove(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove(&entry.path()),
            _ => _ = std::fs::remove_file(entry.path()),
        }
    }
    let _ = std::fs::remove_dir(path);
}

/// Runs `test` in a namespace of its own with its loopback up. Where that is not
/// possible it prints a line with SKIPPED; with `MQTT_LB_NO_SKIP` set it fails.
pub fn run(test: impl FnOnce(&Place) + Send) {
    // SAFETY: geteuid has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    let missing = if !root {
        Some("not root")
    } else if mqtt_lb_user::datapath::object::bytes().is_err() {
        Some("built without the kernel half")
    } else {
        None
    };
    if let Some(reason) = missing {
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        assert!(
            std::env::var_os("MQTT_LB_NO_SKIP").is_none(),
            "{name}: {reason}, and MQTT_LB_NO_SKIP is set"
        );
        let _ = io::stderr().write_all(format!("SKIPPED: {name}: {reason}\n").as_bytes());
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("/sys/fs/bpf/mqtt-lb-test-{}-{count}", std::process::id());
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // The namespace ends with this thread and what holds on to it.
            // SAFETY: changes the calling thread only.
            let answer = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(answer, 0, "unshare: {}", io::Error::last_os_error());
            ip("link set lo up");
            let place = Place { base: name.into() };
            test(&place);
        });
        inside
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Runs `ip ARGS` in the namespace of this thread.
pub fn ip(args: &str) {
    let mut command = Command::new("ip");
    let out = command.args(args.split(' ')).output().expect("iproute2");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {args}: {}", error.trim());
}

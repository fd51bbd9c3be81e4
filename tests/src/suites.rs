//! Other people's test suites, from their PyPI source archives, run against
//! whatever answers at 127.0.0.1:1883 of a namespace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::netns::Netns;
use crate::require::find;

/// A suite: an archive and a file in it.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// Name on PyPI.
    pub name: &'static str,
    version: &'static str,
    /// Directory in the archive.
    dir: &'static str,
    file: &'static str,
    /// Tests that direct runs pass at least: fewer, and something is wrong
    /// with the set-up.
    pub least: usize,
}

/// The suites.
pub const ALL: [Suite; 3] = [
    Suite {
        name: "gmqtt",
        version: "0.8.0",
        dir: "gmqtt-0.8.0",
        file: "tests/test_mqtt5.py",
        least: 11,
    },
    Suite {
        name: "paho-mqtt",
        version: "2.2.0",
        dir: "paho_mqtt-2.2.0",
        file: "tests/test_mqttv5.py",
        least: 16,
    },
    Suite {
        name: "aiomqtt",
        version: "2.5.1",
        dir: "aiomqtt-2.5.1",
        file: "tests/test_client.py",
        least: 20,
    },
];

const RUNNERS: [&str; 4] = [
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    "pytest-timeout==2.4.0",
    "anyio==4.16.0",
];

/// The suites and a Python that can run them, kept between test runs.
#[derive(Debug)]
pub struct Suites {
    dir: PathBuf,
}

impl Suites {
    /// Fetches what is not there yet, into the target directory.
    ///
    /// # Errors
    /// What could not be fetched, and why.
    pub fn fetch() -> Result<Self, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
            PathBuf::from,
        );
        let dir = target.join("suites");
        std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let dir = dir.canonicalize().map_err(|e| e.to_string())?;
        let suites = Self { dir };
        let done = suites.dir.join("complete");
        if done.exists() {
            return Ok(suites);
        }
        suites.fetch_all()?;
        std::fs::write(done, "").map_err(|e| e.to_string())?;
        Ok(suites)
    }

    fn fetch_all(&self) -> Result<(), String> {
        let python = find("python3").ok_or("python3 is not installed")?;
        self.step(Command::new(python).args(["-m", "venv", "venv"]))?;
        let pinned = ALL.map(|suite| format!("{}=={}", suite.name, suite.version));
        let pip = || {
            let mut pip = Command::new(self.python());
            pip.args(["-m", "pip", "-q", "--disable-pip-version-check"]);
            pip
        };
        self.step(pip().arg("install").args(RUNNERS).args(&pinned))?;
        self.step(
            pip()
                .args(["download", "--no-deps", "--no-binary", ":all:"])
                .args(&pinned),
        )?;
        for suite in ALL {
            self.step(
                Command::new("tar")
                    .arg("xzf")
                    .arg(format!("{}.tar.gz", suite.dir)),
            )?;
        }
        Ok(())
    }

    fn step(&self, command: &mut Command) -> Result<(), String> {
        let out = command
            .current_dir(&self.dir)
            .output()
            .map_err(|e| e.to_string())?;
        let error = String::from_utf8_lossy(&out.stderr);
        let last = error.trim().lines().last().unwrap_or_default();
        out.status
            .success()
            .then_some(())
            .ok_or_else(|| format!("{command:?}: {last}"))
    }

    fn python(&self) -> PathBuf {
        self.dir.join("venv/bin/python")
    }

    /// Runs a suite, or only the given tests of it; returns the tests that pass.
    pub fn passed(&self, suite: Suite, ns: &Netns, only: &BTreeSet<String>) -> BTreeSet<String> {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        let mut command = ns.command(self.python());
        command
            .current_dir(self.dir.join(suite.dir))
            .stdin(Stdio::null());
        command
            .env("PYTHONPATH", plugins)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        // gmqtt's suite would log in with whatever these hold.
        command
            .env("USERNAME", "")
            .env_remove("HOST")
            .env_remove("PORT")
            .env_remove("TOKEN");
        command.args(["-m", "pytest", "-q", "-p", "redirect", "-rA", "--tb=no"]);
        command.args([
            "--timeout",
            "40",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
        ]);
        if only.is_empty() {
            command
                .arg(suite.file)
                .args(["-k", "not tls and not websocket and not ssl"]);
        } else {
            command.args(only);
        }
        let out = command.output().expect("run pytest");
        let text = String::from_utf8_lossy(&out.stdout);
        text.lines()
            .filter_map(|line| line.strip_prefix("PASSED "))
            .map(|test| test.trim().to_owned())
            .collect()
    }
}

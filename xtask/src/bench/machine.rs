//! What was measured on, and with what.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::case::Effort;
use super::stand::Setting;
use crate::command::stdout;
use crate::paths;

/// Names and values, in order.
pub struct Facts(Vec<(&'static str, String)>);

impl Facts {
    /// Looks at this machine.
    ///
    /// # Errors
    /// If it does not say what it is.
    pub fn of_machine() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let commit = say("git", &["describe", "--always", "--dirty"]);
        Ok(Self(vec![
            ("Date", say("date", &["-u", "+%Y-%m-%d"])?),
            ("Processors", processors(&cpus)),
            ("Memory", gibibytes(&memory)),
            ("Kernel", say("uname", &["-srm"])?),
            ("Commit", commit.unwrap_or_else(|_| "unknown".into())),
        ]))
    }

    /// Looks at this machine and the programs.
    ///
    /// # Errors
    /// If one of them does not say its version.
    pub fn look(setting: Setting, effort: &Effort) -> Result<Self> {
        let mut facts = Self::of_machine()?;
        let package = |name: &str| {
            let format = "--showformat=${Package} ${Version}";
            say("dpkg-query", &["--show", format, name])
        };
        let haproxy = paths::program("haproxy").unwrap_or_else(|| "haproxy".into());
        let (nginx, njs) = (package("nginx")?, package("libnginx-mod-stream-js")?);
        let topology = if setting.one_arm {
            "one arm: all three hosts on one switch, the balancer with one interface"
        } else {
            "two arms: clients and backends on networks of their own"
        };
        let rounds = format!(
            "{} of {:.1} s after {:.1} s of warm-up; {} where thousands of clients come and stay",
            effort.rounds,
            effort.measured.as_secs_f64(),
            effort.warm_up.as_secs_f64(),
            effort.memory_rounds
        );
        facts.0.extend([
            (
                "mqtt-lb",
                say(&setting.mqtt_lb.to_string_lossy(), &["--version"])?,
            ),
            ("HAProxy", say(&haproxy.to_string_lossy(), &["-v"])?),
            ("nginx", format!("{nginx}, {njs}")),
            ("mosquitto", package("mosquitto")?),
            ("Topology", topology.into()),
            ("Rounds", rounds),
        ]);
        Ok(facts)
    }

    /// As a Markdown list.
    pub fn list(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(name, value)| format!("- {name}: {value}\n"));
        lines.collect()
    }

    /// For results.json.
    pub fn json(&self) -> Value {
        let pairs = self.0.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The first line that a program prints.
fn say(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(paths::root());
    let text = stdout(&mut command)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn processors(cpuinfo: &str) -> String {
    let value = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
    let mut models = cpuinfo
        .lines()
        .filter(|line| line.starts_with("model name"));
    let count = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = models.next().and_then(value);
    format!(
        "{count} × {}",
        model.unwrap_or_else(|| "unknown model".into())
    )
}

fn gibibytes(meminfo: &str) -> String {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    format!("{:.0} GiB", kib.unwrap_or(0.0) / 1024.0 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let one = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n\n";
        let two = format!("{one}{one}");
        assert_eq!(processors(&two), "2 × Some CPU @ 2 GHz");
        assert_eq!(gibibytes("MemTotal:  25165824 kB\nMemFree: 1 kB"), "24 GiB");
    }
}

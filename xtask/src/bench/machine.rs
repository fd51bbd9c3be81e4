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
    /// Looks at this machine and the programs.
    ///
    /// # Errors
    /// If a program does not say its version.
    pub fn look(setting: Setting, effort: &Effort) -> Result<Self> {
        let say = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(paths::root());
            stdout(&mut command)
        };
        let first = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let haproxy = paths::program("haproxy").unwrap_or_else(|| "haproxy".into());
        let commit = say("git", &["describe", "--always", "--dirty"]);
        let commit = commit.map_or_else(|_| "unknown".into(), first);
        let rounds = format!(
            "{} of {:.1} s after {:.1} s of warm-up; {} where thousands of clients come and stay",
            effort.rounds,
            effort.measured.as_secs_f64(),
            effort.warm_up.as_secs_f64(),
            effort.memory_rounds
        );
        let packages = ["nginx", "libnginx-mod-stream-js", "mosquitto"].map(|package| {
            say(
                "dpkg-query",
                &["--show", "--showformat=${Package} ${Version}", package],
            )
        });
        let [nginx, njs, mosquitto] = packages;
        let nginx = format!("{}, {}", first(nginx?), first(njs?));
        let topology = match setting.one_arm {
            true => "one arm: all three hosts on one switch, the balancer with one interface",
            false => "two arms: clients and backends on networks of their own",
        };
        let version = first(say(&setting.mqtt_lb.to_string_lossy(), &["--version"])?);
        Ok(Self(vec![
            ("Date", first(say("date", &["-u", "+%Y-%m-%d"])?)),
            ("Processors", processors(&cpus)),
            ("Memory", gibibytes(&memory)),
            ("Kernel", first(say("uname", &["-srm"])?)),
            ("mqtt-lb", format!("{version}, commit {commit}")),
            ("HAProxy", first(say(&haproxy.to_string_lossy(), &["-v"])?)),
            ("nginx", nginx),
            ("mosquitto", first(mosquitto?)),
            ("Topology", topology.into()),
            ("Rounds", rounds),
        ]))
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

//! `cargo xtask bench`: mqtt-lb's data paths beside plain forwarding, HAProxy and nginx,
//! in alternating rounds.

mod balancer;
mod candidate;
mod case;
mod cases;
mod loader;
mod machine;
mod memory;
mod micro;
mod mosquitto;
mod pictures;
mod pins;
mod plot;
mod progress;
mod report;
mod round;
mod run;
mod stand;
mod stats;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::case::{Case, Effort};
use self::cases::CASES;
use self::machine::Facts;
pub use self::micro::micro;
use self::progress::Progress;
use self::run::Outcome;
use self::stand::Setting;
use crate::command::{self, cargo};
use crate::step::step;
use crate::{build, paths, setup, sys};

/// Installs what is missing, builds, measures, prints tables, and writes them: to
/// `docs/bench` after a whole run, else to `bench` in the target directory.
///
/// # Errors
/// If something is missing or does not build, or after Ctrl-C. A candidate that fails
/// is no error: the tables say so.
pub fn bench(quick: bool, one_arm: bool, only: &[String]) -> Result<()> {
    let effort = Effort::new(quick);
    let cases = chosen(&effort, only)?;
    if !sys::is_root() {
        bail!(
            "the measurements need network namespaces and BPF: run \
             `sudo -E env PATH=\"$PATH\" cargo xtask bench`"
        );
    }
    setup::for_bench()?;
    let mqtt_lb = build::build(false)?;
    let load = step("mqtt-lb-load", load)?;
    let setting = Setting {
        mqtt_lb: &mqtt_lb,
        load: &load,
        one_arm,
    };
    let facts = Facts::look(setting, &effort)?;
    sys::note_interrupts();
    println!("{}", facts.list());

    let rounds = |case: &&Case| effort.rounds_of(case) * case.candidates().count();
    let mut progress = Progress::new(cases.iter().map(rounds).sum());
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = run::run(case, &effort, setting, &mut progress)?;
        progress.end();
        println!("{}\n{}\n{}", case.name, case.about, table::table(&outcome));
        outcomes.push(outcome);
    }
    let is_whole = !quick && !one_arm && only.is_empty();
    write(&facts, &outcomes, is_whole)
}

/// The cases of this run.
fn chosen(effort: &Effort, only: &[String]) -> Result<Vec<&'static Case>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| CASES.iter().all(|case| case.name != **name))
    {
        let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
        bail!("no case {unknown:?}; there are {}", known.join(", "));
    }
    let is_chosen = |case: &&Case| {
        let named = match only {
            [] => !case.opt_in,
            names => names.iter().any(|name| name == case.name),
        };
        named && effort.rounds_of(case) > 0
    };
    let cases: Vec<_> = CASES.iter().filter(is_chosen).collect();
    if cases.is_empty() {
        bail!("{} is not for a quick run", only.join(", "));
    }
    Ok(cases)
}

/// Builds client and backend.
fn load() -> Result<PathBuf> {
    const NAME: &str = "mqtt-lb-load";
    let mut cargo = cargo();
    cargo.args(["build", "--locked", "--release"]);
    cargo.args(["--package", "mqtt-lb-tests", "--bin", NAME]);
    command::run(&mut cargo)?;
    let binary = paths::target().join("release").join(NAME);
    binary
        .canonicalize()
        .with_context(|| format!("the build left no {}", binary.display()))
}

fn write(facts: &Facts, outcomes: &[Outcome], is_whole: bool) -> Result<()> {
    let dir = if is_whole {
        paths::root().join("docs/bench")
    } else {
        paths::target().join("bench")
    };
    fs::create_dir_all(&dir)?;
    let results = json!({
        "machine": facts.json(),
        "most_spread_of_a_ratio": stats::MOST_SPREAD,
        "most_foreign_use_of_a_quiet_round": report::MOST_FOREIGN,
        "cases": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&results)?;
    fs::write(dir.join("results.json"), text + "\n")?;
    fs::write(dir.join("README.md"), table::page(facts, outcomes))?;
    pictures::write(&dir, outcomes)?;
    println!("Written to {}", dir.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_name() {
        let names = |quick, only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            let cases = chosen(&Effort::new(quick), &only);
            cases.map(|cases| cases.iter().map(|case| case.name).collect::<Vec<_>>())
        };
        let opt_in = CASES.iter().filter(|case| case.opt_in).count();
        let whole = names(false, &[]).expect("all");
        assert_eq!(whole.len(), CASES.len() - opt_in);
        let quick = names(true, &[]).expect("most");
        assert!(quick.len() < whole.len() && !quick.contains(&"idle-100k"));
        assert_eq!(names(false, &["idle-500k"]).expect("one"), ["idle-500k"]);
        assert_eq!(names(true, &["paced"]).expect("one"), ["paced"]);
        assert!(names(false, &["pacing"]).is_err());
        assert!(names(true, &["idle-100k"]).is_err());
    }
}

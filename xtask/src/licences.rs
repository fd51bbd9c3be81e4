//! Licences and sources of everything depended on, against `deny.toml`.
//!
//! Works offline and in a second. Known vulnerabilities are not looked up: their
//! database is only to be had from the network.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::command::{cargo, stdout};
use crate::paths;

/// What `deny.toml` allows.
struct Allowed {
    licences: Vec<String>,
    registries: Vec<String>,
}

/// Checks every dependency of the workspace, of all features and targets.
///
/// # Errors
/// One line for each that is not allowed.
pub fn check() -> Result<()> {
    let path = paths::root().join("deny.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let allowed = parse(&text).with_context(|| format!("in {}", path.display()))?;
    let metadata = stdout(cargo().args([
        "metadata",
        "--locked",
        "--all-features",
        "--format-version=1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;

    // The workspace's own packages have no source.
    let foreign: Vec<_> = packages.iter().filter(|p| !p["source"].is_null()).collect();
    let problems: Vec<String> = foreign
        .iter()
        .filter_map(|p| problem(p, &allowed))
        .collect();
    if !problems.is_empty() {
        bail!("deny.toml does not allow:\n  {}", problems.join("\n  "));
    }
    println!(
        "    {} dependencies: licences and sources are all allowed by deny.toml\n    \
         advisories are not checked offline; with a network: cargo deny check advisories",
        foreign.len()
    );
    Ok(())
}

fn parse(text: &str) -> Result<Allowed> {
    let table: toml::Table = text.parse()?;
    let list = |section: &str, key: &str| -> Result<Vec<String>> {
        let words = table.get(section).and_then(|s| s.get(key)?.as_array());
        let words = words.with_context(|| format!("no list [{section}] {key}"))?;
        Ok(words
            .iter()
            .filter_map(|w| Some(w.as_str()?.to_owned()))
            .collect())
    };
    Ok(Allowed {
        licences: list("licenses", "allow")?,
        registries: list("sources", "allow-registry")?,
    })
}

/// Why a package of `cargo metadata` is not allowed.
fn problem(package: &Value, allowed: &Allowed) -> Option<String> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let name = format!("{} {}", text("name"), text("version"));
    let source = text("source");
    let registry = source.strip_prefix("registry+");
    if !registry.is_some_and(|url| allowed.registries.iter().any(|r| r == url)) {
        return Some(format!("{name}: its source is {source}"));
    }
    let licence = text("license");
    // Older crates write MIT/Apache-2.0.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!(
            "{name}: its licence {licence:?} is no SPDX expression"
        ));
    };
    let is_allowed = |required: &LicenseReq| {
        let id = required.license.id();
        id.is_some_and(|id| allowed.licences.iter().any(|name| name == id.name))
    };
    (!expression.evaluate(is_allowed)).then(|| format!("{name}: its licence is {licence}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem_of(licence: &str, source: &str) -> Option<String> {
        let allowed = parse(
            "[licenses]\nallow = ['MIT', 'Unicode-3.0']\n[sources]\nallow-registry = ['https://r']\n",
        );
        let package =
            json!({"name": "x", "version": "1.0.0", "license": licence, "source": source});
        problem(&package, &allowed.unwrap())
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        for licence in [
            "MIT",
            "GPL-2.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR ISC) AND Unicode-3.0",
        ] {
            assert_eq!(problem_of(licence, "registry+https://r"), None, "{licence}");
        }
    }

    #[test]
    fn every_required_licence_must_be_allowed() {
        for licence in ["GPL-3.0-only", "MIT AND GPL-3.0-only", ""] {
            assert!(
                problem_of(licence, "registry+https://r").is_some(),
                "{licence}"
            );
        }
    }

    #[test]
    fn other_sources_are_refused() {
        let problem = problem_of("MIT", "git+https://r?rev=1#1").unwrap();
        assert_eq!(problem, "x 1.0.0: its source is git+https://r?rev=1#1");
    }
}

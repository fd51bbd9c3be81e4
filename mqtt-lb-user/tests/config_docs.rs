//! What `docs/configuration.md` says is what the code does: keys, defaults, ranges.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mqtt_lb_user::config::{Config, Pool, Queue, Rebalance, Stick, parse};
use toml::{Table, Value};

/// The keys of a section by name, with default and range as the page writes them.
type Rows = BTreeMap<String, (String, String)>;

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("workspace");
    let path: PathBuf = root.join("docs/configuration.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The TOML block behind `mark`.
fn block<'a>(page: &'a str, mark: &str) -> &'a str {
    let behind = page.split_once(mark).expect(mark).1;
    let block = behind.split_once("```toml\n").expect("a block").1;
    block.split_once("```").expect("its end").0
}

/// The tables of the page by section, `NAME` and brackets left out; "" is the top level.
fn sections(page: &str) -> BTreeMap<String, Rows> {
    let mut sections: BTreeMap<String, Rows> = BTreeMap::new();
    let mut section = None;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let path = title.trim_matches(['`', '[', ']']).replace(".NAME", "");
            section = match title {
                "Top level" => Some(String::new()),
                _ if title.starts_with("`[") => Some(path),
                _ => None,
            };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let (Some(section), ["", key, default, allowed, _, ""]) = (&section, &cells[..]) {
            if let Some(key) = key.strip_prefix('`') {
                let row = (default.trim_matches('`').to_owned(), (*allowed).to_owned());
                let rows = sections.entry(section.clone()).or_default();
                rows.insert(key.trim_matches('`').to_owned(), row);
            }
        }
    }
    sections
}

/// The full example with NAMEs left out, as in the titles of the tables.
fn nameless(page: &str) -> String {
    let full = block(page, "<!-- every key -->");
    full.replace("[pool.emqx", "[pool")
        .replace("[listener.mqtt", "[listener")
}

/// The values of the full example by section, as the page writes them.
fn example(page: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut out = BTreeMap::new();
    let table = nameless(page).parse().expect("TOML");
    walk("", &table, &mut out);
    out
}

fn walk(path: &str, table: &Table, out: &mut BTreeMap<String, BTreeMap<String, Value>>) {
    for (key, value) in table {
        let inner = format!("{path}.{key}").trim_matches('.').to_owned();
        match value {
            Value::Table(table) => walk(&inner, table, out),
            Value::Array(list) if list.first().is_some_and(Value::is_table) => {
                list.iter()
                    .filter_map(Value::as_table)
                    .for_each(|table| walk(&inner, table, out));
            }
            value => {
                let section = out.entry(path.to_owned()).or_default();
                section.insert(key.clone(), value.clone());
            }
        }
    }
}

#[test]
fn the_full_example_is_the_default() {
    let page = page();
    let mut full = parse("full", block(&page, "<!-- every key -->")).expect("valid");
    let listener = full.listeners.get_mut("mqtt").expect("a listener");
    assert_eq!(std::mem::take(&mut listener.routes).len(), 1);
    let least = parse("least", block(&page, "The least that works")).expect("valid");
    assert_eq!(least.pools["emqx"].stick, None);
    assert_eq!(least.share, None);
    assert_eq!(least.pools["emqx"].rebalance, None);
    let pool = Pool {
        stick: Some(Stick::default()),
        queue: Some(Queue::default()),
        rebalance: Some(Rebalance::default()),
        ..least.pools["emqx"].clone()
    };
    let expected = Config {
        workers: 2,
        share: full.share.clone(),
        pools: [("emqx".to_owned(), pool)].into(),
        ..least.clone()
    };
    assert_eq!(full, expected);
    let default = Config {
        listeners: least.listeners.clone(),
        pools: least.pools.clone(),
        ..Config::default()
    };
    assert_eq!(least, default);
    assert_eq!(least.pools["emqx"].health, Pool::default().health);
}

#[test]
fn the_tables_have_the_keys_and_defaults_of_the_example() {
    let page = page();
    let (tables, example) = (sections(&page), example(&page));
    for (section, rows) in &tables {
        let keys: Vec<&String> = example[section].keys().collect();
        assert_eq!(rows.keys().collect::<Vec<_>>(), keys, "{section}");
    }
    assert_eq!(
        tables.keys().collect::<Vec<_>>(),
        example.keys().collect::<Vec<_>>()
    );
    for (section, rows) in &tables {
        for (key, (default, _)) in rows {
            if !["required", "number of cores", "any"].contains(&default.as_str()) {
                // Numbers may be written in base 16.
                let default: Table = format!("v = {default}").parse().expect("TOML");
                assert_eq!(default["v"], example[section][key], "{section} {key}");
            }
        }
    }
}

#[test]
fn the_tables_have_every_key_the_code_knows() {
    let page = page();
    let tables = sections(&page);
    for (section, rows) in &tables {
        // An unknown key in each section makes the code list those it knows.
        let mut text = String::new();
        for line in format!("[]\n{}", block(&page, "<!-- every key -->")).lines() {
            let name = line
                .trim_matches(['[', ']'])
                .replace(".emqx", "")
                .replace(".mqtt", "");
            let header = line.starts_with('[');
            if line != "[]" {
                text += &format!("{line}\n");
            }
            if header && name == *section {
                text += "zzz = 1\n";
            }
        }
        let error = parse("f", &text).expect_err(section).to_string();
        let known = error.split_once("(known here: ").expect(&error).1;
        let subsection = |key: &str| {
            let path = format!("{section}.{key}");
            tables.contains_key(path.trim_matches('.'))
        };
        let known = known.trim_end_matches(')').split(", ");
        let known: Vec<&str> = known.filter(|key| !subsection(key)).collect();
        assert_eq!(known, rows.keys().collect::<Vec<_>>(), "{section}");
    }
}

#[test]
fn the_ranges_are_those_of_the_code() {
    let page = page();
    let (tables, example) = (sections(&page), example(&page));
    let full = block(&page, "<!-- every key -->");
    let mut checked = 0;
    for (section, rows) in &tables {
        for (key, (_, allowed)) in rows {
            let Some((least, most)) = allowed.split_once(" to ") else {
                continue;
            };
            let (least, most) = (least.trim_matches('`'), most.trim_matches('`'));
            if !least.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let written = example[section][key].to_string();
            let huge = match &example[section][key] {
                Value::String(text) if text.ends_with(['k', 'M']) => "\"9999999G\"",
                Value::String(_) => "\"99999d\"",
                _ => "99999999999",
            };
            let line = |value: &str| format!("\n{key} = {value}\n");
            let text = format!("\n{full}").replace(&line(&written), &line(huge));
            let error = parse("f", &text).expect_err(key).to_string();
            let expected = format!("is out of range: allowed is {least} to {most}");
            assert!(error.contains(&expected), "{section} {key}: {error}");
            checked += 1;
        }
    }
    assert_eq!(checked, 41, "ranges on the page");
}

//! What `proxy_pass` leads to: a pool for an upstream, or for one address.

use super::syntax::Directive;
use super::{Reader, upstream};
use crate::import::note::Said;
use crate::import::toml_text::text;

/// What a server says about the pool that its clients go to.
pub(super) struct Settings<'a> {
    pub(super) proxy_protocol: Option<&'a Directive>,
    pub(super) health_check: Option<&'a Directive>,
    pub(super) health_check_timeout: Option<&'a Directive>,
}

/// The name of the pool that `pass` leads to by `target`, written when it is new; `None`
/// when there is none.
pub(super) fn pool(
    reader: &mut Reader<'_>,
    pass: &Said,
    target: &str,
    own: &Settings<'_>,
) -> Option<String> {
    let target = target.to_owned();
    let name = match reader.pool_of.get(&target) {
        Some(name) => name.clone(),
        None => {
            let name = written(reader, pass, &target)?;
            reader.pool_of.insert(target, name.clone());
            name
        }
    };
    let table = reader.draft.table(&["pool", &name], pass);
    match own.proxy_protocol {
        Some(d) if d.words() == ["proxy_protocol", "on"] => {
            reader
                .draft
                .set(table, "proxy_protocol", text("v1"), &d.said);
        }
        // Another server of the same upstream may say otherwise.
        _ => reader.draft.set(table, "proxy_protocol", text("off"), pass),
    }
    match own.health_check {
        Some(check) => health(reader, &name, check, own.health_check_timeout),
        None => {
            let why = format!("backends are checked: [pool.{name}.health] type = \"off\" ends it");
            reader.draft.notes.differs(pass, why);
        }
    }
    Some(name)
}

/// Writes the pool for `target` and says its name.
fn written(reader: &mut Reader<'_>, pass: &Said, target: &str) -> Option<String> {
    if target.contains('$') {
        let why = "where clients go depends on a variable: write routes, [[listener.NAME.route]]; \
                   the listener is left out";
        reader.draft.notes.not_taken(pass, why);
        return None;
    }
    if let Some(block) = reader.upstream(target) {
        let name = reader.pools.take(target);
        if name != target {
            let why = format!("the pool is named {name}: that is what a name may be here");
            reader.draft.notes.differs(&block.said, why);
        }
        upstream::read(reader, block, &name);
        return Some(name);
    }
    let name = reader.pools.take("mqtt");
    reader.draft.table(&["pool", &name], pass);
    upstream::backend(reader, &name, "b1", target, pass);
    Some(name)
}

/// Takes `health_check`: what it leaves out is nginx's own default.
fn health(reader: &mut Reader<'_>, pool: &str, check: &Directive, timeout: Option<&Directive>) {
    let said = &check.said;
    let path = ["pool", pool, "health"];
    let table = reader.draft.table(&path, said);
    let value = |name: &str| {
        let mut words = check.words.iter();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let interval = value("interval").unwrap_or("5s");
    reader.time(&path, "interval", interval, said);
    for (param, key) in [("passes", "rise"), ("fails", "fall")] {
        let number = value(param).unwrap_or("1");
        match number.parse::<u32>() {
            Ok(number) => reader.draft.set(table, key, number.to_string(), said),
            Err(_) => reader
                .draft
                .notes
                .not_taken(said, format!("{number} is not a number")),
        }
    }
    let (limit, at) = match timeout {
        Some(directive) => (directive.words[1..].join(" "), &directive.said),
        None => ("5s".to_owned(), said),
    };
    // A check is over when the next one is due.
    let longer = super::units::time(&limit) > super::units::time(interval);
    reader.time(&path, "timeout", if longer { interval } else { &limit }, at);
    if let Some(name) = value("match") {
        match is_mqtt(reader, name) {
            true => reader.draft.set(table, "type", text("mqtt"), said),
            false => {
                let why = "checks are TCP or MQTT: [pool.NAME.health] type; TCP is taken";
                reader.draft.notes.not_taken(said, why);
            }
        }
    }
    for word in &check.words[1..] {
        param(reader, word, said);
    }
}

fn param(reader: &mut Reader<'_>, word: &str, said: &Said) {
    let said = said.piece(word);
    let notes = &mut reader.draft.notes;
    match word.split('=').next().unwrap_or_default() {
        "interval" | "passes" | "fails" | "match" => {}
        "jitter" => notes.not_needed(&said, "checks are spread anyway"),
        "mandatory" | "persistent" => {
            notes.differs(
                &said,
                "a backend takes clients until its checks have failed",
            );
        }
        "port" => notes.not_taken(&said, "checks go to the address that clients go to"),
        _ => notes.not_taken(&said, "checks have nothing like it"),
    }
}

/// Whether the block `match NAME` sends a CONNECT and waits for a CONNACK.
fn is_mqtt(reader: &Reader<'_>, name: &str) -> bool {
    let block = reader.stream.iter().find(|d| d.words() == ["match", name]);
    let inner = block.map_or(&[][..], |d| d.inner());
    let says = |what: &str, first: &str| {
        inner.iter().any(|d| {
            let value = d.words.last().map_or("", String::as_str);
            let value = value.trim_start_matches(['^', '~', '*', ' ']);
            d.name() == what && value.starts_with(first)
        })
    };
    says("send", "\\x10") && (says("expect", "\\x20") || says("expect", " "))
}

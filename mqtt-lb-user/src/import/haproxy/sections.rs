//! The sections of a haproxy.cfg, and what each proxy has from its `defaults`.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Line, lines};
use crate::import::note::{Notes, Said};

/// What starts a section.
const SECTIONS: [&str; 17] = [
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "userlist",
];

/// Whether `word` starts a section.
pub(crate) fn is_section(word: &str) -> bool {
    SECTIONS.contains(&word)
}

/// A file by sections.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) global: Vec<Line>,
    pub(super) proxies: Vec<Proxy>,
}

/// A frontend, a backend, or both in one.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) said: Said,
    pub(super) name: String,
    /// It has clients.
    pub(super) front: bool,
    /// It has servers.
    pub(super) back: bool,
    /// Its lines behind those of its defaults that it does not say itself.
    pub(super) lines: Vec<Line>,
}

/// Reads a file; sections that mqtt-lb has nothing for are noted, each once.
pub(super) fn sections(text: &str, notes: &mut Notes) -> Sections {
    let mut sections = Sections::default();
    let mut named: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    let mut latest = Vec::new();
    for (head, lines) in grouped(unconditional(lines(text), notes), notes) {
        let words = head.words();
        let name = words.get(1).copied().unwrap_or_default();
        let from = words.iter().position(|word| *word == "from");
        let from = from.and_then(|at| named.get(*words.get(at + 1)?));
        let base = from.unwrap_or(&latest);
        match words[0] {
            "global" => sections.global.extend(lines),
            "defaults" => {
                let lines = match from {
                    Some(base) => over(base, lines),
                    None => lines,
                };
                named.insert(name.to_owned(), lines.clone());
                latest = lines;
            }
            kind @ ("frontend" | "backend" | "listen") => sections.proxies.push(Proxy {
                said: head.said.clone(),
                name: name.to_owned(),
                front: kind != "backend",
                back: kind != "frontend",
                lines: over(base, lines),
            }),
            kind => other(kind, &head.said, lines.len(), notes),
        }
    }
    sections
}

/// The lines that hold on every machine and in every version.
fn unconditional(lines: Vec<Line>, notes: &mut Notes) -> Vec<Line> {
    let mut depth = 0_usize;
    let mut kept = Vec::new();
    for line in lines {
        match line.words[0].as_str() {
            ".if" => {
                if depth == 0 {
                    let why =
                        "conditions are not evaluated: everything up to its .endif is left out";
                    notes.not_taken(&line.said, why);
                }
                depth += 1;
            }
            ".endif" => depth = depth.saturating_sub(1),
            word if word.starts_with('.') || depth > 0 => {}
            _ => kept.push(line),
        }
    }
    kept
}

/// Each section's first line and the others.
fn grouped(lines: Vec<Line>, notes: &mut Notes) -> Vec<(Line, Vec<Line>)> {
    let mut groups: Vec<(Line, Vec<Line>)> = Vec::new();
    for line in lines {
        if is_section(&line.words[0]) {
            groups.push((line, Vec::new()));
        } else if let Some((_, lines)) = groups.last_mut() {
            lines.push(line);
        } else {
            notes.not_taken(&line.said, "it is in no section");
        }
    }
    groups
}

/// What a line sets that another one may set anew; `None` when lines add up.
fn sets(line: &Line) -> Option<String> {
    let words = line.words();
    let words = words.strip_prefix(&["no"]).unwrap_or(&words);
    match words {
        ["timeout" | "option" | "stats", what, ..] => Some(format!("{} {what}", words[0])),
        [
            "acl" | "bind" | "default-server" | "server" | "server-template" | "stick"
            | "tcp-check" | "tcp-request" | "tcp-response" | "use_backend" | "log",
            ..,
        ] => None,
        [first, ..] => Some((*first).to_owned()),
        [] => None,
    }
}

/// The lines of `base`, but for those that `own` says anew, and then `own`.
fn over(base: &[Line], own: Vec<Line>) -> Vec<Line> {
    let said: BTreeSet<String> = own.iter().filter_map(sets).collect();
    let again = |line: &&Line| sets(line).is_none_or(|what| !said.contains(&what));
    let mut lines: Vec<Line> = base.iter().filter(again).cloned().collect();
    lines.extend(own);
    lines
}

/// Notes a section that is neither global nor a proxy.
fn other(kind: &str, said: &Said, lines: usize, notes: &mut Notes) {
    let why = match kind {
        "peers" => "stick tables are not sent to peers: [share] shares them through Redis",
        "resolvers" => "names are not looked up while running: backends have addresses",
        "mailers" => "no mails are sent: alert on /metrics",
        "program" => "no other programs are started: let the service manager do it",
        "log-forward" | "ring" => {
            "log lines go to standard error: let the service manager send them on"
        }
        "userlist" | "cache" | "fcgi-app" | "http-errors" => {
            return notes.not_needed(said, "it is for HTTP only");
        }
        _ => "it is not understood",
    };
    let all = format!("{why}; the section's {lines} lines are left out");
    notes.not_taken(said, all);
}

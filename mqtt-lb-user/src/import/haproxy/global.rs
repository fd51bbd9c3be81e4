//! The `global` section.

use super::units::{size, time};
use super::words::Line;
use crate::import::draft::Draft;
use crate::import::note::Said;
use crate::import::toml_text;

/// Takes what the lines of the global section say.
pub(super) fn read(lines: &[Line], draft: &mut Draft) {
    for line in lines {
        let said = &line.said;
        match line.unclear {
            Some(why) => draft.notes.not_taken(said, why),
            None => take(&line.words(), said, draft),
        }
    }
}

fn take(words: &[&str], said: &Said, draft: &mut Draft) {
    match words {
        ["stats", "socket", address, params @ ..] => socket(address, params, said, draft),
        ["maxconn", number] => number_of(number, ("limits", "max_connections"), said, draft),
        ["nbthread", number] => number_of(number, ("", "workers"), said, draft),
        ["hard-stop-after", text] => match time(text) {
            Some(grace) => {
                let timeouts = draft.table(&["timeouts"], said);
                let grace = toml_text::time(grace);
                draft.set(timeouts, "shutdown_grace", grace, said);
            }
            None => draft.notes.not_taken(said, format!("{text} is not a time")),
        },
        ["log", target, ..] => log(target, said, draft),
        [
            "chroot" | "daemon" | "gid" | "group" | "master-worker" | "nbproc" | "pidfile" | "uid"
            | "ulimit-n" | "user" | "fd-hard-limit" | "nosplice",
            ..,
        ] => draft.notes.not_needed(
            said,
            "mqtt-lb stays in the foreground: what starts it, such as systemd, decides that",
        ),
        ["stats", "timeout" | "maxconn" | "bind-process", ..] => {
            draft.notes.not_needed(
                said,
                "commands are short: `mqtt-lb table`, `mqtt-lb backend`",
            );
        }
        [first, ..] if tuning(first) => {
            draft
                .notes
                .not_needed(said, "mqtt-lb has its own buffers, threads and defaults");
        }
        [first, ..] if first.starts_with("ssl-") || ["ca-base", "crt-base"].contains(first) => {
            draft
                .notes
                .not_needed(said, "mqtt-lb has no TLS: listeners with TLS are left out");
        }
        _ => draft.notes.not_taken(said, "it is not understood"),
    }
}

/// Whether a line only says how HAProxy itself works inside.
fn tuning(first: &str) -> bool {
    let inside = [
        "busy-polling",
        "cpu-map",
        "description",
        "localpeer",
        "log-send-hostname",
        "log-tag",
        "max-spread-checks",
        "node",
        "numa-cpu-mapping",
        "server-state-base",
        "server-state-file",
        "spread-checks",
        "thread-groups",
        "unix-bind",
    ];
    first.starts_with("tune.") || inside.contains(&first)
}

/// Takes a whole number, which may have a unit.
fn number_of(text: &str, at: (&str, &'static str), said: &Said, draft: &mut Draft) {
    let (section, key) = at;
    let path = [section];
    let path = if section.is_empty() { &[] } else { &path[..] };
    match size(text) {
        Some(number) => {
            let table = draft.table(path, said);
            draft.set(table, key, number.to_string(), said);
        }
        None => draft
            .notes
            .not_taken(said, format!("{text} is not a number")),
    }
}

/// Takes the admin socket, the first one.
fn socket(address: &str, params: &[&str], said: &Said, draft: &mut Draft) {
    let path = address.strip_prefix("unix@").unwrap_or(address);
    if !path.starts_with('/') {
        let why = "the admin socket is a unix socket: [admin] socket is its path, \
                   /run/mqtt-lb/admin.sock when it is left out";
        return draft.notes.not_taken(said, why);
    }
    let admin = draft.table(&["admin"], said);
    draft.set(admin, "socket", toml_text::text(path), said);
    let mut params = params.iter();
    while let Some(&param) = params.next() {
        let value = match param {
            "expose-fd" | "level" | "mode" | "user" | "group" | "uid" | "gid" => params.next(),
            _ => None,
        };
        let piece = said.piece(&match value {
            Some(value) => format!("{param} {value}"),
            None => param.to_owned(),
        });
        match (param, value) {
            ("level", Some(&"admin")) => {}
            ("expose-fd" | "level", Some(_)) => {
                draft
                    .notes
                    .not_needed(&piece, "whoever opens the socket may do everything");
            }
            ("mode", Some(&("600" | "0600"))) => {}
            ("mode" | "user" | "group" | "uid" | "gid", Some(_)) => {
                let why = "the socket is for the user who runs mqtt-lb only, mode 600";
                draft.notes.differs(&piece, why);
            }
            _ => draft
                .notes
                .not_taken(&piece, "the admin socket has nothing like it"),
        }
    }
}

/// Says where log lines go.
pub(super) fn log(target: &str, said: &Said, draft: &mut Draft) {
    if !["global", "stdout", "stderr"].contains(&target) {
        let why = "log lines go to standard error: let the journal take them or send them on";
        draft.notes.differs(said, why);
    }
}

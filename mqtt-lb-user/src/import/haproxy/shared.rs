//! Lines that mean the same in frontends and backends.

use super::units::time;
use super::{Reader, global};
use crate::import::note::Said;
use crate::import::toml_text;

/// Takes a line that both sides have; whether it is one.
pub(super) fn take(reader: &mut Reader<'_>, words: &[&str], said: &Said) -> bool {
    match words {
        ["mode", ..] | ["description" | "id" | "enabled", ..] => true,
        ["log", target, ..] => {
            global::log(target, said, reader.draft);
            true
        }
        ["no", "log"] => {
            let why = "sessions are logged for all listeners: [log] sessions = false ends that";
            reader.draft.notes.not_taken(said, why);
            true
        }
        ["timeout", what, text] => timeout(reader, what, text, said),
        ["option", name, ..] => option(reader, name, said),
        ["no", "option", name, ..] => {
            no_option(reader, name, said);
            true
        }
        [
            "log-format" | "log-format-sd" | "error-log-format" | "log-tag",
            ..,
        ] => {
            let why = "session lines have the shape of tcplog, or JSON: [log] format";
            reader.draft.notes.differs(said, why);
            true
        }
        [
            "errorfile" | "errorfiles" | "errorloc" | "errorloc302" | "errorloc303",
            ..,
        ]
        | [
            "compression" | "http-reuse" | "http-send-name-header" | "http-check",
            ..,
        ] => {
            reader.draft.notes.not_needed(said, "it is for HTTP only");
            true
        }
        [
            "bind-process" | "grace" | "fullconn" | "load-server-state-from-file",
            ..,
        ] => {
            reader
                .draft
                .notes
                .not_needed(said, "mqtt-lb has its own way to do that");
            true
        }
        _ => false,
    }
}

fn timeout(reader: &mut Reader<'_>, what: &str, text: &str, said: &Said) -> bool {
    match what {
        // Those of the pool.
        "check" | "queue" => false,
        "connect" => {
            match time(text) {
                Some(limit) => {
                    let table = reader.draft.table(&["timeouts"], said);
                    let limit = toml_text::time(limit);
                    reader.draft.set(table, "connect", limit, said);
                }
                None => reader
                    .draft
                    .notes
                    .not_taken(said, format!("{text} is not a time")),
            }
            true
        }
        "client" | "server" | "tunnel" => {
            let why = "quiet clients are not cut; TCP keepalive and their brokers find those that are gone";
            reader.draft.notes.not_needed(said, why);
            true
        }
        "client-fin" | "server-fin" => {
            let why = "[timeouts] drain bounds the end of a connection, 10s when it is left out";
            reader.draft.notes.not_needed(said, why);
            true
        }
        "http-request" | "http-keep-alive" | "tarpit" => {
            reader.draft.notes.not_needed(said, "it is for HTTP only");
            true
        }
        _ => false,
    }
}

fn option(reader: &mut Reader<'_>, name: &str, said: &Said) -> bool {
    let notes = &mut reader.draft.notes;
    match name {
        // What mqtt-lb does anyway.
        "tcplog" | "redispatch" | "tcpka" | "clitcpka" | "srvtcpka" | "log-health-checks" => {}
        "httplog"
        | "http-keep-alive"
        | "http-server-close"
        | "httpclose"
        | "forwardfor"
        | "http-buffer-request"
        | "http-ignore-probes"
        | "http_proxy"
        | "originalto" => {
            notes.not_needed(said, "it is for HTTP only");
        }
        "abortonclose"
        | "contstats"
        | "dontlognull"
        | "log-separate-errors"
        | "logasap"
        | "nolinger"
        | "socket-stats"
        | "splice-auto"
        | "splice-request"
        | "splice-response"
        | "tcp-smart-accept"
        | "tcp-smart-connect"
        | "accept-invalid-http-request"
        | "prefer-last-server"
        | "persist" => {
            notes.not_needed(said, "mqtt-lb has its own way to do that");
        }
        _ => return false,
    }
    true
}

fn no_option(reader: &mut Reader<'_>, name: &str, said: &Said) {
    let notes = &mut reader.draft.notes;
    match name {
        "redispatch" => notes.differs(said, "a client always goes on to the next backend"),
        "tcplog" | "log-health-checks" => notes.differs(said, "it is logged: [log] has switches"),
        _ => notes.not_needed(said, "it is off here, too"),
    }
}

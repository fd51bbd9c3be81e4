//! What stands outside of the stream block.

use super::syntax::Directive;
use crate::import::draft::Draft;
use crate::import::note::Said;

/// Takes what the directives outside of the stream block say.
pub(super) fn read(directives: &[Directive], draft: &mut Draft) {
    for directive in directives {
        take(directive, draft);
    }
}

fn take(directive: &Directive, draft: &mut Draft) {
    let said = &directive.said;
    let notes = &mut draft.notes;
    match directive.words().as_slice() {
        ["stream", ..] | ["worker_processes", "auto"] => {}
        ["worker_processes", number] => match number.parse::<u64>() {
            Ok(number) => {
                let top = draft.table(&[], said);
                draft.set(top, "workers", number.to_string(), said);
            }
            Err(_) => notes.not_taken(said, "it is not a number"),
        },
        ["events", ..] => notes.not_needed(
            &Said::new(said.line, "events"),
            "[limits] max_connections bounds the clients, 100000 when it is left out",
        ),
        ["http", ..] if says(directive, &["proxy_pass", "grpc_pass", "fastcgi_pass"]) => {
            notes.not_taken(said, "mqtt-lb takes MQTT over TCP: leave HTTP to nginx");
        }
        ["http", ..] => notes.not_needed(said, "figures are on /metrics of [http] listen"),
        ["include", ..] => notes.not_taken(said, INCLUDE),
        [
            "user" | "pid" | "daemon" | "master_process" | "lock_file" | "env",
            ..,
        ]
        | [
            "worker_rlimit_nofile" | "worker_rlimit_core" | "working_directory",
            ..,
        ]
        | [
            "worker_cpu_affinity" | "worker_priority" | "worker_shutdown_timeout",
            ..,
        ]
        | [
            "pcre_jit" | "thread_pool" | "load_module" | "error_log" | "timer_resolution",
            ..,
        ] => {
            notes.not_needed(said, "what starts mqtt-lb, such as systemd, decides that");
        }
        _ => notes.not_taken(said, "it is not understood"),
    }
}

/// What there is to say about files that are not read.
pub(super) const INCLUDE: &str = "other files are not read: put their lines here and import again";

/// Whether a directive of one of these names is in a block, however deep.
fn says(directive: &Directive, names: &[&str]) -> bool {
    let mut inner = directive.inner().iter();
    inner.any(|directive| names.contains(&directive.name()) || says(directive, names))
}

//! The answer to `explain`: the decision about one client, step by step. It is made with
//! what the flows' own decisions are made with, and changes nothing.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;

use super::columns::aligned;
use super::{Answer, find_pool, flows, text};
use crate::admin::Context;
use crate::admin::command::ExplainCommand;
use crate::affinity::explain::{Explanation, Outcome, Reason, Verdict};
use crate::affinity::{BackendId, Fields, Key, RAMPED, Row, routes};
use crate::backend::{AdminState, Backend, Pool};
use crate::config::{Config, KeyField, Route};
use crate::escape::Word;

pub(super) fn answer(command: &ExplainCommand, context: &Context) -> Result<Answer, String> {
    let client = client(command);
    let mut out = format!("client: {}\n", shown(&client, command.source.is_some()));
    let pool = match &command.pool {
        Some(name) => find_pool(context, name)?,
        None => {
            let config = flows(context)?.config.load();
            let (pool, route) = routed(&config, command.listener.as_deref(), &client)?;
            out += &route;
            find_pool(context, pool)?
        }
    };
    let settings = pool.settings();
    let _ = writeln!(out, "pool: {}", Word(pool.name.as_bytes()));
    let Some(key) = pool.key(&client) else {
        out += "key: none of this client\nchoice: nobody, empty_client_id = \"reject\"\n";
        return Ok(text(out));
    };
    let from = from(&settings.key.from);
    let _ = match key.bytes() {
        Some(key) => writeln!(out, "key: {} (of {from})", Word(key)),
        None => writeln!(out, "key: none (of {from}): balanced anew each time"),
    };
    let decision = pool.explain(Instant::now(), key.client(client.source));
    out += &table(&pool, &key, decision.explanation.entry.as_ref());
    let balance = settings.balance.to_possible_value();
    let balance = balance.as_ref().map_or("", |value| value.get_name());
    out += &candidates(&decision.explanation.verdicts, &decision.backends, balance);
    out += &choice(&decision.explanation, &pool, settings.queue.is_some());
    Ok(text(out))
}

fn client(command: &ExplainCommand) -> Fields<'_> {
    let source = command.source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let properties = command.properties.iter();
    Fields {
        level: command.level.unwrap_or(4),
        username: command.username.as_deref(),
        will_topic: command.will_topic.as_deref(),
        user_properties: properties.map(|(k, v)| (&k[..], &v[..])).collect(),
        ..Fields::new(&command.client_id, source)
    }
}

fn shown(client: &Fields<'_>, source: bool) -> String {
    let mut out = format!("id={} level={}", Word(client.client_id), client.level);
    let fields = [
        ("username", client.username),
        ("will_topic", client.will_topic),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            let _ = write!(out, " {name}={}", Word(value));
        }
    }
    for (name, value) in &client.user_properties {
        let _ = write!(out, " property={}={}", Word(name), Word(value));
    }
    match source {
        true => out + &format!(" source={}", client.source),
        false => out + " source=-",
    }
}

/// The pool's name, and the lines about listener and route.
fn routed<'a>(
    config: &'a Config,
    listener: Option<&str>,
    client: &Fields<'_>,
) -> Result<(&'a str, String), String> {
    let names = || config.listeners.keys().map(String::as_str);
    let listener = match listener {
        Some(name) => config.listeners.get_key_value(name),
        None => config
            .listeners
            .first_key_value()
            .filter(|_| config.listeners.len() == 1),
    };
    let (name, settings) = listener.ok_or_else(|| {
        let names: Vec<_> = names().collect();
        format!(
            "which listener? write listener=NAME: there is {}",
            names.join(", ")
        )
    })?;
    let routed = routes::route(settings, client);
    let route = match routed.route {
        Some(at) => format!("{}: {}", at + 1, conditions(&settings.routes[at])),
        None => format!("none of {}, the listener's own pool", settings.routes.len()),
    };
    let lines = format!("listener: {}\nroute: {route}\n", Word(name.as_bytes()));
    Ok((routed.pool, lines))
}

fn conditions(route: &Route) -> String {
    let level = route
        .level
        .as_ref()
        .map(|level| format!("level = {level:?}"));
    let pattern = |name: &str, regex: &str| format!("{name} = {}", Word(regex.as_bytes()));
    let id = route.client_id.as_ref();
    let id = id.map(|id| pattern("client_id", id.regex().as_str()));
    let username = route.username.as_ref();
    let username = username.map(|name| pattern("username", name.regex().as_str()));
    let all: Vec<_> = [level, id, username].into_iter().flatten().collect();
    all.join(", ")
}

fn from(field: &KeyField) -> String {
    match field {
        KeyField::ClientId => "client_id".to_owned(),
        KeyField::Username => "username".to_owned(),
        KeyField::WillTopic => "will_topic".to_owned(),
        KeyField::Source => "source".to_owned(),
        KeyField::UserProperty(name) => format!("user_property {}", Word(name.as_bytes())),
    }
}

fn table(pool: &Pool, key: &Key, entry: Option<&Row>) -> String {
    let Some(stick) = pool.settings().stick else {
        return "table: the pool has none\n".to_owned();
    };
    match (entry, key.bytes()) {
        (Some(row), _) => format!(
            "table: {}, home {}, matched {} ago, expires in {}\n",
            named(pool, row.backend),
            named(pool, row.home),
            seconds(stick.expire.saturating_sub(row.expires_in)),
            seconds(row.expires_in),
        ),
        (None, Some(_)) => "table: no entry\n".to_owned(),
        (None, None) => "table: not asked, there is no key\n".to_owned(),
    }
}

fn candidates(verdicts: &[Verdict], backends: &[Arc<Backend>], balance: &str) -> String {
    let head = ["# order", "backend", "state", "weight", "load", "why"];
    let mut rows = vec![head.map(str::to_owned)];
    for verdict in verdicts {
        let candidate = &verdict.candidate;
        let Some(backend) = backends.iter().find(|b| b.id == candidate.id) else {
            continue;
        };
        let order = verdict.place.map(|place| (place + 1).to_string());
        let health = if backend.is_up() { "up" } else { "down" };
        let weight = match candidate.ramp {
            RAMPED => candidate.weight.to_string(),
            ramp => format!("{}*{ramp}%", candidate.weight),
        };
        let most = backend.maxconn().map(|most| format!("/{most}"));
        rows.push([
            order.unwrap_or_else(|| "-".to_owned()),
            backend.name.clone(),
            format!("{health}/{}", backend.admin_state()),
            weight,
            format!("{}{}", candidate.connections, most.unwrap_or_default()),
            why(verdict.reason, backend, balance),
        ]);
    }
    aligned(&rows)
}

fn why(reason: Reason, backend: &Backend, balance: &str) -> String {
    match reason {
        Reason::Moves => "to move here: home, or a backend with too few ids".to_owned(),
        Reason::Entry => "table entry".to_owned(),
        Reason::Balance => format!("balance = \"{balance}\""),
        Reason::Loaded => format!("balance = \"{balance}\", over bounded_load"),
        Reason::Backup => "backup: after all others".to_owned(),
        Reason::Full => "full: it has maxconn connections".to_owned(),
        Reason::Weightless => "not taken: weight 0".to_owned(),
        Reason::Closed if !backend.is_up() => "not taken: down".to_owned(),
        Reason::Closed if backend.admin_state() == AdminState::Maint => {
            "not taken: in maintenance".to_owned()
        }
        Reason::Closed => "not taken: draining, only for clients of the table".to_owned(),
    }
}

fn choice(explanation: &Explanation, pool: &Pool, queue: bool) -> String {
    match explanation.outcome(queue) {
        Outcome::Taken(id) => format!("choice: {}\n", named(pool, id)),
        Outcome::Waits(Some(id)) => format!("choice: waits for a place on {}\n", named(pool, id)),
        Outcome::Waits(None) => "choice: waits for a place on any backend\n".to_owned(),
        Outcome::Full => "choice: nobody, all are full and the pool has no queue\n".to_owned(),
        Outcome::Nobody => "choice: nobody, no backend takes the client\n".to_owned(),
    }
}

fn named(pool: &Pool, id: BackendId) -> String {
    let backends = pool.backends();
    let backend = backends.iter().find(|backend| backend.id == id);
    // A reload may have removed it.
    backend.map_or_else(|| "-".to_owned(), |backend| backend.name.clone())
}

fn seconds(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs()));
    text.to_string().replace(' ', "")
}

//! Does what a command asks, and answers in text.

use std::iter;
use std::sync::Arc;
use std::time::Instant;

use super::command::{Command, Entries, HELP};
use super::{Context, flows, sample, table};
use crate::affinity::{StickTable, Sticky};
use crate::backend::{Backend, Pool};
use crate::escape::Word;
use crate::flow::{Shared, closer};

/// An answer in pieces, each one made when the one before is written. An answer
/// that starts with [`ERROR`] is one line that says why nothing was done.
pub type Answer = Box<dyn Iterator<Item = String> + Send>;

/// How the answer to a command that was not carried out begins.
pub const ERROR: &str = "error: ";

/// Does what `command` asks.
pub fn answer(command: Command, context: &Context) -> Answer {
    execute(command, context).unwrap_or_else(|reason| text(format!("{ERROR}{reason}\n")))
}

fn execute(command: Command, context: &Context) -> Result<Answer, String> {
    match command {
        Command::Help => Ok(text(help())),
        // What these two do, they do to the connection.
        Command::Prompt | Command::Quit => Ok(Box::new(iter::empty())),
        Command::ShowInfo => Ok(text(info(context))),
        Command::ShowBackends { pool } => {
            let pools = match pool {
                Some(name) => vec![find_pool(context, &name)?],
                None => context.pools.all(),
            };
            Ok(text(backends(&pools)))
        }
        Command::SetBackend {
            pool,
            backend,
            state,
            deadline,
        } => {
            let backend = find_backend(&*find_pool(context, &pool)?, &backend)?;
            backend.set_admin_state(state);
            if let Some(deadline) = deadline {
                closer::close_after(flows(context)?, &backend, deadline);
            }
            Ok(text(format!("backend {pool}/{}: {state}\n", backend.name)))
        }
        Command::ShutdownSessions { pool, backend } => {
            let backend = find_backend(&*find_pool(context, &pool)?, &backend)?;
            let count = closer::close(flows(context)?, &backend, false);
            Ok(text(format!(
                "ending {count} sessions of {pool}/{}\n",
                backend.name
            )))
        }
        Command::ShowFlows { path } => Ok(Box::new(flows::show(flows(context)?.clone(), path))),
        Command::ShowTables => {
            let heads = context
                .pools
                .all()
                .into_iter()
                .filter_map(|pool| table::head(&pool));
            Ok(text(heads.collect()))
        }
        Command::ShowTable { pool, key } => show_table(find_pool(context, &pool)?, key.as_deref()),
        Command::SetTable { pool, key, backend } => {
            set_table(&*find_pool(context, &pool)?, &key, &backend)
        }
        Command::ClearTable { pool, which } => clear_table(&*find_pool(context, &pool)?, &which),
    }
}

fn show_table(pool: Arc<Pool>, key: Option<&[u8]>) -> Result<Answer, String> {
    let head = table::head(&pool).ok_or_else(|| no_table(&pool))?;
    match key {
        None => Ok(Box::new(iter::once(head).chain(table::rows(pool)))),
        Some(key) => {
            let row = with_table(&pool, |table| table.entry(Instant::now(), key))?;
            let row = row.ok_or_else(|| no_key(&pool, key))?;
            Ok(text(head + &table::row(&pool, &row)))
        }
    }
}

fn set_table(pool: &Pool, key: &[u8], backend: &str) -> Result<Answer, String> {
    let backend = find_backend(pool, backend)?;
    let now = Instant::now();
    let (stored, row) = with_table(pool, |table| {
        let stored = table.set(now, key, backend.id);
        // Who is told where to be belongs there.
        table.set_home(now, key, backend.id);
        (stored, table.entry(now, key))
    })?;
    match row {
        Some(row) if stored != Sticky::None => Ok(text(table::row(pool, &row))),
        _ => Err(format!(
            "the table of pool {} is full and keeps its entries",
            pool.name
        )),
    }
}

fn clear_table(pool: &Pool, which: &Entries) -> Result<Answer, String> {
    let now = Instant::now();
    let removed = match which {
        Entries::All => with_table(pool, StickTable::clear)?,
        Entries::Key(key) => {
            let removed = with_table(pool, |table| table.remove(now, key))?;
            removed.map(|_| 1).ok_or_else(|| no_key(pool, key))?
        }
        Entries::Backend(name) => {
            let backend = find_backend(pool, name)?;
            with_table(pool, |table| table.clear_backend(backend.id))?
        }
    };
    let noun = if removed == 1 { "entry" } else { "entries" };
    Ok(text(format!("{removed} {noun} removed\n")))
}

fn with_table<R>(pool: &Pool, work: impl FnOnce(&mut StickTable) -> R) -> Result<R, String> {
    pool.with_table(work).ok_or_else(|| no_table(pool))
}

fn flows(context: &Context) -> Result<&Arc<Shared>, String> {
    context
        .flows
        .as_ref()
        .ok_or_else(|| "there are no flows yet".to_owned())
}

fn find_pool(context: &Context, name: &str) -> Result<Arc<Pool>, String> {
    context.pools.get(name).ok_or_else(|| {
        let all = context.pools.all();
        let names: Vec<_> = all.iter().map(|pool| pool.name.as_str()).collect();
        format!(
            "no pool {}: there is {}",
            Word(name.as_bytes()),
            names.join(", ")
        )
    })
}

fn find_backend(pool: &Pool, name: &str) -> Result<Arc<Backend>, String> {
    pool.backend(name).ok_or_else(|| {
        let all = pool.backends();
        let names: Vec<_> = all.iter().map(|backend| backend.name.as_str()).collect();
        let name = Word(name.as_bytes());
        format!(
            "no backend {name} in pool {}: there is {}",
            pool.name,
            names.join(", ")
        )
    })
}

fn no_table(pool: &Pool) -> String {
    format!("pool {} has no stick table", pool.name)
}

fn no_key(pool: &Pool, key: &[u8]) -> String {
    format!("the table of pool {} has no key {}", pool.name, Word(key))
}

fn text(text: String) -> Answer {
    Box::new(iter::once(text))
}

fn help() -> String {
    HELP.iter()
        .map(|(command, what)| format!("{command:<46} {what}\n"))
        .collect()
}

fn info(context: &Context) -> String {
    let backends: Vec<_> = context
        .pools
        .all()
        .iter()
        .flat_map(|pool| pool.backends().to_vec())
        .collect();
    let uptime = context.status.uptime(Instant::now());
    let sessions: u64 = backends.iter().map(|backend| backend.connections()).sum();
    let up = backends.iter().filter(|backend| backend.is_up()).count();
    format!(
        "Name: mqtt-lb\nVersion: {}\nPid: {}\nPhase: {}\nUptime: {}\nUptime_sec: {}\n\
         CurrConns: {sessions}\nBackends: {up}/{} up\nMemory_bytes: {}\nOpen_fds: {}\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        context.status.phase().name(),
        humantime::format_duration(std::time::Duration::from_secs(uptime.as_secs())),
        uptime.as_secs(),
        backends.len(),
        sample::resident_bytes().unwrap_or(0),
        sample::open_fds().unwrap_or(0),
    )
}

/// One row per backend in aligned columns.
fn backends(pools: &[Arc<Pool>]) -> String {
    let mut rows = vec![
        [
            "# pool",
            "name",
            "address",
            "weight",
            "health",
            "state",
            "connections",
        ]
        .map(str::to_owned),
    ];
    for pool in pools {
        for backend in pool.backends().iter() {
            rows.push([
                pool.name.clone(),
                backend.name.clone(),
                backend.address().to_string(),
                backend.weight().to_string(),
                if backend.is_up() { "up" } else { "down" }.to_owned(),
                backend.admin_state().to_string(),
                backend.connections().to_string(),
            ]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join(" ").trim_end())
    };
    rows.iter().map(line).collect()
}

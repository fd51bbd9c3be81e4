//! Answers about stick tables.

use std::iter;
use std::sync::Arc;
use std::time::Instant;

use super::{Answer, find_backend, find_pool, text};
use crate::admin::command::{Entries, TableCommand};
use crate::admin::{Context, table};
use crate::affinity::{StickTable, Sticky};
use crate::backend::Pool;
use crate::escape::Word;

pub(super) fn answer(command: TableCommand, context: &Context) -> Result<Answer, String> {
    match command {
        TableCommand::List => {
            let pools = context.pools.all().into_iter();
            Ok(text(pools.filter_map(|pool| table::head(&pool)).collect()))
        }
        TableCommand::Show { pool, key } => show(find_pool(context, &pool)?, key.as_deref()),
        TableCommand::Set { pool, key, backend } => {
            set(&*find_pool(context, &pool)?, &key, &backend)
        }
        TableCommand::Clear { pool, which } => clear(&*find_pool(context, &pool)?, &which),
    }
}

fn show(pool: Arc<Pool>, key: Option<&[u8]>) -> Result<Answer, String> {
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

fn set(pool: &Pool, key: &[u8], backend: &str) -> Result<Answer, String> {
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

fn clear(pool: &Pool, which: &Entries) -> Result<Answer, String> {
    let now = Instant::now();
    let removed = match which {
        Entries::All => with_table(pool, |table| {
            table.tell(now);
            table.clear()
        })?
        .len(),
        Entries::Key(key) => {
            let removed = with_table(pool, |table| table.remove(now, key))?;
            removed.map(|_| 1).ok_or_else(|| no_key(pool, key))?
        }
        Entries::Backend(name) => {
            let backend = find_backend(pool, name)?;
            with_table(pool, |table| {
                table.tell(now);
                table.clear_backend(backend.id)
            })?
        }
    };
    let noun = if removed == 1 { "entry" } else { "entries" };
    Ok(text(format!("{removed} {noun} removed\n")))
}

fn with_table<R>(pool: &Pool, work: impl FnOnce(&mut StickTable) -> R) -> Result<R, String> {
    pool.with_table(work).ok_or_else(|| no_table(pool))
}

fn no_table(pool: &Pool) -> String {
    format!("pool {} has no stick table", pool.name)
}

fn no_key(pool: &Pool, key: &[u8]) -> String {
    format!("the table of pool {} has no key {}", pool.name, Word(key))
}

//! Stick tables as text, in HAProxy's shape.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use crate::affinity::{Cursor, Row, StickTable};
use crate::backend::Pool;
use crate::escape::Word;

/// Entries looked at while the table is locked, and shown in one piece. A key
/// may have 64 KiB and four times that when escaped: a piece stays below 16 MiB.
const PAGE: usize = 64;

/// `# table: NAME, type: string, size:102400, used:3`
pub(super) fn head(pool: &Pool) -> Option<String> {
    let (size, used) = pool.with_table(|table| (table.capacity(), table.len()))?;
    Some(format!(
        "# table: {}, type: string, size:{size}, used:{used}\n",
        pool.name
    ))
}

/// The rows of a table, some at a time: nobody holds the whole table's text, and
/// the table is locked for one page only.
pub(super) fn rows(pool: Arc<Pool>) -> impl Iterator<Item = String> + Send {
    let mut cursor = Some(Cursor::default());
    iter::from_fn(move || {
        let from = cursor?;
        let now = Instant::now();
        let (rows, next) = pool.with_table(|table: &mut StickTable| table.page(now, from, PAGE))?;
        cursor = next;
        Some(rows.iter().map(|entry| row(&pool, entry)).collect())
    })
}

/// `0x55a3ff2f4370: key=c0 use=0 exp=1795278 server_id=1 server_key=emqx1`
///
/// HAProxy begins with the entry's address in memory; here it is a number made
/// from the key. `server_id` is the backend's place in the pool, from 1.
pub(super) fn row(pool: &Pool, row: &Row) -> String {
    let mut number = DefaultHasher::new();
    row.key.hash(&mut number);
    let mut line = format!(
        "{:#014x}: key={} use=0 exp={} ",
        number.finish() >> 16,
        Word(&row.key),
        row.expires_in.as_millis(),
    );
    let backends = pool.backends();
    let place = backends
        .iter()
        .position(|backend| backend.id == row.backend);
    // A reload may have removed the backend since the row was read.
    let name = place.map_or("-", |at| &backends[at].name);
    let place = place.map_or(0, |at| at + 1);
    let _ = writeln!(
        line,
        "server_id={place} server_key={}",
        Word(name.as_bytes())
    );
    line
}

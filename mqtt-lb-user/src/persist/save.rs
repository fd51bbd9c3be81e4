//! From a pool's table to its file.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::clock;
use super::file::Replacement;
use crate::affinity::snapshot::{Writer, most_bytes};
use crate::affinity::{Batch, Cursor, StickTable};
use crate::backend::Pool;

/// Bytes that are written at once.
const CHUNK: usize = 1 << 20;

/// Time between two steps that the table is left to the clients: a lock that is
/// taken again at once would keep them out.
const PAUSE: Duration = Duration::from_micros(50);

/// How often a table that is resized or cleared meanwhile is begun again.
const TRIES: usize = 5;

/// What was written.
#[derive(Debug, Clone, Copy)]
pub struct Saved {
    /// Entries in the file.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The longest time that the table was held.
    pub longest_hold: Duration,
}

/// How one walk through the table ended.
enum Walk {
    Done(u64),
    /// What was written is not the table any more.
    Changed,
    /// The pool has no table.
    Gone,
}

/// Writes the pool's stick table into the file `path`, whole or not at all. `None`:
/// the pool has no table.
///
/// # Errors
/// What the system says, or that the table does not hold still.
pub fn save(pool: &Pool, path: &Path) -> io::Result<Option<Saved>> {
    let mut longest_hold = Duration::ZERO;
    for _ in 0..TRIES {
        let mut file = Replacement::new(path)?;
        match walk(pool, &mut file, &mut longest_hold)? {
            Walk::Done(entries) => {
                let bytes = file.written();
                file.commit()?;
                return Ok(Some(Saved {
                    entries,
                    bytes,
                    longest_hold,
                }));
            }
            Walk::Gone => return Ok(None),
            Walk::Changed => {}
        }
    }
    Err(io::Error::other(
        "the table was resized or cleared again and again meanwhile",
    ))
}

fn walk(pool: &Pool, file: &mut Replacement, longest: &mut Duration) -> io::Result<Walk> {
    let mut hold = |work: &mut dyn FnMut(&mut StickTable)| {
        pool.with_table(|table| {
            let from = Instant::now();
            work(table);
            *longest = from.elapsed().max(*longest);
        })
    };
    let mut begin = None;
    let now = Instant::now();
    hold(&mut |table| begin = Some((table.epoch(), table.moment(now), table.room())));
    let Some((epoch, moment, room)) = begin else {
        return Ok(Walk::Gone);
    };
    let most = most_bytes(room);
    let name = |id| {
        let backends = pool.backends();
        let backend = backends.iter().find(|backend| backend.id == id);
        backend.map(|backend| backend.name.clone())
    };
    let mut out = Vec::with_capacity(2 * CHUNK);
    let mut writer = Writer::new(&clock::now(), moment, &mut out);
    let mut batch = Batch::default();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let mut changed = false;
        let now = Instant::now();
        let held = hold(&mut |table| {
            changed = table.epoch() != epoch;
            next = table.copy(now, cursor, &mut batch);
        });
        match held {
            None => return Ok(Walk::Gone),
            Some(()) if changed => return Ok(Walk::Changed),
            Some(()) => writer.page(&batch, name, &mut out),
        }
        if out.len() >= CHUNK {
            file.append(&out)?;
            out.clear();
        }
        if file.written() > most {
            return Err(io::Error::other("the table changes faster than it is read"));
        }
        thread::sleep(PAUSE);
    }
    let (entries, _) = writer.end(&mut out);
    file.append(&out)?;
    Ok(Walk::Done(entries))
}

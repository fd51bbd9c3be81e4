//! From a file to a pool's table.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use tracing::{error, info, warn};

use super::clock;
use super::file::with_suffix;
use crate::affinity::snapshot::{self, Damage, Passed, Snapshot};
use crate::backend::Pool;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Fills the pool's table, which is empty, from its snapshot. A file that is not
/// there is no problem, and one that is damaged is kept beside for whoever wants to
/// look at it; the table is empty then. Says and counts what it did.
pub fn load(pool: &Pool) {
    let settings = pool.settings();
    let (Some(path), Some(stick)) = (&settings.snapshot.path, &settings.stick) else {
        return;
    };
    let metrics = pool.metrics().snapshot();
    let begin = Instant::now();
    let shown = path.display();
    let snapshot = match read(pool, path) {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => {
            info!(
                "pool {}: no snapshot {shown} yet; the stick table is empty",
                pool.name
            );
            return;
        }
        Err(damage) => {
            metrics.load_failures.inc();
            let kept = keep(path, &damage);
            error!(
                "pool {}: the snapshot {shown} {damage}; {kept}; the stick table is empty",
                pool.name
            );
            return;
        }
    };
    let passed = Passed::between(&snapshot.stamp, &clock::now());
    let dropped = snapshot.dropped;
    let backend = |name: &str| pool.backend(name).map(|backend| backend.id);
    let revived = snapshot.revive(passed, stick.expire, backend);
    let now = Instant::now();
    let loaded = pool.with_table(|table| table.restore(now, revived.entries));
    let loaded = loaded.unwrap_or(0) as u64;
    let unknown: u64 = revived.unknown.values().sum();
    metrics.loaded.set(loaded as i64);
    metrics.skipped_expired.set(revived.expired as i64);
    metrics.skipped_backend.set(unknown as i64);
    metrics.skipped_full.set(dropped as i64);
    let took = begin.elapsed();
    metrics.load_seconds.set(took.as_secs_f64());
    info!(
        "pool {}: {loaded} stick table entries from {shown} in {} ms; {} have expired, {unknown} are of backends that are gone, {dropped} do not fit",
        pool.name,
        took.as_millis(),
        revived.expired,
    );
    if !revived.unknown.is_empty() {
        let gone: Vec<_> = revived
            .unknown
            .iter()
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        warn!(
            "pool {}: the snapshot has entries of backends that are not configured any more: {}",
            pool.name,
            gone.join(", ")
        );
    }
}

/// Reads and checks the file; `None` when there is none.
fn read(pool: &Pool, path: &Path) -> Result<Option<Snapshot>, Damage> {
    let Some(room) = pool.with_table(|table| table.room()) else {
        return Ok(None);
    };
    // A pipe in its place would keep the balancer from starting.
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Damage::Unreadable(error)),
    };
    if !is_file(&file)? {
        return Err(Damage::Foreign);
    }
    snapshot::read(BufReader::with_capacity(CHUNK, file), room).map(Some)
}

fn is_file(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.is_file())
}

/// Moves a damaged file out of the way of the next snapshot, and says where it is.
fn keep(path: &Path, damage: &Damage) -> String {
    if matches!(damage, Damage::Unreadable(_)) {
        return "it stays until the next one takes its place".to_owned();
    }
    let kept = with_suffix(path, ".damaged");
    match fs::rename(path, &kept) {
        Ok(()) => format!("it is kept as {}", kept.display()),
        Err(error) => format!("it cannot be kept as {}: {error}", kept.display()),
    }
}

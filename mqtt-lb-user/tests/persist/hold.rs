//! No client waits for a snapshot longer than one step takes.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::lb::start;

/// Entries; the benchmark has more.
const MANY: u32 = 200_000;

#[test]
fn clients_get_through_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let lb = start(dir.path(), &["a"], "size = \"1M\"");
    let id = lb.pool.backends()[0].id;
    let now = Instant::now();
    lb.pool.with_table(|table| {
        for client in 0..MANY {
            table.set(now, format!("client-{client:012}").as_bytes(), id);
        }
    });
    let done = AtomicBool::new(false);
    let (saved, lookups) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let (mut count, mut worst) = (0_u64, Duration::ZERO);
            while !done.load(Relaxed) {
                let from = Instant::now();
                lb.pool
                    .with_table(|table| table.get(from, b"client-000000000007"));
                worst = worst.max(from.elapsed());
                count += 1;
            }
            (count, worst)
        });
        let saved = lb.save();
        done.store(true, Relaxed);
        (saved, client.join().unwrap())
    });
    assert_eq!(saved.entries, u64::from(MANY));
    println!(
        "{} entries, {} bytes: the table was held for {:?} at most; {} look-ups meanwhile, the slowest {:?}",
        saved.entries, saved.bytes, saved.longest_hold, lookups.0, lookups.1
    );
    // As many steps as that, and a client gets in between them.
    assert!(
        lookups.0 > u64::from(MANY) / 256 / 4,
        "{} look-ups",
        lookups.0
    );
}

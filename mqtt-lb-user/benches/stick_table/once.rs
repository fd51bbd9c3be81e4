//! What takes a whole table.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{BackendId, StickTable};
use mqtt_lb_user::backend::{Pool, Pools};
use mqtt_lb_user::config;
use mqtt_lb_user::metrics::Metrics;
use mqtt_lb_user::persist;

use crate::{MANY, full, id, stick};

/// Entries freed in one go by the sweep.
const STEP: usize = 256;

pub fn all() {
    fill();
    expire();
    clear();
    snapshot();
}

/// Resident memory of the process, in bytes (proc(5), `statm`).
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("resident pages") * 4096
}

/// The slowest and the slowest but one in 10,000.
fn slowest(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let rank = times.len() - 1 - times.len() / 10_000;
    format!(
        "{:?} at most, {:?} in 99.99 % of cases",
        times[times.len() - 1],
        times[rank]
    )
}

fn fill() {
    let before = resident();
    // Written now, so that it is resident before the table is.
    let mut times = vec![Duration::MAX; MANY as usize];
    let own = resident() - before;
    let mut table = StickTable::new(stick(MANY as usize, Duration::from_secs(3600)));
    let begin = Instant::now();
    for (n, time) in (0..).zip(&mut times) {
        let now = Instant::now();
        table.set(now, &id(n), BackendId(n % 3));
        *time = now.elapsed();
    }
    let (took, entries) = (begin.elapsed(), u64::from(MANY));
    println!(
        "memory: {} bytes per entry by its own account, {} resident, the key's 20 included",
        table.memory_bytes() as u64 / entries,
        (resident() - before - own) / entries,
    );
    println!("filling: {took:?}; an insert takes {}", slowest(times));
}

fn expire() {
    let mut table = full();
    let later = Instant::now() + Duration::from_secs(7200);
    let (begin, mut times) = (Instant::now(), Vec::new());
    loop {
        let now = Instant::now();
        let freed = table.expire(later, STEP);
        times.push(now.elapsed());
        if freed < STEP {
            break;
        }
    }
    let each = begin.elapsed() / MANY;
    println!(
        "expiry: {each:?} per entry; a step of {STEP} takes {}",
        slowest(times)
    );
}

fn clear() {
    let mut table = full();
    let begin = Instant::now();
    let cleared = table.clear();
    let held = begin.elapsed();
    drop(cleared);
    println!(
        "clear: the table is held for {held:?}; freeing takes {:?}",
        begin.elapsed() - held
    );
}

fn pool(text: &str) -> Arc<Pool> {
    let config = config::parse("bench", text).expect("a configuration");
    let pools = Pools::new(&config, &Arc::new(Metrics::new()));
    pools.get("p").expect("the pool")
}

fn snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("p.stick");
    let text = format!(
        "[listener.l]\nbind = \"127.0.0.1:1883\"\npool = \"p\"\n[[pool.p.backend]]\nname = \"a\"\n\
         address = \"10.0.0.1:1\"\n[pool.p.stick]\nsize = {MANY}\nsnapshot = {path:?}\n"
    );
    let first = pool(&text);
    let (now, backend) = (Instant::now(), first.backends()[0].id);
    first.with_table(|table| {
        for n in 0..MANY {
            table.set(now, &id(n), backend);
        }
    });
    let begin = Instant::now();
    let saved = persist::save(&first, &path)
        .expect("written")
        .expect("a table");
    println!(
        "snapshot: {} entries, {} bytes in {:?}; the table is held for {:?} at most",
        saved.entries,
        saved.bytes,
        begin.elapsed(),
        saved.longest_hold,
    );
    let second = pool(&text);
    let begin = Instant::now();
    persist::load(&second);
    let took = begin.elapsed();
    let loaded = second.with_table(|table| table.len()).expect("a table");
    println!("load: {loaded} entries in {took:?}");
}

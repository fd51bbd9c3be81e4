//! What a stick table of a million entries costs: `cargo bench -p mqtt-lb-user`.
//! What takes a whole table is done once, and printed in front of criterion's figures.

mod once;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use mqtt_lb_user::affinity::{BackendId, StickTable};
use mqtt_lb_user::config::Stick;

/// Entries.
const MANY: u32 = 1_000_000;

/// A client id as devices have them: 20 bytes.
fn id(n: u32) -> [u8; 20] {
    let mut id = *b"sensor-a7f3-00000000";
    for (place, byte) in id[12..].iter_mut().rev().enumerate() {
        *byte = b'0' + (n / 10_u32.pow(place as u32) % 10) as u8;
    }
    id
}

/// One after the other in an order in which no cache helps.
fn scattered() -> impl FnMut() -> u32 {
    let mut n = 0_u32;
    move || {
        // A prime, so that every entry has its turn.
        n = (n + 611_953) % MANY;
        n
    }
}

fn stick(size: usize, expire: Duration) -> Stick {
    Stick {
        size,
        expire,
        nopurge: false,
    }
}

fn full() -> StickTable {
    let now = Instant::now();
    let mut table = StickTable::new(stick(MANY as usize, Duration::from_secs(3600)));
    for n in 0..MANY {
        table.set(now, &id(n), BackendId(n % 3));
    }
    table
}

fn operations(criterion: &mut Criterion) {
    let mut table = full();
    let mut group = criterion.benchmark_group("stick table, 1 M entries");
    let mut next = scattered();
    group.bench_function("get, known", |bench| {
        bench.iter(|| table.get(Instant::now(), black_box(&id(next()))));
    });
    let mut next = scattered();
    group.bench_function("get, unknown", |bench| {
        bench.iter(|| table.get(Instant::now(), black_box(&id(MANY + next()))));
    });
    let mut next = scattered();
    group.bench_function("set, known", |bench| {
        bench.iter(|| table.set(Instant::now(), black_box(&id(next())), BackendId(1)));
    });
    let mut fresh = 2 * MANY;
    group.bench_function("set, new, evicting the oldest", |bench| {
        bench.iter(|| {
            fresh += 1;
            table.set(Instant::now(), black_box(&id(fresh)), BackendId(1))
        });
    });
    group.finish();
}

criterion_group!(benches, operations);

fn main() {
    // `cargo test` runs this too, and wants to know only whether it builds.
    if std::env::args().any(|arg| arg == "--bench") {
        once::all();
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}

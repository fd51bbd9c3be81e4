//! Expired stick table entries are freed though no client comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_user::backend::{Pool, Pools, sweep};
use mqtt_lb_user::config::Stick;
use mqtt_lb_user::metrics::Metrics;
use tokio::time::{Instant, sleep};

use crate::settings::{config, pool};

/// More than one step frees.
const MANY: u32 = 10_000;

fn sticky(expire: u64) -> mqtt_lb_user::config::Pool {
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    mqtt_lb_user::config::Pool {
        stick: Some(Stick {
            size: 1 << 20,
            expire: Duration::from_secs(expire),
            nopurge: false,
        }),
        ..pool(None, &[("a", address)])
    }
}

fn fill(pool: &Pool) {
    let (now, backend) = (Instant::now().into_std(), pool.backends()[0].id);
    pool.with_table(|table| {
        for client in 0..MANY {
            table.set(now, &client.to_be_bytes(), backend);
        }
    });
}

fn used(pool: &Pool) -> usize {
    pool.with_table(|table| table.len()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_table_is_swept_and_what_lives_stays() {
    let all = [("long", sticky(60)), ("short", sticky(10))];
    let pools = Arc::new(Pools::new(&config(&all), &Arc::new(Metrics::new())));
    tokio::spawn(sweep::run(pools.clone()));
    let (long, short) = (pools.get("long").unwrap(), pools.get("short").unwrap());
    fill(&long);
    fill(&short);

    sleep(Duration::from_millis(8500)).await;
    assert_eq!((used(&long), used(&short)), (MANY as usize, MANY as usize));
    sleep(Duration::from_millis(3000)).await;
    assert_eq!((used(&long), used(&short)), (MANY as usize, 0));
    sleep(Duration::from_secs(50)).await;
    assert_eq!((used(&long), used(&short)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_a_later_reload_is_swept_too() {
    let pools = Arc::new(Pools::new(&config(&[]), &Arc::new(Metrics::new())));
    tokio::spawn(sweep::run(pools.clone()));
    sleep(Duration::from_secs(5)).await;
    pools.apply(&config(&[("new", sticky(10))]));
    let new = pools.get("new").unwrap();
    fill(&new);
    sleep(Duration::from_secs(12)).await;
    assert_eq!(used(&new), 0);
}

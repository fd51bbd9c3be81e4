//! Choosing a backend by consistent hash, and the header that tells it the client.

mod common;

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use mqtt_lb_user::affinity::{BackendId, Candidate, Client, RAMPED, Server, balance};
use mqtt_lb_user::backend::proxy;
use mqtt_lb_user::config::{Balance, ProxyProtocol};

fn ketama(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ketama pick");
    for count in [3, 50] {
        let ids: Vec<_> = (0..count).map(BackendId).collect();
        let servers: Vec<_> = ids
            .iter()
            .map(|&id| Server {
                id,
                address: ([10, 0, 0, id.0 as u8], 1883).into(),
                weight: 1,
            })
            .collect();
        let candidates: Vec<_> = ids
            .iter()
            .map(|&id| Candidate {
                id,
                weight: 1,
                ramp: RAMPED,
                connections: 1,
                full: false,
                backup: false,
                usable: true,
                sticky_ok: true,
            })
            .collect();
        let mut balancer = balance::build(Balance::Hash, &servers);
        let mut out = Vec::new();
        let mut key = *b"sensor-00000000";
        let mut nth = 0_u32;
        let mut pick = || {
            nth = nth.wrapping_add(0x9e37_79b9);
            key[7..11].copy_from_slice(&nth.to_le_bytes());
            out.clear();
            let client = Client {
                key: Some(&key),
                source: Ipv4Addr::LOCALHOST.into(),
            };
            balancer.rank(client, black_box(&candidates), &mut out);
            black_box(out.first());
        };
        pick();
        let name = format!("{count} backends");
        common::print_allocations(&format!("ketama pick/{name}"), &mut pick);
        group.bench_function(name, |bencher| bencher.iter(&mut pick));
    }
    group.finish();
}

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("PROXY header");
    let [client, backend] = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 1883)));
    for (name, version) in [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)] {
        let make = || {
            drop(black_box(proxy::header(
                version,
                black_box(client),
                backend,
            )))
        };
        common::print_allocations(&format!("PROXY header/{name}"), make);
        group.bench_function(name, |bencher| bencher.iter(make));
    }
    group.finish();
}

criterion_group!(benches, ketama, header);
criterion_main!(benches);

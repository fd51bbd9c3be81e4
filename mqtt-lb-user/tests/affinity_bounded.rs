//! The tiers of the ranking: bounded load, backups and full backends, with every balance.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Instant;

use mqtt_lb_user::affinity::{Affinity, BackendId, Candidate, Client, Policy, RAMPED, Server};
use mqtt_lb_user::config::Balance;
use proptest::prelude::*;

const BALANCES: [Balance; 5] = [
    Balance::RoundRobin,
    Balance::LeastConn,
    Balance::Random,
    Balance::Source,
    Balance::Hash,
];

fn ready(id: u32, weight: u32) -> Candidate {
    Candidate {
        id: BackendId(id),
        weight,
        ramp: RAMPED,
        connections: 0,
        full: false,
        backup: false,
        usable: true,
        sticky_ok: true,
    }
}

/// A pool without a table.
fn pool(balance: Balance, bounded_load: Option<u32>, candidates: &[Candidate]) -> Affinity {
    let server = |c: &Candidate| Server {
        id: c.id,
        address: ([10, 0, 0, c.id.0 as u8 + 1], 1883).into(),
        weight: c.weight,
    };
    let servers: Vec<_> = candidates.iter().map(server).collect();
    let policy = Policy {
        balance,
        bounded_load,
    };
    Affinity::new(policy, None, &servers)
}

/// The ranking for the client of this number.
fn route(affinity: &mut Affinity, number: u32, candidates: &[Candidate]) -> Vec<u32> {
    let key = number.to_string();
    let client = Client {
        key: Some(key.as_bytes()),
        source: Ipv4Addr::from_bits(number).into(),
    };
    let mut out = Vec::new();
    affinity.route(Instant::now(), client, candidates, &mut out);
    out.iter().map(|id| id.0).collect()
}

/// One client comes, or one of those on the backend leaves.
#[derive(Debug, Clone)]
enum Step {
    Come(u32),
    Leave(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Few numbers: many clients want the same backend.
        3 => (0..8_u32).prop_map(Step::Come),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

proptest! {
    #[test]
    fn nobody_is_sent_over_the_bound(
        balance in prop::sample::select(&BALANCES[..]),
        percent in 101..=1000_u32,
        weights in proptest::collection::vec(0..10_u32, 1..6),
        ramp in 1..=RAMPED,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut candidates: Vec<_> = (0..).zip(&weights).map(|(id, w)| ready(id, *w)).collect();
        candidates[0].ramp = ramp;
        let mut affinity = pool(balance, Some(percent), &candidates);
        for step in steps {
            match step {
                Step::Come(number) => {
                    let Some(&first) = route(&mut affinity, number, &candidates).first() else {
                        prop_assert!(weights.iter().all(|weight| *weight == 0));
                        continue;
                    };
                    let takers = candidates.iter().filter(|c| c.takes_new_clients());
                    let (load, share) = takers.fold((1, 0), |(load, share), c| {
                        (load + c.connections, share + c.share())
                    });
                    let slots = (load * u64::from(percent)).div_ceil(100);
                    let chosen = &mut candidates[first as usize];
                    // Its part of the slots; shares are whole, so that one may be rounded up.
                    let part = (slots * chosen.share()).div_ceil(share).max(1);
                    chosen.connections += 1;
                    prop_assert!(
                        chosen.connections <= part,
                        "{balance:?}: {} of {load} where {part} may be", chosen.connections
                    );
                }
                Step::Leave(who) => {
                    let busy = |c: &&mut Candidate| c.connections > 0;
                    let mut left: Vec<_> = candidates.iter_mut().filter(busy).collect();
                    if !left.is_empty() {
                        let at = who.index(left.len());
                        left[at].connections -= 1;
                    }
                }
            }
        }
    }

    #[test]
    fn the_bound_moves_only_those_whose_owner_is_over_it(
        weights in proptest::collection::vec((1..4_u32, 0..20_u64), 2..8),
        percent in 101..=300_u32,
    ) {
        let loads = (0..).zip(&weights).map(|(id, (weight, connections))| Candidate {
            connections: *connections,
            ..ready(id, *weight)
        });
        let candidates: Vec<_> = loads.collect();
        let mut free = pool(Balance::Hash, None, &candidates);
        let mut bounded = pool(Balance::Hash, Some(percent), &candidates);
        // Whoever is passed over is over the bound, for all clients or for none.
        let (mut over, mut within) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..100 {
            let owners = route(&mut free, number, &candidates);
            let chosen = route(&mut bounded, number, &candidates)[0];
            let spilled = owners.iter().position(|id| *id == chosen).expect("a backend");
            over.extend(&owners[..spilled]);
            within.insert(chosen);
        }
        prop_assert!(over.is_disjoint(&within), "{:?} and {:?}", over, within);
    }

    #[test]
    fn backups_and_full_backends_come_last(
        balance in prop::sample::select(&BALANCES[..]),
        bounded_load in proptest::option::of(101..200_u32),
        kinds in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..9_u64), 1..8),
    ) {
        let kinds = (0..).zip(kinds).map(|(id, (backup, full, connections))| Candidate {
            backup,
            full,
            connections,
            ..ready(id, 1)
        });
        let candidates: Vec<_> = kinds.collect();
        let ranked = route(&mut pool(balance, bounded_load, &candidates), 7, &candidates);
        prop_assert_eq!(ranked.len(), candidates.len());
        let tier = |id: &u32| {
            let candidate = &candidates[*id as usize];
            (candidate.full, candidate.backup && !candidate.full)
        };
        prop_assert!(ranked.iter().map(tier).is_sorted(), "{:?}", ranked);
    }
}

#[test]
fn a_slow_start_wakes_the_ring_bit_by_bit_and_moves_nobody_else() {
    let all: Vec<_> = (0..4).map(|id| ready(id, 1)).collect();
    let mut affinity = pool(Balance::Hash, None, &all);
    let mut firsts = |ramp| -> Vec<u32> {
        let mut candidates = all.clone();
        candidates[2].ramp = ramp;
        (0..2000)
            .map(|n| route(&mut affinity, n, &candidates)[0])
            .collect()
    };
    let full = firsts(RAMPED);
    let mut before = 0;
    for ramp in [1, 10, 25, 50, 75, RAMPED] {
        let now = firsts(ramp);
        let own = now.iter().filter(|id| **id == 2).count();
        assert!(own > before, "{own} at {ramp} percent, {before} before");
        before = own;
        for (now, full) in now.iter().zip(&full) {
            assert!(
                now == full || *full == 2,
                "only its own clients are elsewhere"
            );
        }
    }
}

#[test]
fn the_source_is_hashed_as_its_text() {
    let all: Vec<_> = (0..4).map(|id| ready(id, 1)).collect();
    let mut source = pool(Balance::Source, None, &all);
    let mut hash = pool(Balance::Hash, None, &all);
    for address in ["192.0.2.1", "10.1.2.3", "2001:db8::1", "255.255.255.255"] {
        let client = Client {
            key: Some(address.as_bytes()),
            source: address.parse().unwrap(),
        };
        let anybody = Client {
            key: None,
            ..client
        };
        let [mut by_source, mut by_text] = [Vec::new(), Vec::new()];
        source.route(Instant::now(), anybody, &all, &mut by_source);
        hash.route(Instant::now(), client, &all, &mut by_text);
        assert_eq!(by_source, by_text, "{address}");
    }
}

#[test]
fn two_draws_take_the_less_loaded_and_follow_the_weights() {
    let mut candidates = [ready(0, 1), ready(1, 1), ready(2, 2)];
    let mut affinity = pool(Balance::Random, None, &candidates);
    for number in 0..4000 {
        let first = route(&mut affinity, number, &candidates)[0];
        candidates[first as usize].connections += 1;
    }
    let [a, b, c] = candidates.map(|c| c.connections);
    for (load, share) in [(a, 1000), (b, 1000), (c, 2000)] {
        assert!(load.abs_diff(share) < 20, "{a}, {b}, {c}");
    }
    // Of two, the fuller one is never taken.
    let two = [
        ready(0, 1),
        Candidate {
            connections: 1,
            ..ready(1, 1)
        },
    ];
    let mut affinity = pool(Balance::Random, None, &two);
    assert!((0..100).all(|n| route(&mut affinity, n, &two)[0] == 0));
}

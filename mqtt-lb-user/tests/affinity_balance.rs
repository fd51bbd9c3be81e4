//! What every balance promises, and what each one promises.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use mqtt_lb_user::affinity::{BackendId, Balancer, Candidate, Client, RAMPED, Server, balance};
use mqtt_lb_user::config::Balance;
use proptest::prelude::*;

fn client(key: Option<&[u8]>) -> Client<'_> {
    Client {
        key,
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

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

fn servers(candidates: &[Candidate]) -> Vec<Server> {
    candidates
        .iter()
        .map(|c| Server {
            id: c.id,
            address: format!("10.0.0.{}:1883", c.id.0 + 1).parse().unwrap(),
            weight: c.weight,
        })
        .collect()
}

fn rank(
    balancer: &mut dyn Balancer,
    key: Option<&[u8]>,
    candidates: &[Candidate],
) -> Vec<BackendId> {
    let mut out = Vec::new();
    balancer.rank(client(key), candidates, &mut out);
    out
}

fn any_balance() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::RoundRobin),
        Just(Balance::LeastConn),
        Just(Balance::Random),
        Just(Balance::Source),
        Just(Balance::Hash)
    ]
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let state = (0..5_u32, 0..4_u64, any::<bool>());
    proptest::collection::vec(state, 0..8).prop_map(|states| {
        (0..)
            .zip(states)
            .map(|(id, (weight, connections, usable))| Candidate {
                connections,
                usable,
                ..ready(id, weight)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_ranking_has_every_taker_once(
        kind in any_balance(),
        rounds in proptest::collection::vec(candidates(), 1..10),
        key in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..20)),
    ) {
        // Laid for the first round: later ones bring unknown backends, and lack known ones.
        let mut balancer = balance::build(kind, &servers(&rounds[0]));
        for candidates in rounds {
            let mut ranked = rank(&mut *balancer, key.as_deref(), &candidates);
            ranked.sort();
            let takers: Vec<_> = candidates
                .iter()
                .filter(|c| c.usable && c.weight > 0)
                .map(|c| c.id)
                .collect();
            prop_assert_eq!(ranked, takers);
        }
    }

    #[test]
    fn behind_the_answer_of_the_table_come_the_others_once(
        kind in any_balance(),
        candidates in candidates(),
        home in 0..8_u32,
    ) {
        let mut balancer = balance::build(kind, &servers(&candidates));
        let mut ranked = vec![BackendId(home)];
        balancer.rank(client(Some(b"dev")), &candidates, &mut ranked);
        prop_assert_eq!(ranked[0], BackendId(home));
        let mut behind = ranked.split_off(1);
        behind.sort();
        let takers = candidates.iter().filter(|c| c.takes_new_clients() && c.id.0 != home);
        prop_assert_eq!(behind, takers.map(|c| c.id).collect::<Vec<_>>());
    }

    #[test]
    fn round_robin_gives_exact_shares_in_every_cycle(
        weights in proptest::collection::vec(0..10_u32, 1..8),
        cycles in 1..4_u32,
    ) {
        let candidates: Vec<_> = (0..).zip(&weights).map(|(id, w)| ready(id, *w)).collect();
        let mut balancer = balance::build(Balance::RoundRobin, &servers(&candidates));
        for _ in 0..cycles {
            let mut picks = vec![0; weights.len()];
            for _ in 0..weights.iter().sum() {
                picks[rank(&mut *balancer, None, &candidates)[0].0 as usize] += 1;
            }
            prop_assert_eq!(&picks, &weights);
        }
    }

    #[test]
    fn least_connections_wins_and_equals_take_turns(
        loads in proptest::collection::vec((1..5_u32, 0..10_u64), 1..8),
    ) {
        let mut candidates: Vec<_> = (0..)
            .zip(&loads)
            .map(|(id, (weight, connections))| Candidate {
                connections: *connections,
                ..ready(id, *weight)
            })
            .collect();
        let mut balancer = balance::build(Balance::LeastConn, &servers(&candidates));
        // Each stays: the loads of all end up level, and never one client apart.
        for _ in 0..200 {
            let first = rank(&mut *balancer, None, &candidates)[0].0 as usize;
            let load = |c: &Candidate| c.connections as f64 / f64::from(c.weight);
            let least = candidates.iter().map(load).fold(f64::INFINITY, f64::min);
            prop_assert!((load(&candidates[first]) - least).abs() < 1e-9);
            candidates[first].connections += 1;
        }
    }

    #[test]
    fn the_hash_moves_only_what_it_must(
        weights in proptest::collection::vec(1..4_u32, 2..8),
        gone in any::<prop::sample::Index>(),
    ) {
        let all: Vec<_> = (0..).zip(&weights).map(|(id, w)| ready(id, *w)).collect();
        let gone = gone.get(&all).id;
        let fewer: Vec<_> = all.iter().copied().filter(|c| c.id != gone).collect();
        let down: Vec<_> = all.iter().map(|c| Candidate { usable: c.id != gone, ..*c }).collect();
        let mut with = balance::build(Balance::Hash, &servers(&all));
        let mut without = balance::build(Balance::Hash, &servers(&fewer));
        for n in 0..200 {
            let key = format!("client-{n}");
            let key = Some(key.as_bytes());
            let before = rank(&mut *with, key, &all);
            let after = rank(&mut *without, key, &fewer);
            let rest: Vec<_> = before.iter().copied().filter(|id| *id != gone).collect();
            prop_assert_eq!(&after, &rest, "the order of the others stays");
            prop_assert_eq!(rank(&mut *with, key, &down), rest, "down moves as little as gone");
        }
        without.reconfigure(&servers(&all));
        prop_assert_eq!(rank(&mut *without, Some(b"x"), &all), rank(&mut *with, Some(b"x"), &all));
    }
}

#[test]
fn weights_are_spread_smoothly() {
    let candidates = [ready(0, 5), ready(1, 1), ready(2, 1)];
    let mut balancer = balance::build(Balance::RoundRobin, &servers(&candidates));
    let order: Vec<_> = (0..7)
        .map(|_| rank(&mut *balancer, None, &candidates)[0].0)
        .collect();
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0], "nginx's published example");
}

#[test]
fn clients_with_an_answer_use_up_no_turn() {
    for kind in [Balance::RoundRobin, Balance::LeastConn] {
        let candidates = [ready(0, 1), ready(1, 1)];
        let mut balancer = balance::build(kind, &servers(&candidates));
        let mut firsts = Vec::new();
        for _ in 0..4 {
            firsts.push(rank(&mut *balancer, None, &candidates)[0].0);
            balancer.rank(client(Some(b"dev")), &candidates, &mut vec![BackendId(0)]);
        }
        assert_eq!(firsts, [0, 1, 0, 1], "{kind:?}");
    }
}

#[test]
fn the_share_of_an_unreachable_backend_spreads_over_the_others() {
    let mut candidates = [ready(0, 1), ready(1, 1), ready(2, 2)];
    let mut balancer = balance::build(Balance::RoundRobin, &servers(&candidates));
    for _ in 0..400 {
        let ranked = rank(&mut *balancer, None, &candidates);
        let taken = ranked.into_iter().find(|id| id.0 != 0).unwrap();
        candidates[taken.0 as usize].connections += 1;
    }
    let [_, one, two] = candidates.map(|c| c.connections);
    assert!(
        (132..=134).contains(&one) && (266..=268).contains(&two),
        "{one} and {two}"
    );
}

#[test]
fn servers_that_share_an_address_are_all_ranked() {
    let candidates = [ready(0, 1), ready(1, 1), ready(2, 1)];
    let mut twins = servers(&candidates);
    twins[2].address = twins[0].address;
    let mut balancer = balance::build(Balance::Hash, &twins);
    let mut ranked = rank(&mut *balancer, Some(b"dev"), &candidates);
    assert_eq!(ranked.pop(), Some(BackendId(2)));
    ranked.sort();
    assert_eq!(ranked, [BackendId(0), BackendId(1)]);
}

#[test]
fn the_hash_without_a_key_takes_turns() {
    let candidates = [ready(0, 1), ready(1, 2)];
    let mut balancer = balance::build(Balance::Hash, &servers(&candidates));
    let mut picks = BTreeMap::new();
    for _ in 0..30 {
        *picks
            .entry(rank(&mut *balancer, None, &candidates)[0].0)
            .or_insert(0) += 1;
    }
    assert_eq!(picks, BTreeMap::from([(0, 10), (1, 20)]));
}

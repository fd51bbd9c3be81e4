//! Whatever happens, in any order: in the end all tables say the same, and what is newest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mqtt_lb_user::share::Version;
use proptest::prelude::*;

use crate::node::{BACKENDS, Node, deliver, settle};
use crate::redis::Redis;

#[derive(Debug, Clone)]
enum Event {
    Client {
        node: usize,
        key: u8,
        backend: usize,
    },
    Home {
        node: usize,
        key: u8,
        backend: usize,
    },
    Remove {
        node: usize,
        key: u8,
    },
    ClearBackend {
        node: usize,
        backend: usize,
    },
    ClearAll {
        node: usize,
    },
    Step {
        node: usize,
    },
    LoseAnswer {
        node: usize,
    },
    Lose {
        node: usize,
    },
    /// Messages did not fit into the inbox.
    Miss {
        node: usize,
    },
    /// Redis restarts without its data.
    Wipe,
    Wait {
        millis: u64,
    },
}

impl Event {
    fn removes(&self) -> bool {
        matches!(
            self,
            Event::Remove { .. } | Event::ClearBackend { .. } | Event::ClearAll { .. }
        )
    }
}

const NODES: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let (node, key, backend) = (0..NODES, 0..6_u8, 0..BACKENDS.len());
    let keyed = (node.clone(), key, backend);
    prop_oneof![
        8 => keyed.clone().prop_map(|(node, key, backend)| Event::Client { node, key, backend }),
        1 => keyed.clone().prop_map(|(node, key, backend)| Event::Home { node, key, backend }),
        1 => keyed.clone().prop_map(|(node, key, _)| Event::Remove { node, key }),
        1 => keyed.prop_map(|(node, _, backend)| Event::ClearBackend { node, backend }),
        1 => node.clone().prop_map(|node| Event::ClearAll { node }),
        20 => node.clone().prop_map(|node| Event::Step { node }),
        1 => node.clone().prop_map(|node| Event::LoseAnswer { node }),
        1 => node.clone().prop_map(|node| Event::Lose { node }),
        1 => node.prop_map(|node| Event::Miss { node }),
        1 => Just(Event::Wipe),
        5 => (0..500_u64).prop_map(|millis| Event::Wait { millis }),
    ]
}

fn run(events: &[Event], ahead: [u64; NODES], limit: usize) -> Result<(), TestCaseError> {
    let mut now = Instant::now();
    let mut redis = Redis::default();
    let mut nodes: Vec<Node> = (0..)
        .zip(ahead)
        .map(|(n, ahead)| Node::new(n, now, Duration::from_millis(ahead), limit))
        .collect();
    let mut newest: BTreeMap<u8, Version> = BTreeMap::new();
    let removals = events.iter().any(Event::removes);
    for event in events {
        match *event {
            Event::Client { node, key, backend } => {
                nodes[node].set(now, &[key], BACKENDS[backend]);
                let (.., version) = nodes[node].seen(now, &[key]).expect("an entry");
                let known = newest.entry(key).or_default();
                *known = version.max(*known);
            }
            Event::Home { node, key, backend } => {
                let home = nodes[node].id(BACKENDS[backend]);
                nodes[node].table.set_home(now, &[key], home);
                if let Some((.., version)) = nodes[node].seen(now, &[key]) {
                    newest.insert(key, version.max(newest[&key]));
                }
            }
            Event::Remove { node, key } => {
                nodes[node].table.remove(now, &[key]);
            }
            Event::ClearBackend { node, backend } => {
                let backend = nodes[node].id(BACKENDS[backend]);
                nodes[node].table.tell(now);
                nodes[node].table.clear_backend(backend);
            }
            Event::ClearAll { node } => {
                nodes[node].table.tell(now);
                nodes[node].table.clear();
            }
            Event::Step { node } => {
                nodes[node].step(now, &mut redis);
                deliver(&mut redis, &mut nodes);
            }
            Event::LoseAnswer { node } => {
                nodes[node].lose_answer(now, &mut redis);
                deliver(&mut redis, &mut nodes);
            }
            Event::Lose { node } => nodes[node].lose(),
            Event::Miss { node } => {
                nodes[node].inbox.clear();
                nodes[node].replica.missed();
            }
            Event::Wipe => {
                redis = Redis::default();
                nodes.iter_mut().for_each(Node::lose);
            }
            Event::Wait { millis } => now += Duration::from_millis(millis),
        }
    }
    settle(now, &mut redis, &mut nodes);
    for (key, newest) in newest {
        let all: Vec<_> = nodes
            .iter_mut()
            .map(|node| node.seen(now, &[key]))
            .collect();
        // A clear also removes what was never told, and others go on with what was told before.
        let there: Vec<_> = all.iter().flatten().collect();
        prop_assert!(
            there.iter().all(|seen| *seen == there[0]),
            "key {key}: {all:?}"
        );
        if !removals {
            prop_assert_eq!(there.len(), NODES, "key {} is lost", key);
            prop_assert_eq!(there[0].2, newest, "key {} is old", key);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn all_come_to_say_the_same(
        events in prop::collection::vec(event(), 1..120),
        ahead in prop::array::uniform3(0..5_000_u64),
        limit in 1..8_usize,
    ) {
        run(&events, ahead, limit)?;
    }

    #[test]
    fn nothing_is_lost_where_nobody_removes(
        events in prop::collection::vec(event(), 1..120),
        ahead in prop::array::uniform3(0..5_000_u64),
        limit in 1..8_usize,
    ) {
        let events: Vec<_> = events.into_iter().filter(|event| !event.removes()).collect();
        run(&events, ahead, limit)?;
    }
}

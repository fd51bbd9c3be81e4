use super::*;
use crate::affinity::{RAMPED, Server, Sticky};
use crate::config::{Balance, Stick};

fn candidate(id: u32) -> Candidate {
    Candidate {
        id: BackendId(id),
        weight: 1,
        ramp: RAMPED,
        connections: 0,
        full: false,
        backup: false,
        usable: true,
        sticky_ok: true,
    }
}

fn affinity(balance: Balance, count: u32) -> Affinity {
    let server = |id: u32| Server {
        id: BackendId(id),
        address: ([192, 0, 2, id as u8], 1883).into(),
        weight: 1,
    };
    let servers: Vec<_> = (1..=count).map(server).collect();
    Affinity::new(balance, Some(Stick::default()), &servers)
}

fn client(key: &str) -> Client<'_> {
    Client {
        key: Some(key.as_bytes()),
        source: [192, 0, 2, 99].into(),
    }
}

/// Number, place and reason of every candidate.
fn reasons(explanation: &Explanation) -> Vec<(u32, Option<usize>, Reason)> {
    let verdicts = explanation.verdicts.iter();
    verdicts
        .map(|v| (v.candidate.id.0, v.place, v.reason))
        .collect()
}

#[test]
fn every_candidate_has_its_reason() {
    let now = Instant::now();
    let mut affinity = affinity(Balance::RoundRobin, 6);
    affinity.settle(now, Some(b"known"), BackendId(3));
    let candidates = [
        candidate(1),
        Candidate {
            full: true,
            ..candidate(2)
        },
        Candidate {
            usable: false,
            ..candidate(3)
        },
        Candidate {
            usable: false,
            sticky_ok: false,
            ..candidate(4)
        },
        Candidate {
            weight: 0,
            ..candidate(5)
        },
        Candidate {
            backup: true,
            ..candidate(6)
        },
    ];
    let known = affinity.explain(now, client("known"), &candidates);
    assert_eq!(
        reasons(&known),
        [
            (3, Some(0), Reason::Entry),
            (1, Some(1), Reason::Balance),
            (6, Some(2), Reason::Backup),
            (2, Some(3), Reason::Full),
            (4, None, Reason::Closed),
            (5, None, Reason::Weightless),
        ]
    );
    assert_eq!(known.entry.as_ref().map(|e| e.home), Some(BackendId(3)));
    let new = affinity.explain(now, client("new"), &candidates);
    assert_eq!(new.entry, None);
    assert_eq!(reasons(&new)[0], (1, Some(0), Reason::Balance));
    assert!(reasons(&new).contains(&(3, None, Reason::Closed)));
    assert_eq!(new.outcome(false), Outcome::Taken(BackendId(1)));
}

#[test]
fn it_says_what_the_decision_then_is_and_changes_nothing() {
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConn,
        Balance::Random,
        Balance::Source,
        Balance::Hash,
    ] {
        let begin = Instant::now();
        let mut affinity = affinity(balance, 4);
        let candidates: Vec<_> = (1..=4).map(candidate).collect();
        let mut out = Vec::new();
        for n in 0..40 {
            let now = begin + std::time::Duration::from_secs(n);
            let key = format!("c{}", n % 25);
            let entries = |affinity: &Affinity| {
                let table = affinity.table().expect("a table");
                table.page(now, crate::affinity::Cursor::default(), 100).0
            };
            let before = entries(&affinity);
            let explained = affinity.explain(now, client(&key), &candidates);
            for n in 0..3 {
                let _ = affinity.explain(now, client(&format!("other{n}")), &candidates);
            }
            assert_eq!(affinity.explain(now, client(&key), &candidates), explained);
            assert_eq!(entries(&affinity), before, "{balance:?}");
            affinity.route(now, client(&key), &candidates, &mut out);
            let said = explained.verdicts.iter().filter(|v| v.place.is_some());
            let said: Vec<_> = said.map(|verdict| verdict.candidate.id).collect();
            assert_eq!(said, out, "{balance:?} {n}");
            assert_ne!(
                affinity.settle(now, Some(key.as_bytes()), out[0]),
                Sticky::None
            );
        }
    }
}

#[test]
fn who_has_an_entry_waits_for_its_own_backend() {
    let now = Instant::now();
    let mut affinity = affinity(Balance::RoundRobin, 2);
    affinity.settle(now, Some(b"known"), BackendId(1));
    let full = |id| Candidate {
        full: true,
        ..candidate(id)
    };
    let own_full = [full(1), candidate(2)];
    let known = affinity.explain(now, client("known"), &own_full);
    assert_eq!(known.outcome(true), Outcome::Waits(Some(BackendId(1))));
    assert_eq!(known.outcome(false), Outcome::Taken(BackendId(2)));
    let all_full = affinity.explain(now, client("new"), &[full(1), full(2)]);
    assert_eq!(all_full.outcome(true), Outcome::Waits(None));
    assert_eq!(all_full.outcome(false), Outcome::Full);
    let nobody = affinity.explain(now, client("new"), &[]);
    assert_eq!(nobody.outcome(true), Outcome::Nobody);
}

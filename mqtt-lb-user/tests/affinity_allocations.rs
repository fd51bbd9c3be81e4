//! Routing a client that is known allocates nothing once its buffers have grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::{
    Affinity, BackendId, Candidate, Client, Policy, RAMPED, Server, Sticky,
};
use mqtt_lb_user::config::{Balance, Stick};

fn client(key: Option<&[u8]>) -> Client<'_> {
    Client {
        key,
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above; `at` came from `alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn routing_allocates_nothing() {
    let now = Instant::now();
    let ids: Vec<_> = (0..50).map(BackendId).collect();
    let servers: Vec<_> = ids
        .iter()
        .map(|&id| Server {
            id,
            address: ([10, 0, 0, id.0 as u8], 1883).into(),
            weight: 2,
        })
        .collect();
    let candidates: Vec<_> = ids
        .iter()
        .map(|&id| Candidate {
            id,
            weight: 2,
            ramp: RAMPED,
            connections: 1,
            full: false,
            backup: false,
            usable: true,
            sticky_ok: true,
        })
        .collect();
    let stick = Stick {
        size: 100,
        expire: Duration::from_secs(60),
        nopurge: false,
    };
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConn,
        Balance::Random,
        Balance::Source,
        Balance::Hash,
    ] {
        let policy = Policy {
            balance,
            bounded_load: Some(125),
        };
        let mut affinity = Affinity::new(policy, Some(stick), &servers);
        let mut out = Vec::new();
        // Without a key, unknown, and known.
        let mut all = |settle: bool| {
            for key in [None, Some(&b"unknown"[..]), Some(b"known")] {
                affinity.route(now, client(key), &candidates, &mut out);
                assert_eq!(out.len(), 50);
            }
            if settle {
                affinity.settle(now, Some(b"known"), out[0])
            } else {
                Sticky::None
            }
        };
        assert_eq!(all(true), Sticky::New);
        let before = ALLOCATIONS.get();
        assert_eq!(all(true), Sticky::Hit);
        assert_eq!(all(false), Sticky::None);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{balance:?}");
        drop(vec![1_u8]);
        assert!(ALLOCATIONS.get() > before, "the count counts");
    }
}

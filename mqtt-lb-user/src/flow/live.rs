//! The flows that have their sockets: to be listed, and to be ended by an operator.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::PathKind;
use crate::session::End;

/// Parts of the registry, so that workers seldom meet.
const SHARDS: usize = 16;

/// All flows with sockets.
#[derive(Default)]
pub struct Live {
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, Arc<LiveFlow>>>; SHARDS],
}

/// One flow with its sockets.
pub struct LiveFlow {
    /// The client's address.
    pub client: SocketAddr,
    /// The backend's address.
    pub backend: SocketAddr,
    /// [`crate::datapath::backend_tag`] of the backend.
    pub tag: u32,
    /// The client id of its CONNECT; [`LiveFlow::name`] knows more.
    pub client_id: Vec<u8>,
    /// When the client was accepted.
    pub accepted: Instant,
    assigned: OnceLock<Box<[u8]>>,
    path: AtomicU8,
    bytes: [AtomicU64; 2],
    last_ms: AtomicU64,
    verdict: AtomicU8,
    idle_ms: AtomicU64,
    ended: Notify,
}

impl LiveFlow {
    /// A flow on the copy path.
    pub(super) fn new(
        client: SocketAddr,
        backend: SocketAddr,
        tag: u32,
        client_id: &[u8],
        accepted: Instant,
    ) -> Self {
        Self {
            client,
            backend,
            tag,
            client_id: client_id.to_vec(),
            accepted,
            assigned: OnceLock::new(),
            path: AtomicU8::new(PathKind::Copy as u8),
            bytes: Default::default(),
            last_ms: AtomicU64::new(0),
            verdict: AtomicU8::new(0),
            idle_ms: AtomicU64::new(0),
            ended: Notify::new(),
        }
    }

    /// The client's id: its own, or the one its broker has given it.
    pub fn name(&self) -> &[u8] {
        self.assigned.get().map_or(&self.client_id, |id| id)
    }

    /// The broker has given the client an id.
    pub(super) fn assign(&self, id: &[u8]) {
        // A CONNACK comes once.
        let _ = self.assigned.set(id.into());
    }

    /// The path it is on.
    pub fn path(&self) -> PathKind {
        match self.path.load(Relaxed) {
            path if path == PathKind::Sockmap as u8 => PathKind::Sockmap,
            _ => PathKind::Copy,
        }
    }

    pub(super) fn on_path(&self, path: PathKind) {
        self.path.store(path as u8, Relaxed);
    }

    /// Bytes that have come from the client and from the backend, as far as userspace
    /// knows.
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|i| self.bytes[i].load(Relaxed))
    }

    /// When bytes were seen last.
    pub fn last(&self) -> Instant {
        self.accepted + Duration::from_millis(self.last_ms.load(Relaxed))
    }

    pub(super) fn account(&self, bytes: [u64; 2]) {
        if self.bytes() == bytes {
            return;
        }
        for (counter, bytes) in self.bytes.iter().zip(bytes) {
            counter.store(bytes, Relaxed);
        }
        self.seen(self.accepted.elapsed());
    }

    /// Ends the flow: both sides are reset.
    pub fn end(&self, end: End) {
        let code = if end == End::BackendDown { 2 } else { 1 };
        self.verdict.store(code, Relaxed);
        self.ended.notify_one();
    }

    /// Ends the flow for the sake of a move of its id if it has been silent for `idle`.
    pub fn end_idle(&self, idle: Duration) {
        if self.last().elapsed() >= idle {
            let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
            self.idle_ms.store(idle, Relaxed);
            // Who has been ended for good stays so.
            let _ = self.verdict.compare_exchange(0, 3, Relaxed, Relaxed);
            self.ended.notify_one();
        }
    }

    /// Takes [`LiveFlow::end_idle`] back when only its sockets know that it is not silent:
    /// `silence` is the time since their last byte.
    pub(super) fn is_spared(&self, end: End, silence: Option<Duration>) -> bool {
        let idle = Duration::from_millis(self.idle_ms.load(Relaxed));
        let Some(silence) = silence.filter(|silence| end == End::Rebalanced && *silence < idle)
        else {
            return false;
        };
        self.seen(self.accepted.elapsed().saturating_sub(silence));
        self.verdict
            .compare_exchange(3, 0, Relaxed, Relaxed)
            .is_ok()
    }

    /// Bytes were seen at this age.
    fn seen(&self, age: Duration) {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(age, Relaxed);
    }

    /// Waits until somebody ends it.
    pub(super) async fn condemned(&self) -> End {
        loop {
            match self.verdict.load(Relaxed) {
                0 => self.ended.notified().await,
                2 => return End::BackendDown,
                3 => return End::Rebalanced,
                _ => return End::Killed,
            }
        }
    }
}

impl Live {
    /// Enters a flow until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>, flow: LiveFlow) -> Entered {
        let id = self.next.fetch_add(1, Relaxed);
        let flow = Arc::new(flow);
        self.shard(id).insert(id, flow.clone());
        Entered {
            live: self.clone(),
            id,
            flow,
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<LiveFlow>> {
        let shards = 0..SHARDS as u64;
        shards
            .flat_map(|i| self.shard(i).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<LiveFlow>>> {
        let shard = &self.shards[id as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flow's place in the registry.
pub(super) struct Entered {
    live: Arc<Live>,
    id: u64,
    pub(super) flow: Arc<LiveFlow>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.shard(self.id).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> LiveFlow {
        let address = "192.0.2.1:1883".parse().unwrap();
        LiveFlow::new(address, address, 7, b"c0", Instant::now())
    }

    #[test]
    fn a_flow_is_listed_while_it_lives() {
        let live = Arc::new(Live::default());
        let entered = live.enter(flow());
        entered.flow.account([3, 4]);
        entered.flow.on_path(PathKind::Sockmap);
        let all = live.all();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].bytes(), all[0].path()), ([3, 4], PathKind::Sockmap));
        drop(entered);
        assert!(live.all().is_empty());
    }

    #[test]
    fn an_assigned_id_takes_the_place_of_the_clients_own() {
        let flow = flow();
        assert_eq!(flow.name(), b"c0");
        flow.assign(b"auto-1");
        assert_eq!(flow.name(), b"auto-1");
    }

    #[tokio::test]
    async fn a_flow_learns_who_ends_it_even_before_it_asks() {
        let live = Arc::new(Live::default());
        let entered = live.enter(flow());
        live.all()[0].end(End::BackendDown);
        assert_eq!(entered.flow.condemned().await, End::BackendDown);
        let other = live.enter(flow());
        other.flow.end(End::Killed);
        assert_eq!(other.flow.condemned().await, End::Killed);
    }

    #[tokio::test]
    async fn an_idle_flow_is_ended_unless_its_sockets_say_that_it_is_not() {
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        let flow = flow();
        flow.end_idle(long);
        assert_eq!(flow.verdict.load(Relaxed), 0, "not idle for an hour");
        flow.end_idle(short);
        let end = flow.condemned().await;
        assert_eq!(end, End::Rebalanced);
        assert!(!flow.is_spared(end, Some(short)));
        flow.idle_ms.store(1000, Relaxed);
        assert!(
            !flow.is_spared(end, None),
            "nothing is known of the sockets"
        );
        assert!(flow.is_spared(end, Some(short)));
        flow.end_idle(short);
        flow.end(End::Killed);
        assert!(!flow.is_spared(flow.condemned().await, Some(short)));
    }
}

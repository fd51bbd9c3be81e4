//! How many flows each id has now.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::number::Numbered;

/// Parts of the map, so that workers seldom meet.
const SHARDS: usize = 16;

/// The flows of one id.
#[derive(Debug, Clone, Copy, Default)]
struct Flows {
    with_sockets: u32,
    without: u32,
    /// The name ([`crate::datapath::Standing::id`]) of the last one without sockets.
    last: u64,
}

impl Flows {
    fn none(self) -> bool {
        self.with_sockets + self.without == 0
    }
}

/// All ids that have flows: as many as connections, 24 bytes each and the map's slack.
#[derive(Debug, Default)]
pub(super) struct Live([Mutex<HashMap<u64, Flows, Numbered>>; SHARDS]);

impl Live {
    /// Whether the id has a flow that is not `closing`. Only the name of a flow without
    /// sockets is asked about: nobody tells when such a flow begins to close.
    pub(super) fn has(&self, id: u64, closing: impl FnOnce(u64) -> bool) -> bool {
        let flows = self.shard(id).get(&id).copied().unwrap_or_default();
        flows.with_sockets > 0 || flows.without > 0 && !closing(flows.last)
    }

    /// The id has one more flow, with sockets.
    pub(super) fn enter(&self, id: u64) {
        self.shard(id).entry(id).or_default().with_sockets += 1;
    }

    /// One of its flows has lost its sockets and is called `name`.
    pub(super) fn dissolve(&self, id: u64, name: u64) {
        let mut shard = self.shard(id);
        let flows = shard.entry(id).or_default();
        flows.with_sockets = flows.with_sockets.saturating_sub(1);
        flows.without += 1;
        flows.last = name;
    }

    /// One of its flows is over.
    pub(super) fn leave(&self, id: u64, with_sockets: bool) {
        let mut shard = self.shard(id);
        if let Entry::Occupied(mut entry) = shard.entry(id) {
            let flows = entry.get_mut();
            let count = match with_sockets {
                true => &mut flows.with_sockets,
                false => &mut flows.without,
            };
            *count = count.saturating_sub(1);
            if flows.none() {
                entry.remove();
            }
        }
    }

    /// Ids that have flows.
    pub(super) fn len(&self) -> usize {
        (0..SHARDS as u64).map(|i| self.shard(i).len()).sum()
    }

    /// Bytes of the map, with its room.
    pub(super) fn memory_bytes(&self) -> usize {
        let entry = size_of::<(u64, Flows)>() + 1;
        let room = (0..SHARDS as u64).map(|i| self.shard(i).capacity());
        // The map keeps an eighth of its places empty.
        room.map(|room| room * 8 / 7 * entry).sum()
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Flows, Numbered>> {
        let shard = &self.0[id as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(_: u64) -> bool {
        unreachable!("it has sockets, or no flow at all")
    }

    #[test]
    fn an_id_is_live_as_long_as_one_of_its_flows() {
        let live = Live::default();
        assert!(!live.has(1, never));
        live.enter(1);
        live.enter(1);
        assert!(live.has(1, never) && !live.has(17, never));
        live.leave(1, true);
        assert!(live.has(1, never));
        live.leave(1, true);
        assert!(!live.has(1, never));
        assert_eq!(live.len(), 0, "nothing is left of it");
    }

    #[test]
    fn a_flow_without_sockets_counts_until_it_closes() {
        let live = Live::default();
        live.enter(1);
        live.dissolve(1, 77);
        assert!(live.has(1, |name| name != 77));
        assert!(!live.has(1, |name| name == 77));
        live.enter(1);
        assert!(live.has(1, never), "the new one has sockets");
        live.leave(1, false);
        live.leave(1, true);
        assert_eq!(live.len(), 0);
    }
}

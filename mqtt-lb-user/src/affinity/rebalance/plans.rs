//! Moves under way: planned when a client was routed, or when its connection was
//! closed, and not settled yet.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::{Kind, Move};
use crate::affinity::BackendId;

/// Time for the client to come to its new backend: an MQTT client backs off for up to
/// half a minute or so.
const LIFE: Duration = Duration::from_secs(60);

/// Plans at most, some 6 MB. More than that are only under way at rates above a thousand.
const MOST: usize = 64 << 10;

/// A move under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The move.
    pub planned: Move,
    /// The id's home before.
    pub home: BackendId,
    /// Its connection is closed for it.
    pub closing: bool,
}

/// Plans by key.
///
/// Keys are known by a hash of theirs with a random seed: a plan has one size whatever
/// the client's id. Two that met would only move a client that need not have moved.
#[derive(Debug, Default)]
pub(super) struct Plans {
    hasher: RandomState,
    plans: HashMap<u64, (Plan, Instant)>,
    /// In the order of their time; some may be gone or planned anew.
    order: VecDeque<(Instant, u64)>,
    /// Ids that backends will have as their home, more or fewer than now.
    shift: HashMap<BackendId, isize>,
}

impl Plans {
    /// The plan for a key.
    pub fn get(&self, now: Instant, key: &[u8]) -> Option<Plan> {
        let plan = self.plans.get(&self.hasher.hash_one(key)).copied();
        plan.filter(|(_, at)| !is_over(now, *at))
            .map(|(plan, _)| plan)
    }

    /// Whether there is room for one more.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.expire(now);
        self.order.len() < MOST
    }

    /// Adds a plan for a key, in the place of one that is over.
    pub fn add(&mut self, now: Instant, key: &[u8], plan: Plan) {
        let hash = self.hasher.hash_one(key);
        self.remove(hash);
        self.order.push_back((now, hash));
        self.shift(plan.planned, plan.home, 1);
        self.plans.insert(hash, (plan, now));
    }

    /// Takes the plan for a key out.
    pub fn take(&mut self, key: &[u8]) -> Option<Plan> {
        self.remove(self.hasher.hash_one(key))
    }

    /// How many ids a backend will have more, or fewer, when all is settled.
    pub fn coming(&self, id: BackendId) -> isize {
        self.shift.get(&id).copied().unwrap_or(0)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((at, hash)) = self.order.front().copied() {
            if !is_over(now, at) {
                return;
            }
            self.order.pop_front();
            if self.plans.get(&hash).is_some_and(|(_, since)| *since == at) {
                self.remove(hash);
            }
        }
    }

    fn remove(&mut self, hash: u64) -> Option<Plan> {
        let (plan, _) = self.plans.remove(&hash)?;
        self.shift(plan.planned, plan.home, -1);
        Some(plan)
    }

    fn shift(&mut self, planned: Move, home: BackendId, sign: isize) {
        if planned.kind == Kind::Over {
            *self.shift.entry(planned.to).or_default() += sign;
            *self.shift.entry(home).or_default() -= sign;
            self.shift.retain(|_, more| *more != 0);
        }
    }
}

fn is_over(now: Instant, planned: Instant) -> bool {
    now.saturating_duration_since(planned) >= LIFE
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Move = Move {
        kind: Kind::Home,
        to: BackendId(1),
    };
    const OVER: Move = Move {
        kind: Kind::Over,
        to: BackendId(1),
    };

    fn plan(planned: Move, home: BackendId) -> Plan {
        let closing = false;
        Plan {
            planned,
            home,
            closing,
        }
    }

    fn planned(plans: &Plans, now: Instant, key: &[u8]) -> Option<Move> {
        plans.get(now, key).map(|plan| plan.planned)
    }

    #[test]
    fn a_plan_is_for_one_key_and_some_time() {
        let now = Instant::now();
        let mut plans = Plans::default();
        plans.add(now, b"a", plan(HOME, BackendId(1)));
        assert_eq!(planned(&plans, now, b"a"), Some(HOME));
        assert_eq!(planned(&plans, now, b"b"), None);
        assert_eq!(plans.take(b"a").map(|plan| plan.planned), Some(HOME));
        plans.add(now + LIFE / 2, b"a", plan(OVER, BackendId(2)));
        assert_eq!(planned(&plans, now + LIFE, b"a"), Some(OVER));
        assert_eq!(planned(&plans, now + LIFE * 3 / 2, b"a"), None);
        assert_eq!(plans.coming(BackendId(1)), 1, "until room is made");
        plans.has_room(now + LIFE * 3 / 2);
        assert_eq!(plans.coming(BackendId(1)), 0);
        assert_eq!(plans.take(b"a"), None);
    }

    #[test]
    fn what_is_coming_is_known_until_it_has_come_or_will_not() {
        let now = Instant::now();
        let (one, two) = (BackendId(1), BackendId(2));
        let mut plans = Plans::default();
        plans.add(now, b"a", plan(OVER, two));
        plans.add(now, b"b", plan(OVER, two));
        plans.add(now, b"c", plan(HOME, one));
        assert_eq!((plans.coming(one), plans.coming(two)), (2, -2));
        plans.take(b"a");
        assert_eq!((plans.coming(one), plans.coming(two)), (1, -1));
        assert!(plans.has_room(now + LIFE));
        assert_eq!((plans.coming(one), plans.coming(two)), (0, 0));
    }

    #[test]
    fn there_is_room_for_so_many_and_old_ones_make_way() {
        let now = Instant::now();
        let mut plans = Plans::default();
        for n in 0..MOST {
            assert!(plans.has_room(now));
            plans.add(now, &n.to_be_bytes(), plan(HOME, BackendId(1)));
        }
        assert!(!plans.has_room(now));
        assert!(plans.has_room(now + LIFE));
        assert!(plans.plans.is_empty());
    }
}

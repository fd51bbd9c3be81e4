//! Bounded load, as HAProxy's `hash-balance-factor` counts it.
//!
//! There are as many slots as connections, with the one to come, times the factor.
//! Each backend gets its share of them, which is whole and at least one; the roundings
//! follow the order of the backends, so that the shares add up and someone always has
//! a slot left.

use super::super::Candidate;

/// The slots of one choice.
pub(super) struct Bound {
    slots: u128,
    shares: u128,
    /// Shares of those that have been asked for.
    before: u128,
}

impl Bound {
    /// The slots of these backends when one more client comes; `percent` of the mean
    /// load is a backend's bound.
    pub fn new<'a>(percent: u32, among: impl Iterator<Item = &'a Candidate>) -> Self {
        let mut bound = Self {
            slots: 1,
            shares: 0,
            before: 0,
        };
        for candidate in among {
            bound.slots += u128::from(candidate.connections);
            bound.shares += u128::from(candidate.share());
        }
        bound.slots = (bound.slots * u128::from(percent)).div_ceil(100);
        bound
    }

    /// Whether the next one of the backends has a slot left. They have to be asked for
    /// in the same order each time, and each once.
    pub fn next_has_room(&mut self, candidate: &Candidate) -> bool {
        let upto = |share: u128| share * self.slots / self.shares.max(1);
        let after = self.before + u128::from(candidate.share());
        let slots = (upto(after) - upto(self.before)).max(1);
        self.before = after;
        u128::from(candidate.connections) < slots
    }
}

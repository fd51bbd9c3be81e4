//! The whole order: the balance within tiers.

use super::bound::Bound;
use super::{Balancer, Policy, build};
use crate::affinity::{BackendId, Candidate, Client, Server};

/// Which of a pool's backends come before which others, whatever the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::affinity) enum Tier {
    /// They take the client.
    Open,
    /// Over the bound of the load: better than a backup, and than nobody.
    Loaded,
    /// Used when no other one takes the client.
    Backup,
    /// The same, over the bound of the backups' load.
    LoadedBackup,
    /// They cannot take it now; one of them may when the client gets there.
    Full,
}

impl Tier {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Loaded,
        Self::Backup,
        Self::LoadedBackup,
        Self::Full,
    ];
}

/// A pool's balance, with its bound.
pub struct Ranking {
    policy: Policy,
    balancer: Box<dyn Balancer>,
    /// Scratch: each candidate's tier, and the candidates of one.
    tiers: Vec<Tier>,
    within: Vec<Candidate>,
}

impl Ranking {
    /// The ranking of these servers.
    #[must_use]
    pub fn new(policy: Policy, servers: &[Server]) -> Self {
        Self {
            policy,
            balancer: build(policy.balance, servers),
            tiers: Vec::new(),
            within: Vec::new(),
        }
    }

    /// Takes over a changed configuration; what is known of the servers that are still
    /// there stays, unless the balance is another one.
    pub fn reconfigure(&mut self, policy: Policy, servers: &[Server]) {
        if policy.balance == self.policy.balance {
            self.balancer.reconfigure(servers);
        } else {
            self.balancer = build(policy.balance, servers);
        }
        self.policy = policy;
    }

    /// Follows changed weights.
    pub fn reweigh(&mut self, servers: &[Server]) {
        self.balancer.reconfigure(servers);
    }

    /// The tier of each candidate now.
    pub(in crate::affinity) fn tiers(&self, candidates: &[Candidate]) -> Vec<Tier> {
        let mut copy = self.fork();
        copy.sort(candidates);
        copy.tiers
    }

    /// A copy that will answer as this one would.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            policy: self.policy,
            balancer: self.balancer.fork(),
            tiers: Vec::new(),
            within: Vec::new(),
        }
    }

    /// Appends to `out` every candidate that takes new clients and is not in `out`
    /// yet, best first.
    pub fn rank(&mut self, client: Client<'_>, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        self.sort(candidates);
        for tier in Tier::ALL {
            let tiers = candidates.iter().zip(&self.tiers);
            self.within.clear();
            self.within
                .extend(tiers.filter(|(_, of)| **of == tier).map(|(c, _)| *c));
            if !self.within.is_empty() {
                self.balancer.rank(client, &self.within, out);
            }
        }
    }

    fn sort(&mut self, candidates: &[Candidate]) {
        let bound = |backup| {
            let percent = self.policy.bounded_load?;
            let among = candidates.iter().filter(move |c| counts(c, backup));
            Some(Bound::new(percent, among))
        };
        let mut bounds = [false, true].map(bound);
        self.tiers.clear();
        self.tiers.extend(candidates.iter().map(|candidate| {
            let loaded = match &mut bounds[usize::from(candidate.backup)] {
                Some(bound) if counts(candidate, candidate.backup) => {
                    !bound.next_has_room(candidate)
                }
                _ => false,
            };
            match (candidate.full, candidate.backup, loaded) {
                (true, _, _) => Tier::Full,
                (false, false, false) => Tier::Open,
                (false, false, true) => Tier::Loaded,
                (false, true, false) => Tier::Backup,
                (false, true, true) => Tier::LoadedBackup,
            }
        }));
    }
}

/// Whether a backend's load is part of the mean.
fn counts(candidate: &Candidate, backup: bool) -> bool {
    candidate.backup == backup && candidate.takes_new_clients()
}

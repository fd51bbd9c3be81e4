//! Why a client goes where it goes: the decision of [`Affinity::preview`] with its
//! reasons, candidate by candidate. Nothing changes.

use std::time::Instant;

use super::balance::Tier;
use super::{Affinity, BackendId, Candidate, Client, Row};

/// Why a candidate has its place in the order, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The client is to move there: back home, or over to a backend with too few.
    Moves,
    /// The stick table's entry leads there.
    Entry,
    /// The balance ranks it there.
    Balance,
    /// The same, behind those within the bound of the load.
    Loaded,
    /// The same, behind those that are no backups.
    Backup,
    /// It has as many clients as it may have.
    Full,
    /// Not taken: it is down or in maintenance, or left only to clients of the table.
    Closed,
    /// Not taken: new clients do not go to a backend of weight 0.
    Weightless,
}

/// One candidate's part in the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What was known of it.
    pub candidate: Candidate,
    /// Its place in the order, from 0; `None` when it is not tried.
    pub place: Option<usize>,
    /// Why.
    pub reason: Reason,
}

/// A decision that was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The client's entry in the stick table.
    pub entry: Option<Row>,
    /// Every candidate: those that would be tried first, in that order.
    pub verdicts: Vec<Verdict>,
}

/// What becomes of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This backend gets its CONNECT.
    Taken(BackendId),
    /// It waits for a place on this backend, or on any.
    Waits(Option<BackendId>),
    /// Every backend is full, and there is no queue.
    Full,
    /// No backend takes it.
    Nobody,
}

impl Affinity {
    /// Explains where the client would go now.
    #[must_use]
    pub fn explain(
        &self,
        now: Instant,
        client: Client<'_>,
        candidates: &[Candidate],
    ) -> Explanation {
        let order = self.preview(now, client, candidates);
        let named = self.table().zip(client.name());
        let moves = named.and_then(|(_, key)| self.would_move(now, key, candidates));
        let entry = named.and_then(|(table, key)| table.entry(now, key));
        let tiers = self.tiers(candidates);
        let verdict = |(candidate, tier): (&Candidate, Tier)| Verdict {
            candidate: *candidate,
            place: order.iter().position(|id| *id == candidate.id),
            reason: match tier {
                _ if moves == Some(candidate.id) => Reason::Moves,
                _ if !order.contains(&candidate.id) => not_tried(candidate),
                Tier::Full => Reason::Full,
                _ if entry.as_ref().is_some_and(|e| e.backend == candidate.id) => Reason::Entry,
                Tier::Open => Reason::Balance,
                Tier::Loaded => Reason::Loaded,
                Tier::Backup | Tier::LoadedBackup => Reason::Backup,
            },
        };
        let mut verdicts: Vec<_> = candidates.iter().zip(tiers).map(verdict).collect();
        verdicts.sort_by_key(|verdict| verdict.place.unwrap_or(usize::MAX));
        Explanation { entry, verdicts }
    }
}

fn not_tried(candidate: &Candidate) -> Reason {
    if candidate.usable {
        Reason::Weightless
    } else {
        Reason::Closed
    }
}

impl Explanation {
    /// What becomes of the client in a pool that has a queue, or none. Whoever has an
    /// entry waits for its own backend, others for the first place.
    #[must_use]
    pub fn outcome(&self, queue: bool) -> Outcome {
        let tried = self.verdicts.iter().filter(|v| v.place.is_some());
        let tried: Vec<_> = tried.map(|verdict| verdict.candidate).collect();
        let own = self.entry.as_ref().map(|entry| entry.backend);
        let own = own.filter(|id| tried.iter().any(|c| c.id == *id));
        let behind = tried.iter().position(|c| queue && Some(c.id) == own);
        let choices = behind.map_or(&tried[..], |at| &tried[..=at]);
        match choices.iter().find(|candidate| !candidate.full) {
            Some(candidate) => Outcome::Taken(candidate.id),
            None if tried.is_empty() => Outcome::Nobody,
            None if queue => Outcome::Waits(own),
            None => Outcome::Full,
        }
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;

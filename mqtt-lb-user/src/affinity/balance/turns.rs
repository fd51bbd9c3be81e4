//! Taking turns: nginx's smooth weighted round robin, and the order behind it.
//!
//! Each time, every entrant's standing rises by its weight; the highest is
//! chosen and pays the sum. Over a full cycle each gets exactly its share, and
//! never in one lump (weights 5, 1, 1 give a a b a c a a).

use std::cmp::{Ordering, Reverse};

use crate::affinity::{BackendId, Candidate, Server};

/// Who is due, and how much.
#[derive(Clone, Default)]
pub(super) struct Turns {
    /// Sorted by id. One per backend ever chosen from, pruned on reload.
    standings: Vec<(BackendId, i64)>,
    /// Scratch of [`Turns::rest`].
    rest: Vec<(Candidate, i64)>,
}

impl Turns {
    /// The entrant whose turn it is; the first of equals.
    pub fn pick<'a>(&mut self, entrants: impl Iterator<Item = &'a Candidate>) -> Option<BackendId> {
        let mut total = 0;
        let mut best: Option<(BackendId, i64)> = None;
        for candidate in entrants {
            let weight = candidate.share() as i64;
            let standing = self.standing(candidate.id);
            *standing += weight;
            total += weight;
            if best.is_none_or(|(_, highest)| *standing > highest) {
                best = Some((candidate.id, *standing));
            }
        }
        let (id, _) = best?;
        *self.standing(id) -= total;
        Some(id)
    }

    /// Appends the candidates that take new clients and are not in `out` yet:
    /// fewest connections for their weight first, so that the share of a backend
    /// that cannot be reached spreads by itself; among equals whoever is due.
    pub fn rest(&mut self, candidates: &[Candidate], out: &mut Vec<BackendId>) {
        let mut rest = std::mem::take(&mut self.rest);
        rest.clear();
        for candidate in candidates {
            if candidate.takes_new_clients() && !out.contains(&candidate.id) {
                rest.push((*candidate, *self.standing(candidate.id)));
            }
        }
        rest.sort_unstable_by(|(a, a_due), (b, b_due)| {
            compare_load(a, b).then((Reverse(a_due), a.id).cmp(&(Reverse(b_due), b.id)))
        });
        out.extend(rest.iter().map(|(candidate, _)| candidate.id));
        self.rest = rest;
    }

    /// Forgets backends that have gone.
    pub fn reconfigure(&mut self, servers: &[Server]) {
        self.standings
            .retain(|(id, _)| servers.iter().any(|server| server.id == *id));
    }

    fn standing(&mut self, id: BackendId) -> &mut i64 {
        let at = match self.standings.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => at,
            Err(at) => {
                self.standings.insert(at, (id, 0));
                at
            }
        };
        &mut self.standings[at].1
    }
}

/// Compares connections per share, without rounding.
pub(super) fn compare_load(a: &Candidate, b: &Candidate) -> Ordering {
    let load = |x: &Candidate, y: &Candidate| u128::from(x.connections) * u128::from(y.share());
    load(a, b).cmp(&load(b, a))
}

//! The faster paths that one flow may take, best first.

use std::collections::VecDeque;
use std::time::Instant;

use super::{DataPath, Offload, Policy, Refusal, Route, Rule};
use crate::backend::dial::Tuning;
use crate::config::PathKind;
use crate::metrics::PathMetrics;

/// Source ports tried for one connection before it goes without one of ours.
const SOURCES: u32 = 16;

/// What is offered to a flow. The first one counts; when it refuses for good, the
/// next one does.
pub struct Offers {
    queue: VecDeque<Offer>,
    /// Refused ones: what they hold is needed while the sockets are open.
    spent: Vec<Box<dyn Offload>>,
    sources: u32,
    /// While nothing is on offer.
    never: Policy,
}

/// One path.
struct Offer {
    kind: PathKind,
    path: Box<dyn Offload>,
    policy: Policy,
    metrics: PathMetrics,
}

impl Offers {
    /// Asks every path of `paths` for an offer.
    pub(super) fn ask<'a>(
        paths: impl Iterator<Item = &'a (Box<dyn DataPath>, PathMetrics)>,
        route: &Route<'_>,
    ) -> Self {
        let now = Instant::now();
        let mut offers = Self {
            queue: VecDeque::new(),
            spent: Vec::new(),
            sources: 0,
            never: Policy::new(Rule::Never, now),
        };
        for (path, metrics) in paths {
            match path.flow(route) {
                Ok(offload) => offers.queue.push_back(Offer {
                    kind: path.kind(),
                    path: offload,
                    policy: Policy::new(path.rule(), now),
                    metrics: metrics.clone(),
                }),
                Err(refusal) => metrics.refused(refusal.reason()),
            }
        }
        offers
    }

    /// What the connection to the backend has to be like.
    pub fn tuning(&self) -> Tuning {
        self.queue
            .iter()
            .map(|offer| offer.path.tuning())
            .find(|tuning| tuning.source.is_some())
            .unwrap_or_default()
    }

    /// The source of [`Offers::tuning`] is taken: chooses another, or none.
    pub fn choose_source(&mut self) {
        self.sources += 1;
        let wants = |offer: &Offer| offer.path.tuning().source.is_some();
        let Some(at) = self.queue.iter().position(wants) else {
            return;
        };
        if self.sources >= SOURCES || !self.queue[at].path.choose_source() {
            if let Some(offer) = self.queue.remove(at) {
                offer.metrics.refused(Refusal::NoPort.reason());
            }
        }
    }

    /// The path that is on offer.
    pub fn current(&mut self) -> Option<(PathKind, &mut dyn Offload)> {
        let offer = self.queue.front_mut()?;
        Some((offer.kind, &mut *offer.path))
    }

    /// When the flow should move to the path on offer.
    pub fn policy(&mut self) -> &mut Policy {
        match self.queue.front_mut() {
            Some(offer) => &mut offer.policy,
            None => &mut self.never,
        }
    }

    /// The path on offer has refused the flow, for a while or for good.
    pub fn refused(&mut self, refusal: Refusal) {
        let now = Instant::now();
        let Some(offer) = self.queue.front_mut() else {
            return;
        };
        offer.metrics.refused(refusal.reason());
        if offer.policy.refused(refusal, now) {
            return;
        }
        if let Some(mut offer) = self.queue.pop_front() {
            offer.path.retire();
            self.spent.push(offer.path);
        }
        self.policy().restart(now);
    }
}

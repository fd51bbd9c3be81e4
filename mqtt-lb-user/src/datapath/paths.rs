//! Which data paths this process can use, and how many flows are on each.

use crate::config::PathKind;
use crate::datapath::{DataPath, Offers, Residents, Route};
use crate::metrics::{Metrics, PathMetrics};

/// The paths of the process: copy, and those that are preferred to it.
pub struct Paths {
    copy: PathMetrics,
    offloads: Vec<(Box<dyn DataPath>, PathMetrics)>,
}

impl Paths {
    /// `offloads`: the paths that are preferred to copy and that this host can run,
    /// best first.
    pub fn new(offloads: Vec<Box<dyn DataPath>>, metrics: &Metrics) -> Self {
        let copy = metrics.path(PathKind::Copy);
        copy.available.set(1);
        let known = |path: Box<dyn DataPath>| {
            let metrics = metrics.path(path.kind());
            metrics.available.set(1);
            (path, metrics)
        };
        Self {
            copy,
            offloads: offloads.into_iter().map(known).collect(),
        }
    }

    /// What the faster paths offer to a flow that is about to be dialled.
    pub fn offers(&self, route: &Route<'_>) -> Offers {
        Offers::ask(self.offloads.iter(), route)
    }

    /// Flows that live without sockets, when there is a path for them.
    pub fn residents(&self) -> Option<&dyn Residents> {
        self.offloads.iter().find_map(|(path, _)| path.residents())
    }

    /// Largest segment that clients should be told to send, bytes.
    pub fn max_segment(&self) -> Option<u16> {
        let wanted = self
            .offloads
            .iter()
            .filter_map(|(path, _)| path.max_segment());
        wanted.min()
    }

    /// Counts a flow that was on a path before this process was.
    pub fn adopted(&self, path: PathKind) {
        self.metrics(path).flows.inc();
        self.metrics(path).moved("adopted");
    }

    /// Counts a flow that has ended without an [`OnPath`].
    pub fn gone(&self, path: PathKind) {
        self.metrics(path).flows.dec();
    }

    fn metrics(&self, path: PathKind) -> &PathMetrics {
        let offload = self.offloads.iter().find(|(known, _)| known.kind() == path);
        offload.map_or(&self.copy, |(_, metrics)| metrics)
    }
}

/// A flow's place in the gauges of its path, held until dropped.
pub struct OnPath<'a> {
    paths: &'a Paths,
    path: PathKind,
}

impl<'a> OnPath<'a> {
    /// A flow starts in copy.
    pub fn start(paths: &'a Paths) -> Self {
        paths.metrics(PathKind::Copy).flows.inc();
        Self {
            paths,
            path: PathKind::Copy,
        }
    }

    /// The flow moves because of `reason`.
    pub fn move_to(&mut self, path: PathKind, reason: &'static str) {
        self.paths.metrics(self.path).flows.dec();
        self.path = path;
        let metrics = self.paths.metrics(path);
        metrics.flows.inc();
        metrics.moved(reason);
    }

    /// The path the flow is on.
    pub fn path(&self) -> PathKind {
        self.path
    }

    /// The flow stays there when this is gone: [`Paths::gone`] ends it.
    pub fn stay(self) {
        std::mem::forget(self);
    }
}

impl Drop for OnPath<'_> {
    fn drop(&mut self) {
        self.paths.metrics(self.path).flows.dec();
    }
}

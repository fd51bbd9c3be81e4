//! Which data paths this process can use, and how many flows are on each.

use crate::config::{PathKind, SockmapPolicy};
use crate::datapath::{DataPath, Offload};
use crate::metrics::{Metrics, PathMetrics};

/// The paths of the process: copy, and at most one that is faster.
pub struct Paths {
    copy: PathMetrics,
    offload: Option<(Box<dyn DataPath>, PathMetrics)>,
}

impl Paths {
    /// `offload`: the path that is preferred to copy, when this host can run it.
    pub fn new(offload: Option<Box<dyn DataPath>>, metrics: &Metrics) -> Self {
        let copy = metrics.path(PathKind::Copy);
        copy.available.set(1);
        let offload = offload.map(|path| {
            let metrics = metrics.path(path.kind());
            metrics.available.set(1);
            (path, metrics)
        });
        Self { copy, offload }
    }

    /// When flows leave the copy path; `None` when there is no other.
    pub fn policy(&self) -> Option<SockmapPolicy> {
        self.offload.as_ref().map(|(path, _)| path.policy())
    }

    /// Prepares a flow for the faster path.
    pub fn flow(&self) -> Option<Box<dyn Offload>> {
        self.offload.as_ref().map(|(path, _)| path.flow())
    }

    /// The faster path's name.
    pub fn offload_kind(&self) -> Option<PathKind> {
        self.offload.as_ref().map(|(path, _)| path.kind())
    }

    /// Counts a hand-over that was refused.
    pub fn refused(&self, reason: &'static str) {
        if let Some((_, metrics)) = &self.offload {
            metrics.refused(reason);
        }
    }

    fn metrics(&self, path: PathKind) -> &PathMetrics {
        match &self.offload {
            Some((offload, metrics)) if offload.kind() == path => metrics,
            _ => &self.copy,
        }
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
}

impl Drop for OnPath<'_> {
    fn drop(&mut self) {
        self.paths.metrics(self.path).flows.dec();
    }
}

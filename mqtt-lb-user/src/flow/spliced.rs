//! A flow that lives on without its sockets: what it holds in this process, and
//! its log line at the end.

use std::sync::Arc;
use std::time::SystemTime;

use super::shared::{Detached, Listener, Shared};
use crate::backend::Lease;
use crate::config::PathKind;
use crate::datapath::{Fate, Memo, Resident, Side, Standing, tag};
use crate::ids::Number;
use crate::session::{End, Session};

/// What a flow without sockets holds.
pub(super) struct Spliced {
    /// Its place among the open connections.
    pub(super) open: Detached,
    /// Its place on the backend; `None` when that left the configuration while
    /// nobody was here.
    pub(super) lease: Option<Lease>,
    /// Its id, where that is known whole.
    pub(super) id: Option<Number>,
}

impl Resident for Spliced {
    fn named(&mut self, name: u64) {
        let Some(id) = self.id else { return };
        let shared = self.open.shared();
        let residents = shared.paths.residents();
        if residents.is_some_and(|residents| residents.closing(name)) {
            // One that was found closing must not stand for a living one of its id.
            shared.ids.ended(id, true);
            self.id = None;
        } else {
            shared.ids.dissolved(id, name);
        }
    }

    fn ended(self: Box<Self>, fate: Fate, standing: &Standing) {
        let shared = self.open.shared().clone();
        if let Some(id) = self.id {
            shared.ids.ended(id, false);
        }
        shared.paths.gone(PathKind::Splice);
        let config = shared.config.load();
        if config.log.sessions {
            self.session(end(fate), standing).log(config.log.format);
        }
    }
}

impl Spliced {
    fn session(&self, end: End, standing: &Standing) -> Session {
        let memo = &standing.memo;
        let backend = self.lease.as_ref().map(Lease::backend);
        Session {
            accepted: memo.accepted,
            client: standing.client,
            listener: self.open.listener_name().to_owned(),
            pool: backend.map_or_else(String::new, |backend| backend.pool.clone()),
            backend: backend.map(|backend| backend.name.clone()),
            client_id: Some(memo.client_id.clone()),
            level: Some(memo.level),
            keepalive: Some(memo.keepalive),
            connack: Some(memo.connack),
            sticky: Some(memo.sticky),
            waited: Some(memo.waited),
            connecting: Some(memo.connecting),
            total: SystemTime::now()
                .duration_since(memo.accepted)
                .unwrap_or_default(),
            bytes_up: standing.up,
            bytes_down: standing.down,
            path: PathKind::Splice,
            end,
        }
    }
}

fn end(fate: Fate) -> End {
    match fate {
        Fate::Closed(Side::Client) => End::ClientClosed,
        Fate::Closed(Side::Backend) => End::BackendClosed,
        Fate::Aborted(Side::Client) => End::ClientAborted,
        Fate::Aborted(Side::Backend) => End::BackendAborted,
        Fate::Idle => End::IdleTimeout,
        Fate::BackendDown => End::BackendDown,
        Fate::Killed => End::Killed,
        Fate::Rebalanced => End::Rebalanced,
        Fate::Shutdown => End::Shutdown,
        Fate::Replaced => End::ClientAborted,
        Fate::Broken => End::Overrun,
    }
}

/// Takes a flow in that another process has left: its place in the counts, its
/// backend and its stick entry, as far as they are still there.
pub fn adopt(shared: &Arc<Shared>, memo: &Memo) -> Box<dyn Resident> {
    let listener = shared.listeners.iter().find(|l| l.tag == memo.listener);
    let gone = || Arc::new(Listener::new("unknown", &shared.metrics));
    let listener = listener.cloned().unwrap_or_else(gone);
    let pools = shared.pools.all();
    let found = pools.iter().find_map(|pool| {
        let backends = pool.backends();
        let backend = backends.iter().find(|b| b.tag == memo.backend)?.clone();
        Some((pool, backend))
    });
    let mut id = None;
    let lease = found.map(|(pool, backend)| {
        if !memo.cut && !memo.client_id.is_empty() {
            pool.restore(std::time::Instant::now(), &memo.client_id, &backend);
            id = Some(shared.ids.enter(tag(&pool.name), &memo.client_id));
        }
        backend.open()
    });
    shared.paths.adopted(PathKind::Splice);
    Box::new(Spliced {
        open: Detached::adopt(shared, &listener),
        lease,
        id,
    })
}

//! Collects what the session's log line will say.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use super::assigned::Named;
use super::dial::Reached;
use super::shared::Shared;
use super::sniff::Sniffed;
use crate::affinity::Sticky;
use crate::config::PathKind;
use crate::datapath::{Memo, tag};
use crate::session::{End, Session};

/// A session that is going on.
pub(super) struct Record {
    session: Session,
    started: Instant,
    routing: Instant,
}

impl Record {
    /// A client has been accepted.
    pub(super) fn start(client: SocketAddr, listener: &str) -> Self {
        let started = Instant::now();
        Self {
            session: Session {
                accepted: SystemTime::now(),
                client,
                listener: listener.to_owned(),
                pool: String::new(),
                backend: None,
                client_id: None,
                level: None,
                keepalive: None,
                connack: None,
                sticky: None,
                waited: None,
                connecting: None,
                total: Default::default(),
                bytes_up: 0,
                bytes_down: 0,
                path: PathKind::Copy,
                end: End::Shutdown,
            },
            started,
            routing: started,
        }
    }

    /// When the client was accepted.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The client belongs to this pool.
    pub(super) fn pool(&mut self, name: &str) {
        name.clone_into(&mut self.session.pool);
    }

    /// There is a CONNECT.
    pub(super) fn sniffed(&mut self, sniffed: &Sniffed) {
        let connect = sniffed.connect();
        self.session.client_id = Some(connect.client_id().to_vec());
        self.session.level = Some(connect.level());
        self.session.keepalive = Some(connect.keepalive());
        self.session.bytes_up = sniffed.bytes.len() as u64;
        self.routing = Instant::now();
        self.session.waited = Some(self.routing - self.started);
    }

    /// The client has a place on a backend, for which it may have waited.
    pub(super) fn admitted(&mut self) {
        self.routing = Instant::now();
        self.session.waited = Some(self.routing - self.started);
    }

    /// It has been written to a backend.
    pub(super) fn reached(&mut self, reached: &Reached) {
        reached
            .lease
            .backend()
            .name
            .clone_into(self.session.backend.get_or_insert_default());
        self.session.connecting = Some(reached.at - self.routing);
    }

    /// The backend that was reached last has the client now.
    pub(super) fn settled(&mut self, sticky: Sticky) {
        self.session.sticky = Some(sticky);
    }

    /// The backend's answer, if it was a CONNACK.
    pub(super) fn connack(&mut self, code: Option<u8>) {
        self.session.connack = code;
    }

    /// The backend has given the client an id.
    pub(super) fn named(&mut self, named: &Named) {
        self.session.client_id = Some(named.id.clone());
        self.session.sticky = named.sticky.or(self.session.sticky);
    }

    /// The flow is on this path now.
    pub(super) fn path(&mut self, path: PathKind) {
        self.session.path = path;
    }

    /// Bytes of both directions over the flow's life.
    pub(super) fn bytes(&mut self, up: u64, down: u64) {
        self.session.bytes_up = up;
        self.session.bytes_down = down;
    }

    /// What is left to know of it when it goes on without its sockets on the backend of
    /// this tag.
    pub(super) fn memo(&self, backend: u32) -> Memo {
        let session = &self.session;
        Memo {
            client_id: session.client_id.clone().unwrap_or_default(),
            cut: false,
            keepalive: session.keepalive.unwrap_or(0),
            level: session.level.unwrap_or(0),
            connack: session.connack.unwrap_or(0),
            sticky: session.sticky.unwrap_or(Sticky::None),
            accepted: session.accepted,
            backend,
            listener: tag(&session.listener),
            waited: session.waited.unwrap_or_default(),
            connecting: session.connecting.unwrap_or_default(),
        }
    }

    /// The session is over; its line is logged.
    pub(super) fn finish(mut self, end: End, shared: &Shared) {
        self.session.end = end;
        self.session.total = self.started.elapsed();
        let config = shared.config.load();
        if config.log.sessions {
            self.session.log(config.log.format);
        }
    }
}

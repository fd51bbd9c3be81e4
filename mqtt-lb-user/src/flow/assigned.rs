//! The id that a broker gives a client without one (MQTT 5.0 §3.2.2.3.7). A client
//! comes back with it, so the stick table has to know it.

use std::sync::Arc;
use std::time::Instant;

use super::live::LiveFlow;
use crate::affinity::Sticky;
use crate::backend::{Backend, Pool};

/// A client that came with an empty id, and the backend that has its CONNECT.
pub(super) struct Nameless {
    /// Where the id will count.
    pub(super) pool: Arc<Pool>,
    /// Where the client is.
    pub(super) backend: Arc<Backend>,
    /// Shows the id to operators.
    pub(super) live: Arc<LiveFlow>,
}

/// What became of a nameless client.
pub(super) struct Named {
    /// Its id.
    pub(super) id: Vec<u8>,
    /// What the stick table said to it; `None` where ids are not what it knows.
    pub(super) sticky: Option<Sticky>,
}

impl Nameless {
    /// The broker has said what the client is called.
    pub(super) fn named(self, id: Vec<u8>) -> Named {
        let sticky = self.pool.learn(Instant::now(), &id, &self.backend);
        self.live.assign(&id);
        Named { id, sticky }
    }
}

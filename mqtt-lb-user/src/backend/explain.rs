//! A pool's decision about one client, to look at.

use std::sync::Arc;
use std::time::Instant;

use super::{Backend, Pool};
use crate::affinity::Client;
use crate::affinity::explain::Explanation;

/// A decision that was not made, and the backends it was between.
pub struct Decision {
    /// Why whom.
    pub explanation: Explanation,
    /// The backends, in the order of the configuration.
    pub backends: Arc<Vec<Arc<Backend>>>,
}

impl Pool {
    /// Where [`Pool::admit`] would send a client. Nothing changes: no entry, no turn, no
    /// place, no count. It copies the state of the balance while nobody is routed.
    pub fn explain(&self, now: Instant, client: Client<'_>) -> Decision {
        let affinity = self.affinity();
        let backends = self.backends();
        let candidates = self.candidates(now, &backends);
        Decision {
            explanation: affinity.explain(now, client, &candidates),
            backends,
        }
    }
}

//! The first moments of a flow without sockets: what is left of them is watched, then
//! closed without a word.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::handoff::Handed;
use super::repair::{Sequences, sequences};
use super::residents::Found;
use super::{Splice, note, slots};
use crate::datapath::{Departure, Ends, Fate, Memo, Resident};

/// How long dissolved sockets are kept, to see that nothing has reached them.
const LINGER: Duration = Duration::from_millis(20);

/// A flow that has just been handed over.
pub struct Left {
    path: Arc<Splice>,
    flow: Found,
    handed: Handed,
}

impl Left {
    /// What the hand-over has left.
    pub fn new(path: Arc<Splice>, flow: Found, handed: Handed) -> Self {
        Self { path, flow, handed }
    }
}

impl Departure for Left {
    fn depart(self: Box<Self>, ends: Ends, memo: &Memo, resident: Box<dyn Resident>) {
        let Self { path, flow, handed } = *self;
        let note = note::pack(memo, flow.generation);
        slots::set_note(path.kernel.notes(), flow.slot, &note);
        let bytes = slots::bytes(path.kernel.slots(), flow.slot);
        let (slot, id) = (flow.slot, flow.id());
        path.registry().insert(flow, bytes, resident);
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            slots::mend_edges(path.kernel.slots(), slot, handed.edges);
            let [a, b] = handed.sequences;
            if moved(&ends.client, a) || moved(&ends.backend, b) {
                // Bytes were taken by a socket that nobody reads: better no stream than
                // one with a gap.
                error!("splice: a dissolved socket has taken bytes; its flow is reset");
                path.end_now(id, Fate::Broken);
            }
        });
    }
}

/// Whether a socket in repair mode has taken anything since.
fn moved(socket: &TcpStream, since: Sequences) -> bool {
    sequences(socket).is_ok_and(|now| now != since)
}

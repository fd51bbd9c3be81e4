//! What is watched of a flow while it is copied: the rest of a long CONNECT,
//! the CONNACK, and the bytes for the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::assigned::{Named, Nameless};
use super::sniff::Rest;
use super::visitor::Visitor;
use crate::datapath::Directions;
use crate::datapath::copy::Observer;
use crate::ids::Number;
use crate::metrics::Metrics;
use crate::session::End;

/// The observer of one flow.
pub(super) struct Watched {
    answer: Answer,
    visitor: Visitor,
    nameless: Option<Nameless>,
    named: Option<Named>,
    connack: Duration,
    connack_due: Instant,
    rest: Option<Rest>,
    metrics: Arc<Metrics>,
    accounted: (u64, u64),
    buffered: i64,
}

impl Watched {
    /// A flow whose CONNECT has just been written to the backend, but for the
    /// `rest`. The answer may take `connack` from the end of the CONNECT, and names
    /// a client that is `nameless`.
    pub(super) fn new(
        connack: Duration,
        rest: Option<Rest>,
        visitor: Visitor,
        nameless: Option<Nameless>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            answer: Answer::new(),
            visitor,
            nameless,
            named: None,
            connack,
            connack_due: Instant::now() + connack,
            rest,
            metrics: metrics.clone(),
            accounted: (0, 0),
            buffered: 0,
        }
    }

    /// The code of the CONNACK, once there is one.
    pub(super) fn connack(&self) -> Option<u8> {
        self.answer.code()
    }

    /// The flow goes on without this process; its client id, if it has one.
    pub(super) fn depart(&mut self) -> Option<Number> {
        self.visitor.depart()
    }

    /// What the client is called, if the broker has named it.
    pub(super) fn named(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    /// When the flow ends if nothing comes, and how.
    fn deadline(&self) -> Option<(Instant, End)> {
        match &self.rest {
            Some(rest) => Some((rest.deadline, End::ConnectTimeout)),
            None => self
                .answer
                .is_waiting()
                .then_some((self.connack_due, End::ConnackTimeout)),
        }
    }

    /// When [`Watched::overdue`] has to be asked next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline().map(|(at, _)| at)
    }

    /// How the flow ends when its deadline has passed.
    pub(super) fn overdue(&self, now: Instant) -> Option<End> {
        self.deadline()
            .and_then(|(at, end)| (at <= now).then_some(end))
    }

    /// Brings the byte metrics up to date, and takes note of a side that closes.
    pub(super) fn account(&mut self, dirs: &Directions) {
        if dirs.up.eof || dirs.down.eof {
            self.visitor.leave();
        }
        let (up, down) = (dirs.up.uncounted(), dirs.down.uncounted());
        // All threads share these counters: they are left alone where nothing changed.
        if up != self.accounted.0 {
            self.metrics.bytes.up.inc_by(up - self.accounted.0);
        }
        if down != self.accounted.1 {
            self.metrics.bytes.down.inc_by(down - self.accounted.1);
        }
        self.accounted = (up, down);
        let buffered = (dirs.up.pending().len() + dirs.down.pending().len()) as i64;
        if buffered != self.buffered {
            self.metrics.buffered.inc_by(buffered - self.buffered);
        }
        self.buffered = buffered;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.metrics.buffered.dec_by(self.buffered);
    }
}

impl Observer for Watched {
    fn up(&mut self, total: u64) {
        if self.rest.as_ref().is_some_and(|rest| total >= rest.length) {
            self.rest = None;
            self.connack_due = Instant::now() + self.connack;
        }
    }

    fn down(&mut self, bytes: &[u8]) {
        let waiting = self.answer.is_waiting();
        self.answer.observe(bytes);
        if self.nameless.is_some() {
            if let Some(id) = self.answer.take_assigned() {
                self.named = self.nameless.take().map(|client| client.named(id));
            }
        }
        if let Some(code) = self.answer.code().filter(|_| waiting) {
            let assigned = self.named.as_ref().map(|named| &named.id[..]);
            self.visitor.answered(Instant::now(), code, assigned);
        }
    }

    fn may_leave(&self) -> bool {
        self.rest.is_none() && !self.answer.is_waiting()
    }
}

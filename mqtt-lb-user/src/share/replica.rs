//! One pool's table as a copy of what all balancers know: what to ask Redis next, and what an
//! answer or a message means. No sockets, no clock; the caller holds the table's lock.
//!
//! After each connect the two sides are reconciled, in steps of [`STEP`] keys: first the clears
//! are read, then Redis is scanned for what is newer there, then the table is walked for what is
//! newer here. Messages are heard before the first step, so nothing falls between; and all of
//! it, in any order and any number of times, ends with the newest word on every key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::outbox::{Cleared, What};
use super::record::{self, Message, Place, Record};
use super::request::{Answer, Push, Request};
use super::version::Version;
use super::{Names, Outcome, Tally};
use crate::affinity::{Cursor, StickTable};

/// Keys in one request.
pub const STEP: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Clears,
    Scan(u64),
    Walk(Cursor),
    Live,
}

/// What is in flight, as far as it must not get lost.
#[derive(Debug, Default)]
struct Flight {
    removals: Vec<(Arc<[u8]>, Version)>,
    clears: BTreeMap<Cleared, Version>,
    /// Where the walk goes on after this page.
    walk: Option<Cursor>,
}

/// The state of one pool's sharing.
#[derive(Debug)]
pub struct Replica {
    phase: Phase,
    flight: Flight,
    /// What the walk found to be newer here.
    found: Vec<Push>,
    /// Pushes and steps of the reconciliation take turns.
    pushed: bool,
    /// Messages were lost: reconcile again.
    again: bool,
    tally: Tally,
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            phase: Phase::Clears,
            flight: Flight::default(),
            found: Vec::new(),
            pushed: false,
            again: false,
            tally: Tally::default(),
        }
    }
}

impl Replica {
    /// Whether both sides have been reconciled since the last connect or loss.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Whether everything has been read that Redis had; pushing may go on.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        matches!(self.phase, Phase::Walk(_) | Phase::Live)
    }

    /// What was counted since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The connection was lost, and the request in flight perhaps with it.
    pub fn lost(&mut self, table: &mut StickTable) {
        let flight = std::mem::take(&mut self.flight);
        if let Some(outbox) = table.outbox() {
            outbox.give_back(flight.removals.into_iter(), flight.clears);
        }
        self.found.clear();
        self.phase = Phase::Clears;
    }

    /// Messages were lost: what they said has to be read from Redis.
    pub fn missed(&mut self) {
        self.again = true;
    }

    /// The next request, if there is anything to ask. Its answer goes to
    /// [`Replica::answered`] before the next call.
    pub fn next(&mut self, now: Instant, table: &mut StickTable, names: &Names) -> Option<Request> {
        let keep = table.keep();
        let outbox = table.outbox()?;
        let clears = outbox.take_clears();
        if !clears.is_empty() {
            self.flight.clears = clears;
            let fields = self.flight.clears.iter();
            let named =
                fields.filter_map(|(which, version)| Some((field(*which, names)?, *version)));
            return Some(Request::Clear(named.collect(), keep));
        }
        if outbox.is_empty() && self.phase == Phase::Live {
            let again = std::mem::take(&mut self.again);
            if outbox.take_overflowed() || again {
                self.phase = Phase::Clears;
            }
        }
        if !self.found.is_empty() {
            return Some(Request::Push(std::mem::take(&mut self.found)));
        }
        let reconcile = self.phase != Phase::Live;
        self.pushed = !(self.pushed && reconcile);
        if self.pushed || !reconcile {
            let batch = self.batch(now, table, names);
            if !batch.is_empty() {
                return Some(Request::Push(batch));
            }
        }
        match self.phase {
            Phase::Clears => Some(Request::Clears),
            Phase::Scan(cursor) => Some(Request::Scan(cursor)),
            Phase::Walk(cursor) => {
                let (rows, next) = table.page(now, cursor, STEP);
                self.flight.walk = next;
                Some(Request::Get(rows.into_iter().map(|row| row.key).collect()))
            }
            Phase::Live => None,
        }
    }

    /// Takes in what Redis says to `request`.
    pub fn answered(
        &mut self,
        now: Instant,
        table: &mut StickTable,
        names: &Names,
        request: &Request,
        answer: Answer,
    ) {
        let flight = std::mem::take(&mut self.flight);
        match (request, answer) {
            (Request::Push(pushes), Answer::Done) => self.tally.sent += pushes.len() as u64,
            (Request::Clears, Answer::Clears(fields)) => {
                let mut there = BTreeMap::new();
                for (field, version) in fields {
                    match clear_read(names, &field, &version) {
                        Ok((which, version)) => {
                            self.tally.count(table.adopt_clear(now, which, version));
                            there.insert(which, version);
                        }
                        Err(outcome) => self.tally.count(outcome),
                    }
                }
                if let Some(outbox) = table.outbox() {
                    outbox.say_again(&there);
                }
                self.phase = Phase::Scan(0);
            }
            (Request::Scan(_), Answer::Scanned(next, entries)) => {
                for (key, value) in entries {
                    self.value_read(now, table, names, &key, &value);
                }
                self.phase = match next {
                    0 => Phase::Walk(Cursor::default()),
                    next => Phase::Scan(next),
                };
            }
            (Request::Get(keys), Answer::Values(values)) => {
                for (key, value) in keys.iter().zip(values) {
                    self.compare(now, table, names, key, value.as_deref());
                }
                self.phase = flight.walk.map_or(Phase::Live, Phase::Walk);
            }
            _ => {}
        }
    }

    /// Takes in a message of a balancer, perhaps an own one.
    pub fn heard(&mut self, now: Instant, table: &mut StickTable, names: &Names, message: &[u8]) {
        match Message::decode(message) {
            Some(Message::Entry(key, record)) => self.apply(now, table, names, &key, &record),
            Some(Message::Clear(field, version)) => {
                self.tally.count(match cleared(&field, names) {
                    Some(which) => table.adopt_clear(now, which, version),
                    None => Outcome::UnknownBackend,
                })
            }
            None => self.tally.count(Outcome::Malformed),
        }
    }

    /// The next keys of the queue with what is to be said of them now. A key without an entry
    /// has expired or was evicted: that happens to every balancer by itself.
    fn batch(&mut self, now: Instant, table: &mut StickTable, names: &Names) -> Vec<Push> {
        let keep = table.keep();
        let taken = table
            .outbox()
            .map(|outbox| outbox.take(STEP))
            .unwrap_or_default();
        let mut batch = Vec::with_capacity(taken.len());
        for (key, what) in taken {
            match what {
                What::Entry => batch.extend(entry(now, table, names, key)),
                What::Removal(version) => {
                    self.flight.removals.push((Arc::clone(&key), version));
                    let record = Record {
                        version,
                        place: None,
                    };
                    batch.push(Push { key, record, keep });
                }
            }
        }
        batch
    }

    /// Of two words on a key, takes the one in Redis in, or sends the one here.
    fn compare(
        &mut self,
        now: Instant,
        table: &mut StickTable,
        names: &Names,
        key: &[u8],
        value: Option<&[u8]>,
    ) {
        let there = value.and_then(Record::decode);
        let here = entry(now, table, names, key.into());
        match (here, there) {
            (Some(here), Some(there)) if there.version >= here.record.version => {
                self.apply(now, table, names, key, &there);
            }
            (Some(here), _) => self.found.push(here),
            (None, _) => {}
        }
    }

    fn value_read(
        &mut self,
        now: Instant,
        table: &mut StickTable,
        names: &Names,
        key: &[u8],
        value: &[u8],
    ) {
        match Record::decode(value) {
            Some(record) => self.apply(now, table, names, key, &record),
            None => self.tally.count(Outcome::Malformed),
        }
    }

    fn apply(
        &mut self,
        now: Instant,
        table: &mut StickTable,
        names: &Names,
        key: &[u8],
        record: &Record,
    ) {
        let outcome = match &record.place {
            None => table.adopt_removal(now, key, record.version),
            Some(Place { backend, home }) => match names.id(backend) {
                Some(backend) => {
                    let home = names.id(home).unwrap_or(backend);
                    table.adopt(now, key, backend, home, record.version)
                }
                None => Outcome::UnknownBackend,
            },
        };
        self.tally.count(outcome);
    }
}

/// The entry of a key as it is told to others.
fn entry(now: Instant, table: &mut StickTable, names: &Names, key: Arc<[u8]>) -> Option<Push> {
    let said = table.said(now, &key)?;
    let place = Place {
        backend: names.name(said.backend)?.to_owned(),
        home: names
            .name(said.home)
            .or(names.name(said.backend))?
            .to_owned(),
    };
    let record = Record {
        version: said.version,
        place: Some(place),
    };
    Some(Push {
        key,
        record,
        keep: said.keep,
    })
}

fn field(which: Cleared, names: &Names) -> Option<String> {
    match which {
        None => Some(record::ALL.to_owned()),
        Some(backend) => names.name(backend).map(str::to_owned),
    }
}

/// Reads a field of a clear; `None` when its backend is not one of this balancer.
fn cleared(field: &str, names: &Names) -> Option<Cleared> {
    match field {
        record::ALL => Some(None),
        name => names.id(name).map(Some),
    }
}

/// Reads a clear as it stands in Redis.
fn clear_read(names: &Names, field: &[u8], version: &[u8]) -> Result<(Cleared, Version), Outcome> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Outcome::Malformed);
    let version = Version::parse(text(version)?).ok_or(Outcome::Malformed)?;
    let which = cleared(text(field)?, names).ok_or(Outcome::UnknownBackend)?;
    Ok((which, version))
}

//! Who connects most often, in bounded memory: Metwally, Agrawal and El Abbadi's
//! space-saving ("Efficient computation of frequent and top-k elements in data
//! streams", 2005).
//!
//! When there is no room, an id that is not listed takes the place of the one with the
//! least count, and inherits that count as its possible error. So no count is too low,
//! an id that is not listed has connected at most [`Top::error`] times, and that is at
//! most the number of all CONNECTs through the size.

use std::collections::HashMap;
use std::time::Instant;

use super::heap::Heap;
use super::number::Numbered;

/// Bytes of an id that are kept to be shown; its number tells it from others.
const SHOWN: usize = 256;

/// An id in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// [`crate::datapath::tag`] of its pool.
    pub pool: u32,
    /// The id, or its beginning.
    pub id: Vec<u8>,
    /// The id is longer.
    pub cut: bool,
    /// Its CONNECTs, at most.
    pub connects: u64,
    /// By how much `connects` may be too high.
    pub error: u64,
    /// CONNECTs that came within the flapping time, since it is in the list.
    pub flaps: u64,
    /// Takeovers since it is in the list.
    pub takeovers: u64,
    /// When it came last.
    pub last: Instant,
}

impl Row {
    /// Its CONNECTs, at least.
    pub fn at_least(&self) -> u64 {
        self.connects - self.error
    }
}

#[derive(Debug)]
struct Slot {
    number: u64,
    pool: u32,
    cut: bool,
    id: Vec<u8>,
    error: u64,
    flaps: u64,
    takeovers: u64,
    last: Instant,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Top {
    size: usize,
    /// How often an id may have come that is not listed although there is room.
    floor: u64,
    places: HashMap<u64, u32, Numbered>,
    slots: Vec<Slot>,
    counts: Heap,
    total: u64,
}

/// One CONNECT.
pub(super) struct Visit<'a> {
    pub(super) number: u64,
    pub(super) pool: u32,
    pub(super) id: &'a [u8],
    pub(super) flapping: bool,
}

impl Top {
    /// An empty list with room for `size` ids.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// Counts a CONNECT.
    pub(super) fn visit(&mut self, now: Instant, visit: &Visit<'_>) {
        self.total += 1;
        if let Some(&place) = self.places.get(&visit.number) {
            self.again(place as usize, now, visit);
        } else if self.slots.len() < self.size {
            self.append(now, visit);
        } else if let Some((count, place)) = self.counts.least() {
            self.replace(place, count, now, visit);
        } else {
            self.floor += 1;
        }
    }

    fn again(&mut self, place: usize, now: Instant, visit: &Visit<'_>) {
        let slot = &mut self.slots[place];
        slot.last = now;
        slot.flaps += u64::from(visit.flapping);
        self.counts.grow(place);
    }

    fn append(&mut self, now: Instant, visit: &Visit<'_>) {
        self.places.insert(visit.number, self.slots.len() as u32);
        self.slots.push(Slot::new(now, visit, self.floor));
        self.counts.push(self.floor + 1);
    }

    fn replace(&mut self, place: usize, count: u64, now: Instant, visit: &Visit<'_>) {
        let slot = &mut self.slots[place];
        self.places.remove(&slot.number);
        self.places.insert(visit.number, place as u32);
        *slot = Slot::new(now, visit, count);
        self.counts.grow(place);
    }

    /// Counts a takeover of an id, if it is listed.
    pub(super) fn taken_over(&mut self, number: u64) {
        if let Some(&place) = self.places.get(&number) {
            self.slots[place as usize].takeovers += 1;
        }
    }

    /// Changes the room; the ids with the lowest counts go when there is less.
    pub(super) fn resize(&mut self, size: usize) {
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        order.sort_unstable_by_key(|&place| std::cmp::Reverse(self.counts.count(place)));
        let dropped = order.get(size).map(|&place| self.counts.count(place));
        order.truncate(size);
        let mut kept = Self {
            size,
            floor: dropped.unwrap_or_else(|| self.error()),
            total: self.total,
            ..Self::default()
        };
        let mut slots: Vec<_> = self.slots.drain(..).map(Some).collect();
        for place in order {
            let Some(slot) = slots[place].take() else {
                continue;
            };
            kept.places.insert(slot.number, kept.slots.len() as u32);
            kept.slots.push(slot);
            kept.counts.push(self.counts.count(place));
        }
        *self = kept;
    }

    /// The `most` ids that have connected most often for sure, the first one first.
    pub(super) fn rows(&self, most: usize) -> Vec<Row> {
        let key = |&place: &usize| {
            let count = self.counts.count(place);
            std::cmp::Reverse((count - self.slots[place].error, count))
        };
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        if most < order.len() {
            order.select_nth_unstable_by_key(most, key);
            order.truncate(most);
        }
        order.sort_unstable_by_key(key);
        order
            .into_iter()
            .map(|place| self.slots[place].row(self.counts.count(place)))
            .collect()
    }

    /// How often an id that is not listed can have connected, at most.
    pub(super) fn error(&self) -> u64 {
        match self.counts.least() {
            Some((count, _)) if self.slots.len() == self.size => count,
            _ => self.floor,
        }
    }

    /// CONNECTs counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Ids there is room for.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Ids in it.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes it takes, with the ids it shows.
    pub(super) fn memory_bytes(&self) -> usize {
        let ids: usize = self.slots.iter().map(|slot| slot.id.capacity()).sum();
        ids + self.slots.capacity() * size_of::<Slot>()
            + self.places.capacity() * (size_of::<(u64, u32)>() + 1)
            + self.counts.memory_bytes()
    }
}

impl Slot {
    fn new(now: Instant, visit: &Visit<'_>, error: u64) -> Self {
        Self {
            number: visit.number,
            pool: visit.pool,
            cut: visit.id.len() > SHOWN,
            id: visit.id[..visit.id.len().min(SHOWN)].to_vec(),
            error,
            flaps: u64::from(visit.flapping),
            takeovers: 0,
            last: now,
        }
    }

    fn row(&self, connects: u64) -> Row {
        Row {
            pool: self.pool,
            id: self.id.clone(),
            cut: self.cut,
            connects,
            error: self.error,
            flaps: self.flaps,
            takeovers: self.takeovers,
            last: self.last,
        }
    }
}

#[cfg(test)]
#[path = "top_tests.rs"]
mod tests;

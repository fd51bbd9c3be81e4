//! The flows without sockets: which there are, and what this process knows of them.

use std::collections::HashMap;

use mqtt_lb_ebpf::splice_slot::{SpliceSlot, state};
use mqtt_lb_ebpf::tuple::Place;

use super::corners::{Corners, Keys};
use super::kernel::SpliceKernel;
use super::slots;
use crate::datapath::Resident;

/// A flow in the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its slot.
    pub slot: u32,
    /// [`SpliceSlot::generation`].
    pub generation: u16,
    /// Its addresses.
    pub corners: Corners,
}

impl Found {
    /// Names the flow until it ends.
    pub fn id(&self) -> u64 {
        id(self.slot, self.generation)
    }
}

/// Names a use of a slot.
pub fn id(slot: u32, generation: u16) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

/// The slot of a flow's name.
pub fn slot_of(id: u64) -> u32 {
    id as u32
}

/// One flow as the registry has it.
pub struct Entry {
    generation: u16,
    /// IPv6 addresses are not in the slot.
    corners: Option<Box<Corners>>,
    resident: Option<Box<dyn Resident>>,
}

/// All flows without sockets, by slot.
pub struct Registry {
    entries: Vec<Option<Entry>>,
    count: usize,
    /// Bytes of flows that have ended, less those that flows had when they came.
    settled: [i128; 2],
    /// Bytes the metrics have.
    told: [u64; 2],
}

impl Registry {
    /// Flows that were found; nobody has taken them in yet.
    pub fn new(found: Vec<(Found, [u64; 2])>) -> Self {
        let mut registry = Self {
            entries: Vec::new(),
            count: 0,
            settled: [0; 2],
            told: [0; 2],
        };
        for (flow, bytes) in found {
            registry.put(flow, bytes, None);
        }
        registry
    }

    /// A flow has been handed over, with so many bytes before.
    pub fn insert(&mut self, flow: Found, bytes: [u64; 2], mut resident: Box<dyn Resident>) {
        resident.named(flow.id());
        self.put(flow, bytes, Some(resident));
    }

    fn put(&mut self, flow: Found, bytes: [u64; 2], resident: Option<Box<dyn Resident>>) {
        let slot = flow.slot as usize;
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, || None);
        }
        let v6 = flow.corners.client().is_ipv6();
        self.entries[slot] = Some(Entry {
            generation: flow.generation,
            corners: v6.then(|| Box::new(flow.corners)),
            resident,
        });
        self.count += 1;
        for (settled, bytes) in self.settled.iter_mut().zip(bytes) {
            *settled -= i128::from(bytes);
        }
    }

    /// Takes in the flows that were found.
    pub fn adopt(&mut self, mut resident: impl FnMut(u32) -> Box<dyn Resident>) -> usize {
        let mut adopted = 0;
        for (slot, entry) in self.entries.iter_mut().enumerate() {
            if let Some(Entry {
                generation,
                resident: none @ None,
                ..
            }) = entry
            {
                let mut resident = resident(slot as u32);
                resident.named(id(slot as u32, *generation));
                *none = Some(resident);
                adopted += 1;
            }
        }
        adopted
    }

    /// A flow is over; its last byte counts.
    pub fn remove(&mut self, id: u64, bytes: [u64; 2]) -> Option<Box<dyn Resident>> {
        let entry = self.entries.get_mut(slot_of(id) as usize)?;
        entry
            .as_ref()
            .filter(|e| self::id(slot_of(id), e.generation) == id)?;
        let entry = entry.take()?;
        self.count -= 1;
        for (settled, bytes) in self.settled.iter_mut().zip(bytes) {
            *settled += i128::from(bytes);
        }
        entry.resident
    }

    /// The flow in a slot, with its addresses.
    pub fn get(&self, slot: u32, now: &SpliceSlot) -> Option<Found> {
        let entry = self.entries.get(slot as usize)?.as_ref()?;
        let corners = match &entry.corners {
            Some(corners) => **corners,
            None => Corners::of_slot(now),
        };
        Some(Found {
            slot,
            generation: entry.generation,
            corners,
        })
    }

    /// Slots from `from` on that hold flows, and where to go on; `None` at the end.
    pub fn page(&self, from: u32, most: u32) -> (Vec<u32>, Option<u32>) {
        let end = (from as usize + most as usize).min(self.entries.len());
        let slots = (from as usize..end).filter(|slot| self.entries[*slot].is_some());
        let next = (end < self.entries.len()).then_some(end as u32);
        (slots.map(|slot| slot as u32).collect(), next)
    }

    /// How many flows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes in how many bytes the living flows have forwarded; answers how many more
    /// that is, with those that have ended, than the metrics have.
    pub fn account(&mut self, living: [u64; 2]) -> [u64; 2] {
        let mut new = [0; 2];
        for (i, new) in new.iter_mut().enumerate() {
            let total = i128::from(living[i]) + self.settled[i];
            let total = u64::try_from(total).unwrap_or(0);
            *new = total.saturating_sub(self.told[i]);
            self.told[i] += *new;
        }
        new
    }
}

/// The flows another process has left in the maps. Whatever else is in the index goes:
/// connections whose sockets have died with their process.
pub fn find(kernel: &SpliceKernel) -> anyhow::Result<Vec<(Found, [u64; 2])>> {
    let mut claims: HashMap<u32, Corners> = HashMap::new();
    let (keys4, keys6) = (kernel.keys4(), kernel.keys6()?);
    let slot = |place: Place| slots::read(kernel.slots(), place.slot());
    for (_, place) in keys4.iter().filter(|(_, place)| place.direction() == 0) {
        claims.insert(place.slot(), Corners::of_slot(&slot(*place)));
    }
    for (key, value) in keys6
        .iter()
        .filter(|(_, value)| value.place.direction() == 0)
    {
        let corners = Corners::of_entry(&slot(value.place), key, value);
        claims.insert(value.place.slot(), corners);
    }
    claims.retain(|number, corners| {
        let place = Place::new(*number, 1);
        let whole = match corners.keys() {
            Keys::V4([up, down]) => {
                kernel.find4(&up) == Some(Place::new(*number, 0))
                    && kernel.find4(&down) == Some(place)
            }
            Keys::V6([_, (down, _)]) => kernel.find6(&down).is_some_and(|v| v.place == place),
        };
        whole && slots::read(kernel.slots(), *number).state == state::FORWARD
    });
    for (key, place) in keys4
        .iter()
        .filter(|(_, place)| !claims.contains_key(&place.slot()))
    {
        kernel.remove4(key);
        slots::set_state(kernel.slots(), place.slot(), state::FREE);
    }
    for (key, value) in keys6
        .iter()
        .filter(|(_, v)| !claims.contains_key(&v.place.slot()))
    {
        kernel.remove6(key);
        slots::set_state(kernel.slots(), value.place.slot(), state::FREE);
    }
    let mut found: Vec<_> = claims
        .into_iter()
        .map(|(slot, corners)| {
            let generation = slots::read(kernel.slots(), slot).generation;
            let flow = Found {
                slot,
                generation,
                corners,
            };
            (flow, slots::bytes(kernel.slots(), slot))
        })
        .collect();
    found.sort_unstable_by_key(|(flow, _)| flow.slot);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::{Fate, Standing};

    struct Nobody;
    impl Resident for Nobody {
        fn named(&mut self, _: u64) {}
        fn ended(self: Box<Self>, _: Fate, _: &Standing) {}
    }

    fn found(slot: u32, generation: u16) -> Found {
        let address = "192.0.2.1:1883".parse().unwrap();
        Found {
            slot,
            generation,
            corners: Corners([address; 4]),
        }
    }

    #[test]
    fn a_name_outlives_no_flow() {
        let mut registry = Registry::new(Vec::new());
        let (first, second) = (found(3, 1), found(3, 2));
        registry.insert(first, [0; 2], Box::new(Nobody));
        assert!(registry.remove(second.id(), [0; 2]).is_none());
        assert!(registry.remove(first.id(), [0; 2]).is_some());
        registry.insert(second, [0; 2], Box::new(Nobody));
        assert!(registry.remove(first.id(), [0; 2]).is_none());
        assert_eq!((registry.count(), slot_of(second.id())), (1, 3));
    }

    #[test]
    fn every_byte_is_told_once() {
        let mut registry = Registry::new(vec![(found(0, 1), [100, 0])]);
        registry.insert(found(1, 1), [7, 7], Box::new(Nobody));
        assert_eq!(registry.account([107, 7]), [0, 0]);
        assert_eq!(registry.account([117, 8]), [10, 1]);
        registry.remove(found(1, 1).id(), [20, 9]);
        assert_eq!(registry.account([100, 0]), [3, 1]);
        assert_eq!(registry.account([100, 0]), [0, 0]);
    }

    #[test]
    fn found_flows_are_taken_in_once() {
        let mut registry = Registry::new(vec![(found(2, 9), [0; 2]), (found(5, 1), [0; 2])]);
        assert_eq!(registry.adopt(|_| Box::new(Nobody)), 2);
        assert_eq!(registry.adopt(|_| Box::new(Nobody)), 0);
        assert_eq!(registry.page(0, 4), (vec![2], Some(4)));
        assert_eq!(registry.page(4, 4), (vec![5], None));
    }
}

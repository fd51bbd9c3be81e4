//! The backends that a table's entries belong to, and how many to each.
//!
//! A pool has few backends and a table many entries, so an entry holds two
//! places of this list, 2 bytes each, and what concerns a whole backend need not
//! look at the entries.

use crate::affinity::BackendId;

/// A place in the list.
pub(super) type Place = u16;

/// Entries of one backend, with those that have expired and are not freed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The backend.
    pub backend: BackendId,
    /// Entries that send their client there.
    pub entries: u32,
    /// Entries whose client belongs there.
    pub homes: u32,
    /// Those of them that send their client elsewhere.
    pub away: u32,
}

impl Share {
    fn is_free(&self) -> bool {
        self.entries == 0 && self.homes == 0
    }
}

/// Every backend that an entry names, each once.
#[derive(Default)]
pub(super) struct Owners(Vec<Share>);

impl Owners {
    /// The backend's place, to be counted there at once; `None` when the entries
    /// name as many backends as there are places.
    pub fn place(&mut self, backend: BackendId) -> Option<Place> {
        let mut free = None;
        for (share, place) in self.0.iter().zip(0..) {
            if share.is_free() {
                free = free.or(Some(place));
            } else if share.backend == backend {
                return Some(place);
            }
        }
        let empty = Share {
            backend,
            entries: 0,
            homes: 0,
            away: 0,
        };
        if let Some(place) = free {
            self.0[usize::from(place)] = empty;
            return Some(place);
        }
        let place = Place::try_from(self.0.len()).ok()?;
        self.0.push(empty);
        Some(place)
    }

    pub fn backend(&self, place: Place) -> BackendId {
        self.0[usize::from(place)].backend
    }

    /// An entry begins to send its client to `place`.
    pub fn enter(&mut self, place: Place) {
        self.0[usize::from(place)].entries += 1;
    }

    /// An entry no longer sends its client to `place`.
    pub fn leave(&mut self, place: Place) {
        self.0[usize::from(place)].entries -= 1;
    }

    /// A client begins to belong to `place`.
    pub fn settle(&mut self, place: Place) {
        self.0[usize::from(place)].homes += 1;
    }

    /// A client no longer belongs to `place`.
    pub fn unsettle(&mut self, place: Place) {
        self.0[usize::from(place)].homes -= 1;
    }

    /// A client begins to be sent elsewhere than to `home`, where it belongs; nothing
    /// happens when that is the same.
    pub fn stray(&mut self, backend: Place, home: Place) {
        self.0[usize::from(home)].away += u32::from(backend != home);
    }

    /// Undoes [`Owners::stray`].
    pub fn unstray(&mut self, backend: Place, home: Place) {
        self.0[usize::from(home)].away -= u32::from(backend != home);
    }

    /// The backends that are named now.
    pub fn shares(&self) -> impl Iterator<Item = Share> + '_ {
        self.0.iter().copied().filter(|share| !share.is_free())
    }
}

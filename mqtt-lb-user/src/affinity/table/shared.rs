//! The table as one of several: what it says to the other balancers, and what it hears.

use std::time::{Duration, Instant};

use super::{LONGEST_KEY, StickTable};
use crate::affinity::BackendId;
use crate::share::{Clock, Outbox, Outcome, Version};

/// Copies of an entry outlive its expire time by this part: a match is told no more often, so
/// none may expire before the entry itself.
const SPARE: u32 = 10;

/// An entry as other balancers are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Where the client is.
    pub backend: BackendId,
    /// Where it belongs.
    pub home: BackendId,
    /// When this was said. An entry of which nothing was said (it comes from a snapshot, say)
    /// has the time of its last match.
    pub version: Version,
    /// How long copies may live from now on.
    pub keep: Duration,
}

impl StickTable {
    /// From now on every change made here is noted in an [`Outbox`] with room for `limit` keys,
    /// and `wake` is called. A table that is shared already keeps what it has noted, and
    /// takes over the rest.
    pub fn start_sharing(&mut self, clock: Clock, limit: usize, wake: impl Fn() + Send + 'static) {
        match &mut self.outbox {
            Some(outbox) => outbox.configure(&clock, limit, Box::new(wake)),
            None => self.outbox = Some(Outbox::new(clock, limit, Box::new(wake))),
        }
    }

    /// Takes no more notes.
    pub fn stop_sharing(&mut self) {
        self.outbox = None;
    }

    /// What waits to be told, while the table is shared.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        self.outbox.as_mut()
    }

    /// Whether and how an entry is told of. Expired entries are not.
    pub fn said(&mut self, now: Instant, key: &[u8]) -> Option<Said> {
        let nanos = self.advance(now);
        let at = self.slab.find(key)?;
        let slot = self.slab.get(at)?;
        let left = self.left(slot, nanos)?;
        let (backend, home) = (self.slab.backend(slot), self.slab.home(slot));
        let age = self.stick.expire - left;
        let version = self.version(now, at, age)?;
        Some(Said {
            backend,
            home,
            version,
            keep: left + self.stick.expire / SPARE,
        })
    }

    /// How long others have to remember a removal: until no copy of what was removed is left.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.stick.expire + self.stick.expire / SPARE
    }

    /// Takes in where another balancer has seen a client, unless something newer is known.
    pub fn adopt(
        &mut self,
        now: Instant,
        key: &[u8],
        backend: BackendId,
        home: BackendId,
        version: Version,
    ) -> Outcome {
        let nanos = self.advance(now);
        let Some(outbox) = &mut self.outbox else {
            return Outcome::Known;
        };
        if !outbox.clock().observe(now, version) {
            return Outcome::Ahead;
        }
        let age = outbox.clock().millis(now).saturating_sub(version.millis());
        let removal = outbox.removal(key, backend);
        // Who heard of the clear before it knew the entry has it at home there no more.
        let home = if outbox.clear_of(home) >= version {
            backend
        } else {
            home
        };
        let known = self.said(now, key);
        if known.is_some_and(|known| known.version >= version) {
            return Outcome::Known;
        }
        if removal >= version {
            // What is known here was outdated before the removal.
            return self.drop_entry(key);
        }
        let age = Duration::from_millis(age).saturating_sub(self.stick.expire / SPARE);
        if age >= self.stick.expire {
            return Outcome::Expired;
        }
        let touched = nanos.saturating_sub(age.as_nanos() as u64);
        if !self.place(nanos, touched, key, backend, home) {
            return Outcome::Full;
        }
        if let Some(at) = self.slab.find(key) {
            self.slab.set_version(at, version);
        }
        Outcome::Stored
    }

    /// Takes in that another balancer's operator has removed an entry.
    pub fn adopt_removal(&mut self, now: Instant, key: &[u8], version: Version) -> Outcome {
        let Some(outbox) = &mut self.outbox else {
            return Outcome::Known;
        };
        if !outbox.clock().observe(now, version) {
            return Outcome::Ahead;
        }
        match self.said(now, key) {
            Some(known) if known.version < version => self.drop_entry(key),
            _ => Outcome::Known,
        }
    }

    /// Takes in that another balancer's operator has removed all entries, or a backend's: those
    /// that are not newer go. O(entries).
    pub fn adopt_clear(
        &mut self,
        now: Instant,
        which: Option<BackendId>,
        version: Version,
    ) -> Outcome {
        let nanos = self.advance(now);
        let Some(outbox) = &mut self.outbox else {
            return Outcome::Known;
        };
        if !outbox.clock().observe(now, version) {
            return Outcome::Ahead;
        }
        if !outbox.learn_clear(which, version) {
            return Outcome::Known;
        }
        for at in 1..self.slab.end() {
            let Some(slot) = self.slab.get(at) else {
                continue;
            };
            let (backend, home) = (self.slab.backend(slot), self.slab.home(slot));
            let age = Duration::from_nanos(nanos.saturating_sub(slot.touched));
            if self.version(now, at, age).is_none_or(|said| said > version) {
                continue;
            }
            if which.is_none_or(|which| which == backend) {
                self.slab.remove(at);
            } else if which == Some(home) {
                self.slab.set_home(at, backend);
            }
        }
        Outcome::Removed
    }

    /// Tells the time, for a change without one of its own ([`StickTable::clear`]).
    pub fn tell(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Notes that a client was seen at the entry of `key`, which may have `changed`.
    pub(super) fn note_match(&mut self, now: Instant, key: &[u8], changed: bool) {
        let Some(outbox) = &mut self.outbox else {
            return;
        };
        if let Some(at) = self.slab.find(key) {
            let said = self.slab.version(at);
            let version = outbox.matched(now, key, said, changed, self.stick.expire);
            self.slab.set_version(at, version);
        }
    }

    /// Notes that the entry of `key` was removed.
    pub(super) fn note_removal(&mut self, now: Instant, key: &[u8]) {
        if let Some(outbox) = &mut self.outbox {
            outbox.removed(now, key);
        }
    }

    /// Notes that all entries, or a backend's, were removed.
    pub(super) fn note_clear(&mut self, which: Option<BackendId>) {
        let latest = self.latest();
        if let (Some(outbox), Some(latest)) = (&mut self.outbox, latest) {
            outbox.cleared(latest, which);
        }
    }

    fn drop_entry(&mut self, key: &[u8]) -> Outcome {
        match self.slab.find(key) {
            Some(at) => {
                self.slab.remove(at);
                Outcome::Removed
            }
            None => Outcome::Known,
        }
    }

    fn version(&mut self, now: Instant, at: u32, age: Duration) -> Option<Version> {
        match self.slab.version(at) {
            Version::NONE => {
                let millis = self.outbox.as_mut()?.clock().millis(now);
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                Some(Version::at_millis(millis.saturating_sub(age)))
            }
            version => Some(version),
        }
    }

    /// Stores an entry last matched at `touched`. Nothing matched later is evicted for it.
    fn place(
        &mut self,
        now: u64,
        touched: u64,
        key: &[u8],
        backend: BackendId,
        home: BackendId,
    ) -> bool {
        if let Some((at, _)) = self.live(key, now) {
            let before = self.slab.get(at).map_or(0, |slot| slot.touched);
            self.slab.touch(at, touched.max(before));
            return self.slab.set_backend(at, backend) && self.slab.set_home(at, home);
        }
        if key.len() > LONGEST_KEY {
            return false;
        }
        while self.is_over(1, key.len()) {
            let oldest = self.slab.oldest().and_then(|at| self.slab.get(at));
            let newer = oldest.is_some_and(|slot| slot.touched >= touched);
            if newer || !self.drop_oldest(!self.stick.nopurge) {
                return false;
            }
        }
        self.slab.insert(key.into(), backend, home, touched)
    }
}

//! The index of IPv4 flows from userspace's side: one writer at a time, any number of
//! programs that read.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::ptr::{addr_of, addr_of_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use aya::maps::MapData;
use mqtt_lb_ebpf::index::{self, Bucket, Key, Seed, Spot, WAYS};
use mqtt_lb_ebpf::tuple::{Place, Tuple4};

use crate::datapath::mapped::Mapped;

/// IPv4 packets to slots.
pub struct Index4 {
    buckets: Mapped<Bucket>,
    seed: Seed,
    writing: Mutex<()>,
}

/// Where an entry is.
type Way = (u32, usize);

impl Index4 {
    /// The index in mapped memory; `seed` is the one that the programs use.
    ///
    /// # Panics
    /// The seed is for more buckets than there are.
    pub fn new(buckets: Mapped<Bucket>, seed: Seed) -> Self {
        assert!(seed.buckets <= buckets.len(), "buckets of the index");
        Self {
            buckets,
            seed,
            writing: Mutex::new(()),
        }
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when it is there already,
    /// [`io::ErrorKind::StorageFull`] when both of its buckets are full.
    pub fn insert(&self, key: Tuple4, place: Place) -> io::Result<()> {
        let key = key.key();
        let spot = self.seed.spot(key);
        let _one = self.writing.lock().expect("index");
        if self.find(&spot, key).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let [first, second] = spot.buckets.map(|bucket| (self.free(bucket), bucket));
        let ((room, way), bucket) = if second.0.0 > first.0.0 {
            second
        } else {
            first
        };
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // SAFETY: in bounds; nobody else writes, and programs do not look at a key
        // whose word is 0.
        unsafe { addr_of_mut!((*self.buckets.at(bucket)).keys[way]).write_volatile(key) };
        self.word((bucket, way))
            .store(spot.word(place), Ordering::Release);
        Ok(())
    }

    /// Where a key leads.
    pub fn get(&self, key: &Tuple4) -> Option<Place> {
        let key = key.key();
        let at = self.find(&self.seed.spot(key), key)?;
        Some(index::place(self.word(at).load(Ordering::Acquire)))
    }

    /// Removes a key; it may be gone already.
    pub fn remove(&self, key: &Tuple4) {
        let key = key.key();
        let _one = self.writing.lock().expect("index");
        if let Some(at) = self.find(&self.seed.spot(key), key) {
            self.word(at).store(0, Ordering::Release);
            // Before the key of another entry.
            fence(Ordering::SeqCst);
        }
    }

    /// All keys and what they lead to.
    pub fn entries(&self) -> Vec<(Tuple4, Place)> {
        entries(&self.buckets)
    }

    fn find(&self, spot: &Spot, key: Key) -> Option<Way> {
        let all = spot.buckets.into_iter();
        all.flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)))
            .find(|&at| spot.may_be(self.word(at).load(Ordering::Acquire)) && self.key(at) == key)
    }

    /// How many ways of a bucket are free, and the first of them.
    fn free(&self, bucket: u32) -> (usize, usize) {
        let is_free = |way: &usize| self.word((bucket, *way)).load(Ordering::Relaxed) == 0;
        let mut free = (0..WAYS).filter(is_free);
        let first = free.next();
        first.map_or((0, 0), |first| (1 + free.count(), first))
    }

    fn word(&self, (bucket, way): Way) -> &AtomicU32 {
        word(&self.buckets, bucket, way)
    }

    fn key(&self, (bucket, way): Way) -> Key {
        key(&self.buckets, bucket, way)
    }
}

fn word(buckets: &Mapped<Bucket>, bucket: u32, way: usize) -> &AtomicU32 {
    // SAFETY: in bounds and aligned, as long as the mapping; always accessed atomically.
    unsafe { AtomicU32::from_ptr(addr_of_mut!((*buckets.at(bucket)).words[way])) }
}

fn key(buckets: &Mapped<Bucket>, bucket: u32, way: usize) -> Key {
    // SAFETY: in bounds and aligned, plain numbers.
    unsafe { addr_of!((*buckets.at(bucket)).keys[way]).read_volatile() }
}

fn entries(buckets: &Mapped<Bucket>) -> Vec<(Tuple4, Place)> {
    let all = (0..buckets.len()).flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)));
    let taken = all.filter_map(|(bucket, way)| {
        let word = word(buckets, bucket, way).load(Ordering::Acquire);
        let entry = || {
            (
                Tuple4::of_key(key(buckets, bucket, way)),
                index::place(word),
            )
        };
        (word != 0).then(entry)
    });
    taken.collect()
}

/// The entries of the index pinned at `pin`; `None` when there is none of this kind.
pub fn pinned(pin: &Path) -> Option<Vec<(Tuple4, Place)>> {
    let map = MapData::from_pin(pin).ok()?;
    let info = map.info().ok()?;
    if info.value_size() as usize != size_of::<Bucket>() {
        return None;
    }
    let buckets = Mapped::new(map.fd().as_fd(), info.max_entries()).ok()?;
    Some(entries(&buckets))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::os::fd::{FromRawFd as _, OwnedFd};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// An index in memory that no program knows.
    fn index(entries: u32) -> Index4 {
        let buckets = index::buckets(entries);
        // SAFETY: a name without a pointer that outlives the call; the result is checked.
        let fd = unsafe { libc::memfd_create(c"index".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: a new descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let file = std::fs::File::from(fd);
        file.set_len(u64::from(buckets) * size_of::<Bucket>() as u64)
            .unwrap();
        let seed = Seed {
            keys: [7, 9],
            buckets,
            reserved: 0,
        };
        Index4::new(Mapped::new(file.as_fd(), buckets).unwrap(), seed)
    }

    fn tuple(client: u32, port: u16) -> Tuple4 {
        Tuple4 {
            source: client.to_be_bytes(),
            destination: [10, 0, 0, 1],
            source_port: port.to_be_bytes(),
            destination_port: 1883_u16.to_be_bytes(),
        }
    }

    #[test]
    fn there_is_room_for_all() {
        for (count, ports) in [(2_u32, 1), (32, 2), (1000, 1000), (200_000, 50_000)] {
            let index = index(count);
            let keys: Vec<_> = (0..count)
                .map(|n| tuple(0x0a00_0000 + n / ports, (n % ports) as u16))
                .collect();
            for (n, key) in keys.iter().enumerate() {
                index.insert(*key, Place(n as u32)).expect("room");
            }
            for (n, key) in keys.iter().enumerate() {
                assert_eq!(index.get(key), Some(Place(n as u32)));
            }
            assert_eq!(index.entries().len(), count as usize);
            keys.iter().for_each(|key| index.remove(key));
            assert_eq!(index.entries(), []);
        }
    }

    #[test]
    fn more_than_there_is_room_for_is_refused() {
        let index = index(2);
        let all = (0..1000).filter(|&n| index.insert(tuple(n, 1), Place(n)).is_ok());
        assert!((2..=5 * WAYS).contains(&all.count()));
        let error = index.insert(tuple(2000, 1), Place(1)).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(steps in vec((0_u32..24, 0_u8..3, 0_u32..1 << 23), 0..200)) {
            let index = index(24);
            let mut model = HashMap::new();
            for (client, what, place) in steps {
                let (key, place) = (tuple(client, 7), Place(place));
                match what {
                    0 => {
                        index.remove(&key);
                        model.remove(&key);
                    }
                    _ if model.contains_key(&key) => {
                        let error = index.insert(key, place).expect_err("twice");
                        prop_assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
                    }
                    _ => {
                        index.insert(key, place).expect("room");
                        model.insert(key, place);
                    }
                }
                prop_assert_eq!(index.get(&key), model.get(&key).copied());
            }
            let found: HashMap<_, _> = index.entries().into_iter().collect();
            prop_assert_eq!(found, model);
        }
    }
}

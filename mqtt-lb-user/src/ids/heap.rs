//! Numbered places ordered by their counts, the least first, so that a count that
//! grows costs the logarithm of their number.

/// A binary heap of the places `0..len`, which also knows where each place stands.
#[derive(Debug, Default)]
pub(super) struct Heap {
    /// Count and place, ordered as a heap.
    nodes: Vec<(u64, u32)>,
    /// Where a place stands in `nodes`.
    at: Vec<u32>,
}

impl Heap {
    /// The place with the least count.
    pub(super) fn least(&self) -> Option<(u64, usize)> {
        self.nodes
            .first()
            .map(|&(count, place)| (count, place as usize))
    }

    /// The count of a place.
    pub(super) fn count(&self, place: usize) -> u64 {
        self.nodes[self.at[place] as usize].0
    }

    /// A new place, numbered next.
    pub(super) fn push(&mut self, count: u64) {
        let place = self.at.len() as u32;
        let mut i = self.nodes.len();
        self.nodes.push((count, place));
        self.at.push(i as u32);
        while i > 0 {
            let parent = (i - 1) / 2;
            if self.nodes[parent].0 <= self.nodes[i].0 {
                break;
            }
            self.swap(parent, i);
            i = parent;
        }
    }

    /// The count of a place grows by one.
    pub(super) fn grow(&mut self, place: usize) {
        let mut i = self.at[place] as usize;
        self.nodes[i].0 += 1;
        loop {
            let children = [2 * i + 1, 2 * i + 2].into_iter();
            let least = children
                .filter(|&child| child < self.nodes.len())
                .min_by_key(|&child| self.nodes[child].0);
            match least {
                Some(child) if self.nodes[child].0 < self.nodes[i].0 => {
                    self.swap(child, i);
                    i = child;
                }
                _ => return,
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.nodes.swap(a, b);
        for i in [a, b] {
            self.at[self.nodes[i].1 as usize] = i as u32;
        }
    }

    /// Bytes it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<(u64, u32)>() + self.at.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_first_whatever_grows() {
        let mut heap = Heap::default();
        let mut counts = [5, 3, 9, 1, 1, 7, 2];
        counts.iter().for_each(|&count| heap.push(count));
        let mut state = 1u32;
        for _ in 0..500 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = (state >> 16) as usize % counts.len();
            heap.grow(place);
            counts[place] += 1;
            let (least, at) = heap.least().expect("not empty");
            assert_eq!(Some(&least), counts.iter().min());
            assert_eq!(counts[at], least);
            assert!((0..counts.len()).all(|i| heap.count(i) == counts[i]));
        }
    }
}

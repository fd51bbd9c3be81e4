//! When ids were here last: a cache of fixed size, one look of one cache line.

/// Ids that share a line of 64 bytes.
const WAYS: usize = 8;

/// Eight ids: the upper half of each one's number, and when it came.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([(u32, u32); WAYS]);

/// The last visits of ids. Of the ids that fall into one line the oldest is forgotten
/// for a new one.
///
/// Times are tenths of a second since some beginning, from 1 on: 0 is an empty place.
#[derive(Debug, Default)]
pub(super) struct Recent {
    lines: Vec<Line>,
    forgotten: u64,
}

impl Recent {
    /// Room for `size` ids, rounded up to a power of two.
    pub(super) fn new(size: usize) -> Self {
        let lines = match size {
            0 => 0,
            _ => size.div_ceil(WAYS).next_power_of_two(),
        };
        Self {
            lines: vec![Line::default(); lines],
            forgotten: 0,
        }
    }

    /// The id of this number is here `now`: the time since it was here last, if that
    /// was within `window` and is remembered.
    pub(super) fn visit(&mut self, id: u64, now: u32, window: u32) -> Option<u32> {
        // The lower bits choose the line, so the upper ones tell ids in it apart.
        let at = id as usize & self.lines.len().checked_sub(1)?;
        let line = &mut self.lines[at].0;
        let name = (id >> 32) as u32;
        if let Some((_, last)) = line.iter_mut().find(|(n, last)| *n == name && *last != 0) {
            let age = now.saturating_sub(*last);
            *last = now;
            return (age <= window).then_some(age);
        }
        let oldest = line.iter_mut().min_by_key(|(_, last)| *last)?;
        let age = now.saturating_sub(oldest.1);
        self.forgotten += u64::from(oldest.1 != 0 && age <= window);
        *oldest = (name, now);
        None
    }

    /// Ids there is room for.
    pub(super) fn size(&self) -> usize {
        self.lines.len() * WAYS
    }

    /// Ids forgotten although their window had not passed.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Bytes it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: u32, line: u32) -> u64 {
        u64::from(name) << 32 | u64::from(line)
    }

    #[test]
    fn a_visit_is_told_from_the_one_before_within_the_window() {
        let mut recent = Recent::new(16);
        assert_eq!(recent.visit(id(7, 1), 100, 50), None);
        assert_eq!(recent.visit(id(7, 1), 150, 50), Some(50));
        assert_eq!(recent.visit(id(7, 1), 201, 50), None, "too late");
        assert_eq!(recent.visit(id(7, 0), 201, 50), None, "another id");
        assert_eq!(recent.visit(id(8, 1), 201, 50), None, "another id");
        assert_eq!(recent.visit(id(7, 1), 201, 50), Some(0));
        assert_eq!(
            recent.visit(id(0, 1), 1, 50),
            None,
            "empty places are nobody"
        );
    }

    #[test]
    fn a_full_line_forgets_its_oldest_and_says_so_when_it_mattered() {
        let mut recent = Recent::new(8);
        assert_eq!(recent.size(), 8);
        for name in 1..=8 {
            recent.visit(id(name, 0), 100 + name, 50);
        }
        assert_eq!(recent.visit(id(1, 0), 120, 50), Some(19));
        assert_eq!(recent.visit(id(9, 0), 121, 50), None);
        assert_eq!(recent.forgotten(), 1);
        assert_eq!(recent.visit(id(2, 0), 122, 50), None, "it was the oldest");
        assert_eq!(recent.visit(id(1, 0), 123, 50), Some(3));
        recent.visit(id(10, 0), 500, 50);
        assert_eq!(recent.forgotten(), 2, "the last one's window had passed");
    }

    #[test]
    fn without_room_nobody_is_remembered() {
        let mut recent = Recent::new(0);
        assert_eq!(recent.visit(1, 1, 50), None);
        assert_eq!(recent.visit(1, 1, 50), None);
        assert_eq!((recent.size(), recent.memory_bytes()), (0, 0));
    }
}

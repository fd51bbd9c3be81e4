//! Source ports of the balancer towards one backend. Sans-IO.
//!
//! Chosen here and not by the kernel: the kernel would give out the port of a flow
//! whose socket is dissolved, and searches long when most ports are taken.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The ports of one source address towards one backend, longest unused first.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    free: VecDeque<u16>,
    busy: Vec<bool>,
}

impl Ports {
    /// All ports of `range`, free.
    pub fn new(range: &RangeInclusive<u16>) -> Self {
        let free: VecDeque<u16> = range.clone().collect();
        Self {
            first: *range.start(),
            busy: vec![false; free.len()],
            free,
        }
    }

    /// A free port; `None` when every one is taken.
    pub fn take(&mut self) -> Option<u16> {
        loop {
            let port = self.free.pop_front()?;
            // One that was claimed stands here still.
            if self.mark(port, true) {
                return Some(port);
            }
        }
    }

    /// Marks a port of a flow that was found. It may lie outside of the range.
    pub fn claim(&mut self, port: u16) {
        self.mark(port, true);
    }

    /// Gives a port back: it comes last.
    pub fn give_back(&mut self, port: u16) {
        if self.mark(port, false) {
            self.free.push_back(port);
        }
    }

    /// Whether that was a change.
    fn mark(&mut self, port: u16, busy: bool) -> bool {
        let index = usize::from(port).checked_sub(usize::from(self.first));
        let Some(state) = index.and_then(|i| self.busy.get_mut(i)) else {
            return false;
        };
        std::mem::replace(state, busy) != busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_port_comes_first() {
        let mut ports = Ports::new(&(10..=12));
        assert_eq!(ports.take(), Some(10));
        assert_eq!(ports.take(), Some(11));
        ports.give_back(10);
        assert_eq!(ports.take(), Some(12), "never used before");
        assert_eq!(ports.take(), Some(10));
        assert_eq!(ports.take(), None);
    }

    #[test]
    fn a_claimed_port_is_not_given_out_until_it_comes_back() {
        let mut ports = Ports::new(&(10..=11));
        ports.claim(10);
        ports.claim(9999);
        assert_eq!(ports.take(), Some(11));
        assert_eq!(ports.take(), None);
        ports.give_back(10);
        ports.give_back(10);
        ports.give_back(9999);
        assert_eq!(ports.take(), Some(10));
        assert_eq!(ports.take(), None);
    }
}

//! One line that says how far a run is.

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

use crate::step::human;

/// The line: rewritten on a terminal, one below the other elsewhere.
pub struct Progress {
    total: usize,
    done: usize,
    begin: Instant,
}

impl Progress {
    /// That of so many rounds.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            begin: Instant::now(),
        }
    }

    /// Another round is over; `what` happened in it.
    pub fn done(&mut self, what: &str) {
        self.done += 1;
        let spent = self.begin.elapsed();
        let left = spent / self.done as u32 * self.total.saturating_sub(self.done) as u32;
        self.show(&format!("{what}, {} left", human(left)));
    }

    /// Rounds that will not be run.
    pub fn skip(&mut self, rounds: usize) {
        self.total = self.total.saturating_sub(rounds);
    }

    /// Ends the line.
    pub fn end(&self) {
        if stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }

    fn show(&self, what: &str) {
        let line = format!("[{}/{}] {what}", self.done, self.total);
        let mut to = stderr();
        let _shown = if to.is_terminal() {
            write!(to, "\r\x1b[K{line}")
        } else {
            writeln!(to, "{line}")
        };
        let _ = to.flush();
    }
}

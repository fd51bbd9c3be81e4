//! Counts what libtest reports.

use std::fmt;

/// The results of one or more test binaries.
#[derive(Default)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that libtest was told not to run.
    pub ignored: u64,
    /// libtest's own closing lines, of binaries that have tests.
    pub lines: Vec<String>,
}

impl Tally {
    /// Takes in one line of output; only libtest's closing lines count.
    pub fn read(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let (passed, failed) = (number(result, "passed"), number(result, "failed"));
        self.passed += passed;
        self.failed += failed;
        self.ignored += number(result, "ignored");
        if passed + failed > 0 {
            self.lines.push(line.to_owned());
        }
    }

    /// Adds what `other` has counted.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(f, ", {ignored} skipped"),
        }
    }
}

/// The number in front of `what`, in `ok. 21 passed; 0 failed; …`.
fn number(result: &str, what: &str) -> u64 {
    result
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_all_binaries_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 2 tests",
            "test result: ok. 21 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (24, 2, 1));
        assert_eq!(tally.lines.len(), 2);
        assert_eq!(tally.to_string(), "24 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut tally = Tally::default();
        tally.read("test connect::reader::cut ... ok");
        tally.read("printed by a test: 5 passed; 0 failed");
        assert_eq!(tally.to_string(), "0 passed, 0 failed");
    }
}

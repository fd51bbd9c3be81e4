//! Rise and fall: check results in, state changes out. Sans-IO.

/// A backend went up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many good checks in a row brought it up.
    Up {
        /// Good checks in a row.
        passed: u32,
    },
    /// So many bad checks in a row took it down.
    Down {
        /// Bad checks in a row.
        failed: u32,
    },
}

/// Health of one backend as its checks tell it.
///
/// It starts up, so that a balancer serves at once; the first check decides alone,
/// whatever `fall` says (as in HAProxy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    up: bool,
    checked: bool,
    contrary: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            up: true,
            checked: false,
            contrary: 0,
        }
    }
}

impl State {
    /// Whether the backend counts as up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Takes in one result. `rise` good ones in a row bring a backend up, `fall` bad
    /// ones in a row take it down; a result that agrees with the state starts the
    /// count anew.
    pub fn record(&mut self, good: bool, rise: u32, fall: u32) -> Option<Change> {
        let first = !std::mem::replace(&mut self.checked, true);
        if good == self.up {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let needed = match (good, first) {
            (true, _) => rise,
            (false, true) => 1,
            (false, false) => fall,
        };
        if self.contrary < needed {
            return None;
        }
        let count = std::mem::take(&mut self.contrary);
        self.up = good;
        Some(if good {
            Change::Up { passed: count }
        } else {
            Change::Down { failed: count }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `+` (good) and `-` (bad) with rise 2, fall 3; shows the state after each.
    fn play(checks: &str) -> String {
        let mut state = State::default();
        checks
            .chars()
            .map(|c| {
                state.record(c == '+', 2, 3);
                if state.is_up() { 'U' } else { 'd' }
            })
            .collect()
    }

    #[test]
    fn starts_up_and_the_first_check_decides() {
        assert!(State::default().is_up());
        assert_eq!(play("-"), "d");
        assert_eq!(play("+"), "U");
    }

    #[test]
    fn falls_after_three_and_rises_after_two() {
        assert_eq!(play("+---++"), "UUUddU");
    }

    #[test]
    fn one_good_check_starts_the_fall_anew() {
        assert_eq!(play("+--+--+---"), "UUUUUUUUUd");
    }

    #[test]
    fn one_bad_check_starts_the_rise_anew() {
        assert_eq!(play("-+-+-++"), "ddddddU");
    }

    #[test]
    fn a_change_is_told_once_with_its_count() {
        let mut state = State::default();
        let mut changes = Vec::new();
        for good in [true, false, false, false, false, true, true, true] {
            changes.extend(state.record(good, 2, 3));
        }
        assert_eq!(
            changes,
            [Change::Down { failed: 3 }, Change::Up { passed: 2 }]
        );
    }

    #[test]
    fn settings_that_shrink_apply_to_the_next_check() {
        let mut state = State::default();
        state.record(true, 2, 10);
        for _ in 0..5 {
            assert_eq!(state.record(false, 2, 10), None);
        }
        assert_eq!(state.record(false, 2, 3), Some(Change::Down { failed: 6 }));
    }

    #[test]
    fn rise_and_fall_of_zero_act_like_one() {
        let mut state = State::default();
        state.record(true, 0, 0);
        assert_eq!(state.record(false, 0, 0), Some(Change::Down { failed: 1 }));
        assert_eq!(state.record(true, 0, 0), Some(Change::Up { passed: 1 }));
    }
}

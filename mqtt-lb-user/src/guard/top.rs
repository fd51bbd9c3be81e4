//! Who spends most. Sans-IO.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use mqtt_lb_ebpf::guard::{Address, Budget};

/// A source prefix and its SYNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spender {
    /// First address of the prefix.
    pub prefix: IpAddr,
    /// SYNs that passed since it was first seen.
    pub passed: u64,
    /// SYNs that were dropped.
    pub dropped: u64,
}

impl Spender {
    /// What the kernel knows of a prefix.
    pub fn new(address: Address, budget: &Budget) -> Self {
        Self {
            prefix: Ipv6Addr::from(address).to_canonical(),
            passed: budget.passed,
            dropped: budget.dropped,
        }
    }
}

/// The `count` with most dropped, then most passed.
pub fn top(mut all: Vec<Spender>, count: usize) -> Vec<Spender> {
    all.sort_unstable_by_key(|one| (Reverse(one.dropped), Reverse(one.passed), one.prefix));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use mqtt_lb_ebpf::guard::mapped;

    use super::*;

    #[test]
    fn whoever_was_stopped_most_comes_first() {
        let spender = |last: u8, passed, dropped| {
            let budget = Budget {
                due: 0,
                passed,
                dropped,
            };
            Spender::new(mapped([192, 0, 2, last]), &budget)
        };
        let all = vec![spender(1, 9, 0), spender(2, 1, 5), spender(3, 50, 0)];
        let top = top(all, 2);
        let order: Vec<_> = top.iter().map(|one| one.prefix.to_string()).collect();
        assert_eq!(order, ["192.0.2.2", "192.0.2.3"]);
    }
}

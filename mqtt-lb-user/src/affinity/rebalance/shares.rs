//! How evenly the ids of a table are spread over the backends, by weight.

use crate::affinity::BackendId;

/// A backend's share of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The backend.
    pub id: BackendId,
    /// Ids at home there.
    pub ids: usize,
    /// Its weight, not 0.
    pub weight: u32,
}

impl Share {
    /// Ids for each unit of weight, after so many more or fewer.
    fn load(&self, more: f64) -> f64 {
        (self.ids as f64 + more) / f64::from(self.weight)
    }
}

/// The largest load over the mean, or the mean over the smallest, whichever is more: 1 is
/// even. A backend without ids counts as with one, so that the answer is a number.
pub(super) fn skew(shares: &[Share]) -> f64 {
    let mean = mean(shares);
    let loads = shares.iter().map(|share| share.load(0.0));
    let most = loads.fold(0.0, f64::max);
    let least = shares
        .iter()
        .map(|share| share.load(f64::from(u8::from(share.ids == 0))))
        .fold(f64::INFINITY, f64::min);
    if mean > 0.0 {
        (most / mean).max(mean / least)
    } else {
        1.0
    }
}

/// Where an id of the backend `from` makes the table more even: the backend with the
/// smallest load, when `from` is above the mean, and still not below the other afterwards.
pub(super) fn relief(shares: &[Share], from: BackendId) -> Option<BackendId> {
    let from = shares.iter().find(|share| share.id == from)?;
    let to = emptiest(shares)?;
    let above = from.load(0.0) > mean(shares);
    (above && from.load(-1.0) >= to.load(1.0)).then_some(to.id)
}

/// The backend with the smallest load.
pub(super) fn emptiest(shares: &[Share]) -> Option<&Share> {
    let shares = shares.iter();
    shares.min_by(|a, b| a.load(0.0).total_cmp(&b.load(0.0)))
}

fn mean(shares: &[Share]) -> f64 {
    let ids: usize = shares.iter().map(|share| share.ids).sum();
    let weight: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    if weight == 0 {
        0.0
    } else {
        ids as f64 / weight as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(of: &[(usize, u32)]) -> Vec<Share> {
        let share = |(n, (ids, weight)): (u32, &(usize, u32))| Share {
            id: BackendId(n),
            ids: *ids,
            weight: *weight,
        };
        (0..).zip(of).map(share).collect()
    }

    #[test]
    fn skew_by_weight() {
        for (of, expected) in [
            (&[][..], 1.0),
            (&[(0, 1), (0, 1)], 1.0),
            (&[(5, 1)], 1.0),
            (&[(30, 1), (60, 2)], 1.0),
            (&[(40, 1), (40, 1), (40, 1), (0, 1)], 30.0),
            (&[(60, 1), (30, 1)], 1.5),
            (&[(90, 1), (110, 1)], 1.1111),
        ] {
            let skew = skew(&shares(of));
            assert!((skew - expected).abs() < 1e-3, "{of:?}: {skew}");
        }
    }

    #[test]
    fn only_those_above_the_mean_give_and_the_emptiest_gets() {
        let shares = shares(&[(40, 1), (30, 1), (2, 1), (1, 1)]);
        let to = |from| relief(&shares, BackendId(from));
        assert_eq!(to(0), Some(BackendId(3)));
        assert_eq!(to(1), Some(BackendId(3)));
        assert_eq!(to(2), None);
        assert_eq!(to(3), None);
        assert_eq!(to(9), None, "a backend that takes no new clients");
    }

    #[test]
    fn one_id_more_or_less_moves_nobody() {
        for of in [&[(2, 1), (1, 1)][..], &[(1, 1), (0, 1)], &[(4, 3), (1, 1)]] {
            assert_eq!(relief(&shares(of), BackendId(0)), None, "{of:?}");
        }
    }

    proptest! {
        #[test]
        fn moving_ends_and_ends_even(of in prop::collection::vec((0_usize..200, 1_u32..5), 1..8)) {
            let mut shares = shares(&of);
            let ids: usize = of.iter().map(|(ids, _)| ids).sum();
            let mut moved = 0;
            while let Some((from, to)) = (0..shares.len())
                .find_map(|from| Some((from, relief(&shares, shares[from].id)?)))
            {
                shares[from].ids -= 1;
                shares[to.0 as usize].ids += 1;
                moved += 1;
                prop_assert!(moved <= ids, "nobody is moved twice");
            }
            let least = |shares: &[Share]| shares.iter().map(|s| s.load(0.0)).fold(f64::MAX, f64::min);
            let most = |shares: &[Share]| shares.iter().map(|s| s.load(0.0)).fold(0.0, f64::max);
            let before = self::shares(&of);
            prop_assert!(least(&shares) >= least(&before) && most(&shares) <= most(&before));
            if of.iter().all(|(_, weight)| *weight == of[0].1) {
                let spread = shares.iter().map(|s| s.ids).max().unwrap_or(0)
                    - shares.iter().map(|s| s.ids).min().unwrap_or(0);
                prop_assert!(spread <= 1, "{shares:?}");
            }
        }
    }
}

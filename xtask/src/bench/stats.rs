//! Medians, their spread, and when two series may be compared.

/// Spread above which no ratio is printed.
pub const MOST_SPREAD: f64 = 0.25;
/// Rounds below which no ratio is printed.
pub const FEWEST_ROUNDS: usize = 3;

/// The median; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The width of the middle half of the values, as a part of the median; none of
/// nothing. Of three values it is the width of all.
pub fn spread(values: &[f64]) -> Option<f64> {
    let median = median(values)?;
    let values = sorted(values);
    let quarter = values.len() / 4;
    let width = values[values.len() - 1 - quarter] - values[quarter];
    // Without a width, also of zeros.
    Some(if width == 0.0 {
        0.0
    } else {
        width / median.abs()
    })
}

/// One series divided by another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ratio {
    /// The median of the rounds' ratios.
    Of(f64),
    /// The rounds disagree by this spread, more than [`MOST_SPREAD`].
    Disagrees(f64),
    /// Fewer than [`FEWEST_ROUNDS`] rounds have both.
    TooFew,
}

/// The ratio of `series` to `base`, round by round: what made a whole round slow has
/// hit both.
pub fn ratio(series: &[Option<f64>], base: &[Option<f64>]) -> Ratio {
    let pairs = series.iter().zip(base);
    let ratios: Vec<f64> = pairs
        .filter_map(|(one, other)| Some((*one)? / (*other)?))
        .collect();
    match (median(&ratios), spread(&ratios)) {
        (Some(median), Some(spread)) if ratios.len() >= FEWEST_ROUNDS => {
            if spread > MOST_SPREAD {
                Ratio::Disagrees(spread)
            } else {
                Ratio::Of(median)
            }
        }
        _ => Ratio::TooFew,
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 500.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 500.0]), Some(3.0));
    }

    #[test]
    fn one_odd_round_of_seven_is_no_spread() {
        assert_eq!(spread(&[]), None);
        let seven = [10.0, 10.5, 9.5, 10.0, 900.0, 10.2, 9.9];
        assert!(spread(&seven).is_some_and(|spread| spread < 0.1));
        assert_eq!(spread(&[8.0, 10.0, 12.0]), Some(0.4));
        assert_eq!(spread(&[0.0, 0.0, 0.0]), Some(0.0));
    }

    #[test]
    fn a_machine_that_slows_down_does_not_change_a_ratio() {
        let (base, half) = ([100.0, 80.0, 40.0], [50.0, 40.0, 20.0]);
        assert_eq!(ratio(&series(&half), &series(&base)), Ratio::Of(0.5));
    }

    #[test]
    fn rounds_that_disagree_give_no_ratio() {
        let (base, odd) = ([100.0, 100.0, 100.0], [50.0, 60.0, 70.0]);
        let Ratio::Disagrees(spread) = ratio(&series(&odd), &series(&base)) else {
            panic!("a ratio of rounds that disagree");
        };
        assert!((spread - 20.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn rounds_that_failed_pair_with_nothing() {
        let mut one = series(&[1.0, 1.0, 1.0, 1.0]);
        let base = series(&[2.0, 2.0, 2.0, 2.0]);
        one[1] = None;
        assert_eq!(ratio(&one, &base), Ratio::Of(0.5));
        one[2] = None;
        assert_eq!(ratio(&one, &base), Ratio::TooFew);
    }
}

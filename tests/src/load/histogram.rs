//! Latencies, counted in buckets of 1/64 of a power of two: at most 1.6 % wrong.

use std::time::Duration;

const SUB: u64 = 64;

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let bucket = bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// How many have been counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration, in microseconds, that a part of all (0 to 1) do not exceed; 0
    /// when none has been counted.
    pub fn quantile_us(&self, part: f64) -> f64 {
        let rank = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0.0, |bucket| lower(bucket as u64 + 1) as f64 / 1000.0)
    }
}

/// The bucket of a number of nanoseconds.
fn bucket(ns: u64) -> usize {
    let shift = (ns | SUB).ilog2() - SUB.ilog2();
    (u64::from(shift) * SUB + (ns >> shift)) as usize
}

/// The least number of nanoseconds in a bucket.
fn lower(bucket: u64) -> u64 {
    if bucket < 2 * SUB {
        return bucket;
    }
    let shift = bucket / SUB - 1;
    (bucket - shift * SUB) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for at in 0..2000 {
            assert_eq!(bucket(lower(at)), at as usize);
            assert_eq!(bucket(lower(at + 1) - 1), at as usize);
        }
        let (wide, from) = (lower(1501) - lower(1500), lower(1500));
        assert!((wide as f64) < 0.017 * from as f64);
    }

    #[test]
    fn quantiles_are_near_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.5), 0.0);
        for us in 1..=1000 {
            histogram.add(Duration::from_micros(us));
        }
        assert_eq!(histogram.count(), 1000);
        for (part, us) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile_us(part);
            assert!((found / us - 1.0).abs() < 0.02, "{part}: {found}");
        }
    }
}

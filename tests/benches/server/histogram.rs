//! How often something took how long, to three per cent.

use std::time::Duration;

/// Steps between a power of two and the next.
const STEPS: u64 = 32;

#[derive(Clone)]
pub(crate) struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; 64 * STEPS as usize])
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Duration) {
        let nanoseconds = (time.as_nanos() as u64).max(STEPS);
        let power = u64::from(nanoseconds.ilog2());
        let step = (nanoseconds >> (power - u64::from(STEPS.ilog2()))) - STEPS;
        if let Some(count) = self.0.get_mut((power * STEPS + step) as usize) {
            *count += 1;
        }
    }

    /// The time that `part` of all stayed within.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut left = (self.0.iter().sum::<u64>() as f64 * part) as u64;
        for (index, count) in (0u64..).zip(&self.0) {
            if *count > left {
                let (power, step) = (index / STEPS, index % STEPS);
                return Duration::from_nanos(((STEPS + step) << power) / STEPS);
            }
            left -= count;
        }
        Duration::ZERO
    }
}

//! What was measured: samples by round, medians, ratios.

use std::collections::BTreeMap;

use crate::load::transfer::Direction;
use crate::variants::Variant;
use crate::world::Http;

/// One number that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    SmallPerSecond(Http),
    SmallP50(Http),
    SmallP99(Http),
    SmallAlone(Http),
    SmallCpu(Http),
    SmallPerCpu(Http),
    FreshPerSecond(Http),
    FreshCpu(Http),
    FreshPerCpu(Http),
    Bytes(Direction, Http),
    Memory(Direction, Http),
    Event(Http),
    Idle(Http),
}

/// The samples of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Results {
    samples: BTreeMap<(Metric, Variant), BTreeMap<usize, f64>>,
    /// What the person should know beside the numbers.
    pub(crate) remarks: Vec<String>,
    pub(crate) rounds: usize,
}

impl Results {
    pub(crate) fn new(rounds: usize) -> Self {
        Self { rounds, ..Self::default() }
    }

    pub(crate) fn add(&mut self, round: usize, metric: Metric, variant: Variant, value: f64) {
        self.samples.entry((metric, variant)).or_default().insert(round, value);
    }

    /// Keeps a remark, once.
    pub(crate) fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Returns the median of what was measured.
    pub(crate) fn median(&self, metric: Metric, variant: Variant) -> Option<f64> {
        median(self.samples.get(&(metric, variant))?.values().copied().collect())
    }

    /// Returns the median of what two variants have to do with each other in each round, so that
    /// what disturbs a whole round disturbs no comparison.
    pub(crate) fn compare(
        &self,
        metric: Metric,
        variants: [Variant; 2],
        relation: impl Fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let [first, second] = variants.map(|variant| self.samples.get(&(metric, variant)));
        let second = second?;
        let both = first?.iter().filter_map(|(round, value)| Some((*value, *second.get(round)?)));
        median(both.map(|(first, second)| relation(first, second)).collect())
    }

    pub(crate) fn ratio(&self, metric: Metric, variants: [Variant; 2]) -> Option<f64> {
        self.compare(metric, variants, |first, second| first / second)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_rounds() {
        let metric = Metric::SmallPerSecond(Http::One);
        let mut results = Results::default();
        // The machine was busy in the second round.
        for (round, value) in [100.0, 10.0, 120.0].into_iter().enumerate() {
            results.add(round, metric, Variant::OURS, value);
            results.add(round, metric, Variant::NoProxy, value * 2.0);
        }
        results.add(3, metric, Variant::OURS, 1.0);
        assert_eq!(results.ratio(metric, [Variant::OURS, Variant::NoProxy]), Some(0.5));
        assert_eq!(results.median(metric, Variant::NoProxy), Some(200.0));
        assert_eq!(results.median(metric, Variant::OURS), Some(55.0));
        assert_eq!(results.ratio(metric, [Variant::OURS, Variant::Nginx]), None);
    }
}

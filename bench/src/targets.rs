//! What the data plane is to achieve, and whether it does.

use crate::load::transfer::Direction;
use crate::results::{Metric, Results};
use crate::variants::Variant;
use crate::world::Http;

/// One bound, and what was measured.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// None when something that it is compared with was not measured.
    pub(crate) measured: Option<f64>,
}

/// What a number must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64, &'static str),
}

impl Target {
    pub(crate) fn is_met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.bound {
            Bound::AtLeast(bound) => measured >= bound,
            Bound::AtMost(bound, _) => measured <= bound,
        })
    }
}

/// Returns every target.
pub(crate) fn all(results: &Results) -> Vec<Target> {
    Http::BOTH.into_iter().flat_map(|http| Judge { results, http }.targets()).collect()
}

struct Judge<'a> {
    results: &'a Results,
    http: Http,
}

impl Judge<'_> {
    fn targets(&self) -> Vec<Target> {
        let small = Metric::SmallPerCpu(self.http);
        let fresh = Metric::FreshPerCpu(self.http);
        let intercepting = [Variant::HudsuckerNoDelay, Variant::HttpMitmProxy, Variant::Mitmproxy];
        let mut targets = vec![
            self.at_least(
                1.25,
                "small requests, to the best other",
                self.best(small, &intercepting),
            ),
            self.at_least(1.2, "small requests, to nginx", self.best(small, &[Variant::Nginx])),
            self.at_least(
                0.45,
                "small requests, to no proxy",
                self.best(small, &[Variant::NoProxy]),
            ),
            self.at_least(2.0, "handshakes, to hudsucker", self.best(fresh, &[Variant::Hudsucker])),
            self.at_least(
                2.0,
                "handshakes, to hudsucker + nodelay",
                self.best(fresh, &[Variant::HudsuckerNoDelay]),
            ),
            self.cost(10.0, "a rule and scrubbing", [Variant::WITH_RULE, Variant::OURS]),
            self.cost(5.0, "10,000 rules", [Variant::RULES_10000, Variant::WITH_RULE]),
            self.cost(5.0, "1,000 runs", [Variant::RUNS_1000, Variant::WITH_RULE]),
        ];
        for (direction, word) in [(Direction::Down, "down"), (Direction::Up, "up")] {
            let others = [&intercepting[..], &[Variant::Nginx]].concat();
            let speed = self.best(Metric::Bytes(direction, self.http), &others);
            targets.push(self.at_least(1.0, &format!("1 GiB {word}, to the best other"), speed));
            let memory = self.results.median(Metric::Memory(direction, self.http), Variant::OURS);
            let mebibytes = memory.map(|bytes| bytes / f64::from(1 << 20));
            targets.push(self.at_most(
                16.0,
                "MiB",
                &format!("1 GiB {word}, more memory"),
                mebibytes,
            ));
        }
        let pair = [Variant::OURS, Variant::NoProxy];
        let delay = self.results.compare(Metric::Event(self.http), pair, |ours, none| ours - none);
        targets.push(self.at_most(1000.0, "µs", "the first event, later than without", delay));
        let idle = self.results.median(Metric::Idle(self.http), Variant::OURS);
        let kibibytes = idle.map(|bytes| bytes / 1024.0);
        targets.push(self.at_most(48.0, "KiB", "memory of an idle tunnel", kibibytes));
        targets
    }

    /// Returns how we are compared with the best of others.
    fn best(&self, metric: Metric, others: &[Variant]) -> Option<f64> {
        let ratios =
            others.iter().filter_map(|other| self.results.ratio(metric, [Variant::OURS, *other]));
        ratios.min_by(f64::total_cmp)
    }

    fn cost(&self, bound: f64, what: &str, variants: [Variant; 2]) -> Target {
        let ratio = self.results.ratio(Metric::SmallPerCpu(self.http), variants);
        let percent = ratio.map(|ratio| (1.0 - ratio) * 100.0);
        self.at_most(bound, "%", &format!("cost of {what}"), percent)
    }

    fn at_least(&self, bound: f64, what: &str, measured: Option<f64>) -> Target {
        let what = format!("{}: {what}", self.http.as_str());
        Target { what, bound: Bound::AtLeast(bound), measured }
    }

    fn at_most(&self, bound: f64, unit: &'static str, what: &str, measured: Option<f64>) -> Target {
        let what = format!("{}: {what}", self.http.as_str());
        Target { what, bound: Bound::AtMost(bound, unit), measured }
    }
}

//! What senders say: lines of hosts that report a hundred metrics each, as collectd would.
//!
//! The same arguments give the same lines, so that every server is fed the same.

use clap::ValueEnum;
use std::fmt::Write as _;

/// Metrics of a host, which it sends together.
pub(crate) const HOST_METRICS: usize = 100;

/// What values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Values {
    /// Counters that grow
    Integers,
    /// Gauges with two decimals
    Decimals,
    /// A third that never changes, a third integers, a third decimals
    Mixed,
}

/// In which order the hosts report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// The same in each round
    Fixed,
    /// Another in each round; a host's metrics stay together
    Shuffled,
}

/// The series of one connection.
#[derive(Debug)]
pub(crate) struct Lines {
    hosts: Vec<Host>,
    order: Order,
    random: Random,
}

#[derive(Debug)]
struct Host {
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    name: String,
    kind: Kind,
    /// The value in hundredths for decimals, else as it is.
    value: i64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Constant,
    Counter,
    Gauge,
}

impl Lines {
    /// `count` series from the `first` on.
    pub(crate) fn new(first: usize, count: usize, values: Values, order: Order) -> Self {
        let mut random = Random(first as u64);
        let mut hosts: Vec<Host> = Vec::new();
        for at in first..first + count {
            if at == first || at % HOST_METRICS == 0 {
                hosts.push(Host { series: Vec::new() });
            }
            let series = Series::new(at, values, &mut random);
            hosts.last_mut().expect("just pushed").series.push(series);
        }
        Self { hosts, order, random }
    }

    /// Appends one line of each series to `out`, all for `time_s`, and changes the values.
    pub(crate) fn round_into(&mut self, time_s: i64, out: &mut Vec<u8>) {
        if self.order == Order::Shuffled {
            for last in (1..self.hosts.len()).rev() {
                let other = self.random.below(last as u64 + 1) as usize;
                self.hosts.swap(last, other);
            }
        }
        let mut line = String::new();
        for series in self.hosts.iter_mut().flat_map(|host| &mut host.series) {
            line.clear();
            series.line_into(time_s, &mut line);
            out.extend_from_slice(line.as_bytes());
            series.advance(&mut self.random);
        }
    }

    /// Calls `visit` with the name and value of each series, and changes the values.
    pub(crate) fn for_each(&mut self, mut visit: impl FnMut(&str, f64)) {
        for series in self.hosts.iter_mut().flat_map(|host| &mut host.series) {
            visit(&series.name, series.number());
            series.advance(&mut self.random);
        }
    }
}

impl Series {
    fn new(at: usize, values: Values, random: &mut Random) -> Self {
        let kind = match values {
            Values::Integers => Kind::Counter,
            Values::Decimals => Kind::Gauge,
            Values::Mixed => [Kind::Constant, Kind::Counter, Kind::Gauge][random.below(3) as usize],
        };
        let value = match kind {
            Kind::Constant => random.below(3) as i64,
            Kind::Counter => random.below(1_000_000) as i64,
            Kind::Gauge => random.below(10_000) as i64,
        };
        Self { name: name(at), kind, value }
    }

    fn number(&self) -> f64 {
        match self.kind {
            Kind::Constant | Kind::Counter => self.value as f64,
            Kind::Gauge => self.value as f64 / 100.0,
        }
    }

    fn line_into(&self, time_s: i64, line: &mut String) {
        let (name, value) = (&self.name, self.value);
        let written = match self.kind {
            Kind::Constant | Kind::Counter => writeln!(line, "{name} {value} {time_s}"),
            Kind::Gauge => {
                writeln!(line, "{name} {}.{:02} {time_s}", value / 100, value % 100)
            }
        };
        written.expect("a string takes everything");
    }

    fn advance(&mut self, random: &mut Random) {
        match self.kind {
            Kind::Constant => {}
            Kind::Counter => self.value += random.below(500) as i64,
            Kind::Gauge => {
                let step = random.below(401) as i64 - 200;
                self.value = (self.value + step).clamp(0, 10_000);
            }
        }
    }
}

/// Name of a series, 45 to 70 bytes.
pub(crate) fn name(at: usize) -> String {
    const SITES: [&str; 4] = ["eu-west-1", "eu-central-2", "us-east-1", "ap-south-1"];
    const ROLES: [&str; 5] = ["frontend", "database", "cache", "worker", "balancer"];
    let host = at / HOST_METRICS;
    let (site, role) = (SITES[host % SITES.len()], ROLES[host / SITES.len() % ROLES.len()]);
    let metric = metric(at % HOST_METRICS);
    format!("prod.{site}.{role}.{role}{host:05}.{metric}")
}

/// Name of a host's metric.
fn metric(at: usize) -> String {
    const CPU: [&str; 8] =
        ["user", "system", "idle", "wait", "nice", "interrupt", "softirq", "steal"];
    const MEMORY: [&str; 6] = ["used", "free", "cached", "buffered", "slab_recl", "slab_unrecl"];
    const FLOW: [&str; 6] = [
        "if_octets.rx",
        "if_octets.tx",
        "if_packets.rx",
        "if_packets.tx",
        "if_errors.rx",
        "if_errors.tx",
    ];
    const DISK: [&str; 6] = [
        "disk_octets.read",
        "disk_octets.write",
        "disk_ops.read",
        "disk_ops.write",
        "disk_time.read",
        "disk_time.write",
    ];
    const LOAD: [&str; 3] = ["shortterm", "midterm", "longterm"];
    match at {
        0..64 => format!("cpu-{}.cpu-{}", at / 8, CPU[at % 8]),
        64..70 => format!("memory.memory-{}", MEMORY[at - 64]),
        70..82 => format!("interface-eth{}.{}", (at - 70) / 6, FLOW[(at - 70) % 6]),
        82..94 => format!("disk-sd{}.{}", ['a', 'b'][(at - 82) / 6], DISK[(at - 82) % 6]),
        94..97 => format!("load.load.{}", LOAD[at - 94]),
        _ => format!("df-root.df_complex-{}", ["free", "used", "reserved"][at - 97]),
    }
}

/// One series by itself: what it says follows from its number alone, so that a clone says the same.
#[derive(Debug, Clone)]
pub(crate) struct Single {
    series: Series,
    random: Random,
}

impl Single {
    pub(crate) fn new(at: usize, values: Values) -> Self {
        let mut random = Random(at as u64);
        Self { series: Series::new(at, values, &mut random), random }
    }

    pub(crate) fn name(&self) -> &str {
        &self.series.name
    }

    /// The next value.
    pub(crate) fn value(&mut self) -> f64 {
        let value = self.series.number();
        self.series.advance(&mut self.random);
        value
    }
}

/// SplitMix64: random enough for made-up gauges, and the same everywhere.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Order, Values};
    use std::collections::BTreeSet;

    fn round(lines: &mut Lines) -> Vec<String> {
        let mut out = Vec::new();
        lines.round_into(60, &mut out);
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn names(lines: &[String]) -> Vec<&str> {
        lines.iter().map(|line| line.split(' ').next().unwrap()).collect()
    }

    #[test]
    fn every_series_has_a_name_of_its_own() {
        let lines = round(&mut Lines::new(0, 3000, Values::Mixed, Order::Fixed));
        let names = names(&lines);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3000);
        assert!(names.iter().all(|name| (45..=70).contains(&name.len())));
        assert!(lines.iter().all(|line| line.ends_with(" 60")));
    }

    #[test]
    fn shuffling_keeps_hosts_together_and_loses_none() {
        let mut lines = Lines::new(150, 1000, Values::Decimals, Order::Shuffled);
        let (first, second) = (round(&mut lines), round(&mut lines));
        let (first, second) = (names(&first), names(&second));
        assert_ne!(first, second);
        assert_eq!(first.iter().collect::<BTreeSet<_>>(), second.iter().collect::<BTreeSet<_>>());
        let host = |name: &str| name.split('.').nth(3).unwrap().to_owned();
        let changes = second.windows(2).filter(|pair| host(pair[0]) != host(pair[1])).count();
        assert_eq!(changes, 10);
    }

    #[test]
    fn the_same_arguments_give_the_same_lines() {
        let lines = || round(&mut Lines::new(0, 500, Values::Mixed, Order::Shuffled));
        assert_eq!(lines(), lines());
    }
}

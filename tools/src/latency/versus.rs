//! The control thread's wake-up beside cyclictest's: what is the same, and how the two compare.

use std::path::Path as FilePath;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_robot::Robot;
use serde_json::{Value, json};

use super::children;
use super::cyclictest::{self, CyclictestError, Found};
use super::error::LatencyError;
use super::path::Distribution;
use crate::up::signals::Asked;

/// How much worse than cyclictest's the control thread's p99.99 and maximum may be (P1).
const SLEEP_RATIO_MAX: f64 = 1.05;
/// What share of cyclictest's maximum a spinning wake-up's may be (P2).
const SPIN_RATIO_MAX: f64 = 0.1;
/// What is compared.
const PERCENTS: [f64; 4] = [50.0, 99.0, 99.9, 99.99];
const LOOK: Duration = Duration::from_millis(20);
/// How much longer than its nominal length a run may take.
const SLACK: Duration = Duration::from_secs(60);

/// Runs cyclictest for so many cycles.
///
/// # Errors
/// [`LatencyError::Cyclictest`]; [`LatencyError::Interrupted`], with cyclictest ended.
pub fn run(
    robot: &Robot,
    cycles: u64,
    folder: &FilePath,
    asked: &Asked,
) -> Result<Found, LatencyError> {
    let report = folder.join("cyclictest.json");
    let mut command = Command::new(cyclictest::PROGRAM);
    command.args(cyclictest::arguments(robot, cycles, &report));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CyclictestError::Missing,
        _ => CyclictestError::Start(error),
    })?;
    let nominal = Duration::from_secs_f64(cycles as f64 / f64::from(robot.rate_hz.max(1)));
    let until = Instant::now() + nominal * 2 + SLACK;
    let status = loop {
        if let Ok(Some(status)) = child.try_wait() {
            break status;
        }
        let signal = asked.signal();
        if signal.is_some() || Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            let how = format!("did not end {} s after its time", SLACK.as_secs());
            return Err(signal.map_or(
                LatencyError::Cyclictest(CyclictestError::Failed { how, said: String::new() }),
                LatencyError::Interrupted,
            ));
        }
        sleep(LOOK);
    };
    if !status.success() {
        let said = children::rest(child.stderr.take());
        return Err(CyclictestError::Failed { how: status.to_string(), said }.into());
    }
    let text = std::fs::read_to_string(&report)
        .map_err(|source| LatencyError::file("read", &report, source))?;
    let _ = std::fs::remove_file(&report);
    Ok(cyclictest::read(&text)?)
}

/// One compared value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Percentile; none: the maximum.
    pub percent: Option<f64>,
    /// The control thread's, ns; none with too few samples.
    pub control_ns: Option<u64>,
    /// cyclictest's, ns; none with too few samples.
    pub cyclictest_ns: Option<u64>,
}

impl Row {
    /// `p99.99` or `max`.
    pub fn name(self) -> String {
        self.percent.map_or_else(|| "max".to_owned(), |percent| format!("p{percent}"))
    }

    /// Control over cyclictest.
    pub fn ratio(self) -> Option<f64> {
        let (control, cyclictest) = self.control_ns.zip(self.cyclictest_ns)?;
        Some(control as f64 / cyclictest.max(1) as f64)
    }
}

/// Both sides.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The percentiles and the maximum.
    pub rows: Vec<Row>,
    /// The wake-up spins: another promise holds.
    pub spins: bool,
}

impl Comparison {
    /// Compares all of both.
    pub fn new(control: &Distribution, cyclictest: &Distribution, spins: bool) -> Comparison {
        let percentiles = PERCENTS.into_iter().map(|percent| Row {
            percent: Some(percent),
            control_ns: control.percentile_ns(percent),
            cyclictest_ns: cyclictest.percentile_ns(percent),
        });
        let largest = |of: &Distribution| (of.count() > 0).then_some(of.max_ns);
        let maximum =
            Row { percent: None, control_ns: largest(control), cyclictest_ns: largest(cyclictest) };
        Comparison { rows: percentiles.chain([maximum]).collect(), spins }
    }

    /// What is promised, by row: the largest ratio that is allowed.
    pub fn allowed(&self, row: &Row) -> Option<f64> {
        match (self.spins, row.percent) {
            (true, None) => Some(SPIN_RATIO_MAX),
            (false, None) => Some(SLEEP_RATIO_MAX),
            (false, Some(percent)) if percent > 99.95 => Some(SLEEP_RATIO_MAX),
            _ => None,
        }
    }

    /// The promised rows that do not hold; one with too few samples does not.
    pub fn broken(&self) -> Vec<String> {
        let holds = |row: &&Row| match (self.allowed(row), row.ratio()) {
            (None, _) => true,
            (Some(allowed), Some(ratio)) => ratio <= allowed,
            (Some(_), None) => false,
        };
        self.rows
            .iter()
            .filter(|row| !holds(row))
            .map(|row| match row.ratio() {
                Some(ratio) => {
                    let allowed = self.allowed(row).unwrap_or_default();
                    format!("{} is {ratio:.3} times cyclictest's; allowed is {allowed}", row.name())
                }
                None => format!("{} has too few samples to be compared", row.name()),
            })
            .collect()
    }

    /// For `--json`.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({ "value": row.name(), "control_ns": row.control_ns,
                        "cyclictest_ns": row.cyclictest_ns, "ratio": row.ratio(),
                        "ratio_allowed": self.allowed(row) })
            })
            .collect();
        json!({ "rows": rows, "broken": self.broken() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::path::Path;

    fn of(values: &[(u64, u64)]) -> Distribution {
        let mut all = Distribution::empty(Path::Cyclictest).unwrap();
        values.iter().for_each(|(value, count)| all.record_n(*value, *count));
        all
    }

    #[test]
    fn p99_99_and_the_maximum_decide_for_a_sleep() {
        let cyclictest = of(&[(4_000, 99_980), (6_000, 20)]);
        let better = of(&[(5_000, 99_980), (6_000, 20)]);
        let same = Comparison::new(&better, &cyclictest, false);
        assert_eq!(same.broken(), Vec::<String>::new());
        assert!(same.rows[0].ratio().unwrap() > 1.2, "the median is shown and not promised");
        let worse = Comparison::new(&of(&[(4_000, 99_999), (6_400, 1)]), &cyclictest, false);
        let broken = worse.broken();
        assert!(broken.len() == 1 && broken[0].starts_with("max is 1.067"), "{broken:?}");
    }

    #[test]
    fn the_maximum_alone_decides_for_a_spin() {
        let cyclictest = of(&[(4_000, 99_999), (6_000, 1)]);
        let spin = Comparison::new(&of(&[(90, 99_999), (590, 1)]), &cyclictest, true);
        assert!(spin.broken().is_empty());
        let slow = Comparison::new(&of(&[(90, 99_999), (610, 1)]), &cyclictest, true);
        assert_eq!(slow.broken().len(), 1);
    }

    #[test]
    fn too_few_samples_hold_no_promise() {
        let few = of(&[(4_000, 99_999)]);
        let broken = Comparison::new(&few, &few, false).broken();
        assert!(broken.len() == 1 && broken[0].contains("too few"), "{broken:?}");
        let none = Comparison::new(&of(&[]), &few, false);
        assert!(none.broken().iter().any(|row| row.starts_with("max has too few")));
    }
}

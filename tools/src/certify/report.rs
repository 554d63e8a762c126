//! The report: every value, nothing removed, and whether each budget held.

use std::collections::BTreeMap;

use mechos_robot::Robot;
use mechos_robot::certificate::{FORMAT, Provenance};
use serde::Serialize;

use super::budget::Budget;
use super::faults::Fault;
use super::trial::Trial;

/// The first lines of every report.
pub const NOTICE: &str = "This is evidence of a test. It is not a safety certification: the \
hardware emergency stop, STO and the risk assessment of the machine stay outside of it.";

/// A campaign's report; `mechos_robot::certificate::Certificate` is the part that arming reads.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What this is and what it is not.
    pub notice: &'static str,
    /// The report's form.
    pub format: u32,
    /// Every budget held and every trial was measured.
    pub held: bool,
    /// Counted or wall time, in words.
    pub time: String,
    /// Where and with what.
    pub provenance: Provenance,
    /// The robot's name.
    pub robot: String,
    /// `strict` or `relaxed`.
    pub profile: &'static str,
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// The drives are simulated.
    pub simulated_drives: bool,
    /// What every draw follows from.
    pub seed: u64,
    /// Trials of each fault that were asked for.
    pub times: u32,
    /// How the times were taken.
    pub clock: &'static str,
    /// What the host did not grant, as the daemon says.
    pub warnings: Vec<String>,
    /// How long all of it took, ns.
    pub whole_ns: u64,
    /// Each fault.
    pub faults: Vec<FaultReport>,
}

/// One fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultReport {
    /// Its name.
    pub name: &'static str,
    /// What was done, in words.
    pub title: &'static str,
    /// Trials, those without a measurement included.
    pub trials: u32,
    /// Trials without a measurement.
    pub failed: u32,
    /// Every budget held and every trial was measured.
    pub held: bool,
    /// Who stopped the drives, and how often.
    pub stopped_by: BTreeMap<String, u32>,
    /// What was measured.
    pub measures: Vec<MeasureReport>,
    /// Each trial.
    pub each: Vec<Trial>,
}

/// One measured time.
#[derive(Clone, Debug, Serialize)]
pub struct MeasureReport {
    /// What.
    pub name: &'static str,
    /// Its bound, ns; none: only shown.
    pub budget_ns: Option<u64>,
    /// How the bound comes about.
    pub how: String,
    /// Whether it held.
    pub held: bool,
    /// How many values there are.
    pub count: usize,
    /// Half are at most this, ns.
    pub p50_ns: Option<u64>,
    /// 90 percent are, ns.
    pub p90_ns: Option<u64>,
    /// 99 percent are, ns.
    pub p99_ns: Option<u64>,
    /// The largest, ns.
    pub max_ns: Option<u64>,
    /// Every value in the trials' order, ns.
    pub values_ns: Vec<u64>,
}

/// What a report begins with.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// Where and with what.
    pub provenance: Provenance,
    /// The robot.
    pub robot: &'a Robot,
    /// The drives are simulated.
    pub simulated_drives: bool,
    /// The seed.
    pub seed: u64,
    /// Trials of each fault.
    pub times: u32,
    /// What the host did not grant.
    pub warnings: Vec<String>,
}

impl Report {
    /// Puts it together.
    pub fn new(head: Head, faults: Vec<FaultReport>, whole_ns: u64) -> Report {
        Report {
            notice: NOTICE,
            format: FORMAT,
            held: !faults.is_empty() && faults.iter().all(|fault| fault.held),
            time: head.provenance.host.time(),
            provenance: head.provenance,
            robot: head.robot.name.clone(),
            profile: head.robot.profile.name(),
            period_ns: head.robot.budgets.period_ns,
            simulated_drives: head.simulated_drives,
            seed: head.seed,
            times: head.times,
            clock: clock(head.robot),
            warnings: head.warnings,
            whole_ns,
            faults,
        }
    }

    /// Whether time follows counted instructions.
    pub fn is_counted(&self) -> bool {
        self.provenance.host.counted.is_some()
    }
}

fn clock(robot: &Robot) -> &'static str {
    if robot.is_simulated() {
        "a separate process listens on every bus; times are CLOCK_MONOTONIC at the frame's last bit \
         on the modelled wire, from the kernel's stamp of its hand-over"
    } else {
        "a separate process listens on every bus; times are the kernel's receive stamps, as \
         CLOCK_MONOTONIC"
    }
}

impl FaultReport {
    /// From a fault's trials.
    pub fn new(fault: Fault, budgets: &[Budget], each: Vec<Trial>) -> FaultReport {
        let failed = each.iter().filter(|trial| trial.failed.is_some()).count();
        let measures: Vec<_> = budgets.iter().map(|b| MeasureReport::new(b, &each)).collect();
        let mut stopped_by = BTreeMap::new();
        for trial in each.iter().filter(|trial| !trial.stopped_by.is_empty()) {
            *stopped_by.entry(trial.stopped_by.clone()).or_insert(0) += 1;
        }
        FaultReport {
            name: fault.name(),
            title: fault.title(),
            trials: u32::try_from(each.len()).unwrap_or(u32::MAX),
            failed: u32::try_from(failed).unwrap_or(u32::MAX),
            held: failed == 0 && !each.is_empty() && measures.iter().all(|measure| measure.held),
            stopped_by,
            measures,
            each,
        }
    }

    /// The measure that a table shows first: the promise of the stop.
    pub fn first(&self) -> Option<&MeasureReport> {
        let bounded = self.measures.iter().find(|measure| measure.budget_ns.is_some());
        bounded.or(self.measures.first())
    }

    /// The time to standstill.
    pub fn standstill(&self) -> Option<&MeasureReport> {
        self.measures.iter().find(|measure| measure.name.ends_with("standstill"))
    }
}

impl MeasureReport {
    fn new(budget: &Budget, each: &[Trial]) -> MeasureReport {
        let of = |trial: &Trial| {
            let found = trial.values.iter().find(|(measure, _)| *measure == budget.measure);
            found.map(|(_, value)| *value)
        };
        let values_ns: Vec<u64> = each.iter().filter_map(of).collect();
        let mut sorted = values_ns.clone();
        sorted.sort_unstable();
        // The smallest value that at least so many percent do not pass.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        let max_ns = sorted.last().copied();
        MeasureReport {
            name: budget.measure.name(),
            budget_ns: budget.limit_ns,
            how: budget.how.clone(),
            held: budget.limit_ns.is_none_or(|limit| max_ns.is_some_and(|max| max <= limit)),
            count: values_ns.len(),
            p50_ns: at(50),
            p90_ns: at(90),
            p99_ns: at(99),
            max_ns,
            values_ns,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::certify::budget::{Measure, budgets};
    use mechos_robot::certificate::{
        Certificate, Facts, GuardianFacts, REPORT_MAX, TRIALS_MIN_MAX, check,
    };

    fn arm6() -> Robot {
        Robot::parse(crate::up::ARM6, "arm6.toml").unwrap()
    }

    /// A report on arm6 with `times` trials of each fault; `value` gives each time, ns.
    pub fn report(times: u32, value: impl Fn(Fault, Measure, u32) -> Option<u64>) -> Report {
        let robot = arm6();
        let fault = |fault: Fault| {
            let budgets = budgets(&robot, fault);
            let trial = |number| {
                let found = |b: &Budget| value(fault, b.measure, number).map(|v| (b.measure, v));
                let values: Vec<_> = budgets.iter().filter_map(found).collect();
                let failed = values.is_empty().then(|| "nothing <was> measured".to_owned());
                let stopped_by = "kernel: cognition-lost".to_owned();
                Trial { number, values, failed, stopped_by, ..Trial::default() }
            };
            let each = (0..times).map(trial).collect();
            FaultReport::new(fault, &budgets, each)
        };
        let head = Head {
            provenance: Provenance {
                taken_at: "2026-11-22T19:45:46Z".into(),
                ..Default::default()
            },
            robot: &robot,
            simulated_drives: true,
            seed: 7,
            times,
            warnings: vec![],
        };
        Report::new(head, Fault::ALL.into_iter().map(fault).collect(), 1)
    }

    #[test]
    fn nothing_is_removed_and_the_largest_value_decides() {
        let fine = report(20, |_, _, number| Some(u64::from(number) * 1_000));
        assert!(fine.held);
        let first = fine.faults[7].first().unwrap();
        assert_eq!((first.count, first.max_ns, first.p50_ns), (20, Some(19_000), Some(9_000)));
        assert_eq!((first.p90_ns, first.p99_ns), (Some(17_000), Some(19_000)));
        let one_late = report(20, |fault, _, number| {
            let late = fault == Fault::RtKilled && number == 13;
            Some(if late { 10_000_000_000 } else { 1_000 })
        });
        assert!(!one_late.held);
        let held: Vec<_> = one_late.faults.iter().filter(|f| !f.held).map(|f| f.name).collect();
        assert_eq!(held, ["rt-killed"]);
        assert_eq!(one_late.faults[7].first().unwrap().values_ns.len(), 20);
    }

    #[test]
    fn a_trial_without_a_measurement_is_a_failed_one_and_is_shown() {
        let report = report(3, |fault, _, number| {
            (fault != Fault::BusLooping || number != 1).then_some(1_000)
        });
        let fault = &report.faults[5];
        assert!(!report.held && !fault.held);
        assert_eq!((fault.trials, fault.failed, fault.each.len()), (3, 1, 3));
        assert_eq!(fault.measures[0].count, 2);
    }

    #[test]
    fn arming_reads_from_it_what_it_says() {
        let checked = |report: &Report| {
            let text = serde_json::to_string(report).unwrap();
            let certificate = Certificate::parse(&text, "c.json").unwrap();
            let said = Some(String::new());
            let guardian = GuardianFacts { binary_sha256: said.clone(), config_sha256: said };
            let here = Facts { guardian, simulated_drives: true, ..Facts::default() };
            check(&certificate, &here, 20).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(checked(&report(20, |_, _, _| Some(1_000))), Vec::<String>::new());
        let late = report(20, |fault, _, number| {
            Some(if fault == Fault::RtKilled && number == 3 { u64::MAX } else { 1 })
        });
        assert!(checked(&late).iter().all(|text| text.contains("rt-killed")));
        let failed = report(20, |fault, _, n| (fault != Fault::RtKilled || n > 0).then_some(1));
        assert!(checked(&failed)[0].contains("1 of 20"));
    }

    #[test]
    fn a_report_of_as_many_trials_as_a_robot_file_may_ask_for_is_short_enough_to_be_read() {
        let long = report(TRIALS_MIN_MAX, |_, _, number| Some(9_000_000_000 + u64::from(number)));
        let mut long = long;
        for trial in long.faults.iter_mut().flat_map(|fault| &mut fault.each) {
            let time_ns = 1_000_000_000_000_000;
            (trial.fault_ns, trial.phase_ns, trial.speed_rad_s) = (time_ns, 999_999, 1.0 / 3.0);
            (trial.recovery_ns, trial.whole_ns) = (9_999_999_999, 99_999_999_999);
            trial.target = "in the middle of a tick of the control thread".to_owned();
            trial.stops_ns = vec![Some(time_ns); 2];
        }
        let text = serde_json::to_string(&long).unwrap();
        assert!(text.len() <= REPORT_MAX, "{} bytes", text.len());
    }

    #[test]
    fn the_notice_comes_first() {
        let text = serde_json::to_string(&report(1, |_, _, _| Some(1))).unwrap();
        assert!(text.starts_with("{\"notice\":\"This is evidence of a test. It is not a safety"));
    }
}

//! The budgets, computed from the robot file: what is measured of a fault, from where, and how long
//! it may take.

use mechos_robot::{Profile, Robot};
use serde::{Deserialize, Serialize};

use super::faults::{Fault, Path, on_one_cpu};

/// P5: the stop's send returns at most this long after a missed deadline, ns.
const SEND_NS: u64 = 100_000;
/// P5: mechos-rt killed or stopped, at 1 kHz and above, ns.
const RT_LOST_NS: u64 = 2_000_000;
/// A drive counts its watchdog in whole ms: it may be noticed so much later, ns.
const WATCHDOG_STEP_NS: u64 = 1_000_000;

/// A time that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// From the fault to the last bus' first stop frame.
    FaultToStop,
    /// From the fault to the daemon's seeing it.
    FaultToVisible,
    /// From the daemon's seeing it to the last bus' first stop frame.
    VisibleToStop,
    /// From the missed deadline to the return of the stop's send, as the daemon says.
    DeadlineToSend,
    /// From the missed deadline to the last bus' first stop frame.
    DeadlineToStop,
    /// From the fault to the last drive off.
    FaultToOff,
    /// From the fault to the last axis at rest.
    FaultToStandstill,
    /// From the daemon's seeing the fault to the last axis at rest.
    VisibleToStandstill,
}

impl Measure {
    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Measure::FaultToStop => "fault to stop frame",
            Measure::FaultToVisible => "fault to visible",
            Measure::VisibleToStop => "visible to stop frame",
            Measure::DeadlineToSend => "deadline to stop sent",
            Measure::DeadlineToStop => "deadline to stop frame",
            Measure::FaultToOff => "fault to drives off",
            Measure::FaultToStandstill => "fault to standstill",
            Measure::VisibleToStandstill => "visible to standstill",
        }
    }
}

/// One measure of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What is measured.
    pub measure: Measure,
    /// Its bound, ns; none: only shown.
    pub limit_ns: Option<u64>,
    /// How the bound comes about.
    pub how: String,
}

/// When a planner's loss counts as visible.
fn visible(fault: Fault) -> &'static str {
    if fault == Fault::CognitionStopped {
        "shown: visible is the begin of the tick that found its heartbeat too old"
    } else {
        "shown: visible is when the daemon saw its connection hang up"
    }
}

fn ms(ns: u64) -> String {
    format!("{} ms", ns as f64 / 1e6)
}

/// What is measured of a fault on this robot, in the order in which it is shown.
pub fn budgets(robot: &Robot, fault: Fault) -> Vec<Budget> {
    let b = &robot.budgets;
    let wire = robot.stop_blocking_ns();
    let strict = robot.profile == Profile::Strict;
    let hazard_ns = robot.axes.iter().map(|axis| axis.hazard_ns).min().unwrap_or(b.hazard_ns);
    let bound = |measure, limit_ns: u64, how: String| Budget {
        measure,
        limit_ns: Some(limit_ns),
        how: format!("{how} = {}", ms(limit_ns)),
    };
    let shown = |measure, how: &str| Budget { measure, limit_ns: None, how: how.to_owned() };
    let standstill = bound(
        Measure::FaultToStandstill,
        hazard_ns,
        "the smallest hazard budget of an axis".to_owned(),
    );
    let off = shown(Measure::FaultToOff, "shown");
    let period = ms(b.period_ns);
    match fault.path(robot) {
        Path::PlannerLost => {
            let stop = if strict {
                let how = format!("a period ({period}) and the stop's blocking on the wire");
                bound(Measure::VisibleToStop, b.period_ns + wire, how)
            } else {
                let how = "relaxed: a period, and the deadline of the tick that sees it";
                bound(Measure::VisibleToStop, b.period_ns + b.deadline_ns, how.to_owned())
            };
            let rest = Budget { measure: Measure::VisibleToStandstill, ..standstill };
            vec![
                stop,
                rest,
                shown(Measure::FaultToVisible, visible(fault)),
                shown(Measure::FaultToStop, "shown"),
                off,
            ]
        }
        Path::Deadline => {
            let (send, on_wire, how) = if strict {
                (SEND_NS, SEND_NS + wire, "100 us")
            } else {
                let next = b.guardian_ns - b.deadline_ns;
                (next, next + wire, "relaxed: before the guardian, guardian - deadline")
            };
            let sent = if fault.loops() && on_one_cpu(robot) {
                let how = "shown where told: beside a loop on the only CPU nobody can be asked";
                shown(Measure::DeadlineToSend, how)
            } else {
                bound(Measure::DeadlineToSend, send, how.to_owned())
            };
            vec![
                sent,
                bound(Measure::DeadlineToStop, on_wire, format!("{how}, and the blocking")),
                standstill,
                shown(Measure::FaultToStop, "shown: holds the deadline itself"),
                off,
            ]
        }
        Path::Unwinding => {
            let slack = if strict { SEND_NS } else { b.guardian_ns - b.deadline_ns };
            let limit_ns = b.deadline_ns + slack + wire;
            let how =
                "the deadline of the tick that panics, as much as a missed one may take, blocking";
            vec![bound(Measure::FaultToStop, limit_ns, how.to_owned()), standstill, off]
        }
        Path::Guardian => {
            let (limit_ns, how) = if strict {
                let limit_ns = RT_LOST_NS.max(2 * b.period_ns);
                (limit_ns, "2 ms, below 1 kHz two periods")
            } else {
                (b.watchdog_ns, "relaxed: before the drives' watchdog")
            };
            vec![bound(Measure::FaultToStop, limit_ns, how.to_owned()), standstill, off]
        }
        Path::WatcherLost => {
            let limit_ns = b.watcher_beat_ns + b.period_ns + b.deadline_ns + wire;
            let how = "the age of its beat, the next tick, its deadline, blocking";
            vec![bound(Measure::FaultToStop, limit_ns, how.to_owned()), standstill, off]
        }
        Path::Feedback => {
            let limit_ns = b.feedback_age_ns + 2 * b.period_ns + b.deadline_ns + wire;
            let how = "the age of feedback, the report that was due, the next tick, its deadline, \
                       blocking";
            vec![bound(Measure::FaultToStop, limit_ns, how.to_owned()), standstill, off]
        }
        Path::Watchdog => {
            let limit_ns = robot.reaction_max_ns() + WATCHDOG_STEP_NS + wire;
            let how = "the drives' watchdog, the last heartbeat on the wire, a step of 1 ms, \
                       blocking";
            vec![bound(Measure::FaultToOff, limit_ns, how.to_owned()), standstill]
        }
        Path::Orderly => {
            let how = "the budget of a controlled stop";
            vec![
                bound(Measure::FaultToStandstill, b.stopping_ns, how.to_owned()),
                bound(Measure::FaultToOff, b.stopping_ns, how.to_owned()),
                shown(Measure::FaultToStop, "shown: the end's own stop, after the controlled one"),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robot(profile: &str, rate_hz: u32) -> Robot {
        let text = crate::up::ARM6
            .replacen("profile = \"relaxed\"", &format!("profile = \"{profile}\""), 1)
            .replacen("rate_hz = 1000", &format!("rate_hz = {rate_hz}"), 1)
            .replace("hazard_ms = 500\n", "hazard_ms = 600\n");
        Robot::parse(&text, "arm6.toml").unwrap()
    }

    fn limit(robot: &Robot, fault: Fault, measure: Measure) -> Option<u64> {
        let found = budgets(robot, fault).into_iter().find(|budget| budget.measure == measure);
        found.unwrap().limit_ns
    }

    #[test]
    fn strict_at_1_khz_has_the_promises_numbers() {
        let strict = robot("strict", 1000);
        let wire = strict.stop_blocking_ns();
        assert!((100_000..300_000).contains(&wire), "{wire}");
        for fault in [Fault::RtKilled, Fault::RtStopped, Fault::RtAborted] {
            assert_eq!(limit(&strict, fault, Measure::FaultToStop), Some(2_000_000));
        }
        let lost = limit(&strict, Fault::CognitionKilled, Measure::VisibleToStop);
        assert_eq!(lost, Some(1_000_000 + wire));
        for fault in [Fault::ControlStalled, Fault::ControlLooping, Fault::BusLooping] {
            assert_eq!(limit(&strict, fault, Measure::DeadlineToSend), Some(100_000));
            assert_eq!(limit(&strict, fault, Measure::DeadlineToStop), Some(100_000 + wire));
        }
        assert_eq!(
            limit(&robot("strict", 500), Fault::RtKilled, Measure::FaultToStop),
            Some(4_000_000)
        );
        let mut faster = strict;
        faster.budgets.period_ns = 500_000;
        assert_eq!(limit(&faster, Fault::RtKilled, Measure::FaultToStop), Some(2_000_000));
    }

    #[test]
    fn relaxed_comes_before_the_next_layer() {
        let relaxed = robot("relaxed", 1000);
        let stop = |fault| limit(&relaxed, fault, Measure::FaultToStop);
        assert_eq!(stop(Fault::RtKilled), Some(200_000_000));
        assert_eq!(
            limit(&relaxed, Fault::ControlStalled, Measure::DeadlineToSend),
            Some(50_000_000)
        );
        assert!(stop(Fault::GuardianKilled) > Some(150_000_000));
    }

    #[test]
    fn every_fault_bounds_its_standstill_and_says_how_each_bound_comes_about() {
        for profile in ["strict", "relaxed"] {
            let robot = robot(profile, 1000);
            for fault in Fault::ALL {
                let all = budgets(&robot, fault);
                let rests = [Measure::FaultToStandstill, Measure::VisibleToStandstill];
                let rest = all.iter().find(|budget| rests.contains(&budget.measure)).unwrap();
                let expected = if fault == Fault::RtTerminated {
                    robot.budgets.stopping_ns
                } else {
                    600_000_000
                };
                assert_eq!(rest.limit_ns, Some(expected), "{}", fault.name());
                assert!(all.iter().all(|budget| !budget.how.is_empty()));
            }
        }
    }

    #[test]
    fn on_one_cpu_a_loop_at_the_highest_priority_is_the_drives_watchdogs() {
        let text = crate::up::ARM6.replace("cpu = 1", "cpu = 0");
        let text =
            text.replacen("housekeeping_cpu = 0", "housekeeping_cpu = 0\nshared_cpu = true", 1);
        let one = Robot::parse(&text, "one.toml").unwrap();
        let limit = limit(&one, Fault::DeadlineLooping, Measure::FaultToOff);
        assert!(limit > Some(one.budgets.watchdog_ns));
        assert_eq!(Fault::ControlLooping.path(&one), Path::Deadline);
    }
}

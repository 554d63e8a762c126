//! The faults of a campaign: what each is, and who is expected to stop the drives.

use mechos_robot::Robot;
use mechos_robot::certificate::{FAULTS, SIMULATED_ONLY};

/// A fault, in the order of [`FAULTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Fault {
    /// SIGKILL to the planner.
    CognitionKilled,
    /// SIGSTOP to the planner.
    CognitionStopped,
    /// The planner closes its connection and lives on.
    CognitionClosed,
    /// The control thread computes past its deadline.
    ControlStalled,
    /// The control thread never returns.
    ControlLooping,
    /// A bus thread never returns.
    BusLooping,
    /// The control thread panics.
    ControlPanic,
    /// SIGKILL to mechos-rt.
    RtKilled,
    /// SIGSTOP to mechos-rt, later SIGCONT.
    RtStopped,
    /// SIGABRT to mechos-rt.
    RtAborted,
    /// SIGKILL to the guardian.
    GuardianKilled,
    /// SIGSTOP to the guardian.
    GuardianStopped,
    /// The deadline thread never returns.
    DeadlineLooping,
    /// A drive sends nothing more.
    DriveSilent,
    /// A drive lives and reports no position.
    FeedbackStale,
    /// SIGKILL to mechos-rt and to the guardian.
    RtAndGuardianKilled,
    /// SIGTERM to mechos-rt: its orderly end.
    RtTerminated,
}

/// What brings the drives to a stop, which decides where the time is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The kernel, once the planner's loss is visible.
    PlannerLost,
    /// The deadline thread, at a missed deadline.
    Deadline,
    /// The registry's `Drop`, in the tick that panics.
    Unwinding,
    /// The guardian.
    Guardian,
    /// The kernel, once a watcher's beat is old.
    WatcherLost,
    /// The kernel, once feedback is old.
    Feedback,
    /// Each drive's own watchdog.
    Watchdog,
    /// The kernel's controlled stop.
    Orderly,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 17] = [
        Fault::CognitionKilled,
        Fault::CognitionStopped,
        Fault::CognitionClosed,
        Fault::ControlStalled,
        Fault::ControlLooping,
        Fault::BusLooping,
        Fault::ControlPanic,
        Fault::RtKilled,
        Fault::RtStopped,
        Fault::RtAborted,
        Fault::GuardianKilled,
        Fault::GuardianStopped,
        Fault::DeadlineLooping,
        Fault::DriveSilent,
        Fault::FeedbackStale,
        Fault::RtAndGuardianKilled,
        Fault::RtTerminated,
    ];

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        FAULTS.get(self as usize).copied().unwrap_or("unknown")
    }

    /// Its number, which the seed is mixed with.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// What is done, in words.
    pub fn title(self) -> &'static str {
        match self {
            Fault::CognitionKilled => "planner: SIGKILL",
            Fault::CognitionStopped => "planner: SIGSTOP",
            Fault::CognitionClosed => "planner closes its connection",
            Fault::ControlStalled => "control thread stalled past its deadline",
            Fault::ControlLooping => "control thread in an endless loop",
            Fault::BusLooping => "a bus thread in an endless loop",
            Fault::ControlPanic => "panic in the control thread",
            Fault::RtKilled => "mechos-rt: SIGKILL",
            Fault::RtStopped => "mechos-rt: SIGSTOP, later SIGCONT",
            Fault::RtAborted => "mechos-rt: SIGABRT",
            Fault::GuardianKilled => "guardian: SIGKILL",
            Fault::GuardianStopped => "guardian: SIGSTOP",
            Fault::DeadlineLooping => "deadline thread in an endless loop",
            Fault::DriveSilent => "a drive falls silent",
            Fault::FeedbackStale => "a drive lives and reports no position",
            Fault::RtAndGuardianKilled => "mechos-rt and guardian: SIGKILL",
            Fault::RtTerminated => "mechos-rt: SIGTERM while moving",
        }
    }

    /// What brings the drives to a stop on this robot's threads.
    pub fn path(self, robot: &Robot) -> Path {
        match self {
            Fault::CognitionKilled | Fault::CognitionStopped | Fault::CognitionClosed => {
                Path::PlannerLost
            }
            Fault::ControlStalled | Fault::ControlLooping | Fault::BusLooping => Path::Deadline,
            Fault::ControlPanic => Path::Unwinding,
            Fault::RtKilled | Fault::RtStopped | Fault::RtAborted => Path::Guardian,
            Fault::GuardianKilled | Fault::GuardianStopped => Path::WatcherLost,
            // Nothing else runs beside a loop at the highest priority of the only CPU.
            Fault::DeadlineLooping if on_one_cpu(robot) => Path::Watchdog,
            Fault::DeadlineLooping => Path::WatcherLost,
            Fault::DriveSilent | Fault::FeedbackStale => Path::Feedback,
            Fault::RtAndGuardianKilled => Path::Watchdog,
            Fault::RtTerminated => Path::Orderly,
        }
    }

    /// A thread of mechos-rt never comes back: the process must be killed.
    pub fn loops(self) -> bool {
        matches!(self, Fault::ControlLooping | Fault::BusLooping | Fault::DeadlineLooping)
    }

    /// Only a simulated drive can be told to have it.
    pub fn is_simulated_only(self) -> bool {
        SIMULATED_ONLY.contains(&self.name())
    }

    /// Reads a list: `all`, or names with commas between them.
    ///
    /// # Errors
    /// The name that is none, and those that are.
    pub fn list(text: &str) -> Result<Vec<Fault>, String> {
        if text.trim() == "all" {
            return Ok(Fault::ALL.to_vec());
        }
        let find = |name: &str| Fault::ALL.into_iter().find(|fault| fault.name() == name.trim());
        let read = |name: &str| {
            find(name).ok_or_else(|| {
                format!("no fault {:?}; there are all, {}", name.trim(), FAULTS.join(", "))
            })
        };
        let mut faults = text.split(',').map(read).collect::<Result<Vec<_>, _>>()?;
        faults.sort_unstable();
        faults.dedup();
        Ok(faults)
    }
}

/// Whether the watchers share the only CPU with those that they watch.
pub fn on_one_cpu(robot: &Robot) -> bool {
    let threads = &robot.threads;
    threads.deadline.cpu == threads.control.cpu && threads.deadline.cpu == threads.guardian.cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_name_in_the_certificates_order() {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names, FAULTS);
        assert_eq!(Fault::RtTerminated.number(), 16);
    }

    #[test]
    fn lists_are_read_and_a_wrong_name_shows_the_right_ones() {
        assert_eq!(Fault::list("all").unwrap().len(), 17);
        let two = Fault::list("rt-killed, cognition-killed,rt-killed").unwrap();
        assert_eq!(two, [Fault::CognitionKilled, Fault::RtKilled]);
        assert!(Fault::list("rt-kill").unwrap_err().contains("rt-killed"));
    }
}

//! Who stopped the drives: what daemon and guardian say, held against the frames on the bus.

use mechos_operator::{Halt, Status};

use super::bench::Bench;
use super::faults::{Fault, Path};

/// The daemon's cause for a guardian's fence.
const FENCED: &str = "rt-lost";

/// Who can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Rt,
    Guardian,
}

/// What daemon and guardian said of the stop, first frame first.
#[derive(Debug, Default)]
pub struct Said {
    halts: Vec<(Who, Halt)>,
}

/// What the buses showed of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What was to bring the drives to a stop.
    pub path: Path,
    /// When every bus had a stop frame, CLOCK_MONOTONIC ns.
    pub stop_ns: Option<u64>,
    /// Every drive announced that the host's heartbeat is lost.
    pub announced: bool,
}

impl Said {
    /// Asks those that the fault has left, for the stops since it.
    pub fn ask(bench: &mut Bench, fault: Fault, fault_ns: u64) -> Said {
        use Fault::{GuardianKilled, GuardianStopped, RtAborted, RtAndGuardianKilled, RtKilled};
        let rt_is_there =
            !matches!(fault, RtKilled | Fault::RtStopped | RtAborted | RtAndGuardianKilled);
        let guardian_is_there =
            !matches!(fault, GuardianKilled | GuardianStopped | RtAndGuardianKilled);
        let mut halts = Vec::new();
        // A deadline that was missed before the fault belongs to another stop.
        let since = |halt: &Halt| {
            halt.t_ns >= fault_ns
                && halt.deadline_ns.is_none_or(|deadline_ns| deadline_ns >= fault_ns)
        };
        let status: Option<Status> = if rt_is_there { bench.status() } else { None };
        if let Some(status) = status {
            let found = status.halts.into_iter().filter(since);
            halts.extend(found.map(|halt| (Who::Rt, halt)));
        }
        if guardian_is_there && let Some(status) = bench.guardian_status() {
            let found = status.halts.into_iter().filter(since);
            halts.extend(found.map(|halt| (Who::Guardian, halt)));
        }
        Said::in_order(halts)
    }

    /// Whoever's frame was first comes first. The guardian sends as soon as it has latched; a halt of
    /// the daemon's without a frame, such as that of one that finds itself fenced, stopped nothing.
    fn in_order(mut halts: Vec<(Who, Halt)>) -> Said {
        halts.sort_by_key(|(who, halt)| match who {
            Who::Rt => halt.sent_ns.unwrap_or(u64::MAX),
            Who::Guardian => halt.t_ns,
        });
        Said { halts }
    }

    /// Nobody said anything.
    pub fn is_empty(&self) -> bool {
        self.halts.is_empty()
    }

    /// The daemon's own stops.
    pub fn of_rt(&self) -> impl Iterator<Item = &Halt> {
        self.halts.iter().filter(|(who, _)| *who == Who::Rt).map(|(_, halt)| halt)
    }

    /// The deadline that was missed.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.of_rt().find_map(|halt| halt.deadline_ns)
    }

    /// Who stopped the drives, in words.
    pub fn stopped_by(&self, seen: &Seen) -> String {
        match self.halts.first() {
            Some((Who::Rt, halt)) => match halt.cause.as_str() {
                "deadline-control" | "deadline-bus" => format!("deadline thread: {}", halt.cause),
                "thread-panic" => "hardware registry (drop): thread-panic".to_owned(),
                FENCED => format!("guardian: {FENCED}"),
                cause => format!("kernel: {cause}"),
            },
            // Every bus had its stop before the guardian acted.
            Some((Who::Guardian, halt)) if seen.stop_ns.is_some_and(|at_ns| at_ns < halt.t_ns) => {
                format!("mechos-rt, which cannot be asked; then guardian: {}", halt.cause)
            }
            Some((Who::Guardian, halt)) => format!("guardian: {}", halt.cause),
            None if seen.announced => "the drives' own watchdog".to_owned(),
            None if seen.path == Path::Orderly => "kernel: controlled stop".to_owned(),
            None if seen.stop_ns.is_some() => "not known: nobody could be asked".to_owned(),
            None => "nobody".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen { path: Path::Deadline, stop_ns: Some(1_030), announced: false };

    fn halt(cause: &str, t_ns: u64, sent_ns: Option<u64>) -> Halt {
        Halt { cause: cause.to_owned(), t_ns, sent_ns, ..Halt::default() }
    }

    #[test]
    fn whose_frame_was_first_stopped_the_drives() {
        let deadline = (Who::Rt, halt("deadline-control", 1_010, Some(1_020)));
        // The tick that was stalled began long before, and finds the fence at its end.
        let fenced = (Who::Rt, halt(FENCED, 10, None));
        let guardian = |t_ns| (Who::Guardian, halt(FENCED, t_ns, None));
        let said = Said::in_order(vec![fenced.clone(), guardian(1_800), deadline.clone()]);
        assert_eq!(said.stopped_by(&SEEN), "deadline thread: deadline-control");
        let said = Said::in_order(vec![fenced, deadline, guardian(1_000)]);
        assert_eq!(said.stopped_by(&SEEN), "guardian: rt-lost");
    }

    #[test]
    fn a_guardian_that_came_after_the_stop_did_not_stop_them() {
        let said = |t_ns| Said::in_order(vec![(Who::Guardian, halt(FENCED, t_ns, None))]);
        let late = said(1_800).stopped_by(&SEEN);
        assert_eq!(late, "mechos-rt, which cannot be asked; then guardian: rt-lost");
        assert_eq!(said(1_020).stopped_by(&SEEN), "guardian: rt-lost");
    }

    #[test]
    fn where_nobody_speaks_the_bus_does() {
        let nobody = Said::default();
        assert_eq!(nobody.stopped_by(&SEEN), "not known: nobody could be asked");
        let announced = Seen { announced: true, ..SEEN };
        assert_eq!(nobody.stopped_by(&announced), "the drives' own watchdog");
        let orderly = Seen { path: Path::Orderly, ..SEEN };
        assert_eq!(nobody.stopped_by(&orderly), "kernel: controlled stop");
        assert_eq!(nobody.stopped_by(&Seen { stop_ns: None, ..SEEN }), "nobody");
    }
}

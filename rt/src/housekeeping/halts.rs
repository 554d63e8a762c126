//! The stops so far, each with what the threads say of its times.
//!
//! Those notes come from several threads and in any order: what has no stop yet waits for it.

use std::collections::VecDeque;

use mechos_operator::Halt;
use shm_protocol::records::Cause;

use crate::names::kebab;

/// Stops that are kept; the oldest go first.
const HALTS_MAX: usize = 256;
/// Words about stops that have not been noted yet; the oldest go first.
const WAITING_MAX: usize = 32;

/// A deadline that the deadline thread found passed.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineStop {
    /// The cause that it latched.
    pub cause: Cause,
    /// The cause's detail.
    pub detail: u32,
    /// The deadline, CLOCK_MONOTONIC ns.
    pub deadline_ns: u64,
    /// When the last stop frame was handed over, CLOCK_MONOTONIC ns.
    pub sent_ns: u64,
}

/// The book of stops.
#[derive(Debug)]
pub struct Halts {
    /// Latest permitted end of a tick after its nominal start, ns.
    deadline_budget_ns: u64,
    halts: VecDeque<Halt>,
    deadline: Option<DeadlineStop>,
    /// Begin of the tick that ordered a stop, and when a bus thread's send of it returned.
    sent: VecDeque<(u64, u64)>,
    planner_lost_ns: Option<u64>,
}

impl Halts {
    /// An empty book; a tick's deadline is so much after its nominal start.
    pub fn new(deadline_budget_ns: u64) -> Self {
        let (halts, sent) = (VecDeque::new(), VecDeque::new());
        Self { deadline_budget_ns, halts, deadline: None, sent, planner_lost_ns: None }
    }

    /// The kernel entered Halted in the tick that began at `t_ns`.
    pub fn halted(&mut self, cause: Cause, detail: u32, t_ns: u64) {
        let mut halt = Halt { cause: kebab(&cause), detail, t_ns, ..Halt::default() };
        if cause == Cause::CognitionLost {
            halt.seen_ns = self.planner_lost_ns.filter(|seen_ns| *seen_ns <= t_ns);
        }
        let same = |stop: &DeadlineStop| stop.cause == cause && stop.detail == detail;
        match self.deadline.take() {
            Some(stop) if same(&stop) => {
                (halt.deadline_ns, halt.sent_ns) = (Some(stop.deadline_ns), Some(stop.sent_ns));
            }
            // The mode went by another cause, such as the guardian's fence: it stays a stop of its
            // own, and is not taken for a later one's.
            Some(stop) => self.keep(untold(stop)),
            None => {}
        }
        for (halt_ns, sent_ns) in &self.sent {
            add_sent(&mut halt, *halt_ns, *sent_ns);
        }
        self.keep(halt);
    }

    fn keep(&mut self, halt: Halt) {
        if self.halts.len() >= HALTS_MAX {
            self.halts.pop_front();
        }
        self.halts.push_back(halt);
    }

    /// The deadline thread stopped the drives.
    pub fn deadline(&mut self, stop: DeadlineStop) {
        let cause = kebab(&stop.cause);
        // The stop's own tick may have begun before the deadline that it missed, by the budget at
        // the most; an older stop of the same cause is another one.
        let began_ns = stop.deadline_ns.saturating_sub(self.deadline_budget_ns);
        let last = self.halts.back_mut().filter(|halt| {
            halt.cause == cause && halt.detail == stop.detail && halt.t_ns >= began_ns
        });
        match last {
            Some(halt) if halt.deadline_ns.is_none() => {
                halt.deadline_ns = Some(stop.deadline_ns);
                halt.sent_ns = Some(stop.sent_ns);
            }
            _ => self.deadline = Some(stop),
        }
    }

    /// A bus thread's first frame of the stop that the tick beginning at `halt_ns` ordered.
    pub fn sent(&mut self, halt_ns: u64, sent_ns: u64) {
        if self.sent.len() >= WAITING_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((halt_ns, sent_ns));
        if let Some(halt) = self.halts.back_mut() {
            add_sent(halt, halt_ns, sent_ns);
        }
    }

    /// Housekeeping saw that the planner is gone; `None` when one has connected since.
    pub fn planner_lost(&mut self, seen_ns: Option<u64>) {
        self.planner_lost_ns = seen_ns;
    }

    /// Oldest first. A stop of the deadline thread whose tick never came back, so that no mode tells of
    /// it, is among them.
    pub fn list(&self) -> Vec<Halt> {
        let untold = self.deadline.map(untold);
        let mut all: Vec<Halt> = self.halts.iter().cloned().chain(untold).collect();
        all.sort_by_key(|halt| halt.t_ns);
        all
    }
}

/// A stop of the deadline thread that no mode tells of.
fn untold(stop: DeadlineStop) -> Halt {
    Halt {
        cause: kebab(&stop.cause),
        detail: stop.detail,
        t_ns: stop.sent_ns,
        deadline_ns: Some(stop.deadline_ns),
        sent_ns: Some(stop.sent_ns),
        ..Halt::default()
    }
}

/// The last bus' first stop frame counts; where the deadline thread was first, its own does.
fn add_sent(halt: &mut Halt, halt_ns: u64, sent_ns: u64) {
    if halt.t_ns == halt_ns && halt.deadline_ns.is_none() {
        halt.sent_ns = halt.sent_ns.max(Some(sent_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_whose_tick_never_comes_back_is_told_once() {
        let mut book = Halts::new(50);
        book.deadline(STOP);
        let told = book.list();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].deadline_ns, told[0].sent_ns), (Some(100), Some(130)));
        book.halted(Cause::DeadlineControl, 0, 140);
        assert_eq!(book.list().len(), 1, "the same stop, now with its mode");
        assert_eq!(book.list()[0].t_ns, 140);
    }

    #[test]
    fn a_stop_whose_mode_went_by_another_cause_is_not_taken_for_a_later_one() {
        let mut halts = Halts::new(50);
        halts.deadline(STOP);
        halts.halted(Cause::RtLost, 0, 150);
        halts.halted(Cause::DeadlineControl, 0, 1_000);
        let told: Vec<_> = halts.list().iter().map(|h| (h.t_ns, h.deadline_ns)).collect();
        assert_eq!(told, [(130, Some(100)), (150, None), (1_000, None)]);
    }

    const STOP: DeadlineStop =
        DeadlineStop { cause: Cause::DeadlineControl, detail: 0, deadline_ns: 100, sent_ns: 130 };

    fn last(halts: &Halts) -> Halt {
        halts.list().pop().unwrap()
    }

    #[test]
    fn a_stop_of_the_deadline_thread_has_its_deadline_in_either_order_of_the_notes() {
        let mut first = Halts::new(50);
        first.deadline(STOP);
        first.halted(Cause::DeadlineControl, 0, 200);
        let mut second = Halts::new(50);
        second.halted(Cause::DeadlineControl, 0, 200);
        second.sent(200, 240);
        second.deadline(STOP);
        // The tick that hung began before its deadline.
        let mut third = Halts::new(50);
        third.halted(Cause::DeadlineControl, 0, 51);
        third.deadline(STOP);
        for halts in [first, second, third] {
            let halt = last(&halts);
            assert_eq!((halt.deadline_ns, halt.sent_ns), (Some(100), Some(130)));
        }
    }

    #[test]
    fn a_lost_planner_was_seen_before_the_stop_and_the_last_bus_counts() {
        let mut halts = Halts::new(50);
        halts.planner_lost(Some(150));
        halts.sent(200, 230);
        halts.halted(Cause::CognitionLost, 0, 200);
        halts.sent(200, 220);
        halts.sent(200, 250);
        let halt = last(&halts);
        assert_eq!((halt.seen_ns, halt.sent_ns, halt.deadline_ns), (Some(150), Some(250), None));
    }

    #[test]
    fn an_older_stop_of_the_same_cause_keeps_its_own_times() {
        let mut halts = Halts::new(50);
        halts.halted(Cause::DeadlineControl, 0, 49);
        halts.deadline(STOP);
        assert_eq!(halts.list()[0].deadline_ns, None);
        halts.halted(Cause::DeadlineControl, 0, 140);
        assert_eq!(last(&halts).deadline_ns, Some(100));
    }

    #[test]
    fn times_of_another_stop_stay_away() {
        let mut halts = Halts::new(50);
        halts.deadline(STOP);
        halts.planner_lost(Some(900));
        halts.sent(100, 120);
        halts.halted(Cause::CognitionLost, 0, 200);
        assert_eq!(
            (last(&halts).seen_ns, last(&halts).sent_ns, last(&halts).deadline_ns),
            (None, None, None)
        );
    }
}

//! What became of one request: the numbers under which it was sent, and their verdicts.
//!
//! A request is sent once and, where its lease runs out before its goal is reached, again under a
//! new number: the newer intent pre-empts the older one from its present setpoint. The request has
//! ended when every number has its final verdict, or was refused.

use shm_protocol::records::{TraceId, Verdict, VerdictKind};

use crate::clock::SECOND_NS;
use crate::motion;
use crate::planner::{Goal, Outcome};

/// Numbers under which one request may be under way at once: the one being executed and its
/// renewal.
const LIVE_MAX: usize = 2;
/// How long before its end a lease is renewed, ns: time for the ring, the tick and a late thread.
const RENEW_LEAD_NS: u64 = 200_000_000;
/// A final verdict that has not come this long after the lease's end will not come, ns.
const FINAL_MAX_NS: u64 = 5 * SECOND_NS;

/// One request under way.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Its trace; every intent sent for it carries this one.
    pub trace: TraceId,
    /// What was asked.
    pub goal: Goal,
    /// The epoch in which it was decided.
    pub epoch: u32,
    expected_ns: u64,
    horizon_until_ns: u64,
    lease_until_ns: u64,
    live: Vec<u64>,
    executing: bool,
    renewable: bool,
    clamped: Option<Verdict>,
    ended: Option<Outcome>,
}

impl Tracker {
    /// Begins to follow a request that is about to be sent.
    pub fn new(trace: TraceId, goal: Goal, epoch: u32, expected_ns: u64, now_ns: u64) -> Self {
        Self {
            trace,
            goal,
            epoch,
            expected_ns,
            horizon_until_ns: now_ns.saturating_add(motion::horizon_ns(expected_ns)),
            lease_until_ns: now_ns,
            live: Vec::with_capacity(LIVE_MAX),
            executing: false,
            renewable: true,
            clamped: None,
            ended: None,
        }
    }

    /// Until when the next intent of this request may act, CLOCK_MONOTONIC ns: a little longer
    /// than the move, within what is granted and within the request's horizon.
    pub fn next_lease_ns(&self, now_ns: u64, lease_max_ns: u64) -> u64 {
        let length = motion::lease_ns(self.expected_ns).min(lease_max_ns);
        now_ns.saturating_add(length).min(self.horizon_until_ns)
    }

    /// An intent of this request was sent.
    pub fn sent(&mut self, number: u64, lease_until_ns: u64) {
        self.live.push(number);
        self.lease_until_ns = lease_until_ns;
    }

    /// Whether the lease should be renewed now: being executed, near its end, the horizon allows
    /// more, and no other renewal is in question.
    pub fn wants_renewal(&self, now_ns: u64) -> bool {
        let lead = RENEW_LEAD_NS.min(motion::lease_ns(self.expected_ns) / 3);
        matches!(self.goal, Goal::Move(_))
            && self.executing
            && self.renewable
            && self.live.len() == 1
            && self.lease_until_ns < self.horizon_until_ns
            && now_ns.saturating_add(lead) >= self.lease_until_ns
    }

    /// No further renewal: the ring was full.
    pub fn give_up_renewal(&mut self) {
        self.renewable = false;
    }

    /// Takes a verdict. False: it belongs to something else.
    pub fn take(&mut self, verdict: &Verdict) -> bool {
        let Some(position) = self.live.iter().position(|number| *number == verdict.number) else {
            return false;
        };
        match verdict.kind {
            VerdictKind::Accepted => self.executing = true,
            VerdictKind::Clamped => {
                self.executing = true;
                self.clamped = Some(*verdict);
            }
            VerdictKind::Refused => {
                self.live.remove(position);
                self.renewable = false;
                // A refused renewal leaves the intent before it in force.
                if self.live.is_empty() && self.ended.is_none() {
                    self.ended = Some(Outcome::Refused(*verdict));
                }
            }
            VerdictKind::Preempted => {
                self.live.remove(position);
                if self.live.is_empty() {
                    self.ended = Some(Outcome::Preempted);
                }
            }
            VerdictKind::Completed => {
                self.finish(position, Outcome::Completed { clamped: self.clamped })
            }
            VerdictKind::Expired => self.finish(position, Outcome::Expired),
            VerdictKind::Aborted => {
                self.finish(position, Outcome::Aborted { cause: verdict.cause })
            }
        }
        true
    }

    fn finish(&mut self, position: usize, outcome: Outcome) {
        self.live.remove(position);
        self.ended = Some(outcome);
    }

    /// The outcome, once the request has ended.
    pub fn outcome(&self, now_ns: u64) -> Option<Outcome> {
        if self.live.is_empty() {
            return Some(self.ended.clone().unwrap_or(Outcome::Lost));
        }
        let given_up_ns = self.lease_until_ns.saturating_add(FINAL_MAX_NS);
        (now_ns > given_up_ns).then_some(Outcome::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::verdict;
    use crate::planner::Target;
    use shm_protocol::records::Cause;

    const MOVE_NS: u64 = 4 * SECOND_NS;

    fn tracker() -> Tracker {
        let target = Target { axis: 0, position_rad: 1.0, velocity_peak_rad_s: None };
        let mut tracker = Tracker::new(TraceId([1; 16]), Goal::Move(vec![target]), 1, MOVE_NS, 0);
        let lease = tracker.next_lease_ns(0, 2 * SECOND_NS);
        assert_eq!(lease, 2 * SECOND_NS);
        tracker.sent(1, lease);
        tracker
    }

    #[test]
    fn admission_then_completion_ends_it() {
        let mut tracker = tracker();
        assert!(tracker.take(&verdict(1, VerdictKind::Accepted)));
        assert_eq!(tracker.outcome(1), None);
        assert!(!tracker.take(&verdict(9, VerdictKind::Completed)), "another's verdict");
        assert!(tracker.take(&verdict(1, VerdictKind::Completed)));
        assert_eq!(tracker.outcome(1), Some(Outcome::Completed { clamped: None }));
    }

    #[test]
    fn a_renewal_takes_over_and_the_request_goes_on() {
        let mut tracker = tracker();
        assert!(!tracker.wants_renewal(2 * SECOND_NS), "not admitted yet");
        tracker.take(&verdict(1, VerdictKind::Accepted));
        assert!(!tracker.wants_renewal(SECOND_NS));
        assert!(tracker.wants_renewal(1_850_000_000));
        tracker.sent(2, 3_850_000_000);
        assert!(!tracker.wants_renewal(1_850_000_000), "one renewal at a time");
        tracker.take(&verdict(1, VerdictKind::Preempted));
        tracker.take(&verdict(2, VerdictKind::Accepted));
        assert_eq!(tracker.outcome(1_900_000_000), None);
        tracker.take(&verdict(2, VerdictKind::Completed));
        assert!(matches!(tracker.outcome(2), Some(Outcome::Completed { .. })));
    }

    #[test]
    fn nothing_is_renewed_past_the_horizon() {
        let mut tracker = tracker();
        tracker.take(&verdict(1, VerdictKind::Accepted));
        let horizon = motion::horizon_ns(MOVE_NS);
        let lease = tracker.next_lease_ns(horizon - 1, 2 * SECOND_NS);
        assert_eq!(lease, horizon);
        tracker.sent(2, lease);
        tracker.take(&verdict(1, VerdictKind::Preempted));
        assert!(!tracker.wants_renewal(horizon));
    }

    #[test]
    fn a_refused_renewal_leaves_the_earlier_intent_in_force() {
        let mut tracker = tracker();
        tracker.take(&verdict(1, VerdictKind::Accepted));
        tracker.sent(2, 4 * SECOND_NS);
        tracker.take(&verdict(2, VerdictKind::Refused));
        assert_eq!(tracker.outcome(1), None);
        assert!(!tracker.wants_renewal(4 * SECOND_NS));
        tracker.take(&verdict(1, VerdictKind::Expired));
        assert_eq!(tracker.outcome(1), Some(Outcome::Expired));
    }

    #[test]
    fn refusals_stops_and_strangers_are_told_apart() {
        let mut refused = tracker();
        refused.take(&verdict(1, VerdictKind::Refused));
        assert!(matches!(refused.outcome(1), Some(Outcome::Refused(_))));
        let mut aborted = tracker();
        let mut stop = verdict(1, VerdictKind::Aborted);
        stop.cause = Cause::OperatorStop;
        aborted.take(&stop);
        assert_eq!(aborted.outcome(1), Some(Outcome::Aborted { cause: Cause::OperatorStop }));
        let mut preempted = tracker();
        preempted.take(&verdict(1, VerdictKind::Preempted));
        assert_eq!(preempted.outcome(1), Some(Outcome::Preempted));
    }

    #[test]
    fn a_verdict_that_never_comes_is_waited_for_in_bounds() {
        let tracker = tracker();
        assert_eq!(tracker.outcome(2 * SECOND_NS), None);
        assert_eq!(tracker.outcome(8 * SECOND_NS), Some(Outcome::Lost));
    }
}

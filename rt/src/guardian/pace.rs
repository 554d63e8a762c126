//! How often the guardian sends: a stop until it is confirmed, a SYNC that asks for statuswords,
//! and the frame that proves a socket. Pure, under injected time.

/// Between two stops on one bus while the emergency is young, ns.
const REPEAT_NS: u64 = 5_000_000;
/// Stops that are sent at that rate.
const REPEATS_FAST: u32 = 100;
/// Between two stops afterwards: a drive that never answers must not cost the bus much, ns.
const REPEAT_SLOW_NS: u64 = 50_000_000;
/// Before a stop that the bus did not take is tried again, ns.
const RETRY_NS: u64 = 1_000_000;
/// Between two proof frames, ns.
const PROOF_NS: u64 = 250_000_000;

/// When the next stop frame is due on one bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopPace {
    sent: u32,
    next_ns: u64,
}

impl StopPace {
    /// A new emergency: the first stop is due now.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Whether a stop that is not yet confirmed is due.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns
    }

    /// A stop was handed to the bus (`taken`), or the bus refused it.
    pub fn tried(&mut self, now_ns: u64, taken: bool) {
        let wait_ns = match (taken, self.sent < REPEATS_FAST) {
            (false, _) => RETRY_NS,
            (true, true) => REPEAT_NS,
            (true, false) => REPEAT_SLOW_NS,
        };
        self.sent = self.sent.saturating_add(u32::from(taken));
        self.next_ns = now_ns.saturating_add(wait_ns);
    }
}

/// Proof that stop frames leave: one was sent and came back as an echo, and none is under way.
///
/// The last matters: a frame still queued when mechos-rt arms would stop the arm just powered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof {
    under_way: u32,
    echoed: bool,
    next_ns: u64,
}

impl Proof {
    /// The socket is another one now: nothing is proved.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Whether a frame is due.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        !self.echoed && now_ns >= self.next_ns
    }

    /// A stop frame was handed to the bus (`taken`), as a proof or in earnest, or was refused.
    pub fn tried(&mut self, now_ns: u64, taken: bool) {
        self.under_way = self.under_way.saturating_add(u32::from(taken));
        self.next_ns = now_ns.saturating_add(PROOF_NS);
    }

    /// A stop frame of this socket was on the wire.
    pub fn echo(&mut self) {
        self.echoed = true;
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Once an echo has come, gives up on frames sent a whole interval ago: the bus lost them.
    pub fn forget_lost(&mut self, now_ns: u64) {
        if self.echoed && now_ns >= self.next_ns {
            self.under_way = 0;
        }
    }

    /// Whether the socket is proved.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.echoed && self.under_way == 0
    }
}

/// When the next SYNC is due on one bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncPace {
    last_ns: Option<u64>,
}

impl SyncPace {
    /// Whether a SYNC is due when one is wanted every `interval_ns`.
    #[must_use]
    pub fn is_due(&self, now_ns: u64, interval_ns: u64) -> bool {
        self.last_ns.is_none_or(|last| now_ns.saturating_sub(last) >= interval_ns)
    }

    /// A SYNC was tried.
    pub fn tried(&mut self, now_ns: u64) {
        self.last_ns = Some(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn stops_within(ns: u64, taken: bool) -> u32 {
        let mut pace = StopPace::default();
        let mut count = 0;
        for now in (0..ns).step_by(MS as usize / 2) {
            if pace.is_due(now) {
                pace.tried(now, taken);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn the_first_stop_is_due_at_once_and_the_next_some_ms_later() {
        let mut pace = StopPace::default();
        assert!(pace.is_due(0));
        pace.tried(10, true);
        assert!(!pace.is_due(10 + REPEAT_NS - 1));
        assert!(pace.is_due(10 + REPEAT_NS));
    }

    #[test]
    fn stops_never_end_and_never_flood() {
        assert_eq!(stops_within(500 * MS, true), REPEATS_FAST);
        assert_eq!(stops_within(10_500 * MS, true), REPEATS_FAST + 200);
    }

    #[test]
    fn a_stop_that_was_refused_is_tried_again_soon() {
        assert_eq!(stops_within(100 * MS, false), 100);
    }

    #[test]
    fn a_socket_is_proved_by_its_echo() {
        let mut proof = Proof::default();
        assert!(proof.is_due(0));
        proof.tried(0, true);
        assert!(!proof.is_due(PROOF_NS - 1) && !proof.is_proved());
        proof.echo();
        assert!(proof.is_proved() && !proof.is_due(u64::MAX));
    }

    #[test]
    fn a_socket_is_not_proved_while_another_proof_frame_is_under_way() {
        let mut proof = Proof::default();
        proof.tried(0, true);
        proof.tried(PROOF_NS, true);
        proof.echo();
        assert!(!proof.is_proved());
        proof.echo();
        assert!(proof.is_proved());
    }

    #[test]
    fn a_lost_proof_frame_does_not_block_the_proof_for_ever() {
        let mut proof = Proof::default();
        proof.tried(0, true);
        proof.tried(PROOF_NS, true);
        proof.echo();
        proof.forget_lost(2 * PROOF_NS - 1);
        assert!(!proof.is_proved() && !proof.is_due(u64::MAX));
        proof.forget_lost(2 * PROOF_NS);
        assert!(proof.is_proved());
    }

    #[test]
    fn without_an_echo_proof_frames_go_on_at_their_interval() {
        let mut proof = Proof::default();
        let mut count = 0;
        for now in (0..4 * PROOF_NS).step_by(MS as usize) {
            proof.forget_lost(now);
            if proof.is_due(now) {
                proof.tried(now, true);
                count += 1;
            }
        }
        assert_eq!(count, 4);
        assert!(!proof.is_proved());
    }

    #[test]
    fn syncs_keep_their_interval() {
        let mut pace = SyncPace::default();
        assert!(pace.is_due(0, 20));
        pace.tried(5);
        assert!(!pace.is_due(24, 20));
        assert!(pace.is_due(25, 20));
    }
}

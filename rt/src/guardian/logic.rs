//! When the guardian stops the drives, and when it leaves. Pure: time and everything seen come in,
//! a decision goes out.
//!
//! The fence is latched by the first cause and stays until an operator's reset comes from a living
//! mechos-rt: neither time, nor a new connection, nor a later cause changes it.

use shm_protocol::records::Cause;

/// How long a guardian that was asked to end waits for mechos-rt to end first, ns.
pub const LEAVE_MAX_NS: u64 = 10_000_000_000;

/// How long a guardian that ends waits for the drives to confirm the stop, ns.
pub const CONFIRM_MAX_NS: u64 = 2_000_000_000;

/// What the heartbeat page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Counts up with every beat; 0: none yet.
    pub count: u64,
    /// When it was written, CLOCK_MONOTONIC ns, by its writer's clock reading.
    pub t_ns: u64,
    /// Some axis is or may be powered.
    pub energised: bool,
}

/// What has come over the page's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An operator's reset that mechos-rt took.
    Reset {
        /// When the fence that it answers was latched, ns; a newer one stays up.
        since_ns: u64,
    },
    /// mechos-rt ends in order.
    Goodbye,
    /// The socket was closed without a word: the process has ended, or gave up.
    HungUp,
}

/// Everything seen in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// CLOCK_MONOTONIC, ns, read *before* the beat: a guardian that is itself held up between the
    /// two must see a younger beat, never an older one.
    pub now_ns: u64,
    /// The beat; `None` while mechos-rt is not connected.
    pub beat: Option<Beat>,
    /// At most one message a turn.
    pub news: Option<News>,
    /// An operator pressed the emergency stop (an edge).
    pub estop: bool,
    /// The guardian has been asked to end (a level).
    pub terminate: bool,
    /// The drives' statuswords, all of them received since the fence went up, confirm the stop.
    pub all_stopped: bool,
}

/// The latched fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The first cause.
    pub cause: Cause,
    /// When it was latched, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Put this on the fence page, and only then send the first stop.
    pub raised: Option<Fence>,
    /// Take the fence off the page.
    pub dropped: bool,
    /// The fence is up: repeat the stop until the drives confirm it, and whenever one no longer
    /// does.
    pub fenced: bool,
    /// A stop frame may be sent to prove the socket: mechos-rt says, and says it now, that no drive
    /// is powered.
    pub may_prove: bool,
    /// Nothing is left to watch over: end.
    pub leave: bool,
}

/// The connection to mechos-rt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rt {
    Absent,
    Present {
        beat: Beat,
        /// When `beat.count` was first seen, ns.
        seen_ns: u64,
    },
}

/// The guardian's state.
#[derive(Clone, Debug)]
pub struct GuardianLogic {
    /// A beat older than this, while energised, is a loss, ns.
    beat_max_ns: u64,
    /// False for `--disable-stop guardian`: it watches, and neither fences nor stops.
    acts: bool,
    rt: Rt,
    fence: Option<Fence>,
    leaving_since_ns: Option<u64>,
    beat_age_max_ns: u64,
}

impl GuardianLogic {
    /// `beat_max_ns`: the guardian's budget from the robot file. `acts`: see `--disable-stop`.
    #[must_use]
    pub fn new(beat_max_ns: u64, acts: bool) -> Self {
        Self {
            beat_max_ns,
            acts,
            rt: Rt::Absent,
            fence: None,
            leaving_since_ns: None,
            beat_age_max_ns: 0,
        }
    }

    /// One turn.
    pub fn step(&mut self, seen: &Observed) -> Decision {
        let mut decision = Decision::default();
        self.take_beat(seen);
        if let (Some(News::Reset { since_ns }), Some(fence)) = (seen.news, self.fence)
            && fence.t_ns == since_ns
            && self.is_fresh(seen.now_ns)
        {
            self.fence = None;
            decision.dropped = true;
        }
        if seen.terminate {
            self.leaving_since_ns.get_or_insert(seen.now_ns);
        }
        if let (Some(cause), None, true) = (self.loss(seen), self.fence, self.acts) {
            let fence = Fence { cause, t_ns: seen.now_ns };
            self.fence = Some(fence);
            decision.raised = Some(fence);
        } else if let (true, Some(fence), true) = (seen.estop, &mut self.fence, self.acts) {
            // The first cause stays; a reset that was given before does not answer this one.
            fence.t_ns = seen.now_ns;
            decision.raised = Some(*fence);
        }
        if matches!(seen.news, Some(News::Goodbye | News::HungUp)) {
            self.rt = Rt::Absent;
        }
        decision.fenced = self.fence.is_some();
        decision.may_prove =
            self.fence.is_none() && !self.is_energised() && self.is_fresh(seen.now_ns);
        decision.leave = self.may_leave(seen);
        decision
    }

    /// Latches a cause that the guardian found in itself; the first cause stays. Returns the fence
    /// to put on the page.
    pub fn latch(&mut self, cause: Cause, now_ns: u64) -> Option<Fence> {
        if self.acts {
            self.fence.get_or_insert(Fence { cause, t_ns: now_ns });
        }
        self.fence
    }

    /// The latched fence.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// Whether mechos-rt is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.rt != Rt::Absent
    }

    /// Whether mechos-rt says that drives may be powered.
    #[must_use]
    pub fn is_energised(&self) -> bool {
        matches!(self.rt, Rt::Present { beat, .. } if beat.energised)
    }

    /// Whether mechos-rt is connected and beats.
    #[must_use]
    pub fn is_fresh(&self, now_ns: u64) -> bool {
        self.is_connected() && self.beat_age_ns(now_ns) <= self.beat_max_ns
    }

    /// Age of the newest beat, ns; 0 while not connected.
    #[must_use]
    pub fn beat_age_ns(&self, now_ns: u64) -> u64 {
        match self.rt {
            Rt::Absent => 0,
            // The writer's time is exact, where the moment of seeing it is late by up to a turn.
            // A time in the future is not believed.
            Rt::Present { beat, seen_ns } if beat.count > 0 => {
                now_ns.saturating_sub(beat.t_ns.min(seen_ns))
            }
            Rt::Present { seen_ns, .. } => now_ns.saturating_sub(seen_ns),
        }
    }

    /// The largest age of a beat while energised, ns.
    #[must_use]
    pub fn beat_age_max_ns(&self) -> u64 {
        self.beat_age_max_ns
    }

    /// When the present beat, if no other follows, becomes a loss, ns; `None`: never.
    #[must_use]
    pub fn expiry_ns(&self) -> Option<u64> {
        match self.rt {
            Rt::Present { beat, seen_ns } if beat.energised && self.fence.is_none() => {
                let since_ns = if beat.count > 0 { beat.t_ns.min(seen_ns) } else { seen_ns };
                Some(since_ns.saturating_add(self.beat_max_ns).saturating_add(1))
            }
            _ => None,
        }
    }

    /// When the newest beat of mechos-rt was written, ns; `None` before the first. A time in the
    /// future is not believed.
    #[must_use]
    pub fn beat_ns(&self) -> Option<u64> {
        match self.rt {
            Rt::Present { beat, seen_ns } if beat.count > 0 => Some(beat.t_ns.min(seen_ns)),
            _ => None,
        }
    }

    fn take_beat(&mut self, seen: &Observed) {
        self.rt = match (self.rt, seen.beat) {
            (_, None) => Rt::Absent,
            (Rt::Present { beat: old, seen_ns }, Some(beat)) if old.count == beat.count => {
                Rt::Present { beat, seen_ns }
            }
            (_, Some(beat)) => Rt::Present { beat, seen_ns: seen.now_ns },
        };
        if self.is_energised() {
            self.beat_age_max_ns = self.beat_age_max_ns.max(self.beat_age_ns(seen.now_ns));
        }
    }

    /// The loss seen in this turn, if any. An operator's word comes before what is inferred.
    fn loss(&self, seen: &Observed) -> Option<Cause> {
        if seen.estop {
            return Some(Cause::OperatorEstop);
        }
        if !self.is_energised() {
            return None;
        }
        // A goodbye with powered drives is no orderly end.
        let gone = matches!(seen.news, Some(News::Goodbye | News::HungUp));
        if gone || !self.is_fresh(seen.now_ns) {
            return Some(Cause::RtLost);
        }
        self.has_waited(seen.now_ns).then_some(Cause::Terminated)
    }

    /// Asked to end, and mechos-rt has had its time.
    fn has_waited(&self, now_ns: u64) -> bool {
        self.leaving_since_ns.is_some_and(|since| now_ns.saturating_sub(since) >= LEAVE_MAX_NS)
    }

    fn may_leave(&self, seen: &Observed) -> bool {
        let Some(since_ns) = self.leaving_since_ns else { return false };
        if self.is_connected() && !self.has_waited(seen.now_ns) {
            return false;
        }
        match self.fence {
            None => true,
            Some(fence) => {
                let from_ns = fence.t_ns.max(since_ns);
                seen.all_stopped || seen.now_ns.saturating_sub(from_ns) >= CONFIRM_MAX_NS
            }
        }
    }
}

#[cfg(test)]
#[path = "logic_tests.rs"]
mod tests;

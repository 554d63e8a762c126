//! Verdicts and their sums: one admission for each intent taken, and unless refused one final.
//!
//! `accepted + clamped = preempted + completed + expired + aborted + active`, in every tick.

use shm_protocol::records::{
    AXIS_NONE, Cause, Intent, IntentCounters, Rule, TraceId, Verdict, VerdictKind,
};

use crate::gate::{Objection, Source};
use crate::io::Outputs;

/// When and in which epoch a verdict is given.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The epoch in force.
    pub epoch: u32,
    /// The tick.
    pub tick: u64,
    /// CLOCK_MONOTONIC ns.
    pub now_ns: u64,
}

impl Stamp {
    /// A verdict on an intent's number and trace.
    pub fn verdict(
        &self,
        number: u64,
        trace: TraceId,
        kind: VerdictKind,
        objection: Option<Objection>,
    ) -> Verdict {
        let none = Objection { axis: AXIS_NONE, ..Objection::new(Rule::None, 0.0, 0.0, 0.0) };
        let Objection { rule, axis, value, limit, nearest } = objection.unwrap_or(none);
        let (epoch, tick, decided_ns) = (self.epoch, self.tick, self.now_ns);
        let cause = Cause::None;
        Verdict {
            number,
            trace,
            kind,
            rule,
            axis,
            cause,
            epoch,
            tick,
            decided_ns,
            value,
            limit,
            nearest,
        }
    }
}

/// How an intent ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// A later one took its place.
    Preempted,
    /// It reached its goal.
    Completed,
    /// Its lease ended.
    Expired,
    /// A stop ended it; where a value of the intent itself did, it is named.
    Aborted(Cause, Option<Objection>),
}

/// The sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    counters: IntentCounters,
}

impl Ledger {
    /// The sums so far.
    pub fn counters(&self) -> IntentCounters {
        self.counters
    }

    /// An intent was refused.
    pub fn refuse(&mut self, stamp: Stamp, intent: &Intent, why: Objection, out: &mut Outputs) {
        self.counters.refused += 1;
        let kind = VerdictKind::Refused;
        give(out, stamp.verdict(intent.number, intent.trace, kind, Some(why)));
    }

    /// An intent was admitted and is active from now on.
    pub fn admit(
        &mut self,
        stamp: Stamp,
        intent: &Intent,
        clamped: Option<Objection>,
        out: &mut Outputs,
    ) {
        let kind = if clamped.is_some() {
            self.counters.clamped += 1;
            VerdictKind::Clamped
        } else {
            self.counters.accepted += 1;
            VerdictKind::Accepted
        };
        self.counters.active += 1;
        give(out, stamp.verdict(intent.number, intent.trace, kind, clamped));
    }

    /// An active intent ended. An operator's motion has no verdict and is in no sum.
    pub fn finish(&mut self, stamp: Stamp, source: Source, ending: Ending, out: &mut Outputs) {
        let Source::Planner { number, trace } = source else { return };
        self.counters.active = self.counters.active.saturating_sub(1);
        let (kind, cause, objection) = match ending {
            Ending::Preempted => (VerdictKind::Preempted, Cause::None, None),
            Ending::Completed => (VerdictKind::Completed, Cause::None, None),
            Ending::Expired => (VerdictKind::Expired, Cause::None, None),
            Ending::Aborted(cause, objection) => (VerdictKind::Aborted, cause, objection),
        };
        let counters = &mut self.counters;
        let counter = match ending {
            Ending::Preempted => &mut counters.preempted,
            Ending::Completed => &mut counters.completed,
            Ending::Expired => &mut counters.expired,
            Ending::Aborted(..) => &mut counters.aborted,
        };
        *counter += 1;
        give(out, Verdict { cause, ..stamp.verdict(number, trace, kind, objection) });
    }
}

/// There is room for an admission and a final of each claim and a final of the active one, which
/// is all that a tick can give (`VERDICTS_PER_TICK_MAX`).
fn give(out: &mut Outputs, verdict: Verdict) {
    let pushed = out.verdicts.try_push(verdict);
    debug_assert!(pushed.is_ok(), "more verdicts in a tick than there can be");
}

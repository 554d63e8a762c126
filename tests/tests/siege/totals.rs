//! What a siege adds up to.

use std::collections::BTreeMap;

use mechos_operator::{IntentSums, Status};

use crate::attack::Attack;
use crate::besieger::Deeds;

/// The sums of a run.
#[derive(Default)]
pub struct Totals {
    /// How often each attack was there, and what it did.
    pub sieges: BTreeMap<Attack, (u64, Deeds)>,
    /// Attacks, each followed by an honest planner.
    pub rounds: u64,
    /// How often the machine was armed.
    pub arms: u64,
    /// What halted it, how often.
    pub halts: BTreeMap<String, u64>,
    /// The books of all honest planners.
    pub honest: IntentSums,
}

impl Totals {
    /// All of it, as tables; `seen`: frames that were judged, bytes of their logs.
    pub fn print(&self, seconds: u64, status: &Status, (frames, log_bytes): (u64, u64)) {
        let Totals { sieges, rounds, arms, halts, honest } = self;
        eprintln!(
            "\n{:<16}{:>7}{:>14}{:>11}{:>7}{:>8}{:>9}{:>9}{:>9}",
            "attack", "sieges", "words", "records", "moves", "presses", "calls", "visits", "away"
        );
        for (attack, (count, deeds)) in sieges {
            let Deeds { words, records, moves, presses, calls, visits, turned_away } = deeds;
            eprintln!(
                "{:<16}{count:>7}{words:>14}{records:>11}{moves:>7}{presses:>8}{calls:>9}{visits:>9}\
                 {turned_away:>9}",
                format!("{attack:?}")
            );
        }
        eprintln!(
            "{} s, {rounds} rounds, {arms} times armed, halted by {halts:?}\n\
             {} ticks, {} skipped; misses {:?}, causes {:?}\n\
             {frames} frames judged, {} MiB of logs\n\
             honest planners: {honest:?}",
            seconds,
            status.ticks,
            status.skipped,
            status.misses,
            status.miss_causes,
            log_bytes >> 20,
        );
    }
}

/// What was added from one look to the next.
pub fn since(now: &IntentSums, before: &IntentSums) -> IntentSums {
    combine(now, before, |now, before| now - before)
}

/// Both together.
pub fn sum(one: &IntentSums, other: &IntentSums) -> IntentSums {
    combine(one, other, |one, other| one + other)
}

fn combine(a: &IntentSums, b: &IntentSums, by: impl Fn(u64, u64) -> u64) -> IntentSums {
    IntentSums {
        submitted: by(a.submitted, b.submitted),
        accepted: by(a.accepted, b.accepted),
        clamped: by(a.clamped, b.clamped),
        refused: by(a.refused, b.refused),
        queued: by(a.queued, b.queued),
        returned: by(a.returned, b.returned),
        lost: by(a.lost, b.lost),
        preempted: by(a.preempted, b.preempted),
        completed: by(a.completed, b.completed),
        expired: by(a.expired, b.expired),
        aborted: by(a.aborted, b.aborted),
        active: by(a.active, b.active),
    }
}

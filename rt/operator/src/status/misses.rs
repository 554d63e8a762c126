//! Ticks that were late: how many, why, and the last one.

use serde::{Deserialize, Serialize};

/// The three kinds of miss, counted apart, against the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misses {
    /// Woken when the time left in the period did not suffice for the execution budget.
    pub late_wake: u64,
    /// Woken in time, computed past the period's end or longer than the execution budget.
    pub late_compute: u64,
    /// Computed in time, sent past the period's end.
    pub late_send: u64,
}

/// What the misses were put down to; they add up to the misses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissCauses {
    /// The tick's own work, or that of the tick before, which ran into this one.
    pub own_stage: u64,
    /// A page fault.
    pub page_fault: u64,
    /// The thread was pushed off its CPU.
    pub involuntary_switch: u64,
    /// The host took the CPU (steal), or nothing else explains the gap.
    pub steal: u64,
    /// The bus was busy or refused a frame.
    pub bus: u64,
    /// The thread gave the CPU away inside the tick: a lock or a blocking call.
    #[serde(default)]
    pub blocked: u64,
}

impl Misses {
    /// All of them.
    pub fn total(&self) -> u64 {
        [self.late_wake, self.late_compute, self.late_send].iter().sum()
    }
}

impl MissCauses {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { own_stage, page_fault, involuntary_switch, steal, bus, blocked } = self;
        [own_stage, page_fault, involuntary_switch, steal, bus, blocked].into_iter().sum()
    }
}

/// One miss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissStatus {
    /// The tick.
    pub tick: u64,
    /// `late-wake`, `late-compute` or `late-send`.
    pub kind: String,
    /// `own-stage`, `page-fault`, `blocked`, `involuntary-switch`, `steal` or `bus`.
    pub cause: String,
    /// Where the time went: `gather`, `kernel`, `hand-out` or `publish` of the control thread,
    /// `previous-tick`, `send` of a bus thread. Absent where it went before the thread was awake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The bus, for a late send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// The last system call that was refused to the thread inside the tick: `futex` is a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// End of the late stage after the tick's nominal start, us.
    pub late_us: u64,
    /// When it was noticed.
    pub t_ns: u64,
}

/// An injected fault that a control tick has carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedStatus {
    /// Which: `busy`, `page-fault`, `lock`, `stall`, `allocate` or `call`.
    pub fault: String,
    /// The tick that it hit.
    pub tick: u64,
    /// When it was carried out.
    pub t_ns: u64,
}

//! What the host grants, each real-time thread read back, and the certificate.

use serde::{Deserialize, Serialize};

/// The certificate that arming may need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The robot file requires one.
    pub required: bool,
    /// It is waived, because one is being made (`--certifying`).
    pub certifying: bool,
    /// The report that was read.
    pub file: Option<String>,
    /// Why it does not let this machine arm, each with what mends it; empty where it does, or where
    /// none is required.
    pub refusals: Vec<String>,
}

/// The daemon's threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RtStatus {
    /// One entry a thread.
    pub threads: Vec<ThreadStatus>,
}

/// One thread as read back from the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadStatus {
    /// Its name: `control`, `bus-<bus>`, `deadline`, `housekeeping`, `guardian`.
    pub name: String,
    /// `SCHED_FIFO`, `SCHED_OTHER`, ...
    pub policy: String,
    /// Its priority under that policy, 0 for `SCHED_OTHER`.
    pub priority: i32,
    /// The only CPU that it may run on; absent where it may run on several.
    pub cpu: Option<usize>,
    /// All of the process' memory is locked.
    pub locked: bool,
    /// Its thread id.
    #[serde(default)]
    pub tid: i32,
    /// Real time was asked for it.
    #[serde(default)]
    pub real_time: bool,
    /// What was asked for it: `SCHED_FIFO 70, CPU 1, locked memory`.
    #[serde(default)]
    pub asked: String,
    /// It has what was asked.
    #[serde(default)]
    pub as_asked: bool,
    /// It runs under its list of system calls.
    #[serde(default)]
    pub filtered: bool,
    /// Page faults without a disk since arming; until the next arming those while it was armed.
    #[serde(default)]
    pub faults_minor: u64,
    /// Page faults that waited for a disk, likewise.
    #[serde(default)]
    pub faults_major: u64,
    /// Times it gave its CPU away, likewise.
    #[serde(default)]
    pub switches_voluntary: u64,
    /// Times its CPU was taken from it, likewise.
    #[serde(default)]
    pub switches_involuntary: u64,
    /// Allocations and frees while armed, since the last arming.
    #[serde(default)]
    pub allocations: u64,
    /// System calls that are not on its list, since the last arming; each failed.
    #[serde(default)]
    pub calls_unlisted: u64,
    /// The last of them by name.
    #[serde(default)]
    pub last_call: Option<String>,
}

/// The ledger of the real-time threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerStatus {
    /// A difference is an interlock and, while armed, a fault (`real_time_lost`). On simulated
    /// buses and with `--allow-no-rt` it is only shown.
    pub demanded: bool,
    /// Every thread has what was asked for it, as last read back.
    pub held: bool,
    /// What differs: a line a thread, with what was asked and what was found.
    pub differences: Vec<String>,
    /// When the last arming began; absent: never.
    pub armed_since_ns: Option<u64>,
    /// Allocations and unlisted system calls of real-time threads since the last arming.
    pub violations: u64,
    /// Page faults of real-time threads while armed, since the last arming.
    pub page_faults: u64,
}

/// What the host grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The host grants SCHED_FIFO, as tried at the start; what each thread really has stands in
    /// [`RtStatus::threads`].
    pub realtime: bool,
    /// What was not, each with the command that mends it.
    pub warnings: Vec<String>,
}

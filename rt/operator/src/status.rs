//! What the daemon and the guardian tell of themselves. Times are CLOCK_MONOTONIC, ns.
//!
//! Every field derives from something measured or acknowledged, never from what was asked for.

use serde::{Deserialize, Deserializer, Serialize};

/// The daemon's state, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The robot's name.
    pub robot: String,
    /// `strict` or `relaxed`: shown wherever a number is.
    pub profile: String,
    /// `disarmed`, `arming`, `armed`, `stopping` or `halted`.
    pub mode: String,
    /// Why it is stopping or halted, in kebab-case (`operator-stop`, `rt-lost`, ...); else `none`.
    pub cause: String,
    /// The cause's axis, bus, thread or interlock bits.
    pub cause_detail: u32,
    /// The epoch that intents must carry; every arming and every stop begins a new one.
    pub epoch: u32,
    /// When this was taken.
    pub t_ns: u64,
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// Nominal start of tick 0, CLOCK_MONOTONIC ns: tick k starts k periods later. 0: none yet.
    #[serde(default)]
    pub schedule_start_ns: u64,
    /// Ticks run.
    pub ticks: u64,
    /// Timing samples that the percentiles lack: housekeeping was behind.
    #[serde(default)]
    pub samples_lost: u64,
    /// The control thread's notes that the log lacks: housekeeping was behind.
    #[serde(default)]
    pub notes_lost: u64,
    /// Ticks skipped; `elapsed / period == ticks + skipped`.
    pub skipped: u64,
    /// Misses against the period, by kind.
    pub misses: Misses,
    /// What the misses were put down to.
    pub miss_causes: MissCauses,
    /// The newest misses, oldest first, bounded by the daemon.
    #[serde(default)]
    pub last_misses: Vec<MissStatus>,
    /// The newest injected faults that a control tick carried out, oldest first, bounded likewise.
    #[serde(default)]
    pub injected: Vec<InjectedStatus>,
    /// Wake-up after the tick's nominal start.
    pub wake_us: Percentiles,
    /// Computing a tick.
    pub compute_us: Percentiles,
    /// From the tick's nominal start to the last bus' setpoints sent.
    pub send_us: Percentiles,
    /// The protocol's sums.
    pub intents: IntentSums,
    /// An operator has the machine: planners' intents are refused.
    pub operator_has_control: bool,
    /// Interlocks open now, by name; empty: arming is possible.
    pub interlocks: Vec<String>,
    /// The axes.
    pub axes: Vec<AxisStatus>,
    /// The buses.
    pub buses: Vec<BusStatus>,
    /// The daemon's threads as the host granted them.
    pub rt: RtStatus,
    /// What was asked of the host for these threads against what they have.
    #[serde(default)]
    pub ledger: LedgerStatus,
    /// The host.
    pub host: HostStatus,
    /// The stops so far, oldest first, bounded by the daemon.
    pub halts: Vec<Halt>,
    /// Stop paths switched off by `--disable-stop`.
    pub stops_disabled: Vec<String>,
    /// The processes.
    pub pids: Pids,
    /// Cognition runs under the daemon's own user: accepted on simulated buses only.
    pub same_user: bool,
    /// Faults are injected here: every bus is simulated, or `--allow-faults` was given.
    #[serde(default)]
    pub faults_allowed: bool,
    /// The certificate that arming may need.
    #[serde(default)]
    pub certificate: CertificateStatus,
}

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

/// A distribution, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median, µs.
    pub p50: f64,
    /// 99 percent are below, µs.
    pub p99: f64,
    /// 99.9 percent are below, µs.
    pub p99_9: f64,
    /// The largest, µs; nothing is removed.
    pub max: f64,
}

/// The sums of the protocol. `submitted = accepted + clamped + refused + queued + returned + lost`;
/// `accepted + clamped = preempted + completed + expired + aborted + active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentSums {
    /// Handed in by planners.
    pub submitted: u64,
    /// Executed as asked.
    pub accepted: u64,
    /// Executed, clamped.
    pub clamped: u64,
    /// Refused.
    pub refused: u64,
    /// Waiting in the ring.
    pub queued: u64,
    /// Given back to the planner: the ring was full.
    pub returned: u64,
    /// Lost with an old generation of the planner.
    pub lost: u64,
    /// Ended by a later intent.
    pub preempted: u64,
    /// Reached their goal.
    pub completed: u64,
    /// Ended by their lease.
    pub expired: u64,
    /// Ended by a stop.
    pub aborted: u64,
    /// Being executed: 0 or 1.
    pub active: u64,
}

impl IntentSums {
    /// Whether both sums hold.
    pub fn hold(&self) -> bool {
        let admitted = u128::from(self.accepted) + u128::from(self.clamped);
        let answered = [self.refused, self.queued, self.returned, self.lost];
        let ended = [self.preempted, self.completed, self.expired, self.aborted, self.active];
        let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum::<u128>();
        u128::from(self.submitted) == admitted + sum(&answered) && admitted == sum(&ended)
    }
}

/// One axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AxisStatus {
    /// Its name.
    pub name: String,
    /// Measured position, rad (m).
    #[serde(deserialize_with = "number")]
    pub position_rad: f64,
    /// Measured velocity, rad/s (m/s).
    #[serde(deserialize_with = "number")]
    pub velocity_rad_s: f64,
    /// Measured effort, Nm (N).
    #[serde(deserialize_with = "number")]
    pub effort_nm: f64,
    /// Commanded position, rad (m).
    #[serde(deserialize_with = "number")]
    pub setpoint_rad: f64,
    /// The drive's state in kebab-case: `offline`, `configuring`, `ready`, `enabling`, `enabled`,
    /// `quick-stop`, `fault`, `misconfigured`.
    pub state: String,
    /// The drive's error code (CiA 402 603Fh), 0: none.
    pub fault_code: u16,
    /// Way travelled since the daemon started, measured, rad (m).
    #[serde(deserialize_with = "number")]
    pub travel_rad: f64,
    /// Position when it was first measured, rad (m).
    #[serde(deserialize_with = "number")]
    pub start_rad: f64,
    /// Position when it was last measured, rad (m).
    #[serde(deserialize_with = "number")]
    pub end_rad: f64,
}

/// One bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusStatus {
    /// Its name.
    pub name: String,
    /// Worst-case load as computed from the robot file, percent.
    pub load_percent: f64,
    /// `error-active`, `error-warning`, `error-passive`, `bus-off` or `down`.
    pub state: String,
    /// Frames that the bus did not take from its thread.
    #[serde(default)]
    pub send_failures: u64,
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

/// One stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why, in kebab-case as in [`Status::cause`].
    pub cause: String,
    /// The cause's axis, bus, thread or bits.
    pub detail: u32,
    /// When it was latched, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
    /// When the loss became visible to this process (cognition's socket hung up), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ns: Option<u64>,
    /// The deadline that had passed, for a stop of the deadline thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ns: Option<u64>,
    /// When the send of the last bus' first stop frame returned, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_ns: Option<u64>,
}

/// Process ids, as the kernel gave them for the peers' sockets; absent: not connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// The daemon.
    pub rt: Option<i32>,
    /// The guardian.
    pub guardian: Option<i32>,
    /// The planner.
    pub cognition: Option<i32>,
}

/// The guardian's state, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuardianStatus {
    /// The robot's name.
    pub robot: String,
    /// `strict` or `relaxed`.
    pub profile: String,
    /// The daemon is connected.
    pub connected: bool,
    /// The daemon's word that drives may be powered.
    pub energised: bool,
    /// The fence is up: the daemon may send nothing.
    pub fenced: bool,
    /// Why, in kebab-case; `none` where the fence is down.
    pub cause: String,
    /// When the fence was latched; 0: down.
    pub fenced_ns: u64,
    /// Age of the daemon's beat, ns.
    pub beat_age_ns: u64,
    /// Largest age seen while it was watched, ns.
    pub beat_age_max_ns: u64,
    /// Stop frames sent.
    pub stops_sent: u64,
    /// Its stop sockets are proved by a frame and its echo, on every bus.
    pub sockets_proved: bool,
    /// The stops so far, oldest first.
    pub halts: Vec<Halt>,
    /// Its threads as the host granted them.
    pub threads: Vec<ThreadStatus>,
    /// What was asked of the host for them against what they have; "armed" is the daemon's word
    /// that drives may be powered.
    #[serde(default)]
    pub ledger: LedgerStatus,
    /// Switched off by `--disable-stop guardian`: it watches and sends nothing.
    pub disabled: bool,
    /// Faults are injected here: every bus is simulated, or `--allow-faults` was given.
    #[serde(default)]
    pub faults_allowed: bool,
    /// What the host did not grant, each with the command that mends it.
    pub warnings: Vec<String>,
    /// The processes.
    pub pids: Pids,
    /// SHA-256 of the program that runs; absent while it is not known.
    #[serde(default)]
    pub binary_sha256: Option<String>,
    /// SHA-256 of the robot file's text that it has loaded.
    #[serde(default)]
    pub config_sha256: Option<String>,
}

/// JSON has no NaN: it is written as `null` and read back as NaN.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sums_are_checked() {
        let mut sums = IntentSums {
            submitted: 10,
            accepted: 4,
            clamped: 1,
            refused: 2,
            queued: 1,
            returned: 1,
            lost: 1,
            preempted: 1,
            completed: 2,
            expired: 1,
            aborted: 0,
            active: 1,
        };
        assert!(sums.hold());
        sums.submitted += 1;
        assert!(!sums.hold());
        sums.submitted -= 1;
        sums.aborted += 1;
        assert!(!sums.hold());
    }

    #[test]
    fn the_documented_names_are_on_the_wire() {
        let status = Status {
            axes: vec![AxisStatus::default()],
            halts: vec![Halt::default()],
            rt: RtStatus { threads: vec![ThreadStatus::default()] },
            ..Status::default()
        };
        let json: serde_json::Value = serde_json::to_value(&status).unwrap();
        for pointer in [
            "/ticks",
            "/skipped",
            "/misses/late_wake",
            "/misses/late_compute",
            "/misses/late_send",
            "/wake_us/p99_9",
            "/intents/submitted",
            "/intents/active",
            "/axes/0/travel_rad",
            "/axes/0/start_rad",
            "/axes/0/end_rad",
            "/rt/threads/0/policy",
            "/rt/threads/0/locked",
            "/rt/threads/0/allocations",
            "/rt/threads/0/calls_unlisted",
            "/ledger/violations",
            "/ledger/differences",
            "/halts/0/cause",
            "/halts/0/t_ns",
            "/pids/guardian",
        ] {
            assert!(json.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn a_position_never_measured_survives_the_way() {
        let status = AxisStatus { position_rad: f64::NAN, ..AxisStatus::default() };
        let line = serde_json::to_string(&status).unwrap();
        let back: AxisStatus = serde_json::from_str(&line).unwrap();
        assert!(back.position_rad.is_nan());
    }
}

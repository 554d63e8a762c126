//! What the daemon and the guardian tell of themselves. Times are CLOCK_MONOTONIC, ns.
//!
//! Every field derives from something measured or acknowledged, never from what was asked for.

mod guardian;
mod host;
mod misses;

use serde::{Deserialize, Deserializer, Serialize};

pub use guardian::GuardianStatus;
pub use host::{CertificateStatus, HostStatus, LedgerStatus, RtStatus, ThreadStatus};
pub use misses::{InjectedStatus, MissCauses, MissStatus, Misses};

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

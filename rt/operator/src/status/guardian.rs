//! What the guardian tells of itself.

use serde::{Deserialize, Serialize};

use super::{Halt, LedgerStatus, Pids, ThreadStatus};

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

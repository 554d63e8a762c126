//! The operator's socket: commands, answers, status, and a blocking client.
//!
//! Promises: one JSON object a line in both directions, lines of at most [`LINE_MAX`] bytes, every
//! request answered once under its own id, every client call bounded in time. Forbids: anything
//! that a planner could use; a stop is asked here by people only. See `README.md` for the files
//! from the outside in.

mod client;
mod command;
mod latency;
mod line;
mod reply;
mod status;

pub use client::{CallError, Client, ConnectError};
pub use command::{Command, Fault, LatencyPath, Request};
pub use latency::{LATENCY_DIGITS, LATENCY_MAX_NS, LATENCY_MIN_NS, Latency};
pub use line::{Filled, LINE_MAX, LineError, LineReader, encode_line};
pub use reply::{Refusal, RefusalCode, Reply};
pub use status::{
    AxisStatus, BusStatus, CertificateStatus, GuardianStatus, Halt, HostStatus, InjectedStatus,
    IntentSums, LedgerStatus, MissCauses, MissStatus, Misses, Percentiles, Pids, RtStatus, Status,
    ThreadStatus,
};

/// File name of the daemon's socket inside the runtime directory.
pub const OPERATOR_SOCKET: &str = "operator.sock";

/// File name of the guardian's socket inside the runtime directory.
pub const GUARDIAN_SOCKET: &str = "guardian-operator.sock";

//! What an operator may ask.

use serde::{Deserialize, Serialize};

/// One line from an operator: `{"id":1,"command":"arm"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the sender; the answer carries it back.
    pub id: u64,
    /// What is asked.
    pub command: Command,
}

/// A command. The guardian's socket takes `estop`, `status` and `fault` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Disarmed to Armed; refused with the open interlocks.
    Arm,
    /// Controlled stop if moving, then power off.
    Disarm,
    /// Controlled stop, latched.
    Stop,
    /// The fastest stop that the drives have, latched.
    Estop,
    /// Halted to Disarmed, once every axis stands still.
    Reset,
    /// Move to the home pose; the planner is locked out until `resume` or the next arming.
    Home,
    /// Let the planner have the machine again.
    Resume,
    /// Answer with the status.
    Status,
    /// Answer with one whole distribution of the daemon's latencies.
    Latency {
        /// Which one.
        path: LatencyPath,
        /// Empty it after answering.
        reset: bool,
    },
    /// Controlled stop, power off, then the process ends.
    Shutdown,
    /// Inject a fault, for demonstrations and tests: on simulated buses, or in a process that was
    /// started with `--allow-faults`.
    Fault {
        /// Which one.
        kind: Fault,
    },
}

/// A way through the daemon whose duration is kept as a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyPath {
    /// A tick's nominal start to the control thread awake.
    Wake,
    /// Awake to the last order handed over.
    Compute,
    /// Nominal start to the last frame handed to the bus; every bus counts.
    Send,
    /// Nominal start to the echo of the tick's SYNC, which follows its setpoints; every bus counts.
    Wire,
    /// An intent's time of issue to the tick that admitted it.
    IntentSeen,
    /// An intent's time of issue to the echo of the first frame of the tick that admitted it; every
    /// bus counts.
    IntentWire,
    /// Arrival of a position to the telemetry that carries it, published.
    FeedbackPublished,
}

impl LatencyPath {
    /// All of them, in the order of the way from the timer to the planner.
    pub const ALL: [LatencyPath; 7] = [
        LatencyPath::Wake,
        LatencyPath::Compute,
        LatencyPath::Send,
        LatencyPath::Wire,
        LatencyPath::IntentSeen,
        LatencyPath::IntentWire,
        LatencyPath::FeedbackPublished,
    ];
}

/// A fault to inject into the process that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The control thread computes nothing for this long.
    StallControl {
        /// How long, ms, 1 to 60,000.
        ms: u32,
    },
    /// A thread panics.
    Panic {
        /// Its name, as `status` shows it under `rt.threads`.
        thread: String,
    },
    /// A thread never leaves its present cycle.
    Loop {
        /// Its name, as `status` shows it under `rt.threads`.
        thread: String,
    },
    /// The control thread allocates and frees.
    Allocate,
    /// The control thread makes a system call that is not on its list (getppid).
    Call,
    /// The control tick computes for this long beside its work.
    Busy {
        /// How long, us, 1 to 1,000,000.
        us: u32,
    },
    /// The control tick touches fresh pages until it is past its execution budget.
    PageFault,
    /// The control tick waits for a lock that another thread holds this long.
    Lock {
        /// How long, us, 1 to 1,000,000.
        us: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_commands_are_words() {
        let line = serde_json::to_string(&Request { id: 7, command: Command::Estop }).unwrap();
        assert_eq!(line, r#"{"id":7,"command":"estop"}"#);
        let back: Request = serde_json::from_str(&line).unwrap();
        assert_eq!(back, Request { id: 7, command: Command::Estop });
    }

    #[test]
    fn faults_carry_their_values() {
        let command = Command::Fault { kind: Fault::StallControl { ms: 30 } };
        let line = serde_json::to_string(&Request { id: 1, command: command.clone() }).unwrap();
        assert_eq!(line, r#"{"id":1,"command":{"fault":{"kind":{"stall-control":{"ms":30}}}}}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap().command, command);
    }

    #[test]
    fn a_distribution_is_asked_for_by_its_name() {
        let command = Command::Latency { path: LatencyPath::IntentWire, reset: true };
        let line = serde_json::to_string(&Request { id: 2, command }).unwrap();
        assert_eq!(line, r#"{"id":2,"command":{"latency":{"path":"intent-wire","reset":true}}}"#);
    }

    #[test]
    fn unknown_words_and_keys_are_refused() {
        for line in [
            r#"{"id":1,"command":"dance"}"#,
            r#"{"id":1,"command":"arm","force":true}"#,
            r#"{"command":"arm"}"#,
            r#"{"id":-1,"command":"arm"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(line).is_err(), "{line}");
        }
    }
}

//! The mode.

use shm_protocol::records::Cause;

/// What follows a controlled stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStop {
    /// Power off; an operator asked for it.
    Disarm,
    /// Power off and latched.
    Halt {
        /// Why.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
    },
}

/// The machine's mode. Each state carries its own data and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Drives without power.
    Disarmed,
    /// Drives being enabled, setpoints at the measured pose.
    Arming {
        /// Since when, CLOCK_MONOTONIC ns.
        since_ns: u64,
    },
    /// Setpoints are executed.
    Armed,
    /// A controlled stop is under way.
    Stopping {
        /// What comes after.
        then: AfterStop,
        /// Since when, CLOCK_MONOTONIC ns.
        since_ns: u64,
    },
    /// Stopped by the drives' fastest stop or after a controlled one; latched.
    Halted {
        /// The first cause.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
    },
}

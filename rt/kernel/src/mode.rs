//! The mode, and the one table that says what changes it.
//!
//! [`transition`] is total over (mode, event). A stop may escalate and never softens; only an
//! operator's edge leaves `Halted` or `Disarmed`.

use shm_protocol::records::{Cause, ModeCode};

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

impl Mode {
    /// Its number on the telemetry page.
    pub fn code(&self) -> ModeCode {
        match self {
            Mode::Disarmed => ModeCode::Disarmed,
            Mode::Arming { .. } => ModeCode::Arming,
            Mode::Armed => ModeCode::Armed,
            Mode::Stopping { .. } => ModeCode::Stopping,
            Mode::Halted { .. } => ModeCode::Halted,
        }
    }

    /// Why it is `Stopping` or `Halted`, and the cause's detail.
    pub fn cause(&self) -> (Cause, u32) {
        match *self {
            Mode::Halted { cause, detail }
            | Mode::Stopping { then: AfterStop::Halt { cause, detail }, .. } => (cause, detail),
            _ => (Cause::None, 0),
        }
    }

    /// Whether the kernel powers the drives, or is about to.
    pub fn is_energised(&self) -> bool {
        matches!(self, Mode::Arming { .. } | Mode::Armed | Mode::Stopping { .. })
    }
}

/// What may change the mode. The conditions of each were checked by whoever raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An operator arms; every interlock is closed.
    Arm {
        /// Now, CLOCK_MONOTONIC ns.
        since_ns: u64,
    },
    /// Every drive is enabled.
    AllEnabled,
    /// An operator disarms, or the process is to end.
    Disarm {
        /// Now, CLOCK_MONOTONIC ns.
        since_ns: u64,
    },
    /// A controlled stop that is latched: operator, planner, or a fault whose reaction is `Stop`.
    Stop {
        /// Why.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
        /// Now, CLOCK_MONOTONIC ns.
        since_ns: u64,
    },
    /// The fastest stop, latched: an emergency stop, a fault whose reaction is `Halt`, another stop
    /// path that has acted.
    Halt {
        /// Why.
        cause: Cause,
        /// Which axis, bus, thread or bits.
        detail: u32,
    },
    /// Setpoints and axes stand.
    Standstill,
    /// An operator resets; every axis stands.
    Reset,
}

/// The mode after an event.
pub fn transition(mode: Mode, event: Event) -> Mode {
    match (mode, event) {
        (Mode::Disarmed, Event::Arm { since_ns }) => Mode::Arming { since_ns },
        (Mode::Arming { .. }, Event::AllEnabled) => Mode::Armed,
        // Nothing was commanded yet: there is nothing to ramp down.
        (Mode::Arming { .. }, Event::Disarm { .. }) => Mode::Disarmed,
        (Mode::Disarmed | Mode::Arming { .. }, Event::Stop { cause, detail, .. }) => {
            Mode::Halted { cause, detail }
        }
        (Mode::Armed, Event::Disarm { since_ns }) => {
            Mode::Stopping { then: AfterStop::Disarm, since_ns }
        }
        (Mode::Armed, Event::Stop { cause, detail, since_ns }) => {
            Mode::Stopping { then: AfterStop::Halt { cause, detail }, since_ns }
        }
        // Latched now; the ramp that is under way goes on, and so does its time.
        (
            Mode::Stopping { then: AfterStop::Disarm, since_ns },
            Event::Stop { cause, detail, .. },
        ) => Mode::Stopping { then: AfterStop::Halt { cause, detail }, since_ns },
        (Mode::Stopping { then, .. }, Event::Halt { cause, detail }) => {
            escalated(then, cause, detail)
        }
        (Mode::Stopping { then: AfterStop::Disarm, .. }, Event::Standstill) => Mode::Disarmed,
        (Mode::Stopping { then: AfterStop::Halt { cause, detail }, .. }, Event::Standstill) => {
            Mode::Halted { cause, detail }
        }
        (Mode::Disarmed | Mode::Arming { .. } | Mode::Armed, Event::Halt { cause, detail }) => {
            Mode::Halted { cause, detail }
        }
        (Mode::Halted { .. }, Event::Reset) => Mode::Disarmed,
        // Named one by one, so that a new mode or event does not compile until it is thought of.
        (Mode::Disarmed, Event::AllEnabled | Event::Disarm { .. } | Event::Standstill)
        | (Mode::Arming { .. }, Event::Arm { .. } | Event::Standstill)
        | (Mode::Armed, Event::Arm { .. } | Event::AllEnabled | Event::Standstill)
        | (
            Mode::Stopping { .. },
            Event::Arm { .. } | Event::AllEnabled | Event::Disarm { .. } | Event::Stop { .. },
        )
        | (
            Mode::Halted { .. },
            Event::Arm { .. }
            | Event::AllEnabled
            | Event::Disarm { .. }
            | Event::Stop { .. }
            | Event::Halt { .. }
            | Event::Standstill,
        )
        | (
            Mode::Disarmed | Mode::Arming { .. } | Mode::Armed | Mode::Stopping { .. },
            Event::Reset,
        ) => mode,
    }
}

/// The first cause stays, as what followed is most often its consequence; only an emergency stop,
/// which somebody decided, takes its place.
fn escalated(then: AfterStop, cause: Cause, detail: u32) -> Mode {
    let decided = matches!(cause, Cause::OperatorEstop | Cause::PlannerEstop);
    match then {
        AfterStop::Halt { cause, detail } if !decided => Mode::Halted { cause, detail },
        AfterStop::Halt { .. } | AfterStop::Disarm => Mode::Halted { cause, detail },
    }
}

/// One row of the table as a person reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The mode before.
    pub from: &'static str,
    /// What happened.
    pub event: &'static str,
    /// The mode after; equal to `from` where the event changes nothing.
    pub to: &'static str,
}

const SAMPLE: Cause = Cause::DriveFault;

const MODES: [(&str, Mode); 6] = [
    ("Disarmed", Mode::Disarmed),
    ("Arming", Mode::Arming { since_ns: 0 }),
    ("Armed", Mode::Armed),
    ("Stopping, then disarm", Mode::Stopping { then: AfterStop::Disarm, since_ns: 0 }),
    (
        "Stopping, then halt",
        Mode::Stopping { then: AfterStop::Halt { cause: SAMPLE, detail: 0 }, since_ns: 0 },
    ),
    ("Halted", Mode::Halted { cause: SAMPLE, detail: 0 }),
];

const EVENTS: [(&str, Event); 7] = [
    ("arm", Event::Arm { since_ns: 0 }),
    ("all drives enabled", Event::AllEnabled),
    ("disarm", Event::Disarm { since_ns: 0 }),
    ("stop", Event::Stop { cause: SAMPLE, detail: 0, since_ns: 0 }),
    ("halt", Event::Halt { cause: SAMPLE, detail: 0 }),
    ("standstill", Event::Standstill),
    ("reset", Event::Reset),
];

/// Every pair of mode and event, made by [`transition`] itself.
pub fn table() -> impl Iterator<Item = Row> {
    MODES.into_iter().flat_map(|(from, mode)| {
        EVENTS.into_iter().map(move |(event, happened)| {
            let after = transition(mode, happened);
            let to = MODES.into_iter().find(|(_, mode)| *mode == after);
            Row { from, event, to: to.map_or(from, |(name, _)| name) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &str, event: &str) -> &'static str {
        table().find(|row| row.from == from && row.event == event).unwrap().to
    }

    #[test]
    fn every_pair_of_mode_and_event_is_as_written_here() {
        let columns =
            ["arm", "all drives enabled", "disarm", "stop", "halt", "standstill", "reset"];
        let (sd, sh) = ("Stopping, then disarm", "Stopping, then halt");
        let (d, h) = ("Disarmed", "Halted");
        let expected = [
            (d, ["Arming", d, d, h, h, d, d]),
            ("Arming", ["Arming", "Armed", d, h, h, "Arming", "Arming"]),
            ("Armed", ["Armed", "Armed", sd, sh, h, "Armed", "Armed"]),
            (sd, [sd, sd, sd, sh, h, d, sd]),
            (sh, [sh, sh, sh, sh, h, h, sh]),
            (h, [h, h, h, h, h, h, d]),
        ];
        for (from, row) in expected {
            for (event, after) in columns.iter().zip(row) {
                assert_eq!(to(from, event), after, "{from} + {event}");
            }
        }
        assert_eq!(table().count(), expected.len() * columns.len());
    }

    #[test]
    fn only_a_reset_leaves_halted() {
        for (_, event) in EVENTS {
            let halted = Mode::Halted { cause: Cause::RtLost, detail: 3 };
            let after = transition(halted, event);
            assert_eq!(after == halted, event != Event::Reset);
        }
    }

    #[test]
    fn only_arm_powers_the_drives() {
        for (_, mode) in MODES.into_iter().filter(|(_, mode)| !mode.is_energised()) {
            for (_, event) in EVENTS {
                let powered = transition(mode, event).is_energised();
                assert!(!powered || matches!(event, Event::Arm { .. }));
            }
        }
    }

    #[test]
    fn the_first_cause_stays_unless_somebody_presses_the_emergency_stop() {
        let then = AfterStop::Halt { cause: Cause::DriveFault, detail: 2 };
        let stopping = Mode::Stopping { then, since_ns: 7 };
        let later = Event::Halt { cause: Cause::FeedbackStale, detail: 1 };
        assert_eq!(transition(stopping, later).cause(), (Cause::DriveFault, 2));
        let pressed = Event::Halt { cause: Cause::OperatorEstop, detail: 0 };
        assert_eq!(transition(stopping, pressed).cause(), (Cause::OperatorEstop, 0));
    }
}

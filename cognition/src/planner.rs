//! The one trait of all planners, and what goes in and comes out of it.

use std::sync::Arc;

use shm_protocol::records::{Cause, Telemetry, TraceId, Verdict};

use crate::machine::Machine;

/// Decides what the machine does next.
///
/// A planner is asked when it is its turn: the machine takes motion (Armed, no operator at the
/// controls, telemetry fresh) and nothing that it asked for is still under way. It runs in a thread
/// of its own and may take as long as it likes: the heartbeat goes on, the machine stands still.
pub trait Planner: Send {
    /// Its name in the log.
    fn name(&self) -> &'static str;
    /// The next thing to do.
    fn decide(&mut self, situation: &Situation) -> Decision;
}

/// What a planner knows when it is its turn.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The trace of the decision that is to be taken.
    pub trace: TraceId,
    /// The machine.
    pub machine: Arc<Machine>,
    /// Its newest state.
    pub telemetry: Telemetry,
    /// What became of the last thing asked; none when nothing was.
    pub outcome: Option<Outcome>,
}

/// What became of something asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not executed; the verdict says why.
    Refused(Verdict),
    /// Reached its goal; with the verdict when a value was brought to its limit on admission.
    Completed {
        /// The admission, where it clamped.
        clamped: Option<Verdict>,
    },
    /// Another intent took its place.
    Preempted,
    /// Its lease ended first.
    Expired,
    /// A stop ended it.
    Aborted {
        /// Which stop.
        cause: Cause,
    },
    /// The ring was full; it was never sent.
    Returned,
    /// The connection ended, or no verdict came, before its end was known.
    Lost,
}

/// What a planner decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Ask for this.
    Ask(Request),
    /// Ask for nothing; it is the planner's turn again after this long, ns.
    Wait {
        /// For how long, ns.
        for_ns: u64,
    },
}

/// What a planner asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The goal.
    pub goal: Goal,
    /// Why, in a few words for the log.
    pub reason: String,
}

/// The goals that a planner may have.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// Move these axes, arriving together; each axis at most once.
    Move(Vec<Target>),
    /// Come to rest and stay powered.
    Hold,
    /// Stop and power off, latched until an operator resets it.
    Stop,
}

/// Where one axis is to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The axis' index.
    pub axis: usize,
    /// Where to, rad (m).
    pub position_rad: f64,
    /// Highest velocity on the way, rad/s (m/s), above zero; none asks for the axis' own limit.
    pub velocity_peak_rad_s: Option<f64>,
}

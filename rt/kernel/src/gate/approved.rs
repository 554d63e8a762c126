//! What the gate has let through.

use shm_protocol::records::{AXES_MAX, TraceId};

use crate::motion::Bounds;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The planner, by an intent.
    Planner {
        /// The intent's number.
        number: u64,
        /// Its trace.
        trace: TraceId,
    },
    /// An operator.
    Operator,
}

/// Where one axis goes, every value inside its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Target, rad (m).
    pub position_rad: f64,
    /// Velocity on arrival, rad/s (m/s).
    pub velocity_end: f64,
    /// What it may use on its way.
    pub bounds: Bounds,
    /// Effort at which the move is given up, Nm (N); `None`: only the drive's own limit acts.
    pub effort_max_nm: Option<f64>,
}

/// A goal for each axis that has one; a hold has none.
pub(super) type Goals = [Option<Goal>; AXES_MAX];

/// An intent that passed every rule. Only the gate makes one; the trajectory generator takes
/// nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovedIntent {
    source: Source,
    lease_until_ns: u64,
    goals: Goals,
}

impl ApprovedIntent {
    pub(super) fn new(source: Source, lease_until_ns: u64, goals: Goals) -> ApprovedIntent {
        ApprovedIntent { source, lease_until_ns, goals }
    }

    /// Who asked.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Until when it may act, CLOCK_MONOTONIC ns.
    pub fn lease_until_ns(&self) -> u64 {
        self.lease_until_ns
    }

    /// The goal of an axis; `None` where it is to come to rest.
    pub fn goal(&self, axis: usize) -> Option<&Goal> {
        self.goals.get(axis).and_then(Option::as_ref)
    }

    /// Slows one axis down; never past what was approved.
    pub(super) fn slow(&mut self, axis: usize, velocity: f64) {
        if let Some(Some(goal)) = self.goals.get_mut(axis) {
            goal.bounds.velocity = goal.bounds.velocity.min(velocity);
        }
    }
}

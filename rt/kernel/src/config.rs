//! What the kernel is told once: the axes, their limits, the reactions, the time budgets.

use arrayvec::ArrayVec;
use shm_protocol::records::{AXES_MAX, Rule};

/// What a fault does (IEC 60204-1 categories). Ordered: a later one may replace an earlier one,
/// never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// Controlled stop, power stays on (category 2).
    Hold,
    /// Controlled stop by the kernel's ramp, then power off (category 1).
    Stop,
    /// The fastest stop that the drives have, then power off or brake (category 0).
    Halt,
}

/// What a rule does with a value past its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The intent is refused.
    Refuse,
    /// The value is brought to its limit and the verdict says so.
    Clamp,
}

/// Limits of one axis. Units rad, or m for a linear axis, and seconds. All finite, all positive
/// but the positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisLimits {
    /// Lowest position, rad (m).
    pub position_min_rad: f64,
    /// Highest position, rad (m).
    pub position_max_rad: f64,
    /// Highest speed, rad/s (m/s).
    pub velocity_max_rad_s: f64,
    /// Highest acceleration, rad/s² (m/s²).
    pub acceleration_max_rad_s2: f64,
    /// Highest jerk, rad/s³ (m/s³).
    pub jerk_max_rad_s3: f64,
    /// Highest effort, Nm (N).
    pub effort_max_nm: f64,
    /// Largest distance between setpoint and measured position, rad (m).
    pub following_error_max_rad: f64,
    /// Deceleration of the drive's own quick stop (CiA 402 6085h), rad/s² (m/s²).
    pub quick_stop_deceleration_rad_s2: f64,
}

/// One axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisConfig {
    /// Its limits.
    pub limits: AxisLimits,
    /// The home pose, rad (m).
    pub home_rad: f64,
}

/// Which reaction answers which group of faults. Each is at least `Hold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reactions {
    /// The planner's process or its heartbeat is gone.
    pub cognition_lost: Reaction,
    /// A deadline was missed.
    pub deadline_missed: Reaction,
    /// Guardian, deadline thread, housekeeping or real-time process gone.
    pub process_lost: Reaction,
    /// Feedback too old.
    pub feedback_stale: Reaction,
    /// A drive fault, a lost drive, a drive that left its state.
    pub drive_fault: Reaction,
    /// A limit passed, a following error, a setpoint that is not stoppable.
    pub limit_passed: Reaction,
    /// A real-time thread no longer has the policy, priority, CPU or locked memory asked for it.
    pub real_time_lost: Reaction,
}

/// What the gate does with excess values; the default of every one is to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Target position outside its limits.
    pub position: Excess,
    /// Requested velocity past its limit.
    pub velocity: Excess,
    /// Requested acceleration past its limit.
    pub acceleration: Excess,
    /// Requested jerk past its limit.
    pub jerk: Excess,
    /// Requested effort past its limit.
    pub effort: Excess,
    /// Not stoppable at the requested velocity: refuse, or slow the move down.
    pub stoppable: Excess,
    /// Intents per second, averaged over one second.
    pub intents_per_second_max: u32,
    /// An intent made longer ago than this is stale, ns.
    pub intent_age_max_ns: u64,
    /// A longer lease is cut to this, ns from reception.
    pub lease_max_ns: u64,
    /// Agents that may ask for motion, by number, bit `i` for agent `i`. Deny by default.
    pub agents_mask: u64,
}

/// Time budgets (the robot file's profile, scaled together), ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Length of a tick.
    pub period_ns: u64,
    /// From a fault to the stop frame by the slowest stop path, drive watchdog included:
    /// the delay after which `stoppable` assumes that braking begins.
    pub reaction_max_ns: u64,
    /// Feedback older than this is stale.
    pub feedback_age_max_ns: u64,
    /// The planner's heartbeat must move at least this often.
    pub cognition_heartbeat_ns: u64,
    /// The guardian's and the deadline thread's beats must move at least this often.
    pub watcher_beat_ns: u64,
    /// The housekeeping thread's beat must move at least this often.
    pub housekeeping_beat_ns: u64,
    /// Arming must be complete within this.
    pub arming_ns: u64,
    /// A controlled stop that has not come to rest within this becomes a halt.
    pub stopping_ns: u64,
}

/// Everything the kernel is configured with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The axes, at most [`AXES_MAX`].
    pub axes: ArrayVec<AxisConfig, AXES_MAX>,
    /// Time budgets.
    pub budgets: Budgets,
    /// The gate.
    pub gate: GateConfig,
    /// Reactions.
    pub reactions: Reactions,
    /// Speed below which an axis counts as standing, rad/s (m/s).
    pub standstill_rad_s: f64,
    /// False only for `--disable-stop kernel` on a simulated bus: faults are then reported but not
    /// reacted to, so that the other stop paths can be tested alone. Operators' stops still act.
    pub reacts: bool,
}

/// The rule whose excess setting this is, for rules that may clamp.
impl GateConfig {
    /// What to do with an excess under `rule`.
    pub fn excess(&self, rule: Rule) -> Excess {
        match rule {
            Rule::Position => self.position,
            Rule::Velocity => self.velocity,
            Rule::Acceleration => self.acceleration,
            Rule::Jerk => self.jerk,
            Rule::Effort => self.effort,
            Rule::Stoppable => self.stoppable,
            _ => Excess::Refuse,
        }
    }
}

impl AxisLimits {
    /// Whether every limit is finite, and every one but the positions above zero.
    pub fn is_sound(&self) -> bool {
        let positive = [
            self.velocity_max_rad_s,
            self.acceleration_max_rad_s2,
            self.jerk_max_rad_s3,
            self.effort_max_nm,
            self.following_error_max_rad,
            self.quick_stop_deceleration_rad_s2,
        ];
        positive.iter().all(|limit| limit.is_finite() && *limit > 0.0)
            && self.position_min_rad.is_finite()
            && self.position_max_rad.is_finite()
            && self.position_min_rad <= self.position_max_rad
    }
}

impl Config {
    /// Whether motion can be planned at all: at least one axis, sound limits, a period. The robot
    /// file's checks are far stricter; this is what the kernel itself relies on, and it does not
    /// arm without it.
    pub fn is_sound(&self) -> bool {
        !self.axes.is_empty()
            && self.budgets.period_ns > 0
            && self.standstill_rad_s >= 0.0
            && self.axes.iter().all(|axis| axis.limits.is_sound() && axis.home_rad.is_finite())
    }
}

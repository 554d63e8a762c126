//! One rule per function, in the order in which the gate asks; each has a test of its name.
//!
//! Rules on a value take what is done with an excess: a value past its limit is refused, or brought
//! to it, and the objection then goes into the verdict.

use shm_protocol::records::{
    AXIS_NONE, AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, Rule,
};

use super::rate::RateMeter;
use crate::config::{AxisLimits, Excess, GateConfig};
use crate::mode::Mode;

/// What a rule found: for a refusal, or for a verdict of a clamped intent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objection {
    /// The rule.
    pub rule: Rule,
    /// The axis, or [`AXIS_NONE`].
    pub axis: u8,
    /// The value found; what is not a number is given as infinity.
    pub value: f64,
    /// The limit it met.
    pub limit: f64,
    /// The nearest value that would have been admitted.
    pub nearest: f64,
}

impl Objection {
    pub(crate) fn new(rule: Rule, value: f64, limit: f64, nearest: f64) -> Objection {
        let value = if value.is_nan() { f64::INFINITY } else { value };
        Objection { rule, axis: AXIS_NONE, value, limit, nearest }
    }

    pub(crate) fn on(self, axis: usize) -> Objection {
        Objection { axis: u8::try_from(axis).unwrap_or(AXIS_NONE), ..self }
    }
}

/// What a rule says.
pub type Judgement = Result<(), Objection>;

/// What a rule on a value says: `Some` when the value was clamped.
pub type ValueJudgement = Result<Option<Objection>, Objection>;

fn require(admitted: bool, rule: Rule, value: f64, limit: f64, nearest: f64) -> Judgement {
    if admitted { Ok(()) } else { Err(Objection::new(rule, value, limit, nearest)) }
}

/// A number or a time in ns, for an objection.
#[allow(clippy::cast_precision_loss, reason = "for an objection only; integers are compared")]
fn shown(count: u64) -> f64 {
    count as f64
}

/// The axes that an intent names, with their requests.
pub fn named(intent: &Intent) -> impl Iterator<Item = (usize, &AxisRequest)> {
    let mask = intent.axes_mask;
    intent.axes.iter().enumerate().filter(move |(axis, _)| mask & (1 << axis) != 0)
}

/// The record's checksum matched.
pub fn intact(claim: &Claim) -> Judgement {
    require(claim.intact, Rule::Intact, 0.0, 1.0, 1.0)
}

/// Every number of every named axis is finite.
pub fn finite(intent: &Intent) -> Judgement {
    for (axis, request) in named(intent) {
        let narrow = [
            request.velocity_end_rad_s,
            request.velocity_peak_rad_s,
            request.acceleration_peak_rad_s2,
            request.jerk_peak_rad_s3,
            request.effort_max_nm,
        ];
        let values = narrow.into_iter().map(f64::from).chain([request.position_rad]);
        for value in values {
            let judged = require(value.is_finite(), Rule::Finite, value, f64::MAX, 0.0);
            judged.map_err(|objection| objection.on(axis))?;
        }
    }
    Ok(())
}

/// The version is ours, and the kind is one that it knows.
pub fn version(intent: &Intent) -> Judgement {
    let ours = f64::from(INTENT_VERSION);
    if let IntentKind::Unknown(kind) = intent.kind {
        return Err(Objection::new(Rule::Version, f64::from(kind), ours, ours));
    }
    let version = intent.version;
    require(version == INTENT_VERSION, Rule::Version, f64::from(version), ours, ours)
}

/// Planned for the epoch in force.
pub fn epoch(intent: &Intent, epoch: u32) -> Judgement {
    let ours = f64::from(epoch);
    require(intent.epoch == epoch, Rule::Epoch, f64::from(intent.epoch), ours, ours)
}

/// The number counts up.
pub fn sequence(intent: &Intent, last: u64) -> Judgement {
    let (value, last_f64) = (shown(intent.number), shown(last));
    require(intent.number > last, Rule::Sequence, value, last_f64, last_f64 + 1.0)
}

/// Made neither too long ago nor in the future; values are ages in s. `skew_ns` is how much later
/// than the tick's own reading of the clock an intent that it takes may have been made.
pub fn freshness(intent: &Intent, now_ns: u64, age_max_ns: u64, skew_ns: u64) -> Judgement {
    let limit = shown(age_max_ns) * 1e-9;
    let age = now_ns.saturating_sub(intent.issued_ns);
    let ahead = intent.issued_ns.saturating_sub(now_ns);
    let value = if ahead > 0 { -shown(ahead) * 1e-9 } else { shown(age) * 1e-9 };
    let nearest = if ahead > 0 { 0.0 } else { limit };
    require(age <= age_max_ns && ahead <= skew_ns, Rule::Freshness, value, limit, nearest)
}

/// The lease is not over; the value is what is left of it in s, negative when it is over.
pub fn lease(intent: &Intent, now_ns: u64, lease_max_ns: u64) -> Judgement {
    let over = shown(now_ns.saturating_sub(intent.lease_until_ns)) * 1e-9;
    let longest = shown(lease_max_ns) * 1e-9;
    require(intent.lease_until_ns > now_ns, Rule::Lease, -over, 0.0, longest)
}

/// Armed, no hold in force, and nobody else has the machine. The value is the mode's number, or
/// that of `Armed` when an operator or a hold is in the way.
pub fn mode(mode: Mode, free: bool) -> Judgement {
    let armed = f64::from(shm_protocol::records::ModeCode::Armed as u8);
    let value = f64::from(mode.code() as u8);
    require(matches!(mode, Mode::Armed) && free, Rule::Mode, value, armed, armed)
}

/// The agent may ask for motion; denied by default.
pub fn capability(intent: &Intent, agents_mask: u64) -> Judgement {
    let granted = 1_u64.checked_shl(u32::from(intent.agent)).unwrap_or(0) & agents_mask != 0;
    let first = f64::from(agents_mask.trailing_zeros());
    require(granted, Rule::Capability, f64::from(intent.agent), 63.0, first)
}

/// Not more intents per second than allowed.
pub fn rate(meter: &mut RateMeter, now_ns: u64, per_second_max: u32) -> Judgement {
    let limit = f64::from(per_second_max);
    require(meter.take(now_ns, per_second_max), Rule::Rate, limit + 1.0, limit, limit)
}

/// At least one axis is named, and none that does not exist.
#[allow(clippy::cast_precision_loss, reason = "indices of at most AXES_MAX axes")]
pub fn axis(intent: &Intent, axis_count: usize) -> Judgement {
    let highest = axis_count.saturating_sub(1) as f64;
    for (axis, _) in named(intent) {
        let judged = require(axis < axis_count, Rule::Axis, axis as f64, highest, highest);
        judged.map_err(|objection| objection.on(axis))?;
    }
    require(intent.axes_mask != 0, Rule::Axis, 0.0, highest, 0.0)
}

/// The target is inside the position limits.
pub fn position(
    request: &mut AxisRequest,
    limits: &AxisLimits,
    gate: &GateConfig,
) -> ValueJudgement {
    let value = request.position_rad;
    let limit = if value > limits.position_max_rad {
        limits.position_max_rad
    } else if value < limits.position_min_rad {
        limits.position_min_rad
    } else {
        return Ok(None);
    };
    exceeded(Objection::new(Rule::Position, value, limit, limit), gate)?;
    request.position_rad = limit;
    Ok(Some(Objection::new(Rule::Position, value, limit, limit)))
}

/// Peak velocity within the axis' limit, and the velocity on arrival within the peak.
pub fn velocity(
    request: &mut AxisRequest,
    limits: &AxisLimits,
    gate: &GateConfig,
) -> ValueJudgement {
    let limit = limits.velocity_max_rad_s;
    let clamped = peak(Rule::Velocity, &mut request.velocity_peak_rad_s, limit, gate)?;
    let peak = asked(request.velocity_peak_rad_s, limit);
    let end = f64::from(request.velocity_end_rad_s);
    if end.abs() <= peak * ROUNDING {
        return Ok(clamped);
    }
    let nearest = if end < 0.0 { -peak } else { peak };
    let objection = Objection::new(Rule::Velocity, end, peak, nearest);
    exceeded(objection, gate)?;
    #[allow(clippy::cast_possible_truncation, reason = "`goal_of` cuts what rounds past it")]
    let rounded = nearest as f32;
    request.velocity_end_rad_s = rounded;
    Ok(clamped.or(Some(objection)))
}

/// Peak acceleration within the axis' limit.
pub fn acceleration(
    request: &mut AxisRequest,
    limits: &AxisLimits,
    gate: &GateConfig,
) -> ValueJudgement {
    let limit = limits.acceleration_max_rad_s2;
    peak(Rule::Acceleration, &mut request.acceleration_peak_rad_s2, limit, gate)
}

/// Peak jerk within the axis' limit.
pub fn jerk(request: &mut AxisRequest, limits: &AxisLimits, gate: &GateConfig) -> ValueJudgement {
    peak(Rule::Jerk, &mut request.jerk_peak_rad_s3, limits.jerk_max_rad_s3, gate)
}

/// Highest effort within the axis' limit.
pub fn effort(request: &mut AxisRequest, limits: &AxisLimits, gate: &GateConfig) -> ValueJudgement {
    peak(Rule::Effort, &mut request.effort_max_nm, limits.effort_max_nm, gate)
}

/// A request's `f32` may round a limit up by this much and still mean the limit.
const ROUNDING: f64 = 1.0 + f32::EPSILON as f64;

/// A peak as it counts: zero asks for the limit itself, and rounding never passes it.
pub fn asked(peak: f32, limit: f64) -> f64 {
    if peak == 0.0 { limit } else { f64::from(peak).min(limit) }
}

/// A peak must be zero or positive (a negative one is never clamped) and within its limit.
fn peak(rule: Rule, peak: &mut f32, limit: f64, gate: &GateConfig) -> ValueJudgement {
    let value = f64::from(*peak);
    if value >= 0.0 && value <= limit * ROUNDING {
        return Ok(None);
    }
    let objection = Objection::new(rule, value, limit, limit);
    if value < 0.0 {
        return Err(objection);
    }
    exceeded(objection, gate)?;
    // Zero asks for the limit.
    *peak = 0.0;
    Ok(Some(objection))
}

fn exceeded(objection: Objection, gate: &GateConfig) -> Judgement {
    match gate.excess(objection.rule) {
        Excess::Refuse => Err(objection),
        Excess::Clamp => Ok(()),
    }
}

//! Verdicts and outcomes in words, for the log and for a model's next prompt.

use shm_protocol::records::{Cause, Rule, Verdict};

use crate::machine::Machine;
use crate::planner::{Goal, Outcome};

/// A goal, with each axis' target and highest velocity.
pub fn goal(machine: &Machine, goal: &Goal) -> String {
    let targets = match goal {
        Goal::Hold => return "hold".into(),
        Goal::Stop => return "stop".into(),
        Goal::Move(targets) => targets,
    };
    let mut text = String::from("move");
    for target in targets {
        let name = machine.axis_name(target.axis);
        text.push_str(&format!(" {name} to {} rad", number(target.position_rad)));
        if let Some(velocity) = target.velocity_peak_rad_s {
            text.push_str(&format!(" at {} rad/s", number(velocity)));
        }
        text.push(';');
    }
    text
}

/// What became of something asked, in one or two sentences.
pub fn outcome(machine: &Machine, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(verdict) => format!("Refused: {}", refusal(machine, verdict)),
        Outcome::Completed { clamped: None } => "Completed: the goal was reached.".into(),
        Outcome::Completed { clamped: Some(verdict) } => {
            format!("Completed, but clamped on admission: {}", refusal(machine, verdict))
        }
        Outcome::Preempted => "Ended early: another intent took its place.".into(),
        Outcome::Expired => "Ended early: its lease ended before the goal was reached.".into(),
        Outcome::Aborted { cause } => format!("Aborted by a stop: {}.", self::cause(*cause)),
        Outcome::Returned => "Never sent: the ring of intents was full.".into(),
        Outcome::Lost => "Lost: the connection ended before an answer came.".into(),
    }
}

/// Rule, axis, value, limit and nearest admissible value of a verdict.
pub fn refusal(machine: &Machine, verdict: &Verdict) -> String {
    let (name, meaning, unit) = rule(verdict.rule);
    let axis = usize::from(verdict.axis);
    let place = match machine.axes.get(axis) {
        Some(axis) => format!("axis {}", axis.name),
        None => "no single axis".into(),
    };
    let mut text = format!("rule {name} ({meaning}), {place}");
    if unit.is_empty() {
        text.push('.');
        return text;
    }
    text.push_str(&format!(
        ", value {}{unit}, limit {}{unit}, nearest admissible {}{unit}.",
        number(verdict.value),
        number(verdict.limit),
        number(verdict.nearest)
    ));
    text
}

/// A rule's name, what it asks, and the unit of its values (empty: it has none).
pub fn rule(rule: Rule) -> (&'static str, &'static str, &'static str) {
    match rule {
        Rule::None => ("none", "no rule objected", ""),
        Rule::Intact => ("intact", "the record's checksum did not match", ""),
        Rule::Finite => ("finite", "a number is NaN or infinite", ""),
        Rule::Version => ("version", "another version or an unknown kind", ""),
        Rule::Epoch => ("epoch", "a stop lies between the plan and now", ""),
        Rule::Sequence => ("sequence", "the number does not count up", ""),
        Rule::Freshness => ("freshness", "made too long ago or in the future", ""),
        Rule::Lease => ("lease", "the lease is over", ""),
        Rule::Mode => ("mode", "the machine takes no motion now", ""),
        Rule::Capability => ("capability", "this agent may not ask this", ""),
        Rule::Rate => ("rate", "too many intents per second", " /s"),
        Rule::Axis => ("axis", "no axis named, or one that does not exist", ""),
        Rule::Position => ("position", "the target lies outside the axis' limits", " rad"),
        Rule::Velocity => ("velocity", "past the axis' limit", " rad/s"),
        Rule::Acceleration => ("acceleration", "past the axis' limit", " rad/s2"),
        Rule::Jerk => ("jerk", "past the axis' limit", " rad/s3"),
        Rule::Effort => ("effort", "past the axis' limit", " Nm"),
        Rule::Stoppable => {
            ("stoppable", "at this velocity the axis could not stop inside its limits", " rad/s")
        }
        Rule::Planning => ("planning", "no trajectory within the planning bound", ""),
    }
}

/// A cause in words.
pub fn cause(cause: Cause) -> String {
    let mut text = String::new();
    for (index, letter) in format!("{cause:?}").char_indices() {
        if index > 0 && letter.is_uppercase() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// A number short enough for a prompt: four decimals, or an exponent where that says too little.
pub fn number(value: f64) -> String {
    if !value.is_finite() || (value != 0.0 && !(1e-4..1e7).contains(&value.abs())) {
        return format!("{value:e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// At most this many bytes of a text, cut at a character, with a mark where it was cut.
pub fn excerpt(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} [cut]", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn a_refusal_names_rule_axis_value_limit_and_nearest() {
        let machine = Machine::new(&fake::description(2)).unwrap();
        let mut verdict = fake::verdict(1, shm_protocol::records::VerdictKind::Refused);
        verdict.rule = Rule::Position;
        verdict.axis = 1;
        verdict.value = 3.5;
        verdict.limit = 2.9;
        verdict.nearest = 2.25;
        let text = outcome(&machine, &Outcome::Refused(verdict));
        for part in ["position", "axis axis1", "3.5 rad", "2.9 rad", "2.25 rad"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn numbers_and_causes_are_short() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(1.5), "1.5");
        assert_eq!(number(1e39), "1e39");
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(cause(Cause::OperatorEstop), "operator estop");
        assert_eq!(excerpt("räd", 2), "r [cut]");
    }
}

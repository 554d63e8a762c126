//! What a model may ask for: the type, its JSON schema, and the way from an answer to a goal.
//!
//! An answer is a claim. Every number is checked here for being one (finite, also in the single
//! precision of the page, and a velocity above zero, since zero means "the axis' limit" there);
//! limits are the gate's.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use shm_protocol::records::AXES_MAX;

use crate::machine::{Axis, Machine};
use crate::planner::{Goal, Request, Target};
use crate::words;

/// Velocity of an axis for which the model names none, as a fraction of its limit.
const VELOCITY_FRACTION: f64 = 0.5;
/// Bytes of the model's reason that are kept.
const REASON_BYTES_MAX: usize = 200;
/// Bytes of the model's own words that an error repeats.
const REPEATED_BYTES_MAX: usize = 60;

/// Why an answer is refused. The texts go into the model's next prompt.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON, or not of the schema.
    #[error("the answer does not match the schema: {0}")]
    Form(String),
    /// An axis that the machine does not have.
    #[error("there is no axis {found:?}; the axes are {known}")]
    UnknownAxis {
        /// As the model wrote it, cut short.
        found: String,
        /// The names.
        known: String,
    },
    /// A number that is none.
    #[error("axis {axis}: {key} is {found}; {allowed}")]
    Number {
        /// Which axis.
        axis: String,
        /// Which value.
        key: &'static str,
        /// As found.
        found: String,
        /// What would do.
        allowed: &'static str,
    },
    /// A move of nothing.
    #[error("action move_joints names no axis; give at least one with its position_rad")]
    NoAxis,
    /// Axes where none belong.
    #[error("action {0} takes no axes; axes must be null")]
    AxesNotTaken(&'static str),
}

/// The answer to one prompt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// Why, in one short sentence.
    reason: String,
    /// What to do: move_joints, hold (come to rest, stay powered), or stop (power off; a person
    /// has to reset the machine afterwards).
    action: Action,
    /// For move_joints, the axes to move; an axis that is null or left out stays where it is. For
    /// hold and stop: null.
    #[serde(default)]
    axes: Option<Axes>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Action {
    MoveJoints,
    Hold,
    Stop,
}

/// Where one axis is to go.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AxisTarget {
    /// Target position in rad.
    position_rad: f64,
    /// Highest velocity on the way in rad/s, above zero; null for half of the axis' limit.
    #[serde(default)]
    velocity_rad_s: Option<f64>,
}

/// Axis name to target. A name given twice is refused, as a reader could take either for meant.
#[derive(Debug, JsonSchema)]
struct Axes(BTreeMap<String, Option<AxisTarget>>);

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AxesVisitor)
    }
}

struct AxesVisitor;

impl<'de> Visitor<'de> for AxesVisitor {
    type Value = Axes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of axis names and targets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Axes, A::Error> {
        let mut axes = BTreeMap::new();
        while let Some((name, target)) = map.next_entry::<String, Option<AxisTarget>>()? {
            let shown = words::excerpt(&name, REPEATED_BYTES_MAX);
            if axes.len() >= AXES_MAX {
                return Err(A::Error::custom(format_args!("more than {AXES_MAX} axes")));
            }
            if axes.insert(name, target).is_some() {
                return Err(A::Error::custom(format_args!("axis {shown:?} is named twice")));
            }
        }
        Ok(Axes(axes))
    }
}

/// The schema of an answer for this machine, in the strict form of OpenAI's structured outputs:
/// every property required, absent ones null, nothing additional.
pub fn schema(machine: &Machine) -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
    };
    let mut root = settings().into_generator().into_root_schema_for::<Answer>().to_value();
    let target = settings().into_generator().into_root_schema_for::<Option<AxisTarget>>();
    let properties: Map<String, Value> = machine
        .axes
        .iter()
        .map(|axis| {
            let mut target = target.clone().to_value();
            if let Some(object) = target.as_object_mut() {
                object.insert("description".into(), Value::String(axis_words(axis)));
            }
            (axis.name.clone(), target)
        })
        .collect();
    if let Some(axes) = root.pointer_mut("/properties/axes") {
        let description = axes.get("description").cloned().unwrap_or_default();
        *axes = json!({
            "description": description,
            "anyOf": [{"type": "object", "properties": properties}, {"type": "null"}],
        });
    }
    strict(&mut root);
    root
}

fn axis_words(axis: &Axis) -> String {
    format!(
        "position from {} to {} rad, velocity up to {} rad/s",
        words::number(axis.position_min_rad),
        words::number(axis.position_max_rad),
        words::number(axis.velocity_max_rad_s)
    )
}

/// Brings every object to the strict form, and drops what strict endpoints do not know.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                let names = properties.keys().cloned().map(Value::String).collect();
                object.insert("required".into(), Value::Array(names));
                object.insert("additionalProperties".into(), Value::Bool(false));
            }
            for key in ["format", "title", "default", "$schema"] {
                // These are keywords only where their value is no schema (an axis may be so named).
                if object.get(key).is_some_and(|value| !value.is_object()) {
                    object.remove(key);
                }
            }
            object.values_mut().for_each(strict);
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

/// Reads an answer.
///
/// # Errors
/// [`AnswerError`], in words that a model can act on.
pub fn read(machine: &Machine, text: &str) -> Result<Request, AnswerError> {
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| AnswerError::Form(words::excerpt(&error.to_string(), 300)))?;
    let named = answer.axes.map(|axes| axes.0).unwrap_or_default();
    let goal = match answer.action {
        Action::MoveJoints => Goal::Move(targets(machine, &named)?),
        Action::Hold if named.is_empty() => Goal::Hold,
        Action::Stop if named.is_empty() => Goal::Stop,
        Action::Hold => return Err(AnswerError::AxesNotTaken("hold")),
        Action::Stop => return Err(AnswerError::AxesNotTaken("stop")),
    };
    Ok(Request { goal, reason: words::excerpt(&answer.reason, REASON_BYTES_MAX) })
}

fn targets(
    machine: &Machine,
    named: &BTreeMap<String, Option<AxisTarget>>,
) -> Result<Vec<Target>, AnswerError> {
    let mut targets = Vec::with_capacity(named.len());
    for (name, wanted) in named {
        let found =
            machine.axis_index(name).and_then(|index| Some((index, machine.axes.get(index)?)));
        let Some((index, axis)) = found else {
            let known: Vec<&str> = machine.axes.iter().map(|axis| axis.name.as_str()).collect();
            let found = words::excerpt(name, REPEATED_BYTES_MAX);
            return Err(AnswerError::UnknownAxis { found, known: known.join(", ") });
        };
        if let Some(wanted) = wanted {
            targets.push(target(index, axis, wanted)?);
        }
    }
    if targets.is_empty() { Err(AnswerError::NoAxis) } else { Ok(targets) }
}

fn target(index: usize, axis: &Axis, wanted: &AxisTarget) -> Result<Target, AnswerError> {
    let refuse = |key, found: f64, allowed| {
        let found = words::number(found);
        Err(AnswerError::Number { axis: axis.name.clone(), key, found, allowed })
    };
    let position_rad = wanted.position_rad;
    if !(position_rad as f32).is_finite() {
        return refuse("position_rad", position_rad, "an ordinary finite number is needed");
    }
    let velocity = wanted.velocity_rad_s.unwrap_or(axis.velocity_max_rad_s * VELOCITY_FRACTION);
    // In the single precision of the page: 1e39 would be infinite there, and 1e-60 zero.
    let single = velocity as f32;
    if !(single.is_finite() && single > 0.0) {
        return refuse("velocity_rad_s", velocity, "a finite number above zero is needed, or null");
    }
    Ok(Target { axis: index, position_rad, velocity_peak_rad_s: Some(velocity) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    fn machine() -> Machine {
        Machine::new(&fake::description(3)).unwrap()
    }

    fn one(position: &str, velocity: &str) -> Result<Request, AnswerError> {
        let text = format!(
            r#"{{"reason":"r","action":"move_joints","axes":{{"axis1":
               {{"position_rad":{position},"velocity_rad_s":{velocity}}}}}}}"#
        );
        read(&machine(), &text)
    }

    #[test]
    fn a_good_answer_becomes_a_goal() {
        let request = one("0.5", "null").unwrap();
        let target = Target { axis: 1, position_rad: 0.5, velocity_peak_rad_s: Some(0.75) };
        assert_eq!(request.goal, Goal::Move(vec![target]));
        let hold = read(&machine(), r#"{"reason":"wait","action":"hold","axes":null}"#).unwrap();
        assert_eq!(hold.goal, Goal::Hold);
        let stop = read(&machine(), r#"{"reason":"danger","action":"stop"}"#).unwrap();
        assert_eq!(stop.goal, Goal::Stop);
    }

    #[test]
    fn hostile_numbers_are_refused() {
        for text in ["NaN", "Infinity", "-Infinity", "1e400", "\"0.5\"", "true", "[1]", "0x10"] {
            assert!(matches!(one(text, "1"), Err(AnswerError::Form(_))), "position {text}");
            assert!(matches!(one("0", text), Err(AnswerError::Form(_))), "velocity {text}");
        }
        for text in ["1e39", "-1e39", "1e308"] {
            let error = one(text, "1").unwrap_err().to_string();
            assert!(error.contains("position_rad") && error.contains("e3"), "{error}");
        }
        for text in ["1e39", "-1", "0", "-0.0", "1e-60"] {
            let error = one("0", text).unwrap_err().to_string();
            assert!(error.contains("velocity_rad_s"), "{text}: {error}");
        }
        assert!(one("1000000", "1").is_ok(), "a limit is the gate's to judge");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let machine = machine();
        let deep = "{\"axes\":".repeat(100_000);
        for text in [
            "",
            "I would rather dance.",
            "```json\n{}\n```",
            "{}",
            "null",
            r#"{"reason":"r","action":"estop"}"#,
            r#"{"reason":"r","action":"hold","extra":1}"#,
            r#"{"reason":"r","action":"hold"} and more"#,
            r#"{"reason":"r","action":"move_joints","axes":{"axis0":{"position_rad":0,"x":1}}}"#,
            r#"{"reason":"r","action":"move_joints","axes":
               {"axis0":{"position_rad":0},"axis0":{"position_rad":1}}}"#,
            &deep,
        ] {
            let error = read(&machine, text).unwrap_err();
            assert!(matches!(error, AnswerError::Form(_)), "{text:.40}: {error}");
        }
        let unknown = r#"{"reason":"r","action":"move_joints","axes":{"nose":{"position_rad":0}}}"#;
        let error = read(&machine, unknown).unwrap_err().to_string();
        assert!(error.contains("nose") && error.contains("axis0, axis1, axis2"), "{error}");
        let empty = r#"{"reason":"r","action":"move_joints","axes":{"axis0":null}}"#;
        assert_eq!(read(&machine, empty), Err(AnswerError::NoAxis));
        let both = r#"{"reason":"r","action":"hold","axes":{"axis0":{"position_rad":0}}}"#;
        assert_eq!(read(&machine, both), Err(AnswerError::AxesNotTaken("hold")));
    }

    #[test]
    fn the_schema_is_strict_and_names_the_axes() {
        let schema = schema(&machine());
        assert_eq!(schema["required"], json!(["action", "axes", "reason"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let axes = &schema["properties"]["axes"]["anyOf"][0];
        assert_eq!(axes["required"], json!(["axis0", "axis1", "axis2"]));
        assert_eq!(axes["additionalProperties"], json!(false));
        let text = schema.to_string();
        for absent in ["oneOf", "$ref", "format", "$schema", "minProperties"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
        assert!(text.contains("position_rad") && text.contains("move_joints"));
        assert!(text.contains("from -2.9 to 2.9 rad"));
    }
}

//! The machine as planners see it: the link's description, read once and checked.

use shm_protocol::records::{AXES_MAX, AxisDescription, Description};

/// Why a description is of no use to a planner.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// The number of axes.
    #[error("the description names {found} axes; 1 to {AXES_MAX} are allowed")]
    AxisCount {
        /// As found.
        found: u8,
    },
    /// A name.
    #[error("axis {axis} has the name {found:?}; it must be non-empty UTF-8 and used once")]
    Name {
        /// Which axis.
        axis: usize,
        /// As found.
        found: String,
    },
    /// A limit.
    #[error("axis {name}: {key} is {found}; {allowed}")]
    Limit {
        /// Which axis.
        name: String,
        /// Which limit.
        key: &'static str,
        /// As found, in the limit's unit.
        found: f64,
        /// What would do.
        allowed: &'static str,
    },
}

/// One axis. Units rad, or m for a linear axis, and seconds; all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name in the robot file.
    pub name: String,
    /// Lower position limit, rad (m).
    pub position_min_rad: f64,
    /// Upper position limit, rad (m).
    pub position_max_rad: f64,
    /// Velocity limit, rad/s (m/s).
    pub velocity_max_rad_s: f64,
    /// Acceleration limit, rad/s² (m/s²).
    pub acceleration_max_rad_s2: f64,
    /// Jerk limit, rad/s³ (m/s³).
    pub jerk_max_rad_s3: f64,
    /// The home pose, rad (m).
    pub home_rad: f64,
}

/// The machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// The robot's name.
    pub name: String,
    /// Its axes, 1 to [`AXES_MAX`].
    pub axes: Vec<Axis>,
    /// Longest lease that is granted, ns.
    pub lease_max_ns: u64,
    /// The heartbeat must move at least this often, ns.
    pub heartbeat_timeout_ns: u64,
}

impl Machine {
    /// Reads a description.
    ///
    /// # Errors
    /// [`MachineError`] names the axis and the value that no planner can work with.
    pub fn new(description: &Description) -> Result<Self, MachineError> {
        let count = usize::from(description.axis_count);
        if count == 0 || count > AXES_MAX {
            return Err(MachineError::AxisCount { found: description.axis_count });
        }
        let mut axes: Vec<Axis> = Vec::with_capacity(count);
        for (index, found) in description.axes.iter().take(count).enumerate() {
            let name = text(&found.name);
            if name.is_empty() || axes.iter().any(|axis| axis.name == name) {
                return Err(MachineError::Name { axis: index, found: name });
            }
            axes.push(axis(name, found)?);
        }
        Ok(Self {
            name: text(&description.name),
            axes,
            lease_max_ns: description.lease_max_ns,
            heartbeat_timeout_ns: description.heartbeat_timeout_ns,
        })
    }

    /// The index of the axis of this name.
    pub fn axis_index(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.name == name)
    }

    /// The name of an axis, or a word for none.
    pub fn axis_name(&self, index: usize) -> &str {
        self.axes.get(index).map_or("(no single axis)", |axis| axis.name.as_str())
    }
}

fn axis(name: String, found: &AxisDescription) -> Result<Axis, MachineError> {
    let refuse =
        |key, found, allowed| Err(MachineError::Limit { name: name.clone(), key, found, allowed });
    let positive = [
        ("velocity_max_rad_s", found.velocity_max_rad_s),
        ("acceleration_max_rad_s2", found.acceleration_max_rad_s2),
        ("jerk_max_rad_s3", found.jerk_max_rad_s3),
    ];
    for (key, value) in positive {
        if !(value.is_finite() && value > 0.0) {
            return refuse(key, value, "a finite number above zero is needed");
        }
    }
    for (key, value) in [
        ("position_min_rad", found.position_min_rad),
        ("position_max_rad", found.position_max_rad),
        ("home_rad", found.home_rad),
    ] {
        if !value.is_finite() {
            return refuse(key, value, "a finite number is needed");
        }
    }
    if found.position_min_rad >= found.position_max_rad {
        return refuse("position_min_rad", found.position_min_rad, "it must lie below the maximum");
    }
    if !(found.position_min_rad..=found.position_max_rad).contains(&found.home_rad) {
        return refuse("home_rad", found.home_rad, "it must lie within the position limits");
    }
    Ok(Axis {
        name,
        position_min_rad: found.position_min_rad,
        position_max_rad: found.position_max_rad,
        velocity_max_rad_s: found.velocity_max_rad_s,
        acceleration_max_rad_s2: found.acceleration_max_rad_s2,
        jerk_max_rad_s3: found.jerk_max_rad_s3,
        home_rad: found.home_rad,
    })
}

/// The text of a zero-padded field; bytes that are no UTF-8 are shown as replacement characters.
fn text(bytes: &[u8]) -> String {
    let used = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(used).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn a_description_becomes_a_machine() {
        let machine = Machine::new(&fake::description(6)).unwrap();
        assert_eq!(machine.axes.len(), 6);
        assert_eq!(machine.axis_index("axis2"), Some(2));
        assert_eq!(machine.axis_index("nose"), None);
    }

    #[test]
    fn no_axis_too_many_axes_and_bad_numbers_are_refused_by_name() {
        let mut none = fake::description(1);
        none.axis_count = 0;
        assert!(matches!(Machine::new(&none), Err(MachineError::AxisCount { found: 0 })));
        let mut many = fake::description(1);
        many.axis_count = 33;
        assert!(matches!(Machine::new(&many), Err(MachineError::AxisCount { found: 33 })));
        let mut infinite = fake::description(2);
        infinite.axes[1].velocity_max_rad_s = f64::INFINITY;
        let error = Machine::new(&infinite).unwrap_err().to_string();
        assert!(error.contains("axis1") && error.contains("velocity_max_rad_s"), "{error}");
        let mut twice = fake::description(2);
        twice.axes[1].name = twice.axes[0].name;
        assert!(matches!(Machine::new(&twice), Err(MachineError::Name { axis: 1, .. })));
    }
}

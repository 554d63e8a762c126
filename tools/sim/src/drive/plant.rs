//! The mechanics of one axis: a rotating mass with friction, a motor torque and a brake.
//!
//! Semi-implicit Euler in steps no longer than `STEP_NS`. Dry friction and the brake can stop the
//! mass but never turn it round, so a braked axis stands exactly still.

/// Longest integration step, ns.
pub const STEP_NS: u64 = 250_000;

/// What does not change.
#[derive(Clone, Copy, Debug)]
pub struct Mechanics {
    /// Moment of inertia, kg m^2, above 0.
    pub inertia_kg_m2: f64,
    /// Dry friction, Nm, 0 or more.
    pub friction_nm: f64,
    /// Viscous friction, Nm s/rad, 0 or more.
    pub damping_nm_s: f64,
    /// Torque of the closed brake, Nm.
    pub brake_nm: f64,
}

/// Where the mass is and how fast it turns.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    mechanics: Mechanics,
    /// Position, rad.
    pub position_rad: f64,
    /// Velocity, rad/s.
    pub velocity_rad_s: f64,
}

impl Plant {
    /// At rest at `position_rad`.
    pub fn new(mechanics: Mechanics, position_rad: f64) -> Self {
        Self { mechanics, position_rad, velocity_rad_s: 0.0 }
    }

    /// What does not change.
    pub fn mechanics(&self) -> &Mechanics {
        &self.mechanics
    }

    /// `step_s` seconds under `torque_nm`, with the brake open or closed.
    pub fn step(&mut self, torque_nm: f64, brake: bool, step_s: f64) {
        let m = &self.mechanics;
        let driven = self.velocity_rad_s + step_s * torque_nm / m.inertia_kg_m2;
        let damped = driven / (1.0 + step_s * m.damping_nm_s / m.inertia_kg_m2);
        let holding_nm = m.friction_nm + if brake { m.brake_nm } else { 0.0 };
        let lost = (step_s * holding_nm / m.inertia_kg_m2).min(damped.abs());
        self.velocity_rad_s = damped - lost.copysign(damped);
        self.position_rad += step_s * self.velocity_rad_s;
    }

    /// Whether the mass stands exactly still.
    pub fn is_at_rest(&self) -> bool {
        self.velocity_rad_s == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MECHANICS: Mechanics =
        Mechanics { inertia_kg_m2: 0.5, friction_nm: 1.0, damping_nm_s: 0.0, brake_nm: 20.0 };

    fn after(plant: &mut Plant, torque_nm: f64, brake: bool, seconds: f64) {
        for _ in 0..(seconds / 0.00025).round() as u32 {
            plant.step(torque_nm, brake, 0.00025);
        }
    }

    #[test]
    fn torque_above_friction_accelerates_by_the_inertia() {
        let mut plant = Plant::new(MECHANICS, 0.0);
        after(&mut plant, 3.0, false, 1.0);
        assert!((plant.velocity_rad_s - 4.0).abs() < 1e-9, "{}", plant.velocity_rad_s);
        assert!((plant.position_rad - 2.0).abs() < 1e-2);
    }

    #[test]
    fn torque_below_friction_moves_nothing() {
        let mut plant = Plant::new(MECHANICS, 0.3);
        after(&mut plant, 0.9, false, 1.0);
        assert!(plant.is_at_rest());
        assert_eq!(plant.position_rad, 0.3);
    }

    #[test]
    fn the_brake_stops_and_holds_and_never_turns_back() {
        let mut plant = Plant::new(MECHANICS, 0.0);
        plant.velocity_rad_s = 2.1;
        after(&mut plant, 0.0, true, 0.05);
        assert!(!plant.is_at_rest());
        after(&mut plant, 0.0, true, 0.01);
        assert!(plant.is_at_rest(), "21 Nm on 0.5 kg m^2 from 2.1 rad/s: 50 ms");
        let stands = plant.position_rad;
        after(&mut plant, 15.0, true, 1.0);
        assert_eq!(plant.position_rad, stands);
    }
}

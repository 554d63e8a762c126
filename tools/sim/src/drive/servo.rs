//! The servo loop inside a drive: where it wants to be (held, interpolated or on a ramp), the torque
//! that takes it there, and the mass that follows. Modelled time only.

use super::plant::{Mechanics, Plant, STEP_NS};

/// Bandwidth of the position loop, rad/s; critically damped.
const BANDWIDTH: f64 = 150.0;
/// Time constant of the velocity feed-forward, s: an interpolated setpoint that comes late does not jerk.
const FEED_FORWARD_S: f64 = 0.002;
/// Slower than this, a ramp that has come to its end stands still, rad/s.
const STANDSTILL_RAD_S: f64 = 0.01;
/// A ramp that could not follow is ended by the brake after its own length and this, s.
const RAMP_OVERRUN_S: f64 = 0.5;
/// A powered servo is looked at this often even if no frame comes, ns.
const WATCH_NS: u64 = 2_000_000;

/// Limits in force, from the object dictionary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Torque, Nm.
    pub torque_nm: f64,
    /// Velocity of the demand, rad/s.
    pub velocity_rad_s: f64,
    /// Following error that trips, rad (infinity: none).
    pub following_error_rad: f64,
    /// For how long, ns.
    pub following_time_ns: u64,
}

/// What the servo does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Motion {
    /// No torque, brake closed.
    Braked,
    /// Towards `to_rad`, reached at `end_ns`, then held.
    Follow { to_rad: f64, end_ns: u64 },
    /// Slowing down since `since_s` seconds.
    Ramp { deceleration_rad_s2: f64, left_s: f64 },
}

/// Something the state machine must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A ramp has ended at standstill.
    Stopped,
    /// The following error stayed too large for too long.
    FollowingError,
}

/// One servo with its axis.
pub struct Servo {
    plant: Plant,
    motion: Motion,
    limits: Limits,
    time_ns: u64,
    demand_rad: f64,
    demand_rad_s: f64,
    feed_forward_rad_s: f64,
    torque_nm: f64,
    excess_since_ns: Option<u64>,
    /// The demand was held back by a limit.
    pub limited: bool,
}

impl Servo {
    /// Braked, at rest at `position_rad`.
    pub fn new(mechanics: Mechanics, position_rad: f64, limits: Limits, now_ns: u64) -> Self {
        Self {
            plant: Plant::new(mechanics, position_rad),
            motion: Motion::Braked,
            limits,
            time_ns: now_ns,
            demand_rad: position_rad,
            demand_rad_s: 0.0,
            feed_forward_rad_s: 0.0,
            torque_nm: 0.0,
            excess_since_ns: None,
            limited: false,
        }
    }

    /// Position, rad.
    pub fn position_rad(&self) -> f64 {
        self.plant.position_rad
    }

    /// Velocity, rad/s.
    pub fn velocity_rad_s(&self) -> f64 {
        self.plant.velocity_rad_s
    }

    /// Motor torque, Nm.
    pub fn torque_nm(&self) -> f64 {
        self.torque_nm
    }

    /// Where the servo wants to be, rad.
    pub fn demand_rad(&self) -> f64 {
        self.demand_rad
    }

    /// Without torque and exactly still.
    pub fn is_resting(&self) -> bool {
        self.motion == Motion::Braked && self.plant.is_at_rest()
    }

    /// New limits, from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Torque off, brake closed.
    pub fn brake(&mut self) {
        self.motion = Motion::Braked;
        self.torque_nm = 0.0;
        self.excess_since_ns = None;
        self.limited = false;
    }

    /// Torque on, holding the measured position.
    pub fn hold(&mut self) {
        self.demand_rad = self.plant.position_rad;
        (self.demand_rad_s, self.feed_forward_rad_s) = (0.0, 0.0);
        self.motion = Motion::Follow { to_rad: self.demand_rad, end_ns: self.time_ns };
    }

    /// Goes to `to_rad` in `period_ns`.
    pub fn follow(&mut self, to_rad: f64, period_ns: u64) {
        self.motion = Motion::Follow { to_rad, end_ns: self.time_ns + period_ns };
    }

    /// Slows down from the measured velocity.
    pub fn ramp(&mut self, deceleration_rad_s2: f64) {
        let deceleration_rad_s2 = deceleration_rad_s2.max(1e-3);
        self.demand_rad_s = self.plant.velocity_rad_s;
        self.demand_rad = self.plant.position_rad;
        self.feed_forward_rad_s = self.demand_rad_s;
        let left_s = self.demand_rad_s.abs() / deceleration_rad_s2 + RAMP_OVERRUN_S;
        self.motion = Motion::Ramp { deceleration_rad_s2, left_s };
        self.excess_since_ns = None;
    }

    /// When the servo wants to be advanced at the latest.
    pub fn due_ns(&self) -> Option<u64> {
        (!self.is_resting()).then_some(self.time_ns + WATCH_NS)
    }

    /// Integrates up to `now_ns`, or up to the first event, which the caller handles and goes on.
    pub fn advance(&mut self, now_ns: u64) -> Option<Event> {
        while self.time_ns < now_ns {
            if self.is_resting() {
                self.time_ns = now_ns;
                break;
            }
            let step_ns = (now_ns - self.time_ns).min(STEP_NS);
            let event = self.step(step_ns);
            self.time_ns += step_ns;
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn step(&mut self, step_ns: u64) -> Option<Event> {
        let step_s = step_ns as f64 * 1e-9;
        let mut slowing_rad_s2 = 0.0;
        match &mut self.motion {
            Motion::Braked => {
                self.plant.step(0.0, true, step_s);
                self.demand_rad = self.plant.position_rad;
                return None;
            }
            Motion::Follow { to_rad, end_ns } => {
                let left_ns = end_ns.saturating_sub(self.time_ns).max(step_ns);
                let wanted = (*to_rad - self.demand_rad) / (left_ns as f64 * 1e-9);
                let bound = self.limits.velocity_rad_s;
                self.demand_rad_s = wanted.clamp(-bound, bound);
                self.limited = wanted.abs() > bound;
            }
            Motion::Ramp { deceleration_rad_s2, left_s } => {
                *left_s -= step_s;
                let lost = (*deceleration_rad_s2 * step_s).min(self.demand_rad_s.abs());
                slowing_rad_s2 = -lost.copysign(self.demand_rad_s) / step_s;
                self.demand_rad_s -= lost.copysign(self.demand_rad_s);
            }
        }
        self.demand_rad += self.demand_rad_s * step_s;
        if matches!(self.motion, Motion::Ramp { .. }) {
            self.feed_forward_rad_s = self.demand_rad_s;
        } else {
            let share = step_s / (FEED_FORWARD_S + step_s);
            self.feed_forward_rad_s += share * (self.demand_rad_s - self.feed_forward_rad_s);
        }
        let error_rad = self.demand_rad - self.plant.position_rad;
        let error_rad_s = self.feed_forward_rad_s - self.plant.velocity_rad_s;
        let wanted_rad_s2 =
            BANDWIDTH * BANDWIDTH * error_rad + 2.0 * BANDWIDTH * error_rad_s + slowing_rad_s2;
        let bound = self.limits.torque_nm;
        let torque = self.plant.mechanics().inertia_kg_m2 * wanted_rad_s2;
        self.torque_nm = torque.clamp(-bound, bound);
        self.plant.step(self.torque_nm, false, step_s);
        self.check()
    }

    fn check(&mut self) -> Option<Event> {
        if let Motion::Ramp { left_s, .. } = self.motion {
            let still = self.plant.velocity_rad_s.abs() < STANDSTILL_RAD_S;
            let done = self.demand_rad_s == 0.0 && still || left_s <= 0.0;
            return done.then_some(Event::Stopped);
        }
        let error_rad = (self.demand_rad - self.plant.position_rad).abs();
        if error_rad <= self.limits.following_error_rad {
            self.excess_since_ns = None;
            return None;
        }
        let since = *self.excess_since_ns.get_or_insert(self.time_ns);
        (self.time_ns - since >= self.limits.following_time_ns).then_some(Event::FollowingError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MECHANICS: Mechanics =
        Mechanics { inertia_kg_m2: 0.2, friction_nm: 0.5, damping_nm_s: 0.1, brake_nm: 20.0 };
    const LIMITS: Limits = Limits {
        torque_nm: 20.0,
        velocity_rad_s: 3.0,
        following_error_rad: 0.2,
        following_time_ns: 0,
    };

    fn servo() -> Servo {
        Servo::new(MECHANICS, 0.1, LIMITS, 0)
    }

    /// Up to 1.5 rad/s and on, in 1 ms setpoints; gives the last setpoint and its time.
    fn cruise(servo: &mut Servo) -> (f64, u64) {
        servo.hold();
        let (mut target, mut velocity) = (servo.position_rad(), 0.0);
        for cycle in 1..=400u64 {
            velocity = f64::min(velocity + 0.005, 1.5);
            target += velocity * 0.001;
            servo.follow(target, 1_000_000);
            assert_eq!(servo.advance(cycle * 1_000_000), None);
        }
        (target, 400_000_000)
    }

    #[test]
    fn a_braked_servo_stands_and_costs_no_steps() {
        let mut servo = servo();
        assert_eq!(servo.advance(10_000_000_000), None);
        assert_eq!(servo.position_rad(), 0.1);
        assert_eq!(servo.due_ns(), None);
    }

    #[test]
    fn it_follows_setpoints_closely() {
        let mut servo = servo();
        let (target, _) = cruise(&mut servo);
        assert!((servo.position_rad() - target).abs() < 0.005, "{} {target}", servo.position_rad());
        assert!((servo.velocity_rad_s() - 1.5).abs() < 0.05);
    }

    #[test]
    fn without_a_new_setpoint_it_holds_the_last() {
        let mut servo = servo();
        let (target, now) = cruise(&mut servo);
        assert_eq!(servo.advance(now + 1_000_000_000), None);
        assert!((servo.position_rad() - target).abs() < 0.002);
        assert!(servo.velocity_rad_s().abs() < 1e-3);
    }

    #[test]
    fn a_ramp_takes_the_distance_of_its_deceleration_and_ends_still() {
        let mut servo = servo();
        let (_, now) = cruise(&mut servo);
        let (start, speed) = (servo.position_rad(), servo.velocity_rad_s());
        servo.ramp(20.0);
        let mut later = now;
        while servo.advance(later).is_none() {
            later += 250_000;
        }
        let seconds = (later - now) as f64 * 1e-9;
        assert!(seconds > speed / 20.0 - 0.001 && seconds < speed / 20.0 + 0.02, "{seconds}");
        let travelled = servo.position_rad() - start;
        assert!((travelled - speed * speed / 40.0).abs() < 0.005, "{travelled}");
        servo.brake();
        servo.advance(later + 10_000_000);
        assert!(servo.is_resting());
    }

    #[test]
    fn the_torque_limit_leads_to_a_following_error() {
        let mut servo = servo();
        servo.set_limits(Limits { torque_nm: 0.4, ..LIMITS });
        servo.hold();
        servo.follow(1.0, 100_000_000);
        assert_eq!(servo.advance(1_000_000_000), Some(Event::FollowingError));
        assert!(servo.torque_nm() <= 0.4);
    }

    #[test]
    fn the_velocity_limit_holds_the_demand_back() {
        let mut servo = servo();
        servo.hold();
        servo.follow(1.1, 1_000_000);
        servo.advance(100_000_000);
        assert!(servo.limited);
        assert!((servo.demand_rad() - 0.4).abs() < 1e-9, "{}", servo.demand_rad());
    }
}

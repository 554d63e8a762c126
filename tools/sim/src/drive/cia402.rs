//! The power stage: the state machine of `power` joined to the servo of `servo`, with the option
//! codes that say how it stops. Ramps end in a state; until then the axis is still under torque.

use super::dictionary::Dictionary;
use super::objects::*;
use super::plant::Mechanics;
use super::power::{Command, FAULT_RESET, Power};
use super::servo::{Event, Limits, Servo};
use crate::spec::DriveSpec;

const FOLLOWING_BIT: u16 = 1 << 12;
const LIMIT_BIT: u16 = 1 << 11;
const FOLLOWING_ERROR_BIT: u16 = 1 << 13;
const MILLISECOND_NS: u64 = 1_000_000;

/// Power stage and axis of one drive.
pub struct PowerStage {
    spec: DriveSpec,
    power: Power,
    servo: Servo,
    /// Where the ramp that is under way leads.
    ramp_to: Option<Power>,
    last_controlword: u16,
    error_code: u16,
    target_limited: bool,
    news: Option<u16>,
}

impl PowerStage {
    /// Off, braked, at the start position.
    pub fn new(spec: &DriveSpec, objects: &Dictionary, now_ns: u64) -> Self {
        let mechanics = Mechanics {
            inertia_kg_m2: spec.inertia_kg_m2,
            friction_nm: spec.friction_nm,
            damping_nm_s: spec.damping_nm_s,
            brake_nm: spec.brake_nm,
        };
        let limits = limits_of(spec, objects);
        Self {
            servo: Servo::new(mechanics, spec.start_rad, limits, now_ns),
            spec: spec.clone(),
            power: Power::NotReady,
            ramp_to: None,
            last_controlword: 0,
            error_code: 0,
            target_limited: false,
            news: None,
        }
    }

    /// State of the state machine.
    pub fn power(&self) -> Power {
        self.power
    }

    /// The servo with its axis.
    pub fn servo(&self) -> &Servo {
        &self.servo
    }

    /// An error code that nobody was told of yet (0: errors were reset).
    pub fn take_news(&mut self) -> Option<u16> {
        self.news.take()
    }

    /// Whether `take_news` would give something.
    pub fn has_news(&self) -> bool {
        self.news.is_some()
    }

    /// Transition 1.
    pub fn self_test_passed(&mut self) {
        if self.power == Power::NotReady {
            self.power = Power::SwitchOnDisabled;
        }
    }

    /// The logic supply goes off and on: brake closed, self test again.
    pub fn power_cycle(&mut self, objects: &Dictionary) {
        self.servo.brake();
        self.ramp_to = None;
        (self.power, self.last_controlword, self.error_code) = (Power::NotReady, 0, 0);
        self.limits(objects);
    }

    /// Lets the axis move up to `now_ns`, ramps end and errors of following trip on the way.
    pub fn run(&mut self, now_ns: u64, objects: &mut Dictionary) {
        while let Some(event) = self.servo.advance(now_ns) {
            match event {
                Event::FollowingError => self.fault(ERROR_FOLLOWING, objects),
                Event::Stopped => match self.ramp_to.take() {
                    Some(next) => self.enter(next),
                    None => self.servo.hold(),
                },
            }
        }
    }

    fn enter(&mut self, power: Power) {
        self.power = power;
        self.ramp_to = None;
        if power == Power::Enabled { self.servo.hold() } else { self.servo.brake() }
    }

    /// Slows down in `power`, then enters `then` (or stays, holding, for `None`).
    fn ramp(&mut self, power: Power, quick: bool, then: Option<Power>, objects: &Dictionary) {
        let object = if quick { QUICK_STOP_DECELERATION } else { PROFILE_DECELERATION };
        self.power = power;
        self.ramp_to = then;
        self.servo.ramp(self.spec.distance_rad(objects.unsigned(object, 0)));
    }

    /// Obeys the controlword in the dictionary.
    pub fn controlword(&mut self, objects: &mut Dictionary) {
        let word = u16::try_from(objects.number(CONTROLWORD, 0)).unwrap_or(0);
        let reset = word & !self.last_controlword & FAULT_RESET != 0;
        self.last_controlword = word;
        if self.power == Power::Fault && reset {
            self.enter(Power::SwitchOnDisabled);
            self.error_code = 0;
            objects.set(ERROR_CODE, 0, 0);
            objects.set(ERROR_REGISTER, 0, 0);
            self.news = Some(0);
        }
        self.command(Command::of(word), objects);
    }

    fn command(&mut self, command: Command, objects: &Dictionary) {
        let option = objects.number(QUICK_STOP_OPTION, 0);
        let Some(next) = self.power.after(command, option >= 5) else { return };
        let leaving = self.power == Power::Enabled;
        if leaving && self.ramp_to == Some(next) {
            return;
        }
        match (self.power, next) {
            (Power::Enabled, Power::QuickStop) if option == 0 => {
                self.enter(Power::SwitchOnDisabled)
            }
            (Power::Enabled, Power::QuickStop) => {
                let then = (option < 5).then_some(Power::SwitchOnDisabled);
                self.ramp(Power::QuickStop, matches!(option, 2 | 6), then, objects);
            }
            (Power::Enabled, Power::SwitchedOn) if objects.number(DISABLE_OPTION, 0) == 1 => {
                self.ramp(Power::Enabled, false, Some(Power::SwitchedOn), objects);
            }
            (Power::Enabled, Power::Ready) if objects.number(SHUTDOWN_OPTION, 0) == 1 => {
                self.ramp(Power::Enabled, false, Some(Power::Ready), objects);
            }
            _ => self.enter(next),
        }
    }

    /// A fault: announces it, and reacts as option 605E says.
    pub fn fault(&mut self, code: u16, objects: &mut Dictionary) {
        if self.power.is_fault() {
            return;
        }
        self.error_code = code;
        self.news = Some(code);
        objects.set(ERROR_CODE, 0, code.into());
        let communication = if code & 0xff00 == 0x8100 { 0x11 } else { 0x01 };
        objects.set(ERROR_REGISTER, 0, communication);
        match objects.number(FAULT_REACTION_OPTION, 0) {
            0 => self.enter(Power::Fault),
            _ if !self.power.is_energised() => self.enter(Power::Fault),
            option => self.ramp(Power::FaultReaction, option == 2, Some(Power::Fault), objects),
        }
    }

    /// Option 6007.
    pub fn connection_lost(&mut self, code: u16, objects: &mut Dictionary) {
        match objects.number(ABORT_CONNECTION, 0) {
            1 => self.fault(code, objects),
            2 => self.command(Command::DisableVoltage, objects),
            3 => self.command(Command::QuickStop, objects),
            _ => {}
        }
    }

    /// Takes the target position, in cyclic synchronous position mode with power on.
    pub fn setpoint(&mut self, objects: &Dictionary) {
        let following = self.power == Power::Enabled && self.ramp_to.is_none();
        if !following || objects.number(MODE, 0) != MODE_CSP {
            return;
        }
        let target = objects.number(TARGET_POSITION, 0);
        let (low, high) = (objects.number(POSITION_LIMIT, 1), objects.number(POSITION_LIMIT, 2));
        let allowed = if low < high { target.clamp(low, high) } else { target };
        self.target_limited = allowed != target;
        self.servo.follow(self.spec.radians(allowed), period_ns(objects));
    }

    /// Takes the limits from the dictionary.
    pub fn limits(&mut self, objects: &Dictionary) {
        self.servo.set_limits(limits_of(&self.spec, objects));
    }

    /// Statusword.
    pub fn statusword(&self) -> u16 {
        let mut word = self.power.statusword();
        if self.power == Power::Enabled && self.ramp_to.is_none() {
            word |= FOLLOWING_BIT;
            if self.servo.limited || self.target_limited {
                word |= LIMIT_BIT;
            }
        }
        if self.error_code == ERROR_FOLLOWING {
            word |= FOLLOWING_ERROR_BIT;
        }
        word
    }

    /// Writes the actual values into the dictionary.
    pub fn publish(&self, objects: &mut Dictionary) {
        let (spec, servo) = (&self.spec, &self.servo);
        let position = spec.counts(servo.position_rad());
        let demand = spec.counts(servo.demand_rad());
        let velocity = servo.velocity_rad_s() * spec.counts_per_rad;
        let torque =
            1000.0 * servo.torque_nm() * spec.counts_per_rad.signum() / spec.rated_torque_nm;
        objects.set(STATUSWORD, 0, self.statusword().into());
        objects.set(MODE_DISPLAY, 0, objects.number(MODE, 0));
        objects.set(POSITION_ACTUAL, 0, position);
        objects.set(POSITION_DEMAND, 0, demand);
        objects.set(FOLLOWING_ERROR_ACTUAL, 0, demand.saturating_sub(position));
        objects.set(VELOCITY_ACTUAL, 0, velocity.round() as i64);
        objects.set(TORQUE_ACTUAL, 0, torque.round() as i64);
    }
}

/// Object 60C2 in ns.
fn period_ns(objects: &Dictionary) -> u64 {
    let exponent = u32::try_from(9 + objects.number(INTERPOLATION_PERIOD, 2)).unwrap_or(6);
    u64::from(objects.unsigned(INTERPOLATION_PERIOD, 1)) * 10_u64.pow(exponent.min(9))
}

fn limits_of(spec: &DriveSpec, objects: &Dictionary) -> Limits {
    let unlimited = |value: u32, limit: f64| if value == u32::MAX { f64::INFINITY } else { limit };
    let profile = objects.unsigned(MAX_PROFILE_VELOCITY, 0);
    let motor = objects.unsigned(MAX_MOTOR_SPEED, 0);
    let window = objects.unsigned(FOLLOWING_ERROR_WINDOW, 0);
    let torque = f64::from(objects.unsigned(MAX_TORQUE, 0)) * spec.rated_torque_nm / 1000.0;
    let motor_rad_s = f64::from(motor) * std::f64::consts::TAU / 60.0;
    Limits {
        torque_nm: torque.min(spec.torque_max_nm),
        velocity_rad_s: unlimited(profile, spec.distance_rad(profile))
            .min(unlimited(motor, motor_rad_s)),
        following_error_rad: unlimited(window, spec.distance_rad(window)),
        following_time_ns: u64::from(objects.unsigned(FOLLOWING_ERROR_TIMEOUT, 0)) * MILLISECOND_NS,
    }
}

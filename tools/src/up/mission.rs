//! What `mechos up` asks of the machine and when: arm, count, home, disarm. Pure under injected
//! time.

use std::time::Duration;

use mechos_operator::Status;

use crate::operator::Edge;
use crate::report;

/// From the first status to closed interlocks and a connected planner.
const READY_MAX: Duration = Duration::from_secs(20);
/// From `home` to the home pose.
const HOMING_MAX: Duration = Duration::from_secs(60);
/// From `disarm` to Disarmed.
const DISARMING_MAX: Duration = Duration::from_secs(10);
/// Longest silence of the daemon past the end of the time given.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Home is reached within this, rad (m)...
const HOME_RAD: f64 = 0.005;
/// ... at less than this, rad/s (m/s).
const STANDING_RAD_S: f64 = 0.02;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Arm by ourselves.
    pub arm: bool,
    /// A planner belongs to the machine.
    pub planner: bool,
    /// End this long after arming.
    pub length: Option<Duration>,
    /// Home pose of every axis, rad (m).
    pub home_rad: Vec<f64>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Nothing but waiting.
    Wait,
    /// Ask the daemon, and tell [`Mission::answered`].
    Ask(Edge),
    /// Say something to the user; asked for once.
    Say(String),
    /// It is over: well, or why not.
    End(Result<(), String>),
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Waits until arming is possible.
    Readying,
    /// Waits for an operator to arm.
    Waiting,
    /// Armed at `since`.
    Running { since: Duration },
    /// On the way home since `since`.
    Homing { since: Duration },
    /// Disarming since `since`.
    Disarming { since: Duration },
    /// Over.
    Over(Result<(), String>),
}

/// The course of one `mechos up`. Times are since its beginning.
#[derive(Clone, Debug)]
pub struct Mission {
    wanted: Wanted,
    stage: Stage,
}

impl Mission {
    /// At its beginning.
    pub fn new(wanted: Wanted) -> Mission {
        let stage = if wanted.arm { Stage::Readying } else { Stage::Waiting };
        Mission { wanted, stage }
    }

    /// When the machine was armed, once it was.
    pub fn armed_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Running { since } => Some(since),
            _ => None,
        }
    }

    /// Goes on with a fresh status.
    pub fn step(&mut self, now: Duration, status: &Status) -> Order {
        match self.stage.clone() {
            Stage::Readying => self.readying(now, status),
            Stage::Waiting if status.mode == "armed" => {
                self.stage = Stage::Running { since: now };
                Order::Say("armed".to_owned())
            }
            Stage::Waiting => Order::Wait,
            Stage::Running { since } => self.running(now, since, status),
            Stage::Homing { since } => self.homing(now, since, status),
            Stage::Disarming { since } => self.disarming(now, since, status),
            Stage::Over(end) => Order::End(end),
        }
    }

    /// Goes on without one: the daemon does not answer.
    pub fn silent(&mut self, now: Duration) -> Order {
        let last = match (&self.stage, self.wanted.length) {
            (Stage::Readying, _) => READY_MAX + SILENCE_MAX,
            (Stage::Running { since }, Some(length)) => *since + length + SILENCE_MAX,
            (Stage::Homing { since } | Stage::Disarming { since }, _) => *since + SILENCE_MAX,
            _ => return Order::Wait,
        };
        if now <= last {
            return Order::Wait;
        }
        self.fail("mechos-rt does not answer; look at its log".to_owned())
    }

    /// Takes the daemon's answer to an edge that was asked for.
    pub fn answered(&mut self, now: Duration, edge: Edge, answer: Result<(), String>) -> Order {
        match (edge, answer) {
            (Edge::Arm, Ok(())) => {
                self.stage = Stage::Running { since: now };
                Order::Say("armed".to_owned())
            }
            (Edge::Home, Ok(())) => {
                self.stage = Stage::Homing { since: now };
                Order::Say("time is over: moving home".to_owned())
            }
            (Edge::Disarm, Ok(())) => {
                self.stage = Stage::Disarming { since: now };
                Order::Wait
            }
            (_, Ok(())) => Order::Wait,
            (Edge::Arm, Err(why)) => self.not_armed(format!("not armed: {why}")),
            (edge, Err(why)) => self.fail(format!("{} was refused: {why}", name(edge))),
        }
    }

    fn readying(&mut self, now: Duration, status: &Status) -> Order {
        match status.mode.as_str() {
            // An operator was quicker.
            "armed" => {
                self.stage = Stage::Running { since: now };
                return Order::Say("armed".to_owned());
            }
            "halted" => {
                let words = report::mode_words(status);
                return self.not_armed(format!("not armed, {words}; `mechos reset`, `mechos arm`"));
            }
            _ => {}
        }
        let planner = !self.wanted.planner || status.pids.cognition.is_some();
        if status.mode == "disarmed" && status.interlocks.is_empty() && planner {
            return Order::Ask(Edge::Arm);
        }
        if now < READY_MAX {
            return Order::Wait;
        }
        let seconds = READY_MAX.as_secs();
        self.not_armed(match (status.interlocks.as_slice(), planner) {
            ([], false) => {
                format!("not armed: no planner connected within {seconds} s; see its log")
            }
            ([], true) => format!("not armed: still {} after {seconds} s", status.mode),
            (open, _) => format!("not armed: open after {seconds} s: {}", open.join(", ")),
        })
    }

    fn running(&mut self, now: Duration, since: Duration, status: &Status) -> Order {
        let Some(length) = self.wanted.length else { return Order::Wait };
        if now.saturating_sub(since) < length {
            return Order::Wait;
        }
        match status.mode.as_str() {
            "armed" => Order::Ask(Edge::Home),
            // A stop that is under way comes to its end first.
            "stopping" | "arming" => Order::Wait,
            _ => self.fail(format!("the time ended {}", report::mode_words(status))),
        }
    }

    fn homing(&mut self, now: Duration, since: Duration, status: &Status) -> Order {
        if status.mode != "armed" {
            return self.fail(format!("on the way home: {}", report::mode_words(status)));
        }
        let reached = status.axes.iter().zip(&self.wanted.home_rad).all(|(axis, home_rad)| {
            (axis.position_rad - home_rad).abs() < HOME_RAD
                && axis.velocity_rad_s.abs() < STANDING_RAD_S
                && (axis.setpoint_rad - home_rad).abs() < HOME_RAD
        });
        if reached && status.axes.len() == self.wanted.home_rad.len() {
            return Order::Ask(Edge::Disarm);
        }
        if now.saturating_sub(since) > HOMING_MAX {
            return self.fail(format!("home was not reached within {} s", HOMING_MAX.as_secs()));
        }
        Order::Wait
    }

    fn disarming(&mut self, now: Duration, since: Duration, status: &Status) -> Order {
        match status.mode.as_str() {
            "disarmed" => {
                self.stage = Stage::Over(Ok(()));
                Order::End(Ok(()))
            }
            "halted" => self.fail(format!("while disarming: {}", report::mode_words(status))),
            _ if now.saturating_sub(since) > DISARMING_MAX => {
                self.fail(format!("not disarmed within {} s", DISARMING_MAX.as_secs()))
            }
            _ => Order::Wait,
        }
    }

    /// With a time to keep that is the end; without, an operator may mend it and arm.
    fn not_armed(&mut self, why: String) -> Order {
        if self.wanted.length.is_some() {
            return self.fail(why);
        }
        self.stage = Stage::Waiting;
        Order::Say(why)
    }

    fn fail(&mut self, why: String) -> Order {
        self.stage = Stage::Over(Err(why.clone()));
        Order::End(Err(why))
    }
}

fn name(edge: Edge) -> &'static str {
    match edge {
        Edge::Arm => "arm",
        Edge::Disarm => "disarm",
        Edge::Stop => "stop",
        Edge::Reset => "reset",
        Edge::Home => "home",
        Edge::Resume => "resume",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mechos_operator::{AxisStatus, Pids};

    const LENGTH: Duration = Duration::from_secs(10);

    fn mission(length: Option<Duration>) -> Mission {
        Mission::new(Wanted { arm: true, planner: true, length, home_rad: vec![0.5] })
    }

    fn status(mode: &str, position_rad: f64) -> Status {
        let axis = AxisStatus { position_rad, setpoint_rad: position_rad, ..AxisStatus::default() };
        Status {
            mode: mode.into(),
            cause: if mode == "halted" { "drive-fault" } else { "none" }.into(),
            pids: Pids { cognition: Some(9), ..Pids::default() },
            axes: vec![axis],
            ..Status::default()
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn armed(length: Option<Duration>) -> Mission {
        let mut mission = mission(length);
        assert_eq!(mission.step(s(1), &status("disarmed", 0.0)), Order::Ask(Edge::Arm));
        assert!(matches!(mission.answered(s(2), Edge::Arm, Ok(())), Order::Say(_)));
        mission
    }

    #[test]
    fn the_time_counts_from_arming_and_ends_at_home_without_power() {
        let mut mission = armed(Some(LENGTH));
        assert_eq!(mission.step(s(11), &status("armed", 0.0)), Order::Wait);
        assert_eq!(mission.step(s(12), &status("armed", 0.0)), Order::Ask(Edge::Home));
        mission.answered(s(12), Edge::Home, Ok(()));
        assert_eq!(mission.step(s(13), &status("armed", 0.3)), Order::Wait);
        assert_eq!(mission.step(s(14), &status("armed", 0.5)), Order::Ask(Edge::Disarm));
        mission.answered(s(14), Edge::Disarm, Ok(()));
        assert_eq!(mission.step(s(14), &status("stopping", 0.5)), Order::Wait);
        assert_eq!(mission.step(s(15), &status("disarmed", 0.5)), Order::End(Ok(())));
    }

    #[test]
    fn nothing_is_armed_while_an_interlock_is_open_or_the_planner_is_away() {
        let mut mission = mission(Some(LENGTH));
        let open = Status { interlocks: vec!["not-homed".into()], ..status("disarmed", 0.0) };
        assert_eq!(mission.step(s(1), &open), Order::Wait);
        let away = Status { pids: Pids::default(), ..status("disarmed", 0.0) };
        assert_eq!(mission.step(s(2), &away), Order::Wait);
        let Order::End(Err(why)) = mission.step(s(21), &open) else { panic!("waits on") };
        assert!(why.contains("not-homed"), "{why}");
    }

    #[test]
    fn a_halt_is_never_reset_from_here() {
        let mut mission = armed(None);
        for second in 3..100 {
            assert_eq!(mission.step(s(second), &status("halted", 0.0)), Order::Wait);
            assert_eq!(mission.step(s(second), &status("disarmed", 0.0)), Order::Wait);
        }
    }

    #[test]
    fn a_time_that_ends_halted_has_not_ended_well() {
        let mut mission = armed(Some(LENGTH));
        assert_eq!(mission.step(s(5), &status("halted", 0.0)), Order::Wait);
        let Order::End(Err(why)) = mission.step(s(12), &status("halted", 0.0)) else {
            panic!("waits on")
        };
        assert!(why.contains("drive-fault"), "{why}");
    }

    #[test]
    fn without_a_time_a_failed_arming_is_left_to_the_operator() {
        let mut mission = mission(None);
        assert_eq!(mission.step(s(1), &status("disarmed", 0.0)), Order::Ask(Edge::Arm));
        let order = mission.answered(s(2), Edge::Arm, Err("open interlocks: fence".into()));
        assert!(matches!(order, Order::Say(why) if why.contains("fence")));
        assert_eq!(mission.step(s(3), &status("disarmed", 0.0)), Order::Wait);
        assert!(matches!(mission.step(s(9), &status("armed", 0.0)), Order::Say(_)));
        assert_eq!(mission.armed_at(), Some(s(9)));
    }

    #[test]
    fn left_to_the_operator_the_time_counts_from_their_arming() {
        let length = Some(LENGTH);
        let wanted = Wanted { arm: false, planner: false, length, home_rad: vec![0.5] };
        let mut mission = Mission::new(wanted);
        assert_eq!(mission.step(s(500), &status("disarmed", 0.0)), Order::Wait);
        mission.step(s(600), &status("armed", 0.0));
        assert_eq!(mission.step(s(609), &status("armed", 0.0)), Order::Wait);
        assert_eq!(mission.step(s(610), &status("armed", 0.0)), Order::Ask(Edge::Home));
    }

    #[test]
    fn a_daemon_that_never_answers_again_ends_it() {
        let mut mission = armed(Some(LENGTH));
        assert_eq!(mission.silent(s(12)), Order::Wait);
        assert!(matches!(mission.silent(s(23)), Order::End(Err(_))));
        let mut endless = armed(None);
        assert_eq!(endless.silent(s(10_000)), Order::Wait);
    }
}

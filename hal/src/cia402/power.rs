//! Gives a configured drive power and takes it away: the master's side of the CiA 402 state
//! machine. Pure: a step sees the goal and what the drive says, and gives one order.
//!
//! Power is given once for each change of the goal to `Enabled`. A drive that drops out, whoever
//! stopped it, stays out until the goal has been another one in between.

use super::objects::{Controlword, PowerState};
use crate::drive::{DriveGoal, DriveState, HostFault};

/// Longest that enabling may take, ns.
const ENABLING_MAX_NS: u64 = 2_000_000_000;
/// Longest that a drive may take to leave fault, ns.
const RESETTING_MAX_NS: u64 = 500_000_000;
/// Ticks of controlword 0 before the reset bit rises, so that it does rise.
const RESET_LOW_TICKS: u8 = 2;

/// Where the master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// No power is asked for.
    Off,
    /// On the way: since when, and the highest controlword given so far.
    Enabling { since_ns: u64, given: u16 },
    /// The drive follows setpoints.
    Enabled,
    /// It was stopped or dropped out while power was asked for.
    Dropped,
    /// Leaving a fault: since when, and ticks of controlword 0 still to send.
    Resetting { since_ns: u64, low_ticks: u8 },
}

/// What a step sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub now_ns: u64,
    pub goal: DriveGoal,
    /// By the last statusword; `None` for a pattern that CiA 402 does not have.
    pub state: Option<PowerState>,
    /// Status and position are recent enough to preload the target from.
    pub is_fresh: bool,
    /// The mode in force has been read since enabling began.
    pub is_mode_verified: bool,
}

/// What is to be sent in this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// No setpoint.
    Nothing,
    /// This controlword, the target being the measured position.
    Hold(u16),
    /// Operation enabled, the target being the setpoint.
    Follow,
    /// The drive is to be taken for faulty.
    Fail(HostFault),
}

impl Power {
    /// One tick.
    pub fn step(&mut self, view: &View) -> Order {
        if view.goal != DriveGoal::Enabled {
            return self.without_power(view);
        }
        match *self {
            Power::Off | Power::Resetting { .. } => {
                *self = Power::Enabling { since_ns: view.now_ns, given: 0 };
                self.enabling(view, view.now_ns, 0)
            }
            Power::Enabling { since_ns, given } => self.enabling(view, since_ns, given),
            Power::Enabled if view.state == Some(PowerState::OperationEnabled) => Order::Follow,
            Power::Enabled => {
                *self = Power::Dropped;
                Order::Nothing
            }
            Power::Dropped => Order::Nothing,
        }
    }

    fn without_power(&mut self, view: &View) -> Order {
        use PowerState::{Fault, FaultReaction, NotReady, SwitchOnDisabled};
        if view.goal == DriveGoal::Halt {
            // The shared stop frame does it; a setpoint could only undo it.
            *self = Power::Off;
            return Order::Nothing;
        }
        if let Power::Resetting { since_ns, low_ticks } = *self {
            let is_over = view.now_ns.saturating_sub(since_ns) > RESETTING_MAX_NS;
            if view.state == Some(Fault) && !is_over {
                let word = if low_ticks > 0 { 0 } else { Controlword::FAULT_RESET };
                let low_ticks = low_ticks.saturating_sub(1);
                *self = Power::Resetting { since_ns, low_ticks };
                return Order::Hold(word);
            }
        }
        *self = Power::Off;
        match view.state {
            Some(SwitchOnDisabled | NotReady | Fault | FaultReaction) => Order::Nothing,
            _ => Order::Hold(Controlword::DISABLE_VOLTAGE),
        }
    }

    fn enabling(&mut self, view: &View, since_ns: u64, given: u16) -> Order {
        use PowerState::{
            Fault, FaultReaction, NotReady, OperationEnabled, QuickStopActive, ReadyToSwitchOn,
            SwitchOnDisabled, SwitchedOn,
        };
        if view.now_ns.saturating_sub(since_ns) > ENABLING_MAX_NS {
            return Order::Fail(HostFault::EnableTimeout);
        }
        if !view.is_fresh {
            return Order::Nothing;
        }
        let word = match view.state {
            None | Some(NotReady) => return Order::Nothing,
            // Going backwards means that somebody stopped the drive meanwhile.
            Some(SwitchOnDisabled) if given <= Controlword::SHUTDOWN => Controlword::SHUTDOWN,
            Some(ReadyToSwitchOn) if given <= Controlword::SWITCH_ON => Controlword::SWITCH_ON,
            Some(SwitchedOn) if view.is_mode_verified => Controlword::ENABLE_OPERATION,
            Some(SwitchedOn) => Controlword::SWITCH_ON,
            Some(OperationEnabled) if given == Controlword::ENABLE_OPERATION => {
                *self = Power::Enabled;
                return Order::Follow;
            }
            // Enabled, but not by this enabling: begin from below.
            Some(OperationEnabled) => return Order::Hold(Controlword::SHUTDOWN),
            Some(SwitchOnDisabled | ReadyToSwitchOn)
            | Some(QuickStopActive | Fault | FaultReaction) => {
                *self = Power::Dropped;
                return Order::Nothing;
            }
        };
        *self = Power::Enabling { since_ns, given: given.max(word) };
        Order::Hold(word)
    }

    /// Somebody sent the shared stop.
    pub fn stop_seen(&mut self) {
        if matches!(self, Power::Enabling { .. } | Power::Enabled) {
            *self = Power::Dropped;
        }
    }

    /// An operator's edge with the drive in fault: begins to leave it.
    pub fn reset(&mut self, now_ns: u64) {
        *self = Power::Resetting { since_ns: now_ns, low_ticks: RESET_LOW_TICKS };
    }

    /// Power is asked for.
    pub fn is_wanted(self) -> bool {
        matches!(self, Power::Enabling { .. } | Power::Enabled)
    }

    /// The drive's state as the rest of the machine knows it.
    pub fn drive_state(self, state: Option<PowerState>) -> DriveState {
        let is_enabling = matches!(self, Power::Enabling { .. });
        match state {
            Some(PowerState::OperationEnabled) if is_enabling => DriveState::Enabling,
            Some(PowerState::OperationEnabled) => DriveState::Enabled,
            Some(PowerState::SwitchedOn) => DriveState::Enabling,
            Some(PowerState::QuickStopActive) => DriveState::QuickStop,
            None | Some(PowerState::Fault | PowerState::FaultReaction) => DriveState::Fault,
            Some(_) if is_enabling => DriveState::Enabling,
            Some(_) => DriveState::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PowerState::{
        Fault, FaultReaction, NotReady, OperationEnabled, QuickStopActive, ReadyToSwitchOn,
        SwitchOnDisabled, SwitchedOn,
    };

    const STATES: [Option<PowerState>; 9] = [
        None,
        Some(NotReady),
        Some(SwitchOnDisabled),
        Some(ReadyToSwitchOn),
        Some(SwitchedOn),
        Some(OperationEnabled),
        Some(QuickStopActive),
        Some(FaultReaction),
        Some(Fault),
    ];

    fn view(goal: DriveGoal, state: PowerState) -> View {
        let state = Some(state);
        View { now_ns: 0, goal, state, is_fresh: true, is_mode_verified: true }
    }

    #[test]
    fn enabling_goes_up_step_by_step() {
        let mut power = Power::Off;
        for (state, order) in [
            (SwitchOnDisabled, Order::Hold(0x06)),
            (SwitchOnDisabled, Order::Hold(0x06)),
            (ReadyToSwitchOn, Order::Hold(0x07)),
            (SwitchedOn, Order::Hold(0x0F)),
            (OperationEnabled, Order::Follow),
            (OperationEnabled, Order::Follow),
        ] {
            assert_eq!(power.step(&view(DriveGoal::Enabled, state)), order, "{state:?}");
        }
        assert_eq!(power, Power::Enabled);
    }

    #[test]
    fn operation_is_not_enabled_before_the_mode_is_verified() {
        let mut power = Power::Off;
        let mut seen = view(DriveGoal::Enabled, SwitchedOn);
        seen.is_mode_verified = false;
        assert_eq!(power.step(&seen), Order::Hold(0x07));
        seen.is_mode_verified = true;
        assert_eq!(power.step(&seen), Order::Hold(0x0F));
    }

    #[test]
    fn a_drive_that_goes_backwards_is_not_enabled_again() {
        for steps in 2..=5 {
            let up = [SwitchOnDisabled, ReadyToSwitchOn, SwitchedOn, OperationEnabled];
            let mut power = Power::Off;
            for state in up.into_iter().take(steps) {
                power.step(&view(DriveGoal::Enabled, state));
            }
            for _ in 0..3 {
                let order = power.step(&view(DriveGoal::Enabled, SwitchOnDisabled));
                assert_eq!(order, Order::Nothing, "after {steps} steps");
            }
            assert_eq!(power, Power::Dropped);
            power.step(&view(DriveGoal::Off, SwitchOnDisabled));
            let order = power.step(&view(DriveGoal::Enabled, SwitchOnDisabled));
            assert_eq!(order, Order::Hold(0x06));
        }
    }

    #[test]
    fn a_stop_by_anybody_ends_setpoints_at_once() {
        let mut power = Power::Enabled;
        power.stop_seen();
        let order = power.step(&view(DriveGoal::Enabled, OperationEnabled));
        assert_eq!(order, Order::Nothing);
    }

    #[test]
    fn halt_sends_no_setpoint_whatever_the_drive_says() {
        let resetting = Power::Resetting { since_ns: 0, low_ticks: 1 };
        let enabling = Power::Enabling { since_ns: 0, given: 0x0F };
        for before in [Power::Off, Power::Enabled, Power::Dropped, resetting, enabling] {
            for state in STATES {
                let mut power = before;
                let seen = View { state, ..view(DriveGoal::Halt, Fault) };
                assert_eq!(power.step(&seen), Order::Nothing, "{before:?} {state:?}");
                assert_eq!(power, Power::Off);
            }
        }
    }

    #[test]
    fn off_takes_power_away_until_the_drive_confirms() {
        for state in STATES {
            let mut power = Power::Enabled;
            let order = power.step(&View { state, ..view(DriveGoal::Off, Fault) });
            let is_off = matches!(state, Some(NotReady | SwitchOnDisabled | Fault | FaultReaction));
            let expected = if is_off { Order::Nothing } else { Order::Hold(0) };
            assert_eq!(order, expected, "{state:?}");
        }
    }

    #[test]
    fn only_an_order_to_enable_ever_gives_power() {
        // Whatever master and drive were doing: without the goal, no 06, 07 or 0F is sent.
        for given in [0, 0x06, 0x07, 0x0F] {
            for state in STATES {
                let mut power = Power::Enabling { since_ns: 0, given };
                for _ in 0..4 {
                    let order = power.step(&View { state, ..view(DriveGoal::Off, Fault) });
                    assert!(matches!(order, Order::Nothing | Order::Hold(0)));
                }
            }
        }
    }

    #[test]
    fn a_fault_is_left_by_a_rising_edge() {
        let mut power = Power::Off;
        power.reset(0);
        let orders: Vec<_> = (0..4).map(|_| power.step(&view(DriveGoal::Off, Fault))).collect();
        let hold = Order::Hold;
        assert_eq!(orders, [hold(0), hold(0), hold(0x80), hold(0x80)]);
        let order = power.step(&view(DriveGoal::Off, SwitchOnDisabled));
        assert_eq!((order, power), (Order::Nothing, Power::Off));
    }

    #[test]
    fn a_fault_that_stays_ends_the_attempt() {
        let mut power = Power::Off;
        power.reset(0);
        let late = View { now_ns: RESETTING_MAX_NS + 1, ..view(DriveGoal::Off, Fault) };
        assert_eq!((power.step(&late), power), (Order::Nothing, Power::Off));
    }

    #[test]
    fn enabling_needs_fresh_feedback_and_ends_in_time() {
        let mut power = Power::Off;
        let stale = View { is_fresh: false, ..view(DriveGoal::Enabled, SwitchOnDisabled) };
        assert_eq!(power.step(&stale), Order::Nothing);
        let late = View { now_ns: ENABLING_MAX_NS + 1, ..stale };
        assert_eq!(power.step(&late), Order::Fail(HostFault::EnableTimeout));
    }
}

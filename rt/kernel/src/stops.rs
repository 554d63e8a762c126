//! What stops the machine, tick by tick: other stop paths' latches, a suspend, the planner's stop
//! words, faults; and how arming and stopping come to their end.

use shm_protocol::records::Cause;

use crate::config::Reaction;
use crate::faults::{self, Fault};
use crate::feedback;
use crate::io::{AxisState, Interlocks};
use crate::kernel::{Kernel, Tick};
use crate::ledger::Ending;
use crate::mode::{AfterStop, Event, Mode};
use crate::motion::Motion;
use crate::motion::trajectory::Trajectory;

/// CLOCK_BOOTTIME minus CLOCK_MONOTONIC is read by two calls, between which a host may steal the
/// CPU; a real suspend lasts longer than this, ns.
pub const SUSPEND_MIN_NS: u64 = 100_000_000;

/// Interlocks that must stay closed while the drives are being enabled.
const WHILE_ARMING: u32 = !(Interlocks::MOVING | Interlocks::DRIVE_NOT_READY);

impl Kernel {
    /// Looks for everything that stops.
    pub(crate) fn watch(&mut self, tick: &mut Tick<'_>) {
        let (config, inputs) = (tick.config, tick.inputs);
        let pressed = self.planner.look(&inputs.link);
        if pressed.estop {
            self.apply(tick, Event::Halt { cause: Cause::PlannerEstop, detail: 0 });
        }
        if pressed.stop {
            let since_ns = inputs.now_ns;
            self.apply(tick, Event::Stop { cause: Cause::PlannerStop, detail: 0, since_ns });
        }
        // Another path has stopped the drives already: whatever the reactions say, this is a halt.
        if let Some((cause, detail)) = inputs.health.latched {
            self.apply(tick, Event::Halt { cause, detail });
        }
        let suspended_ns = inputs.health.suspended_ns;
        let known_ns = self.suspended_ns.replace(suspended_ns).unwrap_or(suspended_ns);
        if known_ns.abs_diff(suspended_ns) >= SUSPEND_MIN_NS {
            if config.reacts {
                self.apply(tick, Event::Halt { cause: Cause::Suspended, detail: 0 });
            }
        } else {
            // Small steps do not add up unseen: the reference moves by suspends only.
            self.suspended_ns = Some(known_ns);
        }
        let lost = self.planner.is_lost(config, &inputs.link);
        let fault = faults::worst(config, inputs, self.mode, &self.setpoints, lost);
        match fault {
            Some(fault) if config.reacts => self.react(tick, fault),
            _ => self.hold = None,
        }
        if lost && config.reacts {
            self.planner.forget();
        }
    }

    /// Does what a fault's reaction says.
    pub(crate) fn react(&mut self, tick: &mut Tick<'_>, fault: Fault) {
        let Fault { cause, detail, reaction } = fault;
        let since_ns = tick.inputs.now_ns;
        match (reaction, self.mode) {
            (Reaction::Halt, _) => self.apply(tick, Event::Halt { cause, detail }),
            (Reaction::Hold, Mode::Armed) => self.hold(tick, cause),
            // A controlled stop that is under way is all that a hold asks for.
            (Reaction::Hold, Mode::Stopping { .. }) => {}
            (Reaction::Stop | Reaction::Hold, _) => {
                self.apply(tick, Event::Stop { cause, detail, since_ns });
            }
        }
    }

    /// Category 2: a controlled stop, powered; earlier intents are void.
    fn hold(&mut self, tick: &mut Tick<'_>, cause: Cause) {
        if self.hold.is_none() {
            self.epoch = self.epoch.wrapping_add(1);
            self.end_active(tick, Ending::Aborted(cause, None));
            self.trajectory = Trajectory::stop(tick.config, &self.setpoints);
        }
        self.hold = Some(cause);
    }

    /// Arming and stopping come to their end, or take too long.
    pub(crate) fn progress(&mut self, tick: &mut Tick<'_>) {
        match self.mode {
            Mode::Arming { since_ns } => self.progress_arming(tick, since_ns),
            Mode::Stopping { then, since_ns } => self.progress_stopping(tick, then, since_ns),
            Mode::Disarmed | Mode::Armed | Mode::Halted { .. } => {}
        }
    }

    fn progress_arming(&mut self, tick: &mut Tick<'_>, since_ns: u64) {
        let (config, inputs) = (tick.config, tick.inputs);
        let open = self.interlocks(config, inputs) & WHILE_ARMING;
        let mut axes = feedback::axes(config, inputs).map(|(_, axis)| axis);
        let late = inputs.now_ns.saturating_sub(since_ns) > config.budgets.arming_ns;
        let cause = Cause::ArmingFailed;
        if open != 0 {
            self.apply(tick, Event::Halt { cause, detail: open });
        } else if axes.all(|axis| axis.state == AxisState::Enabled) {
            self.apply(tick, Event::AllEnabled);
        } else if late {
            self.apply(tick, Event::Halt { cause, detail: Interlocks::DRIVE_NOT_READY });
        }
    }

    fn progress_stopping(&mut self, tick: &mut Tick<'_>, then: AfterStop, since_ns: u64) {
        let (config, inputs) = (tick.config, tick.inputs);
        let at_rest = self.setpoints.iter().all(Motion::is_rest);
        if at_rest && feedback::all_stand(config, inputs) {
            self.apply(tick, Event::Standstill);
        } else if inputs.now_ns.saturating_sub(since_ns) > config.budgets.stopping_ns {
            let moving = |axis| !feedback::stands(config, axis);
            let axis = feedback::axes(config, inputs).position(|(_, axis)| moving(axis));
            let (cause, detail) = match then {
                AfterStop::Halt { cause, detail } => (cause, detail),
                AfterStop::Disarm => {
                    let axis = axis.and_then(|axis| u32::try_from(axis).ok());
                    (Cause::UnexpectedMotion, axis.unwrap_or(0))
                }
            };
            self.apply(tick, Event::Halt { cause, detail });
        }
    }
}

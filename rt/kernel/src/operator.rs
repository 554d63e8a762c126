//! An operator's edges: each is answered once, in its own tick.

use shm_protocol::records::{
    AXES_MAX, AxisRequest, Cause, INTENT_VERSION, Intent, IntentKind, TraceId, VerdictKind,
};

use crate::config::Config;
use crate::feedback;
use crate::gate;
use crate::io::{OperatorAction, OperatorAnswer, OperatorRefusal};
use crate::kernel::{Kernel, Tick};
use crate::ledger::Ending;
use crate::mode::{Event, Mode};

impl Kernel {
    /// Carries out this tick's edge, if there is one.
    pub(crate) fn operate(&mut self, tick: &mut Tick<'_>) {
        let Some(command) = tick.inputs.operator else { return };
        let since_ns = tick.inputs.now_ns;
        let result = match command.action {
            OperatorAction::Arm => self.arm(tick),
            OperatorAction::Disarm => self.disarm(tick),
            OperatorAction::Stop => {
                let cause = Cause::OperatorStop;
                self.apply(tick, Event::Stop { cause, detail: 0, since_ns });
                Ok(())
            }
            OperatorAction::Estop => {
                self.apply(tick, Event::Halt { cause: Cause::OperatorEstop, detail: 0 });
                Ok(())
            }
            OperatorAction::Reset => self.reset(tick),
            OperatorAction::Home => self.home(tick),
            OperatorAction::Resume => {
                self.operator_has_control = false;
                Ok(())
            }
            OperatorAction::Shutdown => {
                self.shutting_down = true;
                self.apply(tick, Event::Disarm { since_ns });
                Ok(())
            }
        };
        tick.out.answer = Some(OperatorAnswer { id: command.id, result });
    }

    fn arm(&mut self, tick: &mut Tick<'_>) -> Result<(), OperatorRefusal> {
        if self.mode != Mode::Disarmed || self.shutting_down {
            return Err(OperatorRefusal::Mode);
        }
        let open = self.interlocks(tick.config, tick.inputs);
        if open != 0 {
            return Err(OperatorRefusal::Interlocks(open));
        }
        self.apply(tick, Event::Arm { since_ns: tick.inputs.now_ns });
        Ok(())
    }

    fn disarm(&mut self, tick: &mut Tick<'_>) -> Result<(), OperatorRefusal> {
        if matches!(self.mode, Mode::Halted { .. }) {
            return Err(OperatorRefusal::Mode);
        }
        self.apply(tick, Event::Disarm { since_ns: tick.inputs.now_ns });
        Ok(())
    }

    fn reset(&mut self, tick: &mut Tick<'_>) -> Result<(), OperatorRefusal> {
        if !matches!(self.mode, Mode::Halted { .. }) {
            return Err(OperatorRefusal::Mode);
        }
        let (config, inputs) = (tick.config, tick.inputs);
        if !feedback::may_reset(config, inputs) {
            return Err(OperatorRefusal::Moving);
        }
        self.apply(tick, Event::Reset);
        tick.out.clear_latches = true;
        Ok(())
    }

    fn home(&mut self, tick: &mut Tick<'_>) -> Result<(), OperatorRefusal> {
        if self.mode != Mode::Armed || self.hold.is_some() || self.shutting_down {
            return Err(OperatorRefusal::Mode);
        }
        let admitted = gate::admit_operator(tick.config, &self.setpoints, &to_home(tick.config));
        let admission = admitted.map_err(|objection| {
            let (kind, trace) = (VerdictKind::Refused, TraceId::default());
            OperatorRefusal::Gate(self.stamp(tick).verdict(0, trace, kind, Some(objection)))
        })?;
        self.end_active(tick, Ending::Preempted);
        self.trajectory = admission.trajectory;
        self.active = Some(admission.approved);
        self.operator_has_control = true;
        Ok(())
    }
}

/// All axes to their home poses.
fn to_home(config: &Config) -> Intent {
    let mut axes = [AxisRequest::default(); AXES_MAX];
    let mut axes_mask = 0;
    for (index, (request, axis)) in axes.iter_mut().zip(&config.axes).enumerate() {
        request.position_rad = axis.home_rad;
        axes_mask |= 1 << index;
    }
    Intent {
        number: 0,
        version: INTENT_VERSION,
        kind: IntentKind::MoveJoints,
        agent: 0,
        epoch: 0,
        issued_ns: 0,
        lease_until_ns: u64::MAX,
        trace: TraceId::default(),
        axes_mask,
        axes,
    }
}

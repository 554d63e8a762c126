//! The planner's intent of this tick.

use shm_protocol::records::{Cause, Claim, IntentKind};

use crate::gate::Source;
use crate::gate::{self, Situation, rules};
use crate::kernel::{Kernel, Tick};
use crate::ledger::Ending;
use crate::mode::Event;

impl Kernel {
    pub(crate) fn take_claim(&mut self, tick: &mut Tick<'_>) {
        let Some(claim) = &tick.inputs.claim else { return };
        match claim.intent.kind {
            IntentKind::Stop => {
                let (cause, since_ns) = (Cause::PlannerStop, tick.inputs.now_ns);
                self.take_stop(tick, claim, Event::Stop { cause, detail: 0, since_ns });
            }
            IntentKind::EStop => {
                let cause = Cause::PlannerEstop;
                self.take_stop(tick, claim, Event::Halt { cause, detail: 0 });
            }
            IntentKind::MoveJoints | IntentKind::Hold | IntentKind::Unknown(_) => {
                self.take_motion(tick, claim);
            }
        }
    }

    /// A stop is taken in every mode and epoch, with or without a lease; only a record whose
    /// checksum is wrong says nothing. It is completed when it is latched.
    fn take_stop(&mut self, tick: &mut Tick<'_>, claim: &Claim, event: Event) {
        let intent = &claim.intent;
        if let Err(objection) = rules::intact(claim) {
            let stamp = self.stamp(tick);
            return self.ledger.refuse(stamp, intent, objection, tick.out);
        }
        let last = &mut self.planner.memory.last_number;
        *last = (*last).max(intent.number);
        let stamp = self.stamp(tick);
        self.ledger.admit(stamp, intent, None, tick.out);
        self.apply(tick, event);
        let stamp = self.stamp(tick);
        let source = Source::Planner { number: intent.number, trace: intent.trace };
        self.ledger.finish(stamp, source, Ending::Completed, tick.out);
    }

    fn take_motion(&mut self, tick: &mut Tick<'_>, claim: &Claim) {
        let situation = Situation {
            now_ns: tick.inputs.now_ns,
            mode: self.mode,
            epoch: self.epoch,
            free: !self.operator_has_control && self.hold.is_none(),
            setpoints: &self.setpoints,
        };
        let memory = &mut self.planner.memory;
        let judged = gate::admit(tick.config, &situation, memory, claim);
        let stamp = self.stamp(tick);
        match judged {
            Err(objection) => self.ledger.refuse(stamp, &claim.intent, objection, tick.out),
            Ok(admission) => {
                self.ledger.admit(stamp, &claim.intent, admission.clamped, tick.out);
                self.end_active(tick, Ending::Preempted);
                self.trajectory = admission.trajectory;
                self.active = Some(admission.approved);
            }
        }
    }
}

//! One period of motion: leases, efforts, the next setpoints, arrival.

use arrayvec::ArrayVec;
use shm_protocol::records::{AXES_MAX, Cause, Rule};

use crate::faults::Fault;
use crate::feedback;
use crate::gate::Objection;
use crate::kernel::{Kernel, Tick};
use crate::ledger::Ending;
use crate::mode::{Event, Mode};
use crate::motion::Motion;
use crate::motion::stoppable::{self, Stopping};
use crate::motion::trajectory::Trajectory;

impl Kernel {
    /// A lease that is over, or an effort past what the intent allowed itself, ends the intent in a
    /// controlled stop; the machine stays Armed.
    pub(crate) fn expire(&mut self, tick: &mut Tick<'_>) {
        let Some(active) = &self.active else { return };
        let ending = if tick.inputs.now_ns >= active.lease_until_ns() {
            Ending::Expired
        } else {
            let axes = feedback::axes(tick.config, tick.inputs).enumerate();
            let past = axes.into_iter().find_map(|(index, (_, measured))| {
                let limit = active.goal(index)?.effort_max_nm?;
                let effort = measured.effort_nm.abs();
                let objection = Objection::new(Rule::Effort, effort, limit, limit).on(index);
                (effort > limit).then_some(objection)
            });
            let Some(objection) = past else { return };
            Ending::Aborted(Cause::LimitPassed, Some(objection))
        };
        self.end_active(tick, ending);
        self.trajectory = Trajectory::stop(tick.config, &self.setpoints);
    }

    /// The next setpoints, each verified; where one is not stoppable, the last verified stop is
    /// executed instead.
    pub(crate) fn follow(&mut self, tick: &mut Tick<'_>) {
        if !matches!(self.mode, Mode::Armed | Mode::Stopping { .. }) {
            return;
        }
        self.trajectory.advance();
        let next: ArrayVec<Motion, AXES_MAX> = self.trajectory.setpoints().collect();
        match self.first_unverified(tick, &next) {
            None => self.setpoints = next,
            Some(axis) => self.refuse_to_follow(tick, axis),
        }
        if self.active.is_some() && self.trajectory.has_arrived() {
            self.end_active(tick, Ending::Completed);
        }
    }

    fn first_unverified(&self, tick: &Tick<'_>, next: &[Motion]) -> Option<usize> {
        // A stop that is under way is the verified one; nothing would take its place.
        let stopping_already = self.mode != Mode::Armed || self.active.is_none();
        let delay_ns = tick.config.budgets.reaction_max_ns;
        tick.config.axes.iter().zip(next).position(|(axis, at)| {
            let stopping = Stopping::new(&axis.limits, delay_ns);
            !at.is_finite() || !(stopping_already || stoppable::check(&stopping, at))
        })
    }

    fn refuse_to_follow(&mut self, tick: &mut Tick<'_>, axis: usize) {
        let (cause, detail) = (Cause::NotStoppable, u32::try_from(axis).unwrap_or(u32::MAX));
        self.end_active(tick, Ending::Aborted(cause, None));
        self.trajectory = Trajectory::stop(tick.config, &self.setpoints);
        self.trajectory.advance();
        let next: ArrayVec<Motion, AXES_MAX> = self.trajectory.setpoints().collect();
        if next.iter().all(Motion::is_finite) {
            self.setpoints = next;
        } else {
            self.apply(tick, Event::Halt { cause, detail });
        }
        if tick.config.reacts {
            let reaction = tick.config.reactions.limit_passed;
            self.react(tick, Fault { cause, detail, reaction });
        }
    }
}

//! The control thread: one kernel tick per period, at absolute times.
//!
//! Each tick gathers what the buses, the planner, the operator and the other threads have left,
//! runs the kernel once, and hands out what it decided. Between the wake-up and the last order
//! there is no allocation, no lock, no log and no system call but the bell of each bus thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use hal::drive::{DriveCommand, DriveFeedback, DriveGoal};
use mechos_kernel::io::{AxisFeedback, AxisState, Goal, OperatorCommand};
use mechos_kernel::{Config, Inputs, Kernel, Mode, Outputs};
use mechos_robot::Wake;
use nix::sys::eventfd::EventFd;
use rtrb::{Consumer, Producer};
use shm_protocol::records::{AXES_MAX, Cause};

use crate::fence::Fences;
use crate::gather::{LinkDesk, Watchers};
use crate::host::clock;
use crate::host::grants::{ThreadCounters, counters_of_current};
use crate::host::slots;
use crate::inject::Target;
use crate::miss_cause::cause_of;
use crate::note::{Note, Notes};
use crate::order::{Order, Report};
use crate::publish::Publisher;
use crate::schedule::{Miss, Schedule, Tick, judge};
use crate::shared::Shared;
use crate::snapshot::Sample;

/// The control thread's end of one bus.
pub struct BusEnd {
    /// Orders to the bus thread.
    pub orders: Producer<Order>,
    /// Reports from it.
    pub reports: Consumer<Report>,
    /// Wakes it.
    pub bell: Arc<EventFd>,
    /// The bus' axes, in the bus' order, as indices of the robot's axes.
    pub axes: ArrayVec<usize, AXES_MAX>,
}

/// What the control thread is made of.
pub struct ControlThread {
    /// The shared words.
    pub shared: Arc<Shared>,
    /// The guardian's fence.
    pub fences: Arc<Fences>,
    /// The kernel's configuration.
    pub config: Config,
    /// Budget of one tick's computation, ns.
    pub execution_ns: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// Its inputs, filled anew each tick.
    pub inputs: Inputs,
    /// Its outputs.
    pub outputs: Outputs,
    /// The buses.
    pub buses: Vec<BusEnd>,
    /// Newest feedback of each axis.
    pub feedback: ArrayVec<Option<DriveFeedback>, AXES_MAX>,
    /// The planner's connection.
    pub link: LinkDesk,
    /// The guardian's page and the other threads' beats.
    pub watchers: Watchers,
    /// Operators' edges from housekeeping.
    pub operators: Consumer<OperatorCommand>,
    /// Telemetry and status.
    pub publisher: Publisher,
    /// Notes to housekeeping.
    pub notes: Notes,
    /// Counts operators' resets; drives reset their faults when it changes.
    pub fault_resets: u32,
    /// Latest permitted end of a tick's outputs after its nominal start, ns.
    pub deadline_ns: u64,
    /// How it waits for the next tick.
    pub wake: Wake,
}

impl ControlThread {
    /// Runs until the process ends. Real time.
    pub fn run(&mut self) {
        let mut schedule = self.begin_schedule();
        while !self.shared.leave.load(Ordering::Relaxed) {
            let woken_ns = self.wait_until(schedule.next_ns());
            let tick = schedule.begin(woken_ns);
            let began = (counters_of_current(), clock::thread_ns());
            self.shared.inject.act(Target::Control, clock::now_ns);
            self.gather(&tick, woken_ns);
            let before = self.kernel.mode();
            self.kernel.tick(&self.config, &self.inputs, &mut self.outputs);
            self.act_on_reset(woken_ns);
            self.hand_out(&tick);
            let computed_ns = clock::now_ns();
            // Before the bells: from there on the bus threads take this CPU, as they should.
            let miss = self.judge(&tick, woken_ns, computed_ns, began);
            self.ring();
            self.tick_off(&tick, computed_ns);
            self.publish(&schedule, miss, before);
        }
    }

    /// Waits as the robot file has it; returns the time right after.
    fn wait_until(&self, start_ns: u64) -> u64 {
        match self.wake {
            Wake::Spin { margin_ns } => clock::spin_until(start_ns, margin_ns),
            Wake::Sleep => {
                clock::sleep_until(start_ns);
                clock::now_ns()
            }
        }
    }

    /// Wakes the bus threads.
    fn ring(&self) {
        for bus in &self.buses {
            let _ = bus.bell.write(1);
        }
    }

    /// The schedule starts at a whole period from now; after a caught panic the running one goes
    /// on, so that the ticks missed meanwhile count as skipped.
    fn begin_schedule(&mut self) -> Schedule {
        let period_ns = self.config.budgets.period_ns;
        if let Some(schedule) = self.publisher.schedule {
            return schedule;
        }
        let start_ns = (clock::now_ns() / period_ns.max(1) + 2).saturating_mul(period_ns);
        self.shared.schedule_start_ns.store(start_ns, Ordering::Release);
        Schedule::new(start_ns, period_ns)
    }

    fn gather(&mut self, tick: &Tick, now_ns: u64) {
        for bus in &mut self.buses {
            let mut newest = None;
            while let Ok(report) = bus.reports.pop() {
                newest = Some(report);
            }
            let Some(report) = newest else { continue };
            for (axis, drive) in bus.axes.iter().zip(report.drives) {
                if let Some(slot) = self.feedback.get_mut(*axis) {
                    *slot = Some(drive);
                }
            }
        }
        self.inputs.now_ns = now_ns;
        self.inputs.tick = tick.number;
        self.inputs.axes.clear();
        for feedback in &self.feedback {
            let axis = feedback.as_ref().map_or_else(AxisFeedback::default, |drive| AxisFeedback {
                state: axis_state(drive),
                position_rad: drive.position_rad,
                velocity_rad_s: drive.velocity_rad_s,
                effort_nm: drive.effort_nm,
                age_ns: drive.position_time_ns.map_or(u64::MAX, |t| now_ns.saturating_sub(t)),
                homed: drive.homed,
                alive: drive.alive,
                fault_code: drive.fault_code,
            });
            self.inputs.axes.push(axis);
        }
        self.inputs.operator = self.operators.pop().ok();
        self.inputs.health = self.watchers.look(&self.shared, &self.fences, now_ns);
        let reserved = self.outputs.verdicts_reserved;
        self.link.gather(&self.shared, now_ns, reserved, &mut self.inputs, &mut self.notes);
    }

    /// An operator's reset that the kernel took clears what was latched outside of it.
    fn act_on_reset(&mut self, now_ns: u64) {
        if !self.outputs.clear_latches {
            return;
        }
        self.fault_resets = self.fault_resets.wrapping_add(1);
        self.watchers.reset(&self.shared, &self.fences);
        self.notes.leave(Note::Reset { t_ns: now_ns });
    }

    fn hand_out(&mut self, tick: &Tick) {
        // Release pairs with the Acquire of the watchers: power is announced before it is ordered.
        self.shared.energised.store(self.outputs.energised, Ordering::Release);
        let idle = matches!(self.outputs.mode, Mode::Disarmed | Mode::Halted { .. });
        self.shared.armed.store(!idle, Ordering::Release);
        slots::set_armed(!idle);
        let halt = self.outputs.axes.iter().any(|axis| axis.goal == Goal::Halt);
        for bus in &mut self.buses {
            let mut commands = ArrayVec::new();
            for axis in &bus.axes {
                let command = self.outputs.axes.get(*axis).copied().unwrap_or_default();
                commands.push(DriveCommand {
                    goal: drive_goal(command.goal),
                    position_rad: command.position_rad,
                    fault_resets: self.fault_resets,
                });
            }
            let order = Order {
                tick: tick.number,
                nominal_ns: tick.nominal_ns,
                computed_ns: clock::now_ns(),
                halt,
                energised: self.outputs.energised,
                commands,
            };
            // A full ring means a bus thread that hangs: the deadline thread sees its tick stand.
            let _ = bus.orders.push(order);
        }
        self.watchers.beat(tick.number, clock::now_ns(), self.outputs.mode, self.outputs.energised);
        self.link.answer(&self.outputs);
    }

    fn tick_off(&mut self, tick: &Tick, computed_ns: u64) {
        // Release pairs with the Acquire of the deadline thread.
        self.shared.ticks.control.store(tick.number.saturating_add(1), Ordering::Release);
        // The oldest tick that this turn stands for, skipped ones counted, against its deadline:
        // the deadline thread has found it already, unless it is switched off or starved itself.
        let skipped_ns = tick.skipped_before.saturating_mul(self.config.budgets.period_ns);
        let late_ns = computed_ns.saturating_sub(tick.nominal_ns).saturating_add(skipped_ns);
        if self.outputs.energised && late_ns > self.deadline_ns {
            self.shared.latch.raise(Cause::DeadlineControl, 0);
        }
        self.publisher.sample(Sample {
            wake_ns: self.inputs.now_ns.saturating_sub(tick.nominal_ns).saturating_add(skipped_ns),
            compute_ns: computed_ns.saturating_sub(self.inputs.now_ns),
        });
    }

    /// Judges the tick against the period and notes a miss with its cause. `began` is what the
    /// thread's counters and its own running time were at the wake-up.
    fn judge(
        &mut self,
        tick: &Tick,
        woken_ns: u64,
        computed_ns: u64,
        (counters, ran_ns): (ThreadCounters, u64),
    ) -> Option<Miss> {
        let period_ns = self.config.budgets.period_ns;
        let miss = judge(tick, period_ns, self.execution_ns, woken_ns, computed_ns)?;
        let end_ns = if miss == Miss::LateWake { woken_ns } else { computed_ns };
        let computing_ns = computed_ns.saturating_sub(woken_ns);
        let ran_ns = clock::thread_ns().saturating_sub(ran_ns);
        self.notes.leave(Note::Missed {
            t_ns: computed_ns,
            tick: tick.number,
            miss,
            cause: cause_of(miss, &counters, &counters_of_current(), computing_ns, ran_ns),
            skipped: tick.skipped_before,
            late_ns: end_ns.saturating_sub(tick.nominal_ns),
        });
        Some(miss)
    }

    fn publish(&mut self, schedule: &Schedule, miss: Option<Miss>, before: Mode) {
        if before != self.outputs.mode {
            self.notes.leave(Note::Mode {
                t_ns: self.inputs.now_ns,
                from: before,
                to: self.outputs.mode,
                epoch: self.outputs.epoch,
            });
        }
        for verdict in &self.outputs.verdicts {
            self.notes.leave(Note::Verdict(*verdict));
        }
        if let Some(answer) = self.outputs.answer {
            self.notes.leave(Note::Answer(answer));
        }
        self.publisher.publish(schedule, miss, &self.inputs, &self.outputs, &self.feedback);
        self.link.publish(&self.publisher.telemetry);
        self.publisher.snapshot(&self.link, self.notes.dropped());
    }
}

fn axis_state(drive: &DriveFeedback) -> AxisState {
    use hal::drive::DriveState;
    match drive.state {
        DriveState::Offline => AxisState::Offline,
        DriveState::Configuring => AxisState::Configuring,
        DriveState::Ready => AxisState::Ready,
        DriveState::Enabling => AxisState::Enabling,
        DriveState::Enabled => AxisState::Enabled,
        DriveState::QuickStop => AxisState::QuickStop,
        DriveState::Fault => AxisState::Fault,
        DriveState::Misconfigured => AxisState::Misconfigured,
    }
}

fn drive_goal(goal: Goal) -> DriveGoal {
    match goal {
        Goal::Off => DriveGoal::Off,
        Goal::Enabled => DriveGoal::Enabled,
        Goal::Halt => DriveGoal::Halt,
    }
}

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
use mechos_operator::LatencyPath;
use mechos_robot::Wake;
use nix::sys::eventfd::EventFd;
use rtrb::{Consumer, Producer};
use shm_protocol::records::{AXES_MAX, Cause, VerdictKind};

use crate::fence::Fences;
use crate::gather::{LinkDesk, Watchers};
use crate::host::clock;
use crate::host::slots;
use crate::inject::Target;
use crate::miss_cause::{Previous, Usage};
use crate::note::{Note, Notes};
use crate::order::{Order, Report};
use crate::publish::Publisher;
use crate::schedule::{Allowed, Schedule, Tick, first_start_ns, judge};
use crate::shared::Shared;
use crate::stamps::Stamps;

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
    /// Arrival of the positions that came in with this tick, CLOCK_MONOTONIC ns.
    pub arrived_ns: ArrayVec<u64, AXES_MAX>,
    /// When the tick began that first ordered the stop in force, CLOCK_MONOTONIC ns.
    pub halt_ns: Option<u64>,
    /// The tick before; kept over a caught panic.
    pub previous: Option<Previous>,
}

impl ControlThread {
    /// Runs until the process ends. Real time.
    pub fn run(&mut self) {
        let mut schedule = self.begin_schedule();
        while !self.shared.leave.load(Ordering::Relaxed) {
            let woken_ns = self.wait_until(schedule.next_ns());
            let tick = schedule.begin(woken_ns);
            // Beats at its begin too: a tick that hangs is then the deadline thread's, whose deadline
            // comes before the guardian's time-out counted from here, and not from the last tick's end.
            let (mode, energised) = (self.outputs.mode, self.outputs.energised);
            self.watchers.beat(tick.number, woken_ns, mode, energised);
            let began = Usage::now();
            self.act_on_injection(&tick);
            self.gather(&tick, woken_ns);
            let gathered_ns = clock::now_ns();
            let before = self.kernel.mode();
            self.kernel.tick(&self.config, &self.inputs, &mut self.outputs);
            self.act_on_reset(woken_ns);
            let decided_ns = clock::now_ns();
            self.hand_out(&tick);
            let computed_ns = clock::now_ns();
            let stamps = Stamps { woken_ns, began, gathered_ns, decided_ns, computed_ns };
            // Before the bells: from there on the bus threads take this CPU, as they should.
            self.judge(&tick, &stamps);
            self.ring();
            self.tick_off(&tick, computed_ns);
            self.publish(&schedule, before);
            self.previous = Some(Previous { began, computed_ns, done_ns: clock::now_ns() });
        }
    }

    /// Carries out an injected fault, if one is armed, and says which tick it hit.
    fn act_on_injection(&mut self, tick: &Tick) {
        if let Some(injection) = self.shared.inject.act(Target::Control, clock::now_ns) {
            self.notes.leave(Note::Injected {
                injection,
                tick: tick.number,
                t_ns: clock::now_ns(),
            });
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

    /// The schedule starts one to two periods from now; after a caught panic the running one goes
    /// on, so that the ticks missed meanwhile count as skipped.
    fn begin_schedule(&mut self) -> Schedule {
        let period_ns = self.config.budgets.period_ns;
        if let Some(schedule) = self.publisher.schedule {
            // What is late from here on is the fault of the tick that never ended.
            let (computed_ns, done_ns) = (u64::MAX, u64::MAX);
            self.previous = Some(Previous { began: Usage::now(), computed_ns, done_ns });
            return schedule;
        }
        let start_ns = first_start_ns(clock::now_ns(), period_ns);
        self.shared.schedule_start_ns.store(start_ns, Ordering::Release);
        Schedule::new(start_ns, period_ns)
    }

    fn gather(&mut self, tick: &Tick, now_ns: u64) {
        self.arrived_ns.clear();
        for bus in &mut self.buses {
            let mut newest = None;
            while let Ok(report) = bus.reports.pop() {
                newest = Some(report);
            }
            let Some(report) = newest else { continue };
            for (axis, drive) in bus.axes.iter().zip(report.drives) {
                if let Some(slot) = self.feedback.get_mut(*axis) {
                    let known_ns = slot.as_ref().and_then(|known| known.position_time_ns);
                    let arrived_ns = drive.position_time_ns.filter(|t| Some(*t) != known_ns);
                    if let Some(arrived_ns) = arrived_ns {
                        // Every axis is on one bus: there is room for all.
                        let _ = self.arrived_ns.try_push(arrived_ns);
                    }
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
        let disarmed = self.outputs.mode == Mode::Disarmed;
        self.shared.disarmed.store(disarmed, Ordering::Release);
        slots::set_armed(!idle);
        let halt = self.outputs.axes.iter().any(|axis| axis.goal == Goal::Halt);
        let now_ns = self.inputs.now_ns;
        self.halt_ns = halt.then(|| self.halt_ns.unwrap_or(now_ns));
        let issued_ns = self.admitted();
        let allowed = self.allowed();
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
            let computed_ns = clock::now_ns();
            let late = judge(tick, allowed, now_ns, computed_ns).is_some();
            let order = Order {
                tick: tick.number,
                nominal_ns: tick.nominal_ns,
                computed_ns,
                late,
                halt,
                halt_ns: self.halt_ns.unwrap_or(0),
                energised: self.outputs.energised,
                issued_ns,
                commands,
            };
            // A full ring means a bus thread that hangs: the deadline thread sees its tick stand.
            let _ = bus.orders.push(order);
        }
        self.watchers.beat(tick.number, clock::now_ns(), self.outputs.mode, self.outputs.energised);
        self.link.answer(&self.outputs);
    }

    /// When the intent that this tick admitted was issued; none for a stop under any time, which the gate
    /// takes as well.
    fn admitted(&mut self) -> Option<u64> {
        let intent = &self.inputs.claim.as_ref()?.intent;
        let age_ns = self.inputs.now_ns.saturating_sub(intent.issued_ns);
        let admitted = self.outputs.verdicts.iter().any(|verdict| {
            matches!(verdict.kind, VerdictKind::Accepted | VerdictKind::Clamped)
                && verdict.number == intent.number
        });
        if !admitted || age_ns > self.config.gate.intent_age_max_ns {
            return None;
        }
        let issued_ns = intent.issued_ns;
        self.publisher.timings.sample(LatencyPath::IntentSeen, age_ns);
        Some(issued_ns)
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
        let woken_ns = self.inputs.now_ns;
        let wake_ns = woken_ns.saturating_sub(tick.nominal_ns).saturating_add(skipped_ns);
        let timings = &mut self.publisher.timings;
        timings.sample(LatencyPath::Wake, wake_ns);
        timings.sample(LatencyPath::Compute, computed_ns.saturating_sub(woken_ns));
    }

    fn allowed(&self) -> Allowed {
        let (period_ns, execution_ns) = (self.config.budgets.period_ns, self.execution_ns);
        Allowed { period_ns, execution_ns }
    }

    /// Judges the tick, counts a miss and notes it with its cause.
    fn judge(&mut self, tick: &Tick, stamps: &Stamps) {
        let judged = stamps.judge(tick, self.allowed(), self.previous.as_ref(), Usage::now);
        let Some(judged) = judged else { return };
        self.shared.misses.count(judged.miss, judged.cause);
        self.notes.leave(Note::Missed {
            t_ns: stamps.computed_ns,
            tick: tick.number,
            miss: judged.miss,
            cause: judged.cause,
            stage: judged.stage,
            bus: None,
            call: judged.call,
            skipped: tick.skipped_before,
            late_ns: judged.late_ns,
        });
    }

    fn publish(&mut self, schedule: &Schedule, before: Mode) {
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
        self.publisher.publish(schedule, &self.inputs, &self.outputs, &self.feedback);
        if self.link.publish(&self.publisher.telemetry) {
            let now_ns = clock::now_ns();
            for arrived_ns in &self.arrived_ns {
                let age_ns = now_ns.saturating_sub(*arrived_ns);
                self.publisher.timings.sample(LatencyPath::FeedbackPublished, age_ns);
            }
        }
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

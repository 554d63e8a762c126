//! Telemetry for the planner and snapshots for the operator, made from one tick's inputs and
//! outputs.

use arrayvec::ArrayVec;
use hal::drive::DriveFeedback;
use mechos_kernel::{Inputs, Mode, Outputs};
use rtrb::Producer;
use shm_protocol::records::{AXES_MAX, AxisTelemetry, Cause, ModeCode, Telemetry};

use crate::gather::LinkDesk;
use crate::schedule::Schedule;
use crate::snapshot::{AxisSnapshot, Snapshot};
use crate::timing::Timings;

/// How often a snapshot is made, ns.
const SNAPSHOT_NS: u64 = 10_000_000;

/// The control thread's memory of what it publishes.
pub struct Publisher {
    /// Timing to housekeeping.
    pub timings: Timings,
    /// Snapshots to housekeeping.
    pub snapshots: Producer<Snapshot>,
    /// The newest telemetry.
    pub telemetry: Telemetry,
    /// The running schedule, kept over a caught panic.
    pub schedule: Option<Schedule>,
    next: Snapshot,
    snapshot_due_ns: u64,
}

impl Publisher {
    /// Publishes into these rings, for `axis_count` axes.
    pub fn new(timings: Timings, snapshots: Producer<Snapshot>, axis_count: usize) -> Self {
        let axes = (0..axis_count.min(AXES_MAX)).map(|_| AxisSnapshot::default()).collect();
        Self {
            timings,
            snapshots,
            telemetry: blank_telemetry(axis_count),
            schedule: None,
            next: blank_snapshot(axes),
            snapshot_due_ns: 0,
        }
    }

    /// Brings telemetry and the next snapshot up to this tick. Real time.
    pub fn publish(
        &mut self,
        schedule: &Schedule,
        inputs: &Inputs,
        outputs: &Outputs,
        drives: &[Option<DriveFeedback>],
    ) {
        self.schedule = Some(*schedule);
        let (mode, cause, cause_detail) = code_of(outputs.mode);
        let telemetry = &mut self.telemetry;
        telemetry.tick = inputs.tick;
        telemetry.published_ns = inputs.now_ns;
        telemetry.mode = mode;
        telemetry.cause = cause;
        telemetry.cause_detail = cause_detail;
        telemetry.epoch = outputs.epoch;
        telemetry.operator_has_control = outputs.operator_has_control;
        telemetry.active_intent = outputs.active_intent;
        telemetry.counters = outputs.counters;
        let feedback = inputs.axes.iter().zip(&outputs.axes).zip(drives);
        let places = telemetry.axes.iter_mut().zip(&mut self.next.axes);
        for ((now, axis), ((feedback, command), drive)) in places.zip(feedback) {
            let known = feedback.age_ns != u64::MAX;
            if known && outputs.energised && axis.start_rad.is_some() {
                axis.travel_rad += (feedback.position_rad - axis.now.position_rad).abs();
            }
            *now = AxisTelemetry {
                position_rad: feedback.position_rad,
                velocity_rad_s: feedback.velocity_rad_s,
                effort_nm: feedback.effort_nm,
                setpoint_rad: command.position_rad,
                age_ns: feedback.age_ns,
                state: feedback.state as u8,
                fault_code: feedback.fault_code,
            };
            axis.now = *now;
            if known && outputs.energised && axis.start_rad.is_none() {
                axis.start_rad = Some(feedback.position_rad);
            }
            axis.error = drive.as_ref().and_then(|drive| drive.error);
        }
        let next = &mut self.next;
        next.t_ns = inputs.now_ns;
        next.ticks = schedule.run();
        next.skipped = schedule.skipped();
        next.mode = outputs.mode;
        next.epoch = outputs.epoch;
        next.operator_has_control = outputs.operator_has_control;
        next.interlocks = outputs.interlocks;
        next.counters = outputs.counters;
        next.active_intent = outputs.active_intent;
        next.may_exit = outputs.may_exit;
    }

    /// Hands a snapshot to housekeeping when one is due. Real time.
    pub fn snapshot(&mut self, link: &LinkDesk, notes_lost: u64) {
        if self.next.t_ns < self.snapshot_due_ns {
            return;
        }
        self.snapshot_due_ns = self.next.t_ns.saturating_add(SNAPSHOT_NS);
        self.next.link = link.snapshot();
        self.next.notes_lost = notes_lost;
        // A full ring means a housekeeping thread that is behind: it gets a newer one.
        let _ = self.snapshots.push(self.next.clone());
    }
}

/// The mode as it stands on the page.
pub fn code_of(mode: Mode) -> (ModeCode, Cause, u32) {
    use mechos_kernel::mode::AfterStop;
    match mode {
        Mode::Disarmed => (ModeCode::Disarmed, Cause::None, 0),
        Mode::Arming { .. } => (ModeCode::Arming, Cause::None, 0),
        Mode::Armed => (ModeCode::Armed, Cause::None, 0),
        Mode::Stopping { then: AfterStop::Disarm, .. } => (ModeCode::Stopping, Cause::None, 0),
        Mode::Stopping { then: AfterStop::Halt { cause, detail }, .. } => {
            (ModeCode::Stopping, cause, detail)
        }
        Mode::Halted { cause, detail } => (ModeCode::Halted, cause, detail),
    }
}

fn blank_telemetry(axis_count: usize) -> Telemetry {
    Telemetry {
        tick: 0,
        published_ns: 0,
        mode: ModeCode::Disarmed,
        cause: Cause::None,
        cause_detail: 0,
        epoch: 0,
        operator_has_control: false,
        active_intent: 0,
        counters: Default::default(),
        axis_count: u8::try_from(axis_count.min(AXES_MAX)).unwrap_or(0),
        axes: [AxisTelemetry::default(); AXES_MAX],
    }
}

fn blank_snapshot(axes: ArrayVec<AxisSnapshot, AXES_MAX>) -> Snapshot {
    Snapshot {
        t_ns: 0,
        ticks: 0,
        skipped: 0,
        mode: Mode::Disarmed,
        epoch: 0,
        operator_has_control: false,
        interlocks: 0,
        counters: Default::default(),
        active_intent: 0,
        link: None,
        may_exit: false,
        notes_lost: 0,
        axes,
    }
}

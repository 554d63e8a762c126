//! What goes into one tick and what comes out of it. All of it is plain data of fixed size, so
//! that a recorded run is a list of [`Inputs`].

use arrayvec::ArrayVec;
use shm_protocol::records::{AXES_MAX, Cause, Claim, IntentCounters, Verdict};

use crate::config::Config;
use crate::mode::Mode;

/// Verdicts that an intent can bring in the tick that takes it: its admission, and its final.
pub const VERDICTS_OF_CLAIM: usize = 2;
/// Verdicts that one tick can give: those of the intent that it takes, and the final of the active one,
/// once by whoever preempts it and once by a stop.
pub const VERDICTS_PER_TICK_MAX: usize = VERDICTS_OF_CLAIM + 2;

/// A drive's state as the kernel needs it. Numbers are fixed: telemetry carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum AxisState {
    /// Nothing heard of it.
    #[default]
    Offline = 0,
    /// Being configured and read back.
    Configuring = 1,
    /// Configured and verified, without power.
    Ready = 2,
    /// On its way to `Enabled`.
    Enabling = 3,
    /// Powered, following setpoints.
    Enabled = 4,
    /// Braking by its own quick stop, or holding after it.
    QuickStop = 5,
    /// In fault.
    Fault = 6,
    /// Configuration failed: an object's read-back differed, or the identity is another.
    Misconfigured = 7,
}

/// One axis as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisFeedback {
    /// Drive state.
    pub state: AxisState,
    /// Measured position, rad (m).
    pub position_rad: f64,
    /// Measured velocity, rad/s (m/s).
    pub velocity_rad_s: f64,
    /// Measured effort, Nm (N).
    pub effort_nm: f64,
    /// Age of the position, ns; `u64::MAX` when none was ever received.
    pub age_ns: u64,
    /// The position is absolute or has been homed.
    pub homed: bool,
    /// The drive's heartbeat is within its time.
    pub alive: bool,
    /// Error code, 0: none.
    pub fault_code: u16,
}

/// What an axis' drive is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Goal {
    /// No power (voltage disabled).
    #[default]
    Off = 0,
    /// Powered and following `position_rad`.
    Enabled = 1,
    /// Quick stop now.
    Halt = 2,
}

/// One axis as commanded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisCommand {
    /// What the drive is to do.
    pub goal: Goal,
    /// Setpoint, rad (m); meaningful with `Goal::Enabled`.
    pub position_rad: f64,
    /// Velocity of the setpoint, rad/s (m/s).
    pub velocity_rad_s: f64,
    /// Acceleration of the setpoint, rad/s² (m/s²).
    pub acceleration_rad_s2: f64,
}

/// What an operator asks. Each is an edge with an id; each is answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorAction {
    /// Disarmed to Arming.
    Arm,
    /// Controlled stop if moving, then power off.
    Disarm,
    /// Controlled stop, latched.
    Stop,
    /// Fastest stop, latched.
    Estop,
    /// Halted to Disarmed, once every drive stands still. Also resets drive faults.
    Reset,
    /// Move to the home pose, through the gate; the planner is locked out until the next arming
    /// or `Resume`.
    Home,
    /// Let the planner have the machine again.
    Resume,
    /// The process is to end: controlled stop, power off, then the daemon leaves.
    Shutdown,
}

/// One operator's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorCommand {
    /// Chosen by whoever sent it; the answer carries it back.
    pub id: u64,
    /// What is asked.
    pub action: OperatorAction,
}

/// Why an operator's command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OperatorRefusal {
    /// Not from this mode.
    Mode,
    /// Interlocks are open; the bits say which ([`Interlocks`]).
    Interlocks(u32),
    /// An axis still moves.
    Moving,
    /// The gate refused the operator's motion under a rule; the verdict is in the log.
    Gate(Verdict),
}

/// The answer to an operator's edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatorAnswer {
    /// The command's id.
    pub id: u64,
    /// Whether it was taken. `Home` answers when it is admitted, not when it is completed.
    pub result: Result<(), OperatorRefusal>,
}

/// Why arming is not possible now: a set bit is an open interlock. Bits 0 to 15 are found by the
/// kernel from feedback, bits 16 to 31 are given by the daemon in [`Health::interlocks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interlocks(pub u32);

impl Interlocks {
    /// An axis is not homed.
    pub const NOT_HOMED: u32 = 1 << 0;
    /// An axis moves.
    pub const MOVING: u32 = 1 << 1;
    /// An axis' feedback is stale or missing.
    pub const FEEDBACK: u32 = 1 << 2;
    /// A drive is not configured and verified (identity, limits, stop options, watchdog).
    pub const DRIVE_NOT_READY: u32 = 1 << 3;
    /// A drive's heartbeat is missing.
    pub const DRIVE_SILENT: u32 = 1 << 4;
    /// An axis stands outside its position limits.
    pub const OUTSIDE_LIMITS: u32 = 1 << 5;
    /// A cause is latched.
    pub const LATCHED: u32 = 1 << 6;
    /// The configuration is not sound: see `Config::is_sound`.
    pub const CONFIG: u32 = 1 << 7;
    /// The guardian is not connected, or its beat is old.
    pub const GUARDIAN: u32 = 1 << 16;
    /// The deadline thread's stop socket is not proved by a frame and its echo.
    pub const DEADLINE_SOCKET: u32 = 1 << 17;
    /// The guardian's stop socket is not proved by a frame and its echo.
    pub const GUARDIAN_SOCKET: u32 = 1 << 18;
    /// The host did not grant what was asked for a real-time thread.
    pub const REAL_TIME: u32 = 1 << 19;
    /// A bus is not error-active.
    pub const BUS: u32 = 1 << 20;
    /// The guardian's fence is up.
    pub const FENCE: u32 = 1 << 21;
    /// The robot file requires a certificate, and there is none that speaks of this machine.
    pub const CERTIFICATE: u32 = 1 << 22;
    /// A certificate is required, and the guardian has loaded another robot file than the daemon.
    pub const GUARDIAN_CONFIGURATION: u32 = 1 << 23;
}

/// The planner's side as seen in this tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// A peer is connected and its process lives.
    pub connected: bool,
    /// Generation of the connection; 0: never one.
    pub generation: u32,
    /// Age of its heartbeat, ns.
    pub heartbeat_age_ns: u64,
    /// Its stop counter; any change latches.
    pub stops: u64,
    /// Its emergency-stop counter; any change latches.
    pub estops: u64,
}

/// What the daemon's other threads have found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// A cause latched outside the kernel (deadline thread, guardian's fence, a panic, a bus), and
    /// its detail. It stays set until `Outputs::clear_latches` was seen.
    pub latched: Option<(Cause, u32)>,
    /// Open interlocks that only the daemon can see, bits 16 to 31 of [`Interlocks`].
    pub interlocks: u32,
    /// Age of the guardian's beat, ns.
    pub guardian_beat_age_ns: u64,
    /// Age of the deadline thread's beat, ns.
    pub deadline_beat_age_ns: u64,
    /// Age of the housekeeping thread's beat, ns.
    pub housekeeping_beat_age_ns: u64,
    /// CLOCK_BOOTTIME minus CLOCK_MONOTONIC, ns; a change means a suspend.
    pub suspended_ns: u64,
    /// A real-time thread lacks what was asked for it, and that is not accepted.
    pub real_time_lost: bool,
}

/// Everything one tick sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// Start of the tick, CLOCK_MONOTONIC ns.
    pub now_ns: u64,
    /// Number of the tick, counted from the schedule's start: skipped ticks are left out.
    pub tick: u64,
    /// Feedback, one entry an axis, in the configuration's order.
    pub axes: ArrayVec<AxisFeedback, AXES_MAX>,
    /// The intent taken from the ring in this tick. One at the most, so that whoever fills the ring
    /// costs a tick no more than one record, and one plan.
    pub claim: Option<Claim>,
    /// The planner's side.
    pub link: Link,
    /// At most one operator's edge a tick.
    pub operator: Option<OperatorCommand>,
    /// The other threads' findings.
    pub health: Health,
}

/// Everything one tick decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// The mode after the tick.
    pub mode: Mode,
    /// The epoch after the tick.
    pub epoch: u32,
    /// Commands, one entry an axis.
    pub axes: ArrayVec<AxisCommand, AXES_MAX>,
    /// Verdicts given in this tick.
    pub verdicts: ArrayVec<Verdict, VERDICTS_PER_TICK_MAX>,
    /// Answer to the operator's edge of this tick.
    pub answer: Option<OperatorAnswer>,
    /// The sums so far.
    pub counters: IntentCounters,
    /// Number of the intent being executed, 0: none, or an operator's.
    pub active_intent: u64,
    /// An operator has the machine.
    pub operator_has_control: bool,
    /// Open interlocks now, as [`Interlocks`] bits.
    pub interlocks: u32,
    /// An operator's reset was taken in this tick: latches, fence and drive faults may be cleared.
    pub clear_latches: bool,
    /// Any axis is or may be powered: the other stop paths must watch.
    pub energised: bool,
    /// Verdict slots that are spoken for: take an intent next tick only while the ring has
    /// [`VERDICTS_OF_CLAIM`] more.
    pub verdicts_reserved: usize,
    /// The daemon may leave: a shutdown was asked and nothing is powered.
    pub may_exit: bool,
}

impl Outputs {
    /// Outputs for a machine of `config`: no power, nothing decided.
    pub fn new(config: &Config) -> Outputs {
        let mut outputs = Outputs {
            mode: Mode::Disarmed,
            epoch: 0,
            axes: ArrayVec::new(),
            verdicts: ArrayVec::new(),
            answer: None,
            counters: IntentCounters::default(),
            active_intent: 0,
            operator_has_control: false,
            interlocks: 0,
            clear_latches: false,
            energised: false,
            verdicts_reserved: 0,
            may_exit: false,
        };
        outputs.clear(config);
        outputs
    }

    /// Forgets the last tick: every axis without power, no verdict, no answer.
    pub(crate) fn clear(&mut self, config: &Config) {
        self.axes.clear();
        self.axes.extend(config.axes.iter().map(|_| AxisCommand::default()));
        self.verdicts.clear();
        self.answer = None;
        self.clear_latches = false;
    }
}

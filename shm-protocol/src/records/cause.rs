//! Why the machine was stopped. The numbers are fixed for good.

/// The latched cause of a stop; telemetry, verdicts, the fence and the log use the same numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Cause {
    /// Nothing is latched.
    #[default]
    None = 0,
    /// An operator's controlled stop.
    OperatorStop = 1,
    /// An operator's emergency stop.
    OperatorEstop = 2,
    /// The planner's stop word moved, or it sent a stop intent.
    PlannerStop = 3,
    /// The planner's emergency-stop word moved, or it sent such an intent.
    PlannerEstop = 4,
    /// The planner's process ended, or its heartbeat stood still.
    CognitionLost = 5,
    /// An axis' feedback is older than allowed; detail: axis.
    FeedbackStale = 6,
    /// A drive reports a fault; detail: axis.
    DriveFault = 7,
    /// A drive's heartbeat stood still; detail: axis.
    DriveLost = 8,
    /// A drive left its enabled state by itself; detail: axis.
    DriveLeft = 9,
    /// Actual and commanded position differ by more than allowed; detail: axis.
    FollowingError = 10,
    /// A measured value is past a limit; detail: axis.
    LimitPassed = 11,
    /// The next setpoint was not stoppable; detail: axis.
    NotStoppable = 12,
    /// The control thread missed its deadline.
    DeadlineControl = 13,
    /// A bus thread missed its deadline; detail: bus.
    DeadlineBus = 14,
    /// The deadline thread's own beat stood still.
    DeadlineThreadLost = 15,
    /// The guardian ended, or its beat stood still.
    GuardianLost = 16,
    /// The real-time process ended, or its beat stood still; latched by the guardian.
    RtLost = 17,
    /// A real-time thread panicked; detail: thread.
    ThreadPanic = 18,
    /// A bus failed: bus-off, interface down, a send refused; detail: bus.
    BusFault = 19,
    /// The host was suspended (CLOCK_BOOTTIME moved against CLOCK_MONOTONIC).
    Suspended = 20,
    /// Arming did not complete; detail: interlock bits.
    ArmingFailed = 21,
    /// The process was asked to end while energised.
    Terminated = 22,
    /// The housekeeping thread's beat stood still.
    HousekeepingLost = 23,
    /// Measured motion where none was commanded; detail: axis.
    UnexpectedMotion = 24,
    /// A real-time thread no longer has what was asked for it: policy, priority, CPU or locked
    /// memory.
    RealTimeLost = 25,
}

impl Cause {
    /// Every cause, in the order of its number.
    pub const ALL: [Cause; 26] = [
        Cause::None,
        Cause::OperatorStop,
        Cause::OperatorEstop,
        Cause::PlannerStop,
        Cause::PlannerEstop,
        Cause::CognitionLost,
        Cause::FeedbackStale,
        Cause::DriveFault,
        Cause::DriveLost,
        Cause::DriveLeft,
        Cause::FollowingError,
        Cause::LimitPassed,
        Cause::NotStoppable,
        Cause::DeadlineControl,
        Cause::DeadlineBus,
        Cause::DeadlineThreadLost,
        Cause::GuardianLost,
        Cause::RtLost,
        Cause::ThreadPanic,
        Cause::BusFault,
        Cause::Suspended,
        Cause::ArmingFailed,
        Cause::Terminated,
        Cause::HousekeepingLost,
        Cause::UnexpectedMotion,
        Cause::RealTimeLost,
    ];

    /// The cause of a number; none when this version does not know it.
    pub fn from_number(number: u16) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| *cause as u16 == number)
    }
}

//! What every drive family offers to the bus thread, in SI units at the axis.

use std::ops::Deref;

use arrayvec::ArrayVec;
use thiserror::Error;

use crate::bus::Received;
pub use crate::canopen::error::{Failure, SetupError};
use crate::frame::Frame;

/// Most frames that one tick may send on one bus.
pub const OUTBOX_MAX: usize = 32;

/// State of a drive as its master sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriveState {
    /// Nothing heard of it.
    #[default]
    Offline,
    /// Being stopped if it ran, configured and read back.
    Configuring,
    /// Configured and verified, without power.
    Ready,
    /// On its way to `Enabled`.
    Enabling,
    /// Powered, following setpoints.
    Enabled,
    /// Braking by its own quick stop, or holding after it.
    QuickStop,
    /// In fault, or lost while powered ([`HostFault`]). Only an operator's edge leaves this state.
    Fault,
    /// The set-up failed; [`DriveFeedback::error`] says where. A reset or a reboot of the drive
    /// tries again.
    Misconfigured,
}

/// What a drive is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriveGoal {
    /// No power.
    #[default]
    Off,
    /// Powered and following the setpoint. Begins on the change to this goal only: a drive that
    /// drops out is not enabled again until the goal has been another one in between.
    Enabled,
    /// Stopping. The stop itself is the bus thread's shared stop frame; no setpoint is sent.
    Halt,
}

/// One tick's command to one drive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DriveCommand {
    /// What it is to do.
    pub goal: DriveGoal,
    /// Setpoint, rad; counts only while `goal` is `Enabled`.
    pub position_rad: f64,
    /// Counts an operator's resets. A change resets a fault and repeats the set-up if needed; the
    /// first value seen is where counting begins.
    pub fault_resets: u32,
}

/// Faults that the master finds, not the drive. The numbers stand in [`DriveFeedback::fault_code`],
/// in the range that CiA 301 leaves to manufacturers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum HostFault {
    /// No heartbeat within its time while powered.
    HeartbeatLost = 0xFF01,
    /// A boot-up message while powered: the drive restarted.
    Rebooted = 0xFF02,
    /// The heartbeat says that the drive left NMT operational while powered.
    LeftOperational = 0xFF03,
    /// A setpoint is not finite or outside what the drive can count.
    SetpointRange = 0xFF04,
    /// Mode of operation is not cyclic synchronous position, or could not be read.
    Mode = 0xFF05,
    /// The drive did not get enabled in time.
    EnableTimeout = 0xFF06,
}

/// One drive as measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DriveFeedback {
    /// State.
    pub state: DriveState,
    /// Measured position, rad. Meaningful when `position_time_ns` is given.
    pub position_rad: f64,
    /// Measured velocity, rad/s.
    pub velocity_rad_s: f64,
    /// Measured effort, Nm.
    pub effort_nm: f64,
    /// When the position was on the wire, CLOCK_MONOTONIC ns.
    pub position_time_ns: Option<u64>,
    /// The heartbeat is within its time.
    pub alive: bool,
    /// The position is absolute and its drive verified.
    pub homed: bool,
    /// The drive's error code (603F, EMCY) or a [`HostFault`]; 0: none.
    pub fault_code: u16,
    /// Last status word received; 0: none.
    pub statusword: u16,
    /// Why the set-up failed, with `Misconfigured`.
    pub error: Option<SetupError>,
}

/// Frames of one tick, in sending order.
#[derive(Clone, Debug, Default)]
pub struct Outbox(ArrayVec<Frame, OUTBOX_MAX>);

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// Gives the frame back when there is no room.
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.try_push(frame).map_err(|error| error.element())
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for Outbox {
    type Target = [Frame];

    fn deref(&self) -> &[Frame] {
        &self.0
    }
}

impl<'o> IntoIterator for &'o Outbox {
    type Item = &'o Frame;
    type IntoIter = std::slice::Iter<'o, Frame>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The master of one drive. Nothing here blocks, allocates or panics.
pub trait Drive: Send {
    /// Takes in a frame from the bus, whoever it is from.
    fn on_frame(&mut self, received: &Received);

    /// One fresh tick: puts the drive's cyclic frames, at most one, into `out`.
    /// Everything received before the tick must have been given to `on_frame`.
    fn cycle(&mut self, now_ns: u64, command: &DriveCommand, out: &mut Outbox);

    /// Puts at most one frame of set-up or diagnosis into `out` and says whether it did. Called
    /// after `cycle`: every tick while `leaves_room`, else in turn with the other drives of the bus.
    fn service(&mut self, now_ns: u64, out: &mut Outbox) -> bool;

    /// Neither setpoints to it nor process data of it are on the bus, as long as it is
    /// pre-operational: a request and its answer may take their places.
    fn leaves_room(&self) -> bool;

    /// What is known of the drive.
    fn feedback(&self, now_ns: u64) -> DriveFeedback;

    /// The drive has confirmed that it stopped, or is stopping by itself: its last status word says
    /// quick stop, fault or no power. `false` for a drive that never said anything.
    fn stopped(&self) -> bool;
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ConfigError {
    /// A value cannot be.
    #[error("node {node}: {field} is {found}; allowed: {allowed}")]
    Value {
        /// CANopen node of the drive, or of the host.
        node: u8,
        /// Field of the configuration.
        field: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Two nodes of one bus have one number.
    #[error("node {node} is used twice on one bus; every drive and the host need their own number")]
    NodeTwice {
        /// The number.
        node: u8,
    },
    /// Too many drives for one bus.
    #[error("{found} drives on one bus; at most {max}")]
    Drives {
        /// How many were given.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A COB-ID collides, or does not come first in arbitration.
    #[error("{field} is {found:#05x}: {why}")]
    CobId {
        /// Field of the configuration.
        field: &'static str,
        /// What it is.
        found: u16,
        /// What it collides with.
        why: &'static str,
    },
}

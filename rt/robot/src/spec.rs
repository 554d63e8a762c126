//! What a checked robot file says, part by part. Units stand in the names.

use mechos_kernel::config::AxisLimits;
use serde::Deserialize;

/// One CAN bus.
#[derive(Clone, Debug, PartialEq)]
pub struct BusSpec {
    /// Unique; 1 to 16 of `a-z 0-9 - _`: socket and thread names carry it.
    pub name: String,
    /// What carries it.
    pub kind: BusKind,
    /// Bits per second, one of CiA 301's rates.
    pub bitrate: u32,
    /// Its worst-case load by the configured frames.
    pub load: BusLoad,
}

/// What carries a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// The user-space bus of `mechos-sim`.
    Sim,
    /// A CAN interface of the kernel; vcan too.
    SocketCan {
        /// Its name, `can0`.
        interface: String,
    },
}

/// Worst-case load of a bus: every frame with the most stuff bits that it can have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BusLoad {
    /// Bits per second, one stop frame a watchdog time included.
    pub bits_per_second: f64,
    /// The same in percent of the bit rate; below 80.
    pub percent: f64,
}

/// One axis and its drive. Units rad, or m for a linear axis.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisSpec {
    /// Unique; 1 to 24 of `a-z 0-9 - _`.
    pub name: String,
    /// Its bus, as an index into the robot's buses.
    pub bus: usize,
    /// CANopen node id, 1 to 126; unique on its bus.
    pub node: u8,
    /// Limits, all finite.
    pub limits: AxisLimits,
    /// Home pose, rad (m); inside the limits.
    pub home_rad: f64,
    /// The longest time from a fault to standstill that the axis' surroundings bear, ns. Drive
    /// watchdog and braking from full speed fit into it.
    pub hazard_ns: u64,
    /// What holds the axis once it has been halted.
    pub after_halt: AfterHalt,
    /// The drive.
    pub drive: DriveSpec,
    /// How the axis behaves in the simulator.
    pub sim: SimSpec,
}

/// What follows the drive's fastest stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterHalt {
    /// Power off; the axis stays where friction or balance leaves it.
    PowerOff,
    /// The drive closes its brake before torque leaves.
    Brake,
}

/// A CiA 402 drive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriveSpec {
    /// Expected vendor (1018h:1).
    pub vendor_id: u32,
    /// Expected product (1018h:2).
    pub product_code: u32,
    /// Counts of 607Ah and 6064h per rad (m); negative turns the axis around.
    pub counts_per_rad: f64,
    /// Position at count 0, rad (m).
    pub zero_offset_rad: f64,
    /// Effort of one per mille of rated torque (6071h, 6077h), Nm (N).
    pub effort_per_mille_nm: f64,
    /// The velocity and torque PDO comes at every so many SYNC, 1 to 240.
    pub torque_pdo_every: u8,
}

/// The plant behind an axis, for the simulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimSpec {
    /// Inertia at the axis, kg m² (kg).
    pub inertia_kg_m2: f64,
    /// Friction that grows with speed, Nm s/rad (N s/m).
    pub viscous_friction_nm_s_rad: f64,
    /// Friction that does not, Nm (N).
    pub coulomb_friction_nm: f64,
    /// What the motor can give at the axis, Nm (N).
    pub torque_max_nm: f64,
    /// Position when the simulator starts, rad (m); inside the limits.
    pub start_rad: f64,
}

/// Priorities and CPUs of the real-time threads. Deadline above guardian above bus above control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// The control thread.
    pub control: ThreadSpec,
    /// Every bus thread.
    pub bus: ThreadSpec,
    /// The deadline thread.
    pub deadline: ThreadSpec,
    /// The guardian's thread.
    pub guardian: ThreadSpec,
    /// CPU of everything else in the real-time process, by the kernel's number.
    pub housekeeping_cpu: usize,
    /// The file accepts watchers and watched on one CPU: an endless loop in a watcher is then seen
    /// by the drives' watchdogs only.
    pub shared_cpu: bool,
    /// How the control thread waits for its next tick.
    pub wake: Wake,
}

/// How the control thread waits for its next tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wake {
    /// Asleep until the tick's start: the kernel's wake-up delay is part of every tick.
    #[default]
    Sleep,
    /// Asleep until the margin before the tick's start, then watching the clock: the delay of the
    /// wake-up is hidden in the margin, for that share of the CPU.
    Spin {
        /// How long before the start the sleep ends, ns; longer than the host's wake-up delays.
        margin_ns: u64,
    },
}

/// One thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSpec {
    /// SCHED_FIFO priority, 1 to 98.
    pub priority: u8,
    /// CPU by the kernel's number.
    pub cpu: usize,
}

/// Who the planner is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CognitionSpec {
    /// User that cognition runs as; absent: the daemon's own, for simulated buses only.
    pub uid: Option<u32>,
    /// Agents that may ask for motion, 0 to 63; any other is refused.
    pub agents: Vec<u16>,
}

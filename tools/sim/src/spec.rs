//! What the simulator must know of a robot: its buses and drives, taken from the robot file.

use mechos_robot::{AxisSpec, BusKind, Robot};

/// The brake holds this much more than the motor can give.
const BRAKE_RATIO: f64 = 2.0;

/// One bus.
#[derive(Clone, Debug, PartialEq)]
pub struct BusSpec {
    /// Name; the socket of a modelled one is `bus-<name>.sock`.
    pub name: String,
    /// Bit rate, bit/s.
    pub bitrate: u32,
    /// Interface of the kernel that the drives are attached to; `None`: the bus is modelled here.
    pub interface: Option<String>,
}

/// One drive with the axis that it moves. All numbers are finite.
#[derive(Clone, Debug, PartialEq)]
pub struct DriveSpec {
    /// Name of the axis.
    pub name: String,
    /// Index of its bus in `WorldSpec::buses`.
    pub bus: usize,
    /// CANopen node, 1 to 127.
    pub node: u8,
    /// Object 1018:1.
    pub vendor_id: u32,
    /// Object 1018:2.
    pub product_code: u32,
    /// Encoder counts a radian of the axis; negative where the drive counts the other way.
    pub counts_per_rad: f64,
    /// Position of the axis at count 0, rad.
    pub zero_offset_rad: f64,
    /// Where the axis stands at the start, rad.
    pub start_rad: f64,
    /// Rated torque (object 6076), Nm.
    pub rated_torque_nm: f64,
    /// Torque that the motor can give, Nm.
    pub torque_max_nm: f64,
    /// Moment of inertia, kg m^2.
    pub inertia_kg_m2: f64,
    /// Dry friction, Nm.
    pub friction_nm: f64,
    /// Viscous friction, Nm s/rad.
    pub damping_nm_s: f64,
    /// Torque of the brake that closes when power is off, Nm.
    pub brake_nm: f64,
}

impl DriveSpec {
    /// A small joint as node `node` of the first bus, for tests and demonstrations: 10,000 counts a
    /// radian, 0.2 kg m^2, 20 Nm.
    pub fn example(node: u8) -> Self {
        Self {
            name: format!("axis{node}"),
            bus: 0,
            node,
            vendor_id: 0x4d4f,
            product_code: 0x0402,
            counts_per_rad: 10_000.0,
            zero_offset_rad: 0.0,
            start_rad: 0.0,
            rated_torque_nm: 10.0,
            torque_max_nm: 20.0,
            inertia_kg_m2: 0.2,
            friction_nm: 0.5,
            damping_nm_s: 0.1,
            brake_nm: 40.0,
        }
    }

    /// Counts for a position, held at the ends of what an object can hold.
    pub fn counts(&self, position_rad: f64) -> i64 {
        ((position_rad - self.zero_offset_rad) * self.counts_per_rad).round() as i64
    }

    /// Position for counts.
    pub fn radians(&self, counts: i64) -> f64 {
        self.zero_offset_rad + counts as f64 / self.counts_per_rad
    }

    /// Radians for a distance, a velocity or an acceleration in counts.
    pub fn distance_rad(&self, counts: u32) -> f64 {
        f64::from(counts) / self.counts_per_rad.abs()
    }
}

/// All buses and drives of a robot.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSpec {
    /// Buses.
    pub buses: Vec<BusSpec>,
    /// Drives.
    pub drives: Vec<DriveSpec>,
}

impl WorldSpec {
    /// The buses and drives of a robot file, in its order.
    pub fn of(robot: &Robot) -> Self {
        let buses = robot.buses.iter().map(|bus| BusSpec {
            name: bus.name.clone(),
            bitrate: bus.bitrate,
            interface: match &bus.kind {
                BusKind::Sim => None,
                BusKind::SocketCan { interface } => Some(interface.clone()),
            },
        });
        Self { buses: buses.collect(), drives: robot.axes.iter().map(DriveSpec::of).collect() }
    }
}

impl DriveSpec {
    fn of(axis: &AxisSpec) -> Self {
        Self {
            name: axis.name.clone(),
            bus: axis.bus,
            node: axis.node,
            vendor_id: axis.drive.vendor_id,
            product_code: axis.drive.product_code,
            counts_per_rad: axis.drive.counts_per_rad,
            zero_offset_rad: axis.drive.zero_offset_rad,
            start_rad: axis.sim.start_rad,
            rated_torque_nm: 1000.0 * axis.drive.effort_per_mille_nm,
            torque_max_nm: axis.sim.torque_max_nm,
            inertia_kg_m2: axis.sim.inertia_kg_m2,
            friction_nm: axis.sim.coulomb_friction_nm,
            damping_nm_s: axis.sim.viscous_friction_nm_s_rad,
            brake_nm: BRAKE_RATIO * axis.sim.torque_max_nm,
        }
    }
}

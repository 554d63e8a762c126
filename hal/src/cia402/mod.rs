//! CiA 402 drives in cyclic synchronous position mode over CANopen.
//!
//! Outside in: [`Cia402`] (`master.rs`) is the drive; `setup.rs` the list of objects written and
//! read back; `sequence.rs` carries the list out; `power.rs` is the state machine that gives power;
//! `units.rs` turns radians into counts; `objects.rs` has the numbers and the bytes.

mod master;
pub mod objects;
mod observed;
mod power;
mod sequence;
mod setup;
mod units;

pub use master::Cia402;

/// One drive.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// CANopen node, 1 to 127.
    pub node: u8,
    /// Vendor id that the drive must have, 1018:1.
    pub vendor_id: u32,
    /// Product code that the drive must have, 1018:2.
    pub product_code: u32,
    /// Counts per radian at the axis; negative turns the axis around.
    pub counts_per_rad: f64,
    /// Position of the axis at count 0, rad.
    pub zero_offset_rad: f64,
    /// Torque at the axis for one per mille of the rated torque, Nm; above 0.
    pub effort_per_mille_nm: f64,
    /// Cycle time: SYNC and interpolation period, ns.
    pub period_ns: u64,
    /// COB-ID of the shared stop RPDO.
    pub stop_cob_id: u16,
    /// COB-ID of SYNC.
    pub sync_cob_id: u16,
    /// The host's node, whose heartbeat the drive watches.
    pub host_node: u8,
    /// Silence of the host after which the drive stops by itself, ms (1016); 0: off, for simulated
    /// buses only.
    pub watchdog_ms: u16,
    /// Between two heartbeats of the drive, ms (1017); 1 and more.
    pub heartbeat_ms: u16,
    /// Silence of the drive after which it counts as lost, ns; above `heartbeat_ms`.
    pub heartbeat_timeout_ns: u64,
    /// Deceleration of the drive's quick stop, rad/s² (6085).
    pub quick_stop_deceleration_rad_s2: f64,
    /// Lowest position, rad (607D).
    pub position_min_rad: f64,
    /// Highest position, rad (607D).
    pub position_max_rad: f64,
    /// Highest velocity, rad/s (607F).
    pub velocity_max_rad_s: f64,
    /// Following error at which the drive stops by itself, rad (6065).
    pub following_error_max_rad: f64,
    /// Highest torque, Nm (6072).
    pub effort_max_nm: f64,
    /// Velocity and torque come every so many ticks (TPDO2), 1 to 240.
    pub torque_pdo_every: u8,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A drive with round numbers: 10000 counts/rad, strict budgets.
    pub(crate) fn config(node: u8) -> Config {
        Config {
            node,
            vendor_id: 0x4D45,
            product_code: 0x4F53,
            counts_per_rad: 10_000.0,
            zero_offset_rad: 0.0,
            effort_per_mille_nm: 0.04,
            period_ns: 1_000_000,
            stop_cob_id: 0x0F0,
            sync_cob_id: 0x0F8,
            host_node: 0x7F,
            watchdog_ms: 10,
            heartbeat_ms: 10,
            heartbeat_timeout_ns: 50_000_000,
            quick_stop_deceleration_rad_s2: 30.0,
            position_min_rad: -2.9,
            position_max_rad: 2.9,
            velocity_max_rad_s: 2.0,
            following_error_max_rad: 0.2,
            effort_max_nm: 60.0,
            torque_pdo_every: 25,
        }
    }
}

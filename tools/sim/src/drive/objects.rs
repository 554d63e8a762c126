//! Object numbers, abort codes and error codes of the simulated drives, from CiA 301 and CiA 402.
//!
//! Written down a second time on purpose: the drives share no code with the master in `hal`, so
//! that a number that is wrong on one side shows.

/// Device type: CiA 402 servo drive.
pub const DEVICE_TYPE: u16 = 0x1000;
/// Error register, one byte of bits.
pub const ERROR_REGISTER: u16 = 0x1001;
/// COB-ID of the SYNC object.
pub const SYNC_COB_ID: u16 = 0x1005;
/// Device name, text.
pub const DEVICE_NAME: u16 = 0x1008;
/// Hardware version, text.
pub const HARDWARE_VERSION: u16 = 0x1009;
/// Software version, text.
pub const SOFTWARE_VERSION: u16 = 0x100a;
/// COB-ID of the emergency object.
pub const EMERGENCY_COB_ID: u16 = 0x1014;
/// Consumer heartbeat times: node << 16 | milliseconds.
pub const CONSUMER_HEARTBEAT: u16 = 0x1016;
/// Producer heartbeat time, ms.
pub const PRODUCER_HEARTBEAT: u16 = 0x1017;
/// Identity: vendor, product, revision, serial number.
pub const IDENTITY: u16 = 0x1018;
/// What a communication error does to the NMT state.
pub const ERROR_BEHAVIOUR: u16 = 0x1029;
/// First receive PDO's communication record.
pub const RPDO_COMMUNICATION: u16 = 0x1400;
/// First receive PDO's mapping record.
pub const RPDO_MAPPING: u16 = 0x1600;
/// First transmit PDO's communication record.
pub const TPDO_COMMUNICATION: u16 = 0x1800;
/// First transmit PDO's mapping record.
pub const TPDO_MAPPING: u16 = 0x1a00;
/// What a lost connection does: 0 nothing, 1 fault, 2 disable voltage, 3 quick stop.
pub const ABORT_CONNECTION: u16 = 0x6007;
/// Last error's code.
pub const ERROR_CODE: u16 = 0x603f;
/// Controlword.
pub const CONTROLWORD: u16 = 0x6040;
/// Statusword.
pub const STATUSWORD: u16 = 0x6041;
/// Quick stop option.
pub const QUICK_STOP_OPTION: u16 = 0x605a;
/// Shutdown option (operation enabled to ready to switch on).
pub const SHUTDOWN_OPTION: u16 = 0x605b;
/// Disable operation option (operation enabled to switched on).
pub const DISABLE_OPTION: u16 = 0x605c;
/// Halt option.
pub const HALT_OPTION: u16 = 0x605d;
/// Fault reaction option.
pub const FAULT_REACTION_OPTION: u16 = 0x605e;
/// Mode of operation asked for.
pub const MODE: u16 = 0x6060;
/// Mode of operation in force.
pub const MODE_DISPLAY: u16 = 0x6061;
/// Position demand, counts.
pub const POSITION_DEMAND: u16 = 0x6062;
/// Position actual value, counts.
pub const POSITION_ACTUAL: u16 = 0x6064;
/// Following error window, counts; all ones switches the check off.
pub const FOLLOWING_ERROR_WINDOW: u16 = 0x6065;
/// Following error time-out, ms.
pub const FOLLOWING_ERROR_TIMEOUT: u16 = 0x6066;
/// Velocity actual value, counts/s.
pub const VELOCITY_ACTUAL: u16 = 0x606c;
/// Maximum torque, per mille of rated.
pub const MAX_TORQUE: u16 = 0x6072;
/// Rated torque, mNm.
pub const RATED_TORQUE: u16 = 0x6076;
/// Torque actual value, per mille of rated.
pub const TORQUE_ACTUAL: u16 = 0x6077;
/// Target position, counts.
pub const TARGET_POSITION: u16 = 0x607a;
/// Software position limits, counts.
pub const POSITION_LIMIT: u16 = 0x607d;
/// Maximum profile velocity, counts/s.
pub const MAX_PROFILE_VELOCITY: u16 = 0x607f;
/// Maximum motor speed, revolutions a minute.
pub const MAX_MOTOR_SPEED: u16 = 0x6080;
/// Profile deceleration, counts/s^2.
pub const PROFILE_DECELERATION: u16 = 0x6084;
/// Quick stop deceleration, counts/s^2.
pub const QUICK_STOP_DECELERATION: u16 = 0x6085;
/// Encoder increments over motor revolutions.
pub const ENCODER_RESOLUTION: u16 = 0x608f;
/// Gear: motor over shaft revolutions.
pub const GEAR_RATIO: u16 = 0x6091;
/// Feed over shaft revolutions.
pub const FEED_CONSTANT: u16 = 0x6092;
/// Interpolation period: unsigned value times ten to the power of a signed index, seconds.
pub const INTERPOLATION_PERIOD: u16 = 0x60c2;
/// Maximum acceleration, counts/s^2.
pub const MAX_ACCELERATION: u16 = 0x60c5;
/// Maximum deceleration, counts/s^2.
pub const MAX_DECELERATION: u16 = 0x60c6;
/// Following error actual value, counts.
pub const FOLLOWING_ERROR_ACTUAL: u16 = 0x60f4;
/// Modes the drive can, one bit each.
pub const SUPPORTED_MODES: u16 = 0x6502;

/// Cyclic synchronous position mode.
pub const MODE_CSP: i64 = 8;

/// An SDO abort code (CiA 301, table 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort(pub u32);

impl Abort {
    /// Toggle bit not alternated.
    pub const TOGGLE: Self = Self(0x0503_0000);
    /// Command specifier unknown.
    pub const COMMAND: Self = Self(0x0504_0001);
    /// Reading a write-only object.
    pub const WRITE_ONLY: Self = Self(0x0601_0001);
    /// Writing a read-only object.
    pub const READ_ONLY: Self = Self(0x0601_0002);
    /// No such object.
    pub const NO_OBJECT: Self = Self(0x0602_0000);
    /// The object cannot be mapped.
    pub const NOT_MAPPABLE: Self = Self(0x0604_0041);
    /// The PDO would grow past eight bytes.
    pub const PDO_LENGTH: Self = Self(0x0604_0042);
    /// Length does not match.
    pub const LENGTH: Self = Self(0x0607_0010);
    /// Too long.
    pub const TOO_LONG: Self = Self(0x0607_0012);
    /// Too short.
    pub const TOO_SHORT: Self = Self(0x0607_0013);
    /// No such sub-index.
    pub const NO_SUB_INDEX: Self = Self(0x0609_0011);
    /// Value not allowed.
    pub const RANGE: Self = Self(0x0609_0030);
    /// Value too high.
    pub const TOO_HIGH: Self = Self(0x0609_0031);
    /// Value too low.
    pub const TOO_LOW: Self = Self(0x0609_0032);
    /// Not in the present device state.
    pub const STATE: Self = Self(0x0800_0022);
}

/// Emergency code: the consumer heartbeat ran out.
pub const ERROR_HEARTBEAT: u16 = 0x8130;
/// Emergency code: a PDO was shorter than its mapping.
pub const ERROR_PDO_LENGTH: u16 = 0x8210;
/// Emergency code: a receive PDO's deadline passed.
pub const ERROR_RPDO_TIMEOUT: u16 = 0x8250;
/// Emergency code: following error.
pub const ERROR_FOLLOWING: u16 = 0x8611;

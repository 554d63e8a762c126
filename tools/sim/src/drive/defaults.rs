//! The objects a simulated drive has, with their power-on values.
//!
//! The values are those of a drive nobody has set up: no heartbeat, no watchdog, a lost connection
//! does nothing, the host's process data are not mapped. What a master relies on it must write.

use super::dictionary::{Access, Entry, Kind};
use super::objects::*;
use crate::spec::DriveSpec;
use Access::{Read, ReadMapped, Write, WriteMapped};
use Kind::{I8, I16, I32, Text, U8, U16, U32};

/// Bit 31 of a PDO's COB-ID: the PDO does not exist.
pub const PDO_INVALID: i64 = 1 << 31;

/// PDOs in each direction.
pub const PDOS: u16 = 4;

/// Objects a PDO can carry.
pub const MAPPED_MAX: u8 = 4;

const fn mapping(index: u16, bits: i64) -> i64 {
    (index as i64) << 16 | bits
}

/// All entries, in no particular order.
pub fn entries(spec: &DriveSpec) -> Vec<Entry> {
    let mut all = communication(spec);
    for pdo in 0..PDOS {
        receive_pdo(&mut all, spec, pdo);
        transmit_pdo(&mut all, spec, pdo);
    }
    all.extend(device_control());
    all.extend(motion(spec));
    all
}

fn communication(spec: &DriveSpec) -> Vec<Entry> {
    let node = i64::from(spec.node);
    vec![
        Entry::new(DEVICE_TYPE, 0, U32, Read, 0x0002_0192),
        Entry::new(ERROR_REGISTER, 0, U8, ReadMapped, 0),
        Entry::new(SYNC_COB_ID, 0, U32, Write, 0x80).within(1, 0x7ff),
        Entry::new(DEVICE_NAME, 0, Text("MechOS simulated servo drive"), Read, 0),
        Entry::new(HARDWARE_VERSION, 0, Text("none"), Read, 0),
        Entry::new(SOFTWARE_VERSION, 0, Text(env!("CARGO_PKG_VERSION")), Read, 0),
        Entry::new(EMERGENCY_COB_ID, 0, U32, Read, 0x80 + node),
        Entry::new(CONSUMER_HEARTBEAT, 0, U8, Read, 2),
        Entry::new(CONSUMER_HEARTBEAT, 1, U32, Write, 0).within(0, 0x7f_ffff),
        Entry::new(CONSUMER_HEARTBEAT, 2, U32, Write, 0).within(0, 0x7f_ffff),
        Entry::new(PRODUCER_HEARTBEAT, 0, U16, Write, 0),
        Entry::new(IDENTITY, 0, U8, Read, 4),
        Entry::new(IDENTITY, 1, U32, Read, spec.vendor_id.into()),
        Entry::new(IDENTITY, 2, U32, Read, spec.product_code.into()),
        Entry::new(IDENTITY, 3, U32, Read, 0x0001_0000),
        Entry::new(IDENTITY, 4, U32, Read, node),
        Entry::new(ERROR_BEHAVIOUR, 0, U8, Read, 1),
        Entry::new(ERROR_BEHAVIOUR, 1, U8, Write, 0).within(0, 2),
    ]
}

fn receive_pdo(all: &mut Vec<Entry>, spec: &DriveSpec, pdo: u16) {
    let predefined = 0x200 + i64::from(pdo) * 0x100 + i64::from(spec.node);
    let first = pdo == 0;
    let cob_id = if first { predefined } else { predefined | PDO_INVALID };
    let (communication, mapped) = (RPDO_COMMUNICATION + pdo, RPDO_MAPPING + pdo);
    all.extend([
        Entry::new(communication, 0, U8, Read, 5),
        Entry::new(communication, 1, U32, Write, cob_id),
        Entry::new(communication, 2, U8, Write, 255),
        Entry::new(communication, 5, U16, Write, 0),
        Entry::new(mapped, 0, U8, Write, first.into()).within(0, MAPPED_MAX.into()),
    ]);
    all.extend((1..=MAPPED_MAX).map(|sub| {
        let object = if first && sub == 1 { mapping(CONTROLWORD, 16) } else { 0 };
        Entry::new(mapped, sub, U32, Write, object)
    }));
}

fn transmit_pdo(all: &mut Vec<Entry>, spec: &DriveSpec, pdo: u16) {
    let predefined = 0x180 + i64::from(pdo) * 0x100 + i64::from(spec.node);
    let first = pdo == 0;
    let cob_id = if first { predefined } else { predefined | PDO_INVALID };
    let (communication, mapped) = (TPDO_COMMUNICATION + pdo, TPDO_MAPPING + pdo);
    all.extend([
        Entry::new(communication, 0, U8, Read, 5),
        Entry::new(communication, 1, U32, Write, cob_id),
        Entry::new(communication, 2, U8, Write, 255),
        Entry::new(communication, 3, U16, Write, 0),
        Entry::new(communication, 5, U16, Write, 0),
        Entry::new(mapped, 0, U8, Write, first.into()).within(0, MAPPED_MAX.into()),
    ]);
    all.extend((1..=MAPPED_MAX).map(|sub| {
        let object = if first && sub == 1 { mapping(STATUSWORD, 16) } else { 0 };
        Entry::new(mapped, sub, U32, Write, object)
    }));
}

fn device_control() -> Vec<Entry> {
    vec![
        Entry::new(ABORT_CONNECTION, 0, I16, Write, 0).within(0, 3),
        Entry::new(ERROR_CODE, 0, U16, ReadMapped, 0),
        Entry::new(CONTROLWORD, 0, U16, WriteMapped, 0),
        Entry::new(STATUSWORD, 0, U16, ReadMapped, 0),
        Entry::new(QUICK_STOP_OPTION, 0, I16, Write, 2).within(0, 6),
        Entry::new(SHUTDOWN_OPTION, 0, I16, Write, 0).within(0, 1),
        Entry::new(DISABLE_OPTION, 0, I16, Write, 1).within(0, 1),
        Entry::new(HALT_OPTION, 0, I16, Write, 1).within(1, 2),
        Entry::new(FAULT_REACTION_OPTION, 0, I16, Write, 2).within(0, 2),
        Entry::new(MODE, 0, I8, WriteMapped, 0).within(0, MODE_CSP),
        Entry::new(MODE_DISPLAY, 0, I8, ReadMapped, 0),
        Entry::new(SUPPORTED_MODES, 0, U32, Read, 1 << (MODE_CSP - 1)),
    ]
}

fn motion(spec: &DriveSpec) -> Vec<Entry> {
    let everything = i64::from(u32::MAX);
    let counts = |rad: f64| (rad * spec.counts_per_rad).abs().round().min(4e9) as i64;
    let turn = counts(std::f64::consts::TAU);
    let torque_max = (1000.0 * spec.torque_max_nm / spec.rated_torque_nm).round();
    let mut all = vec![
        Entry::new(POSITION_DEMAND, 0, I32, ReadMapped, 0),
        Entry::new(POSITION_ACTUAL, 0, I32, ReadMapped, 0),
        Entry::new(FOLLOWING_ERROR_WINDOW, 0, U32, Write, everything),
        Entry::new(FOLLOWING_ERROR_TIMEOUT, 0, U16, Write, 0),
        Entry::new(VELOCITY_ACTUAL, 0, I32, ReadMapped, 0),
        Entry::new(MAX_TORQUE, 0, U16, Write, torque_max.clamp(0.0, 65535.0) as i64),
        Entry::new(RATED_TORQUE, 0, U32, Read, (spec.rated_torque_nm * 1000.0).round() as i64),
        Entry::new(TORQUE_ACTUAL, 0, I16, ReadMapped, 0),
        Entry::new(TARGET_POSITION, 0, I32, WriteMapped, 0),
        Entry::new(POSITION_LIMIT, 0, U8, Read, 2),
        Entry::new(POSITION_LIMIT, 1, I32, Write, i32::MIN.into()),
        Entry::new(POSITION_LIMIT, 2, I32, Write, i32::MAX.into()),
        Entry::new(MAX_PROFILE_VELOCITY, 0, U32, Write, everything),
        Entry::new(MAX_MOTOR_SPEED, 0, U32, Write, everything),
        Entry::new(PROFILE_DECELERATION, 0, U32, Write, counts(5.0)).within(1, everything),
        Entry::new(QUICK_STOP_DECELERATION, 0, U32, Write, counts(10.0)).within(1, everything),
        Entry::new(INTERPOLATION_PERIOD, 0, U8, Read, 2),
        Entry::new(INTERPOLATION_PERIOD, 1, U8, Write, 1).within(1, 255),
        Entry::new(INTERPOLATION_PERIOD, 2, I8, Write, -3).within(-6, 0),
        Entry::new(MAX_ACCELERATION, 0, U32, Write, everything),
        Entry::new(MAX_DECELERATION, 0, U32, Write, everything),
        Entry::new(FOLLOWING_ERROR_ACTUAL, 0, I32, ReadMapped, 0),
    ];
    for (index, over, under) in
        [(ENCODER_RESOLUTION, turn, 1), (GEAR_RATIO, 1, 1), (FEED_CONSTANT, turn, 1)]
    {
        all.extend([
            Entry::new(index, 0, U8, Read, 2),
            Entry::new(index, 1, U32, Read, over),
            Entry::new(index, 2, U32, Read, under),
        ]);
    }
    all
}

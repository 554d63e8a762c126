//! Objects, PDO layouts, controlword and statusword of CiA 402, as this master uses them.
//! RPDO1 = 6040 + 607A, TPDO1 = 6041 + 6064, TPDO2 = 606C + 6077, RPDO4 = 6040 (the shared stop).

use crate::canopen::Object;
use crate::frame::Frame;

/// COB-ID base of TPDO1.
pub const TPDO1_BASE: u16 = 0x180;
/// COB-ID base of RPDO1.
pub const RPDO1_BASE: u16 = 0x200;
/// COB-ID base of TPDO2.
pub const TPDO2_BASE: u16 = 0x280;
/// Cyclic synchronous position mode (6060, 6061).
pub const MODE_CSP: u8 = 8;

/// Controlword.
pub const CONTROLWORD: Object = Object::new(0x6040, 0);
/// Statusword.
pub const STATUSWORD: Object = Object::new(0x6041, 0);
/// Last error code.
pub const ERROR_CODE: Object = Object::new(0x603F, 0);
/// Mode of operation as set.
pub const MODE: Object = Object::new(0x6060, 0);
/// Mode of operation as it is.
pub const MODE_DISPLAY: Object = Object::new(0x6061, 0);

/// Controlwords (6040) that this master sends.
pub struct Controlword;

impl Controlword {
    /// No power.
    pub const DISABLE_VOLTAGE: u16 = 0x0000;
    /// Stop by the drive's own quick-stop ramp.
    pub const QUICK_STOP: u16 = 0x0002;
    /// To ready to switch on.
    pub const SHUTDOWN: u16 = 0x0006;
    /// To switched on.
    pub const SWITCH_ON: u16 = 0x0007;
    /// To operation enabled.
    pub const ENABLE_OPERATION: u16 = 0x000F;
    /// Rising edge of bit 7: leave fault.
    pub const FAULT_RESET: u16 = 0x0080;
}

/// Power state machine of CiA 402, from the statusword (6041).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    /// Starting up.
    NotReady,
    /// No power.
    SwitchOnDisabled,
    /// No power, could be switched on.
    ReadyToSwitchOn,
    /// Power stage on, no torque.
    SwitchedOn,
    /// Follows setpoints.
    OperationEnabled,
    /// Brakes by quick stop.
    QuickStopActive,
    /// Brakes because of a fault.
    FaultReaction,
    /// In fault, no power.
    Fault,
}

impl PowerState {
    /// The state that a statusword tells; `None` for a pattern that CiA 402 does not have.
    pub fn decode(statusword: u16) -> Option<PowerState> {
        match statusword & 0x4F {
            0x00 => return Some(PowerState::NotReady),
            0x40 => return Some(PowerState::SwitchOnDisabled),
            0x08 => return Some(PowerState::Fault),
            0x0F => return Some(PowerState::FaultReaction),
            _ => {}
        }
        match statusword & 0x6F {
            0x21 => Some(PowerState::ReadyToSwitchOn),
            0x23 => Some(PowerState::SwitchedOn),
            0x27 => Some(PowerState::OperationEnabled),
            0x07 => Some(PowerState::QuickStopActive),
            _ => None,
        }
    }

    /// The power stage may be on.
    pub fn is_powered(self) -> bool {
        use PowerState::{FaultReaction, OperationEnabled, QuickStopActive, SwitchedOn};
        matches!(self, SwitchedOn | OperationEnabled | QuickStopActive | FaultReaction)
    }
}

/// TPDO1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Statusword, 6041.
    pub statusword: u16,
    /// Actual position, 6064, counts.
    pub position: i32,
}

/// TPDO2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motion {
    /// Actual velocity, 606C, counts/s.
    pub velocity: i32,
    /// Actual torque, 6077, per mille of the rated torque.
    pub torque: i16,
}

/// TPDO1 of `node`, if the frame is one.
pub fn decode_status(frame: &Frame, node: u8) -> Option<Status> {
    match frame.standard_data()? {
        (id, &[low, high, a, b, c, d]) if id == TPDO1_BASE + u16::from(node) => Some(Status {
            statusword: u16::from_le_bytes([low, high]),
            position: i32::from_le_bytes([a, b, c, d]),
        }),
        _ => None,
    }
}

/// TPDO2 of `node`, if the frame is one.
pub fn decode_motion(frame: &Frame, node: u8) -> Option<Motion> {
    match frame.standard_data()? {
        (id, &[a, b, c, d, low, high]) if id == TPDO2_BASE + u16::from(node) => Some(Motion {
            velocity: i32::from_le_bytes([a, b, c, d]),
            torque: i16::from_le_bytes([low, high]),
        }),
        _ => None,
    }
}

/// RPDO1 to `node`: controlword and target position in counts.
pub fn setpoint(node: u8, controlword: u16, target: i32) -> Frame {
    let [low, high] = controlword.to_le_bytes();
    let [a, b, c, d] = target.to_le_bytes();
    Frame::fixed(RPDO1_BASE + u16::from(node & 0x7F), [low, high, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statusword_has_the_state_of_the_mask_table() {
        // Masks and values of CiA 402; x bits set and cleared.
        for (statusword, state) in [
            (0x0000, PowerState::NotReady),
            (0x0220, PowerState::NotReady),
            (0x0250, PowerState::SwitchOnDisabled),
            (0x0270, PowerState::SwitchOnDisabled),
            (0x0231, PowerState::ReadyToSwitchOn),
            (0x0233, PowerState::SwitchedOn),
            (0x1637, PowerState::OperationEnabled),
            (0x0217, PowerState::QuickStopActive),
            (0x023F, PowerState::FaultReaction),
            (0x0218, PowerState::Fault),
        ] {
            assert_eq!(PowerState::decode(statusword), Some(state), "{statusword:#06x}");
        }
        for statusword in [0x0001, 0x0003, 0x0002, 0x0061, 0x0005] {
            assert_eq!(PowerState::decode(statusword), None, "{statusword:#06x}");
        }
    }

    #[test]
    fn pdos_have_their_bytes_in_place() {
        let frame = setpoint(3, 0x000F, -2);
        assert_eq!(frame.id(), 0x203);
        assert_eq!(frame.data(), [0x0F, 0x00, 0xFE, 0xFF, 0xFF, 0xFF]);
        let status = Frame::new(0x183, &[0x37, 0x16, 0x10, 0x27, 0, 0]).unwrap();
        let expected = Status { statusword: 0x1637, position: 10_000 };
        assert_eq!(decode_status(&status, 3), Some(expected));
        assert_eq!(decode_status(&status, 4), None);
        let motion = Frame::new(0x283, &[0x18, 0xFC, 0xFF, 0xFF, 0x9C, 0xFF]).unwrap();
        assert_eq!(decode_motion(&motion, 3), Some(Motion { velocity: -1_000, torque: -100 }));
        let long = Frame::new(0x183, &[0; 8]).unwrap();
        assert_eq!(decode_status(&long, 3), None);
    }
}

//! Why a drive's set-up failed: node, object, what was found. Plain data, made without allocating.

use thiserror::Error;

use super::Object;

/// A set-up that failed. Nothing is enabled after it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("node {node}, object {object} ({name}): {failure}")]
pub struct SetupError {
    /// CANopen node of the drive.
    pub node: u8,
    /// Object that was being read or written.
    pub object: Object,
    /// What the object is, in words.
    pub name: &'static str,
    /// What happened.
    pub failure: Failure,
}

/// What happened to one step of the set-up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// Another product answers under this node number.
    #[error(
        "the drive says {found:#010x}, the robot file {expected:#010x}; check wiring and node \
         numbers, or correct the robot file"
    )]
    Identity {
        /// By the robot file.
        expected: u32,
        /// By the drive.
        found: u32,
    },
    /// The drive took the value and has another one.
    #[error("written {written:#x}, read back {found:#x}; the drive does not support this value")]
    ReadBack {
        /// What was written.
        written: u32,
        /// What was read.
        found: u32,
    },
    /// The drive refused.
    #[error("the drive refuses with abort {code:#010x}: {}", abort_text(*code))]
    Aborted {
        /// SDO abort code.
        code: u32,
    },
    /// No answer.
    #[error("no answer within {limit_ms} ms; check power, wiring and bit rate of the drive")]
    TimedOut {
        /// How long was waited, ms.
        limit_ms: u32,
    },
    /// An answer to something else.
    #[error("answered with command {command:#04x} for object {object}, which nobody asked for")]
    WrongAnswer {
        /// Command byte of the answer.
        command: u8,
        /// Object of the answer.
        object: Object,
    },
    /// The drive runs and cannot be brought to a stop.
    #[error("the drive stays powered (statusword {statusword:#06x}) although told to stop")]
    StillPowered {
        /// Its last status word.
        statusword: u16,
    },
    /// Configured, but it does not begin to work.
    #[error(
        "within {limit_ms} ms after NMT start there was no heartbeat in operational, no cyclic \
         status, or no heartbeat of the host on the wire"
    )]
    NotStarted {
        /// How long was waited, ms.
        limit_ms: u32,
    },
}

/// The words of CiA 301 for an SDO abort code.
pub fn abort_text(code: u32) -> &'static str {
    match code {
        0x0503_0000 => "toggle bit not alternated",
        0x0504_0000 => "SDO protocol timed out",
        0x0504_0001 => "command specifier not valid or unknown",
        0x0504_0002 => "invalid block size",
        0x0504_0003 => "invalid sequence number",
        0x0504_0004 => "CRC error",
        0x0504_0005 => "out of memory",
        0x0601_0000 => "unsupported access to an object",
        0x0601_0001 => "attempt to read a write-only object",
        0x0601_0002 => "attempt to write a read-only object",
        0x0602_0000 => "object does not exist in the object dictionary",
        0x0604_0041 => "object cannot be mapped to the PDO",
        0x0604_0042 => "mapped objects would exceed the PDO's length",
        0x0604_0043 => "general parameter incompatibility",
        0x0604_0047 => "general internal incompatibility in the device",
        0x0606_0000 => "access failed because of a hardware error",
        0x0607_0010 => "data type or length of the parameter does not match",
        0x0607_0012 => "length of the parameter too high",
        0x0607_0013 => "length of the parameter too low",
        0x0609_0011 => "sub-index does not exist",
        0x0609_0030 => "invalid value for the parameter",
        0x0609_0031 => "value of the parameter too high",
        0x0609_0032 => "value of the parameter too low",
        0x0609_0036 => "maximum value is less than minimum value",
        0x060A_0023 => "resource not available: SDO connection",
        0x0800_0000 => "general error",
        0x0800_0020 => "data cannot be transferred or stored",
        0x0800_0021 => "data cannot be stored because of local control",
        0x0800_0022 => "data cannot be stored in the present device state",
        0x0800_0023 => "no object dictionary present",
        0x0800_0024 => "no data available",
        _ => "a code that CiA 301 does not list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_node_object_and_abort_text() {
        let error = SetupError {
            node: 3,
            object: Object::new(0x6085, 0),
            name: "quick-stop deceleration",
            failure: Failure::Aborted { code: 0x0609_0031 },
        };
        assert_eq!(
            error.to_string(),
            "node 3, object 6085:0 (quick-stop deceleration): the drive refuses with abort \
             0x06090031: value of the parameter too high"
        );
    }
}

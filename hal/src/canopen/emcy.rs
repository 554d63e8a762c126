//! Emergency messages, `080+node`: error code, error register, five vendor bytes.

use crate::frame::Frame;

/// Base of the emergency messages' COB-IDs.
pub const COB_ID_BASE: u16 = 0x080;

/// An emergency message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// Error code; 0: all errors are cleared.
    pub code: u16,
    /// Error register (1001).
    pub register: u8,
    /// Vendor's bytes.
    pub vendor: [u8; 5],
}

/// The message that a frame carries from `node`; `None` when it is none of that node's.
pub fn decode(frame: &Frame, node: u8) -> Option<Emergency> {
    match frame.standard_data()? {
        (id, &[low, high, register, a, b, c, d, e]) if id == COB_ID_BASE + u16::from(node) => {
            let code = u16::from_le_bytes([low, high]);
            Some(Emergency { code, register, vendor: [a, b, c, d, e] })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_error_is_read_from_its_bytes() {
        let frame = Frame::new(0x085, &[0x30, 0x81, 0x11, 0, 0, 0, 0, 9]).unwrap();
        let emergency = decode(&frame, 5).unwrap();
        assert_eq!((emergency.code, emergency.register), (0x8130, 0x11));
        assert_eq!(emergency.vendor, [0, 0, 0, 0, 9]);
        assert_eq!(decode(&frame, 6), None);
        assert_eq!(decode(&Frame::new(0x085, &[0; 7]).unwrap(), 5), None);
    }
}

//! A CAN frame, classic or FD, as a plain value, and how long it takes on the wire at worst.

use std::fmt;

use thiserror::Error;

/// Longest payload of a CAN FD frame, bytes.
pub const DATA_MAX: usize = 64;
/// Longest payload of a classic frame, bytes.
pub const CLASSIC_DATA_MAX: usize = 8;
/// Highest standard (11 bit) identifier.
pub const STANDARD_ID_MAX: u32 = 0x7FF;
/// Highest extended (29 bit) identifier.
pub const EXTENDED_ID_MAX: u32 = 0x1FFF_FFFF;

/// A CAN frame. `id` is 11 bits, or 29 with `extended`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    id: u32,
    kind: FrameKind,
    extended: bool,
    len: u8,
    data: [u8; DATA_MAX],
}

/// What kind of frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Classic data frame, 0 to 8 bytes.
    Data,
    /// Classic remote frame.
    Remote,
    /// CAN FD data frame, up to 64 bytes.
    Fd,
    /// An error frame as SocketCAN reports it: `id` holds the error class bits, `data` the details.
    Error,
}

/// Why a frame cannot be made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The identifier does not fit.
    #[error("CAN id {id:#x} is above {max:#x}")]
    Id {
        /// What was given.
        id: u32,
        /// Highest that fits.
        max: u32,
    },
    /// The payload's length is not one that this kind of frame can carry.
    #[error(
        "a payload of {len} bytes: a classic frame carries 0 to 8, an FD frame 0 to 8, 12, 16, 20, \
         24, 32, 48 or 64"
    )]
    Length {
        /// What was given, bytes.
        len: usize,
    },
}

impl Frame {
    /// A classic data frame with a standard identifier (0 to 0x7FF) and 0 to 8 bytes.
    pub fn new(id: u16, data: &[u8]) -> Result<Frame, FrameError> {
        Frame::build(u32::from(id), FrameKind::Data, false, data)
    }

    /// A classic data frame with an extended identifier (29 bits) and 0 to 8 bytes.
    pub fn extended(id: u32, data: &[u8]) -> Result<Frame, FrameError> {
        Frame::build(id, FrameKind::Data, true, data)
    }

    /// A CAN FD data frame; the length must be one that FD has (0 to 8, 12, 16, 20, 24, 32, 48, 64).
    pub fn fd(id: u32, extended: bool, data: &[u8]) -> Result<Frame, FrameError> {
        Frame::build(id, FrameKind::Fd, extended, data)
    }

    /// A classic remote frame that asks for `len` bytes (0 to 8).
    pub fn remote(id: u16, len: u8) -> Result<Frame, FrameError> {
        let zeros = [0; DATA_MAX];
        let data = zeros.get(..usize::from(len)).ok_or(FrameError::Length { len: len.into() })?;
        Frame::build(u32::from(id), FrameKind::Remote, false, data)
    }

    /// An error frame: class bits as SocketCAN has them (without its 0x2000_0000 flag) and details.
    pub fn error(class: u32, details: [u8; CLASSIC_DATA_MAX]) -> Result<Frame, FrameError> {
        Frame::build(class, FrameKind::Error, false, &details)
    }

    /// A frame of any kind, from fields that a peer claims. Total: whatever cannot be is refused.
    pub fn build(
        id: u32,
        kind: FrameKind,
        extended: bool,
        data: &[u8],
    ) -> Result<Frame, FrameError> {
        let max =
            if extended || kind == FrameKind::Error { EXTENDED_ID_MAX } else { STANDARD_ID_MAX };
        if id > max {
            return Err(FrameError::Id { id, max });
        }
        let len = match (kind, data.len()) {
            (_, 0..=8) | (FrameKind::Fd, 12 | 16 | 20 | 24 | 32 | 48 | 64) => data.len(),
            (_, len) => return Err(FrameError::Length { len }),
        };
        let mut bytes = [0; DATA_MAX];
        if let Some(room) = bytes.get_mut(..len) {
            room.copy_from_slice(data);
        }
        let len = u8::try_from(len).map_err(|_| FrameError::Length { len })?;
        Ok(Frame { id, kind, extended, len, data: bytes })
    }

    /// A classic frame from an identifier and a payload that are known to fit when the caller is
    /// compiled: the identifier is cut to 11 bits, which no caller in this crate relies on.
    pub(crate) fn fixed<const N: usize>(id: u16, payload: [u8; N]) -> Frame {
        const { assert!(N <= CLASSIC_DATA_MAX) };
        let mut data = [0; DATA_MAX];
        for (to, from) in data.iter_mut().zip(payload) {
            *to = from;
        }
        #[allow(clippy::cast_possible_truncation, reason = "N is at most 8, asserted above")]
        let len = N as u8;
        Frame { id: u32::from(id & 0x7FF), kind: FrameKind::Data, extended: false, len, data }
    }

    /// Identifier: 11 bits, 29 with `is_extended`, class bits with [`FrameKind::Error`].
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What kind of frame it is.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// Whether the identifier has 29 bits.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// Length of the payload, bytes; for a remote frame, of the payload asked for.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The payload. A remote frame has none.
    pub fn data(&self) -> &[u8] {
        let len = if self.kind == FrameKind::Remote { 0 } else { self.len() };
        self.data.get(..len).unwrap_or_default()
    }

    /// The classic data frame's identifier and payload, if it is one with a standard identifier:
    /// all that CANopen uses.
    pub fn standard_data(&self) -> Option<(u16, &[u8])> {
        let id = u16::try_from(self.id).ok()?;
        (self.kind == FrameKind::Data && !self.extended).then(|| (id, self.data()))
    }

    /// Bits on the wire at worst, stuff bits and the three bits of interframe space included.
    /// An FD frame is counted as if all of it went at the nominal rate: an upper bound.
    pub fn worst_case_bits(&self) -> u32 {
        match self.kind {
            FrameKind::Data => worst_case_bits(self.len(), self.extended),
            FrameKind::Remote => worst_case_bits(0, self.extended),
            FrameKind::Error => 0,
            FrameKind::Fd => fd_worst_case_bits(u32::from(self.len), self.extended),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.extended { 8 } else { 3 };
        write!(f, "{:?} {:0width$X}#{:02X?}", self.kind, self.id, self.data())
    }
}

/// Bits of a classic data frame of `len` bytes (0 to 8; more counts as 8) on the wire at worst:
/// stuff bits and the three bits of interframe space included. Source: Davis, Burns, Bril, Lukkien,
/// "Controller Area Network (CAN) schedulability analysis", Real-Time Systems 35, 2007.
#[allow(clippy::cast_possible_truncation, reason = "at most 8")]
pub const fn worst_case_bits(len: usize, extended: bool) -> u32 {
    let data = 8 * if len < CLASSIC_DATA_MAX { len as u32 } else { CLASSIC_DATA_MAX as u32 };
    if extended { data + 67 + (54 + data - 1) / 4 } else { data + 47 + (34 + data - 1) / 4 }
}

/// As [`worst_case_bits`] for an FD frame: stuffed header and data, then the stuff count, the CRC
/// with its fixed stuff bits, delimiters, acknowledgement, end of frame and interframe space.
const fn fd_worst_case_bits(len: u32, extended: bool) -> u32 {
    let stuffed = 8 * len + if extended { 41 } else { 22 };
    let (crc, fixed) = if len <= 16 { (17, 6) } else { (21, 7) };
    stuffed + (stuffed - 1) / 4 + 4 + crc + fixed + 13
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_case_bits_are_those_of_the_analysis() {
        // Known figures of the analysis: 8 bytes standard 135 bits, extended 160.
        assert_eq!(worst_case_bits(8, false), 135);
        assert_eq!(worst_case_bits(8, true), 160);
        assert_eq!(worst_case_bits(0, false), 55);
        assert_eq!(worst_case_bits(6, false), 115);
        assert_eq!(Frame::new(1, &[0; 6]).unwrap().worst_case_bits(), 115);
        assert_eq!(Frame::remote(1, 8).unwrap().worst_case_bits(), 55);
        assert!(Frame::fd(1, false, &[0; 64]).unwrap().worst_case_bits() > 8 * 64 + 47);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(Frame::new(0x800, &[]), Err(FrameError::Id { id: 0x800, max: 0x7FF }));
        assert_eq!(Frame::new(1, &[0; 9]), Err(FrameError::Length { len: 9 }));
        assert_eq!(Frame::fd(1, false, &[0; 9]), Err(FrameError::Length { len: 9 }));
        assert!(Frame::fd(1, true, &[0; 12]).is_ok());
        assert!(Frame::extended(0x1FFF_FFFF, &[1]).is_ok());
        assert!(Frame::extended(0x2000_0000, &[1]).is_err());
        assert!(Frame::remote(1, 9).is_err());
        assert!(Frame::remote(1, 255).is_err());
    }

    #[test]
    fn a_remote_frame_has_a_length_and_no_payload() {
        let frame = Frame::remote(0x123, 5).unwrap();
        assert_eq!((frame.len(), frame.data()), (5, &[][..]));
        assert_eq!(frame.standard_data(), None);
    }
}

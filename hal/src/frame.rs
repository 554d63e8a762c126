//! A CAN frame, classic or FD, as a plain value.

/// Longest payload of a CAN FD frame, bytes.
pub const DATA_MAX: usize = 64;

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

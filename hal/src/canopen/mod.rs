//! What CiA 301 fixes and this master uses: SDO client, NMT, heartbeat, EMCY.
//! Encoding and decoding are total functions on plain values.

pub mod emcy;
pub mod error;
pub mod heartbeat;
pub mod nmt;
pub mod sdo;

/// Highest node number of CANopen.
pub const NODE_MAX: u8 = 127;

/// An object in a drive's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Index.
    pub index: u16,
    /// Sub-index.
    pub sub: u8,
}

impl Object {
    /// An object by index and sub-index.
    pub const fn new(index: u16, sub: u8) -> Object {
        Object { index, sub }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}:{}", self.index, self.sub)
    }
}

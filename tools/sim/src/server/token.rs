//! What a ready descriptor belongs to.

/// What a descriptor belongs to; packed into the 64 bits that epoll keeps for us.
#[derive(Clone, Copy)]
pub enum Token {
    /// Listening socket of a bus.
    Bus(usize),
    /// Listening control socket.
    Control,
    /// Somebody asks for the end.
    Signal,
    /// A bus client.
    Peer(usize),
    /// A control connection.
    Connection(usize),
}

impl Token {
    /// As 64 bits.
    pub fn pack(self) -> u64 {
        let (kind, index) = match self {
            Self::Bus(index) => (0, index),
            Self::Control => (1, 0),
            Self::Signal => (2, 0),
            Self::Peer(index) => (3, index),
            Self::Connection(index) => (4, index),
        };
        kind << 32 | u64::try_from(index).unwrap_or(0)
    }

    /// From 64 bits.
    pub fn unpack(data: u64) -> Option<Self> {
        let index = usize::try_from(data & 0xffff_ffff).ok()?;
        Some(match data >> 32 {
            0 => Self::Bus(index),
            1 => Self::Control,
            2 => Self::Signal,
            3 => Self::Peer(index),
            4 => Self::Connection(index),
            _ => return None,
        })
    }
}

//! Network management: the master's commands, `000#cs,node`.

use crate::frame::Frame;

/// COB-ID of NMT commands.
pub const COB_ID: u16 = 0x000;

/// What a node can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// Enter operational: PDOs flow.
    Start = 0x01,
    /// Enter stopped: only NMT and heartbeat live.
    Stop = 0x02,
    /// Enter pre-operational: SDO, no PDO.
    EnterPreOperational = 0x80,
    /// Restart the application.
    ResetNode = 0x81,
    /// Restart communication.
    ResetCommunication = 0x82,
}

/// The command frame; node 0 addresses all.
pub fn command(command: Command, node: u8) -> Frame {
    Frame::fixed(COB_ID, [command as u8, node])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_bytes_of_cia_301() {
        let frame = command(Command::Start, 5);
        assert_eq!((frame.id(), frame.data()), (0, &[0x01, 5][..]));
        assert_eq!(command(Command::EnterPreOperational, 0).data(), [0x80, 0]);
    }
}

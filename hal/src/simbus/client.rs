//! A client of the simulated bus.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use arrayvec::{ArrayString, ArrayVec};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::wire::{ClientMessage, DATAGRAM_MAX, SimMessage, WireError};
use crate::bus::{Bus, BusError, ControllerState, Filter, Received};
use crate::frame::Frame;

/// Longest that opening may take for each of its steps, ms.
const ANSWER_MAX_MS: u16 = 1_000;
/// Most messages other than frames that one `receive` reads past.
const NOTICES_MAX: usize = 16;

/// A connection to one simulated bus.
pub struct SimBus {
    socket: OwnedFd,
    state: ControllerState,
    lost: u64,
}

impl SimBus {
    /// Connects to the simulator's socket at `path` and says hello. Takes at most two seconds.
    ///
    /// # Errors
    /// Nobody listens there, the simulator refuses, does not answer, or speaks another version.
    pub fn connect(path: &Path, name: &str, filters: &[Filter]) -> Result<SimBus, BusError> {
        let open = |errno: Errno| BusError::Open {
            what: format!("simulated bus {}", path.display()),
            source: errno.into(),
        };
        let too_much = || BusError::Client { name: name.len(), filters: filters.len() };
        let hello = ClientMessage::Hello {
            name: ArrayString::from(name).map_err(|_| too_much())?,
            filters: ArrayVec::try_from(filters).map_err(|_| too_much())?,
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(open)?;
        // Connecting waits where the simulator's backlog is full: for that long at most.
        let limit = TimeVal::milliseconds(ANSWER_MAX_MS.into());
        setsockopt(&socket, sockopt::SendTimeout, &limit).map_err(open)?;
        let address = UnixAddr::new(path).map_err(open)?;
        connect(socket.as_raw_fd(), &address).map_err(open)?;
        let mut bus = SimBus { socket, state: ControllerState::ErrorActive, lost: 0 };
        bus.send_message(&hello)?;
        let mut ready = [PollFd::new(bus.socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(ANSWER_MAX_MS)).map_err(open)? == 0 {
            return Err(BusError::NoAnswer(ANSWER_MAX_MS.into()));
        }
        match bus.receive_message()? {
            Some(SimMessage::Welcome) => Ok(bus),
            Some(SimMessage::Refused(refusal)) => Err(BusError::Refused(refusal)),
            Some(_) => Err(WireError::Field("first message").into()),
            None => Err(BusError::NoAnswer(ANSWER_MAX_MS.into())),
        }
    }

    fn send_message(&mut self, message: &ClientMessage) -> Result<(), BusError> {
        let mut buffer = [0; DATAGRAM_MAX];
        let bytes = message.encode(&mut buffer);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.socket.as_raw_fd(), bytes, flags) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.failed("send", errno)),
        }
    }

    fn receive_message(&mut self) -> Result<Option<SimMessage>, BusError> {
        let mut buffer = [0; DATAGRAM_MAX];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let len = match recv(self.socket.as_raw_fd(), &mut buffer, flags) {
            Ok(0) => return Err(self.failed("recv", Errno::ECONNRESET)),
            Ok(len) => len,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(self.failed("recv", errno)),
        };
        // MSG_TRUNC gives the datagram's own length, so that a longer one is not taken for short.
        let bytes = buffer.get(..len).ok_or(WireError::Length { len })?;
        Ok(Some(SimMessage::decode(bytes)?))
    }

    fn failed(&mut self, call: &'static str, errno: Errno) -> BusError {
        match errno {
            Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR => BusError::Full,
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => {
                self.state = ControllerState::Down;
                BusError::Gone
            }
            other => BusError::Io { call, errno: other as i32 },
        }
    }
}

impl Bus for SimBus {
    fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        self.send_message(&ClientMessage::Send(*frame))
    }

    fn receive(&mut self) -> Result<Option<Received>, BusError> {
        for _ in 0..NOTICES_MAX {
            match self.receive_message()? {
                None => return Ok(None),
                Some(SimMessage::Received(received)) => {
                    self.state = self.state.after(&received.frame);
                    return Ok(Some(received));
                }
                Some(SimMessage::Dropped { count }) => {
                    self.lost = self.lost.saturating_add(count.into());
                }
                Some(SimMessage::Welcome | SimMessage::Refused(_)) => {
                    return Err(WireError::Field("message after the first").into());
                }
            }
        }
        Err(WireError::Field("too many notices without a frame").into())
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn state(&self) -> ControllerState {
        self.state
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

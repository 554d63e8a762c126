//! One client of a bus: its hello, what it sends with the time it came, and what it is sent.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use arrayvec::ArrayVec;
use hal::bus::{FILTERS_MAX, Filter, Received};
use hal::frame::Frame;
use hal::simbus::wire::{ClientMessage, DATAGRAM_MAX, Refusal, SimMessage, WireError};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, send, setsockopt, sockopt};

use super::realtime::{nanoseconds, now_ns};
use crate::world::{ClientId, Delivery, Name};

/// Asked for as a send buffer: 4 MiB hold about a second of a full bus. The system may grant less.
const SEND_BUFFER: usize = 4 << 20;

/// How far a client has come.
pub enum Stage {
    /// Connected at this time, ns; has not said hello.
    Waiting(u64),
    /// On the bus.
    Joined {
        /// Its place.
        id: ClientId,
        /// Its name.
        name: Name,
        /// What it wants to receive.
        filters: ArrayVec<Filter, FILTERS_MAX>,
    },
}

/// One client.
pub struct Peer {
    stream: UnixStream,
    /// Index of the bus whose socket it came to.
    pub bus: usize,
    /// Its process.
    pub pid: u32,
    /// How far it has come.
    pub stage: Stage,
    /// Not polled until its transmit queue has room again.
    pub throttled: bool,
    /// Frames it did not take in time.
    pub dropped: u64,
    unreported: u32,
}

/// What a client's socket gave.
pub enum Incoming {
    /// A message, and when the kernel took it, CLOCK_MONOTONIC ns.
    Message(ClientMessage, u64),
    /// Bytes that are none.
    Malformed(WireError),
    /// Nothing now.
    Nothing,
    /// It is gone.
    Gone,
}

/// Buffers for reading, used again and again.
pub struct Scratch {
    datagram: [u8; DATAGRAM_MAX + 1],
    control: Vec<u8>,
    /// What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, ns.
    pub wall_offset_ns: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            datagram: [0; DATAGRAM_MAX + 1],
            control: nix::cmsg_space!(nix::sys::time::TimeSpec),
            wall_offset_ns: 0,
        }
    }
}

impl Peer {
    /// A fresh connection.
    pub fn new(stream: UnixStream, bus: usize, pid: u32, now_ns: u64) -> Self {
        let _ = setsockopt(&stream, sockopt::ReceiveTimestampns, &true);
        if setsockopt(&stream, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            let _ = setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER);
        }
        let stage = Stage::Waiting(now_ns);
        Self { stream, bus, pid, stage, throttled: false, dropped: 0, unreported: 0 }
    }

    /// Its place on the bus, once it has joined.
    pub fn id(&self) -> Option<ClientId> {
        match &self.stage {
            Stage::Joined { id, .. } => Some(*id),
            Stage::Waiting(_) => None,
        }
    }

    /// Reads one datagram.
    pub fn read(&mut self, scratch: &mut Scratch) -> Incoming {
        let Scratch { datagram, control, wall_offset_ns } = scratch;
        let mut parts = [IoSliceMut::new(datagram)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.stream.as_raw_fd();
        let (len, stamp) = match recvmsg::<()>(fd, &mut parts, Some(control), flags) {
            Ok(message) => {
                (message.bytes, message.cmsgs().ok().and_then(|mut all| all.find_map(stamp_of)))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return Incoming::Nothing,
            Err(_) => return Incoming::Gone,
        };
        if len == 0 {
            return Incoming::Gone;
        }
        let now = now_ns();
        let came_ns = stamp.map_or(now, |stamp| stamp.wrapping_sub(*wall_offset_ns).min(now));
        match ClientMessage::decode(datagram.get(..len).unwrap_or_default()) {
            Ok(message) => Incoming::Message(message, came_ns),
            Err(error) => Incoming::Malformed(error),
        }
    }

    /// Sends an answer to its hello.
    pub fn answer(&self, message: &SimMessage) {
        let _ = self.write(message);
    }

    /// Refuses it; the caller closes.
    pub fn refuse(&self, refusal: Refusal) {
        self.answer(&SimMessage::Refused(refusal));
    }

    fn write(&self, message: &SimMessage) -> Result<(), Errno> {
        let mut buffer = [0; DATAGRAM_MAX];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.stream.as_raw_fd(), message.encode(&mut buffer), flags).map(|_| ())
    }

    /// Hands it a frame that was on its bus. Never waits: what it has no room for is counted, and it
    /// is told how much once it has room again.
    pub fn deliver(&mut self, delivery: &Delivery) {
        let Stage::Joined { id, filters, .. } = &self.stage else { return };
        if id.bus != delivery.bus || !passes(filters, &delivery.frame) {
            return;
        }
        let echo = id.station == delivery.station;
        if self.unreported > 0 {
            let notice = SimMessage::Dropped { count: self.unreported };
            if self.write(&notice).is_err() {
                return self.drop_one();
            }
            self.unreported = 0;
        }
        let received = Received { frame: delivery.frame, time_ns: delivery.wire_ns, echo };
        if self.write(&SimMessage::Received(received)).is_err() {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        self.dropped += 1;
        self.unreported = self.unreported.saturating_add(1);
    }
}

fn passes(filters: &[Filter], frame: &Frame) -> bool {
    Filter::any_passes(filters, frame)
}

fn stamp_of(message: ControlMessageOwned) -> Option<u64> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(nanoseconds(&time)),
        _ => None,
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

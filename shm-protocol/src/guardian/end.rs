//! The guardian's end of one connection, for its real-time thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use super::pages::{FenceWriter, HeartbeatReader, RtBeat};
use crate::error::{LinkError, MemoryError};
use crate::handshake::Message;
use crate::layout::{FencePage, HeartbeatPage, PageKind};
use crate::memory::{CLOSED, FIXED_SIZE, Memory};
use crate::records::Cause;
use crate::socket::{self, Heard, Peer, is_readable};

/// What mechos-rt says to the guardian after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtMessage {
    /// An operator's reset was taken; it answers the fence latched at this time, ns.
    Reset(u64),
    /// An orderly end.
    Goodbye,
    /// Something else: of no meaning.
    Unknown,
    /// Its end was closed, or its process has ended.
    HungUp,
}

/// The guardian's end of one connection. Nothing of it waits or allocates; only
/// [`GuardianEnd::message`] makes a system call.
#[derive(Debug)]
pub struct GuardianEnd {
    socket: OwnedFd,
    pid: i32,
    pidfd: Option<OwnedFd>,
    heartbeat: HeartbeatReader,
    fence: FenceWriter,
}

/// Both pages, mapped, before mechos-rt has closed the fence page.
#[derive(Debug)]
pub(super) struct Unclosed {
    heartbeat: HeartbeatReader,
    fence: FenceWriter,
    fence_memory: Memory,
}

impl Unclosed {
    /// Adopts the descriptors that came with a hello; a fence that is latched is up at once.
    pub(super) fn adopt(
        descriptors: Vec<OwnedFd>,
        generation: u32,
        latched: Option<(Cause, u64)>,
    ) -> Result<Self, LinkError> {
        let Ok([first, second]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            return Err(LinkError::Broken("the hello came without its two pages"));
        };
        let heartbeat: crate::memory::Mapped<HeartbeatPage<_>> =
            Memory::adopt::<HeartbeatPage<AtomicU64>>(first, CLOSED)?.map_read()?;
        let fence_memory = Memory::adopt::<FencePage<AtomicU64>>(second, FIXED_SIZE)?;
        let fence = fence_memory.map_write::<FencePage<AtomicU64>>()?;
        if !heartbeat.header.is(PageKind::Heartbeat, generation)
            || !fence.header.is(PageKind::Fence, generation)
        {
            return Err(MemoryError::Header.into());
        }
        let (heartbeat, fence) = (HeartbeatReader::new(heartbeat), FenceWriter::new(fence));
        fence.set(latched);
        Ok(Self { heartbeat, fence, fence_memory })
    }

    /// mechos-rt says that the fence page is closed.
    pub(super) fn close(self, socket: OwnedFd, peer: Peer) -> Result<GuardianEnd, MemoryError> {
        self.fence_memory.require(CLOSED)?;
        let (pid, pidfd) = (peer.pid, peer.pidfd);
        Ok(GuardianEnd { socket, pid, pidfd, heartbeat: self.heartbeat, fence: self.fence })
    }
}

impl GuardianEnd {
    /// mechos-rt's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Turns readable when that process has ended; none where the kernel gives none.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// The newest beat; the last good one when none could be read whole within the bound, none
    /// before the first. Real time.
    pub fn rt_beat(&mut self) -> Option<RtBeat> {
        self.heartbeat.newest()
    }

    /// The guardian's own beat. Real time.
    pub fn beat(&mut self) {
        self.fence.beat();
    }

    /// Puts the fence up with its cause and time (CLOCK_MONOTONIC ns), or takes it down. Real time.
    pub fn set_fence(&mut self, latched: Option<(Cause, u64)>) {
        self.fence.set(latched);
    }

    /// Says whether every stop socket is proved. Real time.
    pub fn set_proved(&mut self, proved: bool) {
        self.fence.set_proved(proved);
    }

    /// The next message of mechos-rt; never waits. One system call, two when nothing came.
    pub fn message(&mut self) -> Option<RtMessage> {
        match socket::receive(&self.socket) {
            Heard::Message(Ok(Message::Reset(since_ns))) => Some(RtMessage::Reset(since_ns)),
            Heard::Message(Ok(Message::Goodbye)) => Some(RtMessage::Goodbye),
            Heard::Message(_) => Some(RtMessage::Unknown),
            Heard::Closed => Some(RtMessage::HungUp),
            Heard::Nothing => {
                self.pidfd.as_ref().is_some_and(is_readable).then_some(RtMessage::HungUp)
            }
        }
    }
}

//! mechos-rt's side of the guardian's link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::pages::{FenceReader, HeartbeatWriter, cause_of};
use crate::error::LinkError;
use crate::handshake::{Message, Service};
use crate::layout::{FencePage, HeartbeatPage, PageKind};
use crate::memory::Memory;
use crate::records::Cause;
use crate::socket::{
    self, connect_to, is_closed, is_readable, peer_of, receive_until, send, unless_refused,
};

/// mechos-rt's connection to the guardian.
#[derive(Debug)]
pub struct GuardianLink {
    /// The beat's writer, for the control thread; taken once.
    pub beat: Option<HeartbeatWriter>,
    /// The fence, for every thread.
    pub fence: FenceReader,
    /// A loss that the guardian had latched before this connection.
    pub latched: Option<Cause>,
    /// The guardian's process.
    pub pid: i32,
    /// Turns readable when that process has ended.
    pub pidfd: Option<OwnedFd>,
    socket: OwnedFd,
}

impl GuardianLink {
    /// Connects to the guardian's socket and goes through the handshake, within `timeout`. Maps and
    /// locks pages: not while the machine is powered.
    ///
    /// # Errors
    /// [`LinkError`], which says what was found and what to do.
    pub fn connect(
        path: &Path,
        generation: u32,
        timeout: Duration,
    ) -> Result<GuardianLink, LinkError> {
        let until = Instant::now() + timeout;
        let socket = connect_to(path, until)?;
        let peer = peer_of(&socket)?;
        let beat_memory = Memory::create::<HeartbeatPage<AtomicU64>>("mechos-heartbeat")?;
        let beat = beat_memory.map_write::<HeartbeatPage<AtomicU64>>()?;
        beat.header.write(PageKind::Heartbeat, generation);
        beat_memory.close_for_writing()?;
        let fence_memory = Memory::create::<FencePage<AtomicU64>>("mechos-fence")?;
        {
            let page = fence_memory.map_write::<FencePage<AtomicU64>>()?;
            page.header.write(PageKind::Fence, generation);
        }
        let fence = FenceReader::new(fence_memory.map_read()?);
        let hello = Message::Hello(Service::Guardian, generation);
        let pages = [beat_memory.descriptor(), fence_memory.descriptor()];
        send(&socket, hello, &pages).or_else(unless_refused)?;
        let (message, _) = receive_until(&socket, until)?;
        let Message::Welcome(cause, _) = message else {
            return Err(LinkError::Broken("another message than the welcome came"));
        };
        // The guardian has mapped it: no other writable mapping from here on.
        fence_memory.close_for_writing()?;
        send(&socket, Message::Go, &[])?;
        Ok(GuardianLink {
            beat: Some(HeartbeatWriter::new(beat)),
            fence,
            latched: cause_of(cause),
            pid: peer.pid,
            pidfd: peer.pidfd,
            socket,
        })
    }

    /// The descriptors to poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.socket.as_fd()).chain(self.pidfd.as_ref().map(AsFd::as_fd))
    }

    /// Whether the guardian still holds its end. What it says after the handshake is of no meaning,
    /// and is thrown away here, so that its socket does not stay readable.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let said = is_readable(&self.socket)
            && matches!(socket::receive(&self.socket), socket::Heard::Closed);
        !said && !is_closed(&self.socket) && !self.pidfd.as_ref().is_some_and(is_readable)
    }

    /// Hands on an operator's reset.
    ///
    /// # Errors
    /// [`LinkError`] when the guardian takes no message.
    pub fn reset(&self, since_ns: u64) -> Result<(), LinkError> {
        send(&self.socket, Message::Reset(since_ns), &[])
    }

    /// Announces an orderly end.
    ///
    /// # Errors
    /// [`LinkError`] when the guardian takes no message.
    pub fn goodbye(&self) -> Result<(), LinkError> {
        send(&self.socket, Message::Goodbye, &[])
    }
}

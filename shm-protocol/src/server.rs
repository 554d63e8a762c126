//! mechos-rt's side of the planner's handshake.
//!
//! ```text
//! planner                         mechos-rt
//!    Hello(link) ------------------->   user, version, layout?
//!    <-- Pages(generation) + 2 descriptors   telemetry page closed before
//!    maps both
//!    Mapped ------------------------>   closes the intent page, reads the seals back
//!    <--------------------------- Go
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::error::{LinkError, Refusal};
use crate::handshake::{Message, Service};
use crate::listener::{Guest, Listener, Refused};
use crate::page_set::PageSet;
use crate::server_end::ServerEnd;
use crate::socket::{self, Heard};

/// A peer that is through the handshake.
#[derive(Debug)]
pub struct Connected {
    /// The real-time end.
    pub end: ServerEnd,
    /// Held open; it closes when the peer goes.
    pub socket: OwnedFd,
    /// The peer's process.
    pub pid: i32,
    /// The peer's user.
    pub uid: u32,
    /// Turns readable when the peer's process has ended; none where the kernel gives none.
    pub pidfd: Option<OwnedFd>,
}

/// What a turn of the server brought.
#[derive(Debug)]
pub enum LinkNews {
    /// A peer is connected.
    Connected(Box<Connected>),
    /// A peer was refused, and told why.
    Refused {
        /// Its process.
        pid: i32,
        /// Why.
        refusal: Refusal,
    },
    /// A peer broke the handshake off, or took too long.
    Broken {
        /// Its process.
        pid: i32,
    },
}

impl From<Refused> for LinkNews {
    fn from(Refused { pid, refusal }: Refused) -> Self {
        LinkNews::Refused { pid, refusal }
    }
}

/// A peer in the middle of the handshake; with its pages once it was given them.
#[derive(Debug)]
struct Pending {
    guest: Guest,
    pages: Option<PageSet>,
}

/// The listening socket of the planner's link. Its file is removed with it.
#[derive(Debug)]
pub struct LinkServer {
    listener: Listener,
    pending: Option<Pending>,
}

impl LinkServer {
    /// Offers `path` with `mode` to processes of the user `uid_allowed`. A socket that nobody serves
    /// any more is replaced.
    ///
    /// # Errors
    /// [`LinkError`]; `Taken` when somebody serves it.
    pub fn bind(path: &Path, uid_allowed: u32, mode: u32) -> Result<LinkServer, LinkError> {
        Ok(LinkServer { listener: Listener::bind(path, uid_allowed, mode)?, pending: None })
    }

    /// The descriptors to poll for reading.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pending = self.pending.as_ref().map(|pending| pending.guest.socket.as_fd());
        std::iter::once(self.listener.descriptor()).chain(pending)
    }

    /// Goes on with the handshake; never waits. `busy` refuses newcomers; `pages` gives the next
    /// page set, or none while there is none. A page set that was given to a peer is never given to
    /// another.
    ///
    /// One peer at a time is in the handshake, for two seconds at the most.
    pub fn turn(
        &mut self,
        busy: bool,
        pages: &mut dyn FnMut() -> Option<PageSet>,
    ) -> Option<LinkNews> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => match self.listener.accept(busy)? {
                Ok(guest) => Pending { guest, pages: None },
                Err(refused) => return Some(refused.into()),
            },
        };
        let pid = pending.guest.peer.pid;
        match socket::receive(&pending.guest.socket) {
            Heard::Nothing if !pending.guest.is_late() => {
                self.pending = Some(pending);
                None
            }
            Heard::Nothing | Heard::Closed => Some(LinkNews::Broken { pid }),
            Heard::Message(heard) => self.go_on(pending, heard, pages),
        }
    }

    fn go_on(
        &mut self,
        Pending { guest, pages: given }: Pending,
        heard: Result<Message, Refusal>,
        pages: &mut dyn FnMut() -> Option<PageSet>,
    ) -> Option<LinkNews> {
        let pid = guest.peer.pid;
        match (heard, given) {
            (Ok(Message::Hello(Service::Link, _)), None) => {
                let Some(set) = pages() else {
                    return Some(guest.refuse(Refusal::Pages).into());
                };
                let message = Message::Pages(set.generation());
                if socket::send(&guest.socket, message, &set.descriptors()).is_err() {
                    return Some(LinkNews::Broken { pid });
                }
                self.pending = Some(Pending { guest, pages: Some(set) });
                None
            }
            (Ok(Message::Mapped), Some(set)) => Some(finish(guest, set)),
            (Ok(Message::Hello(Service::Guardian, _)), None) => {
                Some(guest.refuse(Refusal::Service).into())
            }
            // It refuses this side: another version or layout, as it says.
            (Ok(Message::Refused(refusal)), _) => Some(LinkNews::Refused { pid, refusal }),
            (Err(refusal), _) => Some(guest.refuse(refusal).into()),
            (Ok(_), _) => Some(guest.refuse(Refusal::Malformed).into()),
        }
    }
}

fn finish(guest: Guest, set: PageSet) -> LinkNews {
    let Guest { socket, peer, .. } = guest;
    let broken = LinkNews::Broken { pid: peer.pid };
    let Ok(end) = set.close() else { return broken };
    if socket::send(&socket, Message::Go, &[]).is_err() {
        return broken;
    }
    let (pid, uid, pidfd) = (peer.pid, peer.uid, peer.pidfd);
    LinkNews::Connected(Box::new(Connected { end, socket, pid, uid, pidfd }))
}

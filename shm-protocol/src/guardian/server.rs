//! The guardian's side of the handshake.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::end::{GuardianEnd, Unclosed};
use crate::error::{LinkError, Refusal};
use crate::handshake::{Message, Service};
use crate::listener::{Guest, Listener, Refused};
use crate::records::Cause;
use crate::socket::{self, Heard};

/// The guardian's listening socket. Its file is removed with it.
#[derive(Debug)]
pub struct GuardianServer {
    listener: Listener,
    pending: Option<(Guest, Option<Unclosed>)>,
    refused: Option<Refused>,
}

impl GuardianServer {
    /// Offers `path`, mode 0600, to processes of `uid_allowed`. A socket that nobody serves any more
    /// is replaced.
    ///
    /// # Errors
    /// [`LinkError`]; `Taken` when somebody serves it.
    pub fn bind(path: &Path, uid_allowed: u32) -> Result<GuardianServer, LinkError> {
        let listener = Listener::bind(path, uid_allowed, 0o600)?;
        Ok(GuardianServer { listener, pending: None, refused: None })
    }

    /// The descriptor to poll for reading.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.descriptor()
    }

    /// Goes on with the handshake, one step; never waits. `busy` refuses newcomers; `latched` is the
    /// fence that is up (cause, CLOCK_MONOTONIC ns), which a new connection begins with.
    pub fn turn(&mut self, busy: bool, latched: Option<(Cause, u64)>) -> Option<GuardianEnd> {
        let (guest, pages) = match self.pending.take() {
            Some(pending) => pending,
            None => match self.listener.accept(busy)? {
                Ok(guest) => (guest, None),
                Err(refused) => {
                    self.refused = Some(refused);
                    return None;
                }
            },
        };
        match pages {
            None => self.hear_hello(guest, latched),
            Some(pages) => return self.hear_go(guest, pages),
        }
        None
    }

    /// The last peer that was refused, once: for the log.
    pub fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }

    fn hear_hello(&mut self, guest: Guest, latched: Option<(Cause, u64)>) {
        let (heard, descriptors) = socket::receive_with_descriptors(&guest.socket);
        let refusal = match heard {
            Heard::Nothing if !guest.is_late() => {
                self.pending = Some((guest, None));
                return;
            }
            Heard::Nothing | Heard::Closed => return,
            Heard::Message(Ok(Message::Hello(Service::Guardian, generation))) => {
                match Unclosed::adopt(descriptors, generation, latched) {
                    Ok(pages) => {
                        self.welcome(guest, pages, latched);
                        return;
                    }
                    Err(_) => Refusal::Malformed,
                }
            }
            Heard::Message(Ok(Message::Hello(Service::Link, _))) => Refusal::Service,
            Heard::Message(Ok(_)) => Refusal::Malformed,
            Heard::Message(Err(refusal)) => refusal,
        };
        self.refused = Some(guest.refuse(refusal));
    }

    fn welcome(&mut self, guest: Guest, pages: Unclosed, latched: Option<(Cause, u64)>) {
        let (cause, since_ns) = latched.map_or((0, 0), |(cause, since)| (cause as u64, since));
        if socket::send(&guest.socket, Message::Welcome(cause, since_ns), &[]).is_ok() {
            self.pending = Some((guest, Some(pages)));
        }
    }

    fn hear_go(&mut self, guest: Guest, pages: Unclosed) -> Option<GuardianEnd> {
        let refusal = match socket::receive(&guest.socket) {
            Heard::Nothing if !guest.is_late() => {
                self.pending = Some((guest, Some(pages)));
                return None;
            }
            Heard::Nothing | Heard::Closed => return None,
            Heard::Message(Ok(Message::Go)) => {
                return pages.close(guest.socket, guest.peer).ok();
            }
            Heard::Message(Ok(_)) => Refusal::Malformed,
            Heard::Message(Err(refusal)) => refusal,
        };
        self.refused = Some(guest.refuse(refusal));
        None
    }
}

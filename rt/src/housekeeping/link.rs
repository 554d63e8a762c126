//! The planner's link: page sets in stock, one living connection at the most.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mechos_robot::Robot;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtrb::{Consumer, Producer};
use shm_protocol::records::Description;
use shm_protocol::{LINK_SOCKET, LinkError, LinkNews, LinkServer, PageSet, ServerEnd};
use tracing::{error, info, warn};

use crate::host::clock;
use crate::shared::Shared;

/// Page sets in stock: planners that may connect while the machine is armed.
const STOCK: usize = 4;

/// A living connection.
struct Living {
    socket: OwnedFd,
    pidfd: Option<OwnedFd>,
    pid: i32,
}

/// Keeps the connection.
pub struct LinkKeeper {
    server: LinkServer,
    description: Description,
    stock: Vec<PageSet>,
    next_generation: u32,
    living: Option<Living>,
    /// When the loss of the last connection was seen, CLOCK_MONOTONIC ns; none while one lives.
    pub lost_ns: Option<u64>,
    shared: Arc<Shared>,
    to_control: Producer<ServerEnd>,
    back: Consumer<ServerEnd>,
}

impl LinkKeeper {
    /// Offers the socket and makes the first page sets.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn new(
        robot: &Robot,
        runtime: &Path,
        cognition_uid: u32,
        shared: Arc<Shared>,
        (to_control, back): (Producer<ServerEnd>, Consumer<ServerEnd>),
    ) -> Result<Self, LinkError> {
        // Another user must be able to connect; who it is, is checked by its credentials.
        let own = nix::unistd::geteuid().as_raw();
        let mode = if cognition_uid == own { 0o600 } else { 0o666 };
        let mut keeper = Self {
            server: LinkServer::bind(&runtime.join(LINK_SOCKET), cognition_uid, mode)?,
            description: robot.description(),
            stock: Vec::new(),
            next_generation: 1,
            living: None,
            lost_ns: None,
            shared,
            to_control,
            back,
        };
        keeper.restock()?;
        Ok(keeper)
    }

    /// The descriptors to poll.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let living = self.living.iter().flat_map(|living| {
            std::iter::once(living.socket.as_fd()).chain(living.pidfd.as_ref().map(AsFd::as_fd))
        });
        self.server.descriptors().chain(living)
    }

    /// Watches the connection and goes on with handshakes; returns the planner's process.
    pub fn turn(&mut self) -> Option<i32> {
        while self.back.pop().is_ok() {}
        if self.living.as_ref().is_some_and(Living::has_ended) {
            self.lost_ns = Some(clock::now_ns());
            // The control thread sees it at its next tick.
            self.shared.link_alive.store(0, Ordering::Release);
            error!(pid = self.living.as_ref().map(|living| living.pid), "the planner is gone");
            self.living = None;
        }
        if !self.shared.armed.load(Ordering::Acquire)
            && let Err(error) = self.restock()
        {
            warn!("no new page set: {error}");
        }
        let (stock, busy) = (&mut self.stock, self.living.is_some());
        match self.server.turn(busy, &mut || (!stock.is_empty()).then(|| stock.remove(0))) {
            Some(LinkNews::Connected(peer)) => {
                info!(pid = peer.pid, generation = peer.end.generation(), "planner connected");
                let generation = peer.end.generation();
                // Before the pages arrive, so that the control thread finds them alive.
                self.shared.link_alive.store(generation, Ordering::Release);
                if self.to_control.push(peer.end).is_ok() {
                    let (socket, pidfd, pid) = (peer.socket, peer.pidfd, peer.pid);
                    self.living = Some(Living { socket, pidfd, pid });
                    self.lost_ns = None;
                }
            }
            Some(LinkNews::Refused { pid, refusal }) => {
                warn!(pid, reason = refusal.mend(), "a planner was refused");
            }
            Some(LinkNews::Broken { pid }) => warn!(pid, "a planner broke the handshake off"),
            None => {}
        }
        self.living.as_ref().map(|living| living.pid)
    }

    /// Makes page sets until there are enough. Mapping and locking pages is for a machine that is
    /// not armed.
    fn restock(&mut self) -> Result<(), shm_protocol::MemoryError> {
        while self.stock.len() < STOCK {
            self.stock.push(PageSet::create(&self.description, self.next_generation)?);
            self.next_generation += 1;
        }
        Ok(())
    }
}

impl Living {
    /// Whether the process has ended or its socket was closed. Whatever it says on the socket after
    /// the handshake is of no meaning, and counts as its end.
    fn has_ended(&self) -> bool {
        let descriptors = std::iter::once(&self.socket).chain(&self.pidfd);
        let mut fds: Vec<PollFd<'_>> =
            descriptors.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut fds, PollTimeout::ZERO);
        fds.iter().any(|fd| fd.revents().is_some_and(|found| !found.is_empty()))
    }
}

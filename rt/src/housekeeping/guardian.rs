//! The connection to the guardian: made, watched, made again.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::{Consumer, Producer};
use shm_protocol::records::Cause;
use shm_protocol::{GUARDIAN_PAGE_SOCKET, GuardianLink, HeartbeatWriter};
use tracing::{error, info, warn};

use crate::fence::Fences;
use crate::shared::Shared;

/// How long a handshake may take. Housekeeping does nothing else meanwhile.
const HANDSHAKE_MAX: Duration = Duration::from_millis(500);
/// How often an operator's reset is handed on while the fence is up, ns.
const RESET_NS: u64 = 20_000_000;
/// How often a lost guardian is looked for, ns.
const RETRY_NS: u64 = 250_000_000;

/// Keeps the connection.
pub struct GuardianKeeper {
    path: PathBuf,
    shared: Arc<Shared>,
    fences: Arc<Fences>,
    to_control: Producer<HeartbeatWriter>,
    back: Consumer<HeartbeatWriter>,
    link: Option<GuardianLink>,
    generation: u32,
    next_try_ns: u64,
    next_reset_ns: u64,
}

impl GuardianKeeper {
    /// Not connected yet.
    pub fn new(
        runtime: &Path,
        shared: Arc<Shared>,
        fences: Arc<Fences>,
        (to_control, back): (Producer<HeartbeatWriter>, Consumer<HeartbeatWriter>),
    ) -> Self {
        let path = runtime.join(GUARDIAN_PAGE_SOCKET);
        let (link, generation, next_try_ns, next_reset_ns) = (None, 0, 0, 0);
        Self {
            path,
            shared,
            fences,
            to_control,
            back,
            link,
            generation,
            next_try_ns,
            next_reset_ns,
        }
    }

    /// The descriptors to poll.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.link.iter().flat_map(GuardianLink::descriptors)
    }

    /// Tries to connect; returns a loss that the guardian has latched.
    pub fn meet(&mut self) -> Option<Cause> {
        self.generation += 1;
        let mut link = match GuardianLink::connect(&self.path, self.generation, HANDSHAKE_MAX) {
            Ok(link) => link,
            Err(error) => {
                warn!("no guardian: {error}; arming is refused until there is one");
                return None;
            }
        };
        if !self.fences.install(link.fence.clone()) {
            error!("too many guardians in one life of mechos-rt: start it again");
            return None;
        }
        if let Some(beat) = link.beat.take() {
            let _ = self.to_control.push(beat);
        }
        info!(pid = link.pid, "guardian connected");
        let latched = link.latched;
        self.link = Some(link);
        self.shared.guardian_alive.store(true, Ordering::Release);
        latched
    }

    /// Watches the connection; returns the guardian's process.
    pub fn turn(&mut self, now_ns: u64) -> Option<i32> {
        while self.back.pop().is_ok() {}
        if self.link.as_ref().is_some_and(|link| !link.is_alive()) {
            // The control thread sees it at its next tick.
            self.shared.guardian_alive.store(false, Ordering::Release);
            error!("the guardian is gone");
            self.link = None;
        }
        // Mapping and locking pages is for a machine that is not armed.
        let quiet = !self.shared.armed.load(Ordering::Acquire);
        if self.link.is_none() && quiet && now_ns >= self.next_try_ns {
            self.next_try_ns = now_ns.saturating_add(RETRY_NS);
            self.meet();
        }
        self.ask_reset(now_ns);
        self.link.as_ref().map(|link| link.pid)
    }

    /// Hands on an operator's reset, again and again until the fence that it answers is down.
    fn ask_reset(&mut self, now_ns: u64) {
        let answered_ns = self.shared.fence_answered_ns.load(Ordering::Acquire);
        let due = now_ns >= self.next_reset_ns;
        if let (Some(link), true) = (&self.link, due)
            && answered_ns != 0
            && self.fences.since_ns() == Some(answered_ns)
        {
            self.next_reset_ns = now_ns.saturating_add(RESET_NS);
            if let Err(error) = link.reset(answered_ns) {
                warn!("the guardian takes no reset: {error}");
            }
        }
    }

    /// Announces an orderly end.
    pub fn goodbye(&self) {
        if let Some(link) = &self.link
            && let Err(error) = link.goodbye()
        {
            warn!("the guardian takes no goodbye: {error}");
        }
    }
}

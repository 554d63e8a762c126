//! Where mechos-rt connects: the handshake's server, and a connection's pages as the watcher needs
//! them.

use std::os::fd::BorrowedFd;
use std::path::Path;

use shm_protocol::{
    GUARDIAN_PAGE_SOCKET, GuardianEnd, GuardianServer, LinkError, RtBeat, RtMessage,
};

use super::logic::{Beat, Fence, News};
use super::page::Page;

/// Steps of handshakes in one turn: who connects and leaves at once, again and again, costs one or
/// two each, and must not keep mechos-rt waiting.
const STEPS_MAX: u32 = 64;

/// The socket for mechos-rt.
pub struct Door {
    server: GuardianServer,
}

impl Door {
    /// Offers the socket in the runtime directory, to processes of this user.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn open(runtime: &Path) -> Result<Self, LinkError> {
        let own = nix::unistd::geteuid().as_raw();
        let server = GuardianServer::bind(&runtime.join(GUARDIAN_PAGE_SOCKET), own)?;
        Ok(Self { server })
    }

    /// The descriptor to poll for reading.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.server.descriptor()
    }

    /// Goes on with handshakes; never waits. `latched` is told to whoever connects; `busy` turns
    /// newcomers away.
    pub fn turn(&mut self, latched: Option<Fence>, busy: bool) -> Option<RtPage> {
        let latched = latched.map(|fence| (fence.cause, fence.t_ns));
        (0..STEPS_MAX).find_map(|_| self.server.turn(busy, latched)).map(RtPage::new)
    }
}

/// One connection to mechos-rt.
pub struct RtPage {
    end: GuardianEnd,
    last: Option<RtBeat>,
    count: u64,
}

impl RtPage {
    fn new(end: GuardianEnd) -> Self {
        Self { end, last: None, count: 0 }
    }

    /// mechos-rt's process.
    pub fn pid(&self) -> i32 {
        self.end.pid()
    }
}

impl Page for RtPage {
    fn beat_of_rt(&mut self) -> Beat {
        let beat = self.end.rt_beat();
        if beat != self.last {
            self.last = beat;
            self.count = self.count.saturating_add(1);
        }
        let RtBeat { t_ns, energised, .. } = beat.unwrap_or_default();
        Beat { count: self.count, t_ns, energised }
    }

    fn beat(&mut self) {
        self.end.beat();
    }

    fn set_fence(&mut self, fence: Option<Fence>) {
        self.end.set_fence(fence.map(|fence| (fence.cause, fence.t_ns)));
    }

    fn set_proved(&mut self, proved: bool) {
        self.end.set_proved(proved);
    }

    fn news(&mut self) -> Option<News> {
        match self.end.message()? {
            RtMessage::Reset(since_ns) => Some(News::Reset { since_ns }),
            RtMessage::Goodbye => Some(News::Goodbye),
            RtMessage::HungUp => Some(News::HungUp),
            RtMessage::Unknown => None,
        }
    }
}

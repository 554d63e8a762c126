//! The guardian's fence, as every thread of the daemon sees it before it sends.
//!
//! A guardian that is started again brings a new page. Readers find the newest one by one load;
//! pages are kept, so that a thread that just looked at an older one still reads valid memory.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use shm_protocol::FenceReader;
use shm_protocol::records::Cause;

/// Guardians that one life of the daemon may meet.
pub const GUARDIANS_MAX: usize = 64;

/// The fence pages met so far.
#[derive(Debug)]
pub struct Fences {
    pages: [OnceLock<FenceReader>; GUARDIANS_MAX],
    count: AtomicUsize,
}

impl Default for Fences {
    fn default() -> Self {
        Self { pages: [const { OnceLock::new() }; GUARDIANS_MAX], count: AtomicUsize::new(0) }
    }
}

impl Fences {
    /// Takes a new guardian's page; false when this life has met too many. Housekeeping only.
    pub fn install(&self, page: FenceReader) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.pages.get(count) else { return false };
        let installed = place.set(page).is_ok();
        // Release pairs with the Acquire in `newest`: the page is in its place.
        self.count.store(count + 1, Ordering::Release);
        installed
    }

    fn newest(&self) -> Option<&FenceReader> {
        let count = self.count.load(Ordering::Acquire);
        self.pages.get(count.checked_sub(1)?)?.get()
    }

    /// Whether the fence is up: then this process sends nothing. Real time.
    pub fn is_up(&self) -> bool {
        self.newest().is_some_and(FenceReader::is_up)
    }

    /// The latched cause while the fence is up. Real time.
    pub fn cause(&self) -> Option<Cause> {
        self.newest().and_then(FenceReader::cause)
    }

    /// When the fence that is up was latched, ns; `None` while it is down. Real time.
    pub fn since_ns(&self) -> Option<u64> {
        let page = self.newest()?;
        page.is_up().then(|| page.since_ns())
    }

    /// The guardian's beat. Real time.
    pub fn guardian_beat(&self) -> u64 {
        self.newest().map_or(0, FenceReader::guardian_beat)
    }

    /// The guardian's stop sockets are proved. Real time.
    pub fn guardian_socket_proved(&self) -> bool {
        self.newest().is_some_and(FenceReader::socket_proved)
    }
}

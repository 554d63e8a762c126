//! Pages that fault when they are touched, although all of the process' memory is locked: for the
//! fault that is injected on purpose.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munlock, munmap};

/// Pages of a region.
pub const PAGES_MAX: usize = 8192;
const PAGE_BYTES: usize = 4096;
const REGION_BYTES: NonZeroUsize = match NonZeroUsize::new(PAGES_MAX * PAGE_BYTES) {
    Some(bytes) => bytes,
    None => NonZeroUsize::MIN,
};

/// A region whose pages are given back to the kernel and not locked.
#[derive(Debug)]
pub struct FreshPages {
    begin: NonNull<u8>,
    next: AtomicUsize,
}

// SAFETY: the region belongs to this value alone and lives as long as it; every access goes through
// `touch`, which hands each page to one caller only.
unsafe impl Send for FreshPages {}
// SAFETY: as above.
unsafe impl Sync for FreshPages {}

impl FreshPages {
    /// Maps a region and gives its pages back. Not for a real-time thread.
    ///
    /// # Errors
    /// The system's.
    pub fn map() -> Result<Self, std::io::Error> {
        let (access, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other.
        let begin = unsafe { mmap_anonymous(None, REGION_BYTES, access, flags) }?;
        let pages = Self { begin: begin.cast(), next: AtomicUsize::new(0) };
        // Huge pages would make one fault of 512.
        // SAFETY: advice on the whole of our own mapping.
        unsafe { madvise(begin, REGION_BYTES.get(), MmapAdvise::MADV_NOHUGEPAGE) }?;
        pages.give_back()?;
        Ok(pages)
    }

    /// Gives every page back, so that it faults again. Not for a real-time thread.
    ///
    /// # Errors
    /// The system's.
    pub fn give_back(&self) -> Result<(), std::io::Error> {
        let begin = self.begin.cast();
        // Locked, as everything is that a process with MCL_FUTURE maps, pages are not given back.
        // SAFETY: the whole of our own mapping.
        unsafe { munlock(begin, REGION_BYTES.get()) }?;
        // SAFETY: the whole of our own mapping; nobody keeps a reference into it.
        unsafe { madvise(begin, REGION_BYTES.get(), MmapAdvise::MADV_DONTNEED) }?;
        self.next.store(0, Ordering::Release);
        Ok(())
    }

    /// Writes to the next page that was not touched since the pages were given back; false when
    /// there is none.
    pub fn touch(&self) -> bool {
        let page = self.next.fetch_add(1, Ordering::AcqRel);
        if page >= PAGES_MAX {
            return false;
        }
        // SAFETY: below PAGES_MAX, inside the mapping, and no other caller got this page.
        unsafe { self.begin.add(page * PAGE_BYTES).write_volatile(1) };
        true
    }
}

impl Drop for FreshPages {
    fn drop(&mut self) {
        // SAFETY: our own mapping, whole, used by nobody any more.
        let _ = unsafe { munmap(self.begin.cast(), REGION_BYTES.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::grants::counters_of_current;

    fn faults_of(pages: &FreshPages, count: usize) -> u64 {
        let before = counters_of_current();
        for _ in 0..count {
            assert!(pages.touch());
        }
        counters_of_current().faults_minor - before.faults_minor
    }

    #[test]
    fn every_page_faults_once_and_again_when_it_was_given_back() {
        let pages = FreshPages::map().unwrap();
        assert!(faults_of(&pages, 100) >= 100);
        pages.give_back().unwrap();
        assert!(faults_of(&pages, 100) >= 100);
    }

    #[test]
    fn there_is_an_end() {
        let pages = FreshPages::map().unwrap();
        assert_eq!((0..PAGES_MAX + 5).filter(|_| pages.touch()).count(), PAGES_MAX);
    }
}

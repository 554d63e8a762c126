//! Words that two processes share: a memfd, mapped by each.
//!
//! `unsafe` is needed to map it and to see words in it. What makes it sound: it is only ever reached
//! as atomics, and its size is sealed before it is mapped, so that no access faults past its end.

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, munmap};
use nix::unistd::ftruncate;

use crate::failure::Failure;

/// Words from one page of the processor's to the next, at the most.
const TOUCH_WORDS: usize = 512;

/// A new memfd of so many words, zeroed, its size sealed.
pub fn create(words: usize) -> Result<OwnedFd, Failure> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let memory = memfd_create("mechos-bench", flags).map_err(Failure::of("memfd_create"))?;
    let length = i64::try_from(words * size_of::<u64>()).unwrap_or(i64::MAX);
    ftruncate(&memory, length).map_err(Failure::of("ftruncate"))?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).map_err(Failure::of("F_ADD_SEALS"))?;
    Ok(memory)
}

/// Words of a memfd that [`create`] made, here or in the other process. Unmapped when dropped.
#[derive(Debug)]
pub struct Shared {
    start: NonNull<libc::c_void>,
    bytes: NonZeroUsize,
}

impl Shared {
    /// Maps so many words, locks them where this process may, and touches each page: the first fault
    /// is not part of any measurement.
    pub fn map(memory: &impl AsFd, words: usize) -> Result<Shared, Failure> {
        let seals = fcntl(memory.as_fd(), FcntlArg::F_GET_SEALS);
        let seals = SealFlag::from_bits_retain(seals.map_err(Failure::of("F_GET_SEALS"))?);
        let status = nix::sys::stat::fstat(memory.as_fd()).map_err(Failure::of("fstat"))?;
        let bytes = NonZeroUsize::new(words.saturating_mul(size_of::<u64>()))
            .ok_or(Failure::Disagreement("no words"))?;
        if !seals.contains(SealFlag::F_SEAL_SHRINK)
            || usize::try_from(status.st_size) != Ok(bytes.get())
        {
            return Err(Failure::Disagreement("size of the shared words"));
        }
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh shared mapping at an address that the kernel chooses; its length is the
        // memfd's, which cannot shrink (both checked above).
        let start = unsafe { mmap(None, bytes, rights, MapFlags::MAP_SHARED, memory, 0) }
            .map_err(Failure::of("mmap"))?;
        let shared = Shared { start, bytes };
        // SAFETY: start and length are those of the mapping just made; its content does not change.
        unsafe { madvise(start, bytes.get(), MmapAdvise::MADV_DONTFORK) }
            .map_err(Failure::of("MADV_DONTFORK"))?;
        // SAFETY: as above. Refused without the right to lock, which costs only a fault.
        let _: Result<(), Errno> = unsafe { mlock(start, bytes.get()) };
        for word in shared.iter().step_by(TOUCH_WORDS) {
            word.fetch_or(0, Ordering::Relaxed);
        }
        Ok(shared)
    }
}

impl Deref for Shared {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        let words = self.bytes.get() / size_of::<u64>();
        // SAFETY: the mapping is so long, aligned to a page, lives as long as `self`, and is reached
        // as atomics by both processes; any bytes are a valid word.
        unsafe { std::slice::from_raw_parts(self.start.cast::<AtomicU64>().as_ptr(), words) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: start and length are those of `map`, and every reference borrows `self`. Unmapping
        // a whole mapping does not fail.
        let _ = unsafe { munmap(self.start, self.bytes.get()) };
    }
}

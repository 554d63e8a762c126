//! memfds, seals and mappings. `unsafe` is needed to map memory and to see a page in it.
//!
//! What makes it sound: a page's memory is only ever reached as atomics, so that whatever another
//! process writes at whatever moment is a value, not undefined behaviour; its size is sealed before
//! it is mapped, so that no access can fault past its end; a mapping that the kernel made read-only
//! is seen through [`ReadWord`], which has no store.

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, munmap};
use nix::unistd::ftruncate;

use crate::error::MemoryError;
use crate::layout::{FencePage, HeartbeatPage, IntentPage, TelemetryPage};
use crate::prefetch::prefetch;
use crate::words::Load;

/// MFD_NOEXEC_SEAL (linux/memfd.h, Linux 6.3); nix does not name it.
const NOEXEC_SEAL: libc::c_uint = 0x0008;
/// Words from one page of the processor's to the next, at the most.
const TOUCH_WORDS: usize = 512;

/// No access through this memory faults: it cannot shrink under a mapping.
pub(crate) const FIXED_SIZE: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
/// Mappings that exist keep their rights; no further writable one, no write, hole or seal.
pub(crate) const CLOSED: SealFlag =
    FIXED_SIZE.union(SealFlag::F_SEAL_FUTURE_WRITE).union(SealFlag::F_SEAL_SEAL);

/// A word of a read-only mapping.
#[derive(Debug)]
#[repr(transparent)]
pub struct ReadWord(AtomicU64);

impl Load for ReadWord {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    #[inline]
    fn fence(order: Ordering) {
        std::sync::atomic::fence(order);
    }

    #[inline]
    fn prefetch(&self) {
        prefetch(&self.0);
    }
}

/// A page made of words `W`.
///
/// # Safety
/// The type must be `repr(C)` and consist of values of type `W` only, so that it has no padding, any
/// bytes are a valid value, and 8 bytes of alignment suffice.
pub(crate) unsafe trait Page<W> {}

// SAFETY: repr(C), made of `W` and arrays of `W` only.
unsafe impl<W> Page<W> for IntentPage<W> {}
// SAFETY: as above.
unsafe impl<W> Page<W> for TelemetryPage<W> {}
// SAFETY: as above.
unsafe impl<W> Page<W> for HeartbeatPage<W> {}
// SAFETY: as above.
unsafe impl<W> Page<W> for FencePage<W> {}

/// A memfd that holds one page.
#[derive(Debug)]
pub(crate) struct Memory {
    fd: OwnedFd,
    bytes: NonZeroUsize,
}

impl Memory {
    /// A new memfd, zeroed, its size sealed.
    pub(crate) fn create<P: Page<AtomicU64>>(name: &str) -> Result<Memory, MemoryError> {
        let bytes = bytes_of::<P>()?;
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // Linux before 6.3 does not know MFD_NOEXEC_SEAL.
        let fd = memfd_create(name, flags | MFdFlags::from_bits_retain(NOEXEC_SEAL))
            .or_else(|errno| match errno {
                Errno::EINVAL => memfd_create(name, flags),
                other => Err(other),
            })
            .map_err(MemoryError::of("memfd_create"))?;
        let length = i64::try_from(bytes.get()).unwrap_or(i64::MAX);
        ftruncate(&fd, length).map_err(MemoryError::of("ftruncate"))?;
        let memory = Memory { fd, bytes };
        memory.seal(FIXED_SIZE)?;
        Ok(memory)
    }

    /// A descriptor that a peer sent: its size and its seals are read before anything is mapped.
    pub(crate) fn adopt<P: Page<AtomicU64>>(
        fd: OwnedFd,
        needed: SealFlag,
    ) -> Result<Memory, MemoryError> {
        let bytes = bytes_of::<P>()?;
        let memory = Memory { fd, bytes };
        // The seals first: without them a size says nothing.
        memory.require(needed)?;
        let status = nix::sys::stat::fstat(&memory.fd).map_err(MemoryError::of("fstat"))?;
        match usize::try_from(status.st_size) == Ok(bytes.get()) {
            true => Ok(memory),
            false => Err(MemoryError::Size { found: status.st_size, needed: bytes.get() }),
        }
    }

    /// No further writable mapping, no write, no hole, no further seal. Mappings that exist keep
    /// their rights.
    pub(crate) fn close_for_writing(&self) -> Result<(), MemoryError> {
        self.seal(CLOSED)
    }

    fn seal(&self, seals: SealFlag) -> Result<(), MemoryError> {
        fcntl(&self.fd, FcntlArg::F_ADD_SEALS(seals)).map_err(MemoryError::of("F_ADD_SEALS"))?;
        // Read back: the call's own answer is not enough (measured, SHM.md).
        self.require(seals)
    }

    /// That these seals are in force.
    pub(crate) fn require(&self, needed: SealFlag) -> Result<(), MemoryError> {
        let found =
            fcntl(&self.fd, FcntlArg::F_GET_SEALS).map_err(MemoryError::of("F_GET_SEALS"))?;
        match SealFlag::from_bits_retain(found).contains(needed) {
            true => Ok(()),
            false => Err(MemoryError::Unsealed { found, needed: needed.bits() }),
        }
    }

    /// Maps it for reading; the kernel refuses every write through this mapping.
    pub(crate) fn map_read<P: Page<ReadWord>>(&self) -> Result<Mapped<P>, MemoryError> {
        self.map(ProtFlags::PROT_READ)
    }

    /// Maps it for reading and writing.
    pub(crate) fn map_write<P: Page<AtomicU64>>(&self) -> Result<Mapped<P>, MemoryError> {
        self.map(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
    }

    fn map<P>(&self, protection: ProtFlags) -> Result<Mapped<P>, MemoryError> {
        // `P` need not be the page that this memory was made or adopted for.
        if self.bytes.get() != size_of::<P>() {
            let found = i64::try_from(self.bytes.get()).unwrap_or(i64::MAX);
            return Err(MemoryError::Size { found, needed: size_of::<P>() });
        }
        // SAFETY: a fresh shared mapping at an address that the kernel chooses: none of this
        // process' memory is replaced. Its length is the memfd's, which cannot shrink.
        let start =
            unsafe { mmap(None, self.bytes, protection, MapFlags::MAP_SHARED, &self.fd, 0) }
                .map_err(MemoryError::of("mmap"))?;
        let mut raw = Raw { start, bytes: self.bytes, locked: false };
        // A child that inherited a writable mapping would bypass every seal.
        // SAFETY: start and length are those of the mapping just made; its content does not change.
        unsafe { madvise(start, self.bytes.get(), MmapAdvise::MADV_DONTFORK) }
            .map_err(MemoryError::of("MADV_DONTFORK"))?;
        // Refused without the right to lock, which whoever needs it asks for (`locked`).
        // SAFETY: start and length are those of the mapping just made.
        raw.locked = unsafe { mlock(start, self.bytes.get()) }.is_ok();
        raw.touch(protection.contains(ProtFlags::PROT_WRITE));
        Ok(Mapped { raw: Arc::new(raw), page: PhantomData })
    }

    /// The descriptor, to be handed to a peer.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn bytes_of<P>() -> Result<NonZeroUsize, MemoryError> {
    NonZeroUsize::new(size_of::<P>())
        .ok_or(MemoryError::Refused { call: "an empty page", errno: Errno::EINVAL })
}

/// A mapped page; cheap to share between threads of this process. Unmapped with the last copy.
#[derive(Debug)]
pub(crate) struct Mapped<P> {
    raw: Arc<Raw>,
    page: PhantomData<P>,
}

impl<P> Clone for Mapped<P> {
    fn clone(&self) -> Self {
        Self { raw: Arc::clone(&self.raw), page: PhantomData }
    }
}

impl<P> Mapped<P> {
    /// Whether its pages are locked into memory by a call of their own.
    pub(crate) fn is_locked(&self) -> bool {
        self.raw.locked
    }

    /// Brings back every page that a peer has punched out from under a mapping that only reads. Locked
    /// memory is no help against that, only a closed file is: after this no access faults any more.
    pub(crate) fn touch_again(&self) {
        self.raw.touch(false);
    }
}

impl<P> Deref for Mapped<P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        // SAFETY: a `Mapped<P>` is made by `Memory::map` only, through `map_read` and `map_write`,
        // whose bounds say that `P` is a page of words that may be reached with the mapping's
        // rights. The mapping is as long as `P` (`create` and `adopt` hold the file to its size,
        // `map` the type), aligned to 4 KiB, and lives as long as `raw`.
        unsafe { self.raw.start.cast::<P>().as_ref() }
    }
}

#[derive(Debug)]
struct Raw {
    start: NonNull<libc::c_void>,
    bytes: NonZeroUsize,
    locked: bool,
}

// SAFETY: a mapping belongs to the process, not to a thread, and is reached as atomics only.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    /// Faults every page in now, writable where it is, and not in the first tick.
    fn touch(&self, writable: bool) {
        let count = self.bytes.get() / size_of::<u64>();
        for index in (0..count).step_by(TOUCH_WORDS) {
            // SAFETY: the index is inside the mapping, which is aligned, and AtomicU64 has the layout
            // of the u64 that lies there.
            let word = unsafe { self.start.cast::<AtomicU64>().add(index).as_ref() };
            if writable {
                word.fetch_or(0, Ordering::Relaxed);
            } else {
                word.load(Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: start and length are those of `Memory::map`, and no reference into the mapping is
        // left: each borrows a `Mapped`, which holds this value. Unmapping a whole mapping does not
        // fail.
        let _ = unsafe { munmap(self.start, self.bytes.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_one_page_is_not_mapped_as_another() {
        let memory = Memory::create::<FencePage<AtomicU64>>("mechos-test").unwrap();
        let found = memory.map_write::<IntentPage<AtomicU64>>().map(drop).unwrap_err();
        let needed = size_of::<IntentPage<AtomicU64>>();
        assert_eq!(found, MemoryError::Size { found: 640, needed });
        assert!(memory.map_read::<FencePage<ReadWord>>().is_ok());
    }
}

//! memfds, seals and mappings: the only place of this crate that touches raw memory.

use std::ffi::CString;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mlock, mmap, munmap};
use nix::unistd::ftruncate;

use crate::error::MemoryError;

/// Who may write through a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// This side writes.
    Write,
    /// This side reads only; the kernel enforces it.
    Read,
}

/// A memfd of a fixed number of words.
#[derive(Debug)]
pub struct Memory {
    fd: OwnedFd,
    words: usize,
}

/// A mapping of a [`Memory`]; cheap to share between threads of this process.
#[derive(Clone, Debug)]
pub struct Mapping(Arc<Raw>);

#[derive(Debug)]
struct Raw {
    start: NonNull<core::ffi::c_void>,
    words: usize,
}

// SAFETY: the mapping lives as long as `Raw`, and is only ever reached as atomics.
unsafe impl Send for Raw {}
// SAFETY: as above; atomics may be shared between threads.
unsafe impl Sync for Raw {}

impl Memory {
    /// A new memfd, zeroed, sealed against shrinking and growing.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn create(name: &str, words: usize) -> Result<Memory, MemoryError> {
        let label = CString::new(name).map_err(|_| MemoryError::new("name", Errno::EINVAL))?;
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // Linux before 6.3 does not know MFD_NOEXEC_SEAL.
        let fd = memfd_create(label.as_c_str(), flags | MFdFlags::from_bits_retain(NOEXEC_SEAL))
            .or_else(|errno| match errno {
                Errno::EINVAL => memfd_create(label.as_c_str(), flags),
                other => Err(other),
            })
            .map_err(|errno| MemoryError::new("memfd_create", errno))?;
        let bytes = i64::try_from(words * 8).map_err(|_| MemoryError::new("size", Errno::EFBIG))?;
        ftruncate(&fd, bytes).map_err(|errno| MemoryError::new("ftruncate", errno))?;
        let memory = Memory { fd, words };
        memory.seal(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)?;
        Ok(memory)
    }

    /// A descriptor that a peer sent: its size and its seals are checked before it is mapped.
    ///
    /// # Errors
    /// [`MemoryError`] when it is no memfd, has another size, or can shrink under the mapping.
    pub fn adopt(fd: OwnedFd, words: usize) -> Result<Memory, MemoryError> {
        let size = nix::sys::stat::fstat(&fd).map_err(|e| MemoryError::new("fstat", e))?.st_size;
        if u64::try_from(size).ok() != u64::try_from(words * 8).ok() {
            return Err(MemoryError::new("a page of another size", Errno::EPROTO));
        }
        let memory = Memory { fd, words };
        if !memory.seals()?.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW) {
            return Err(MemoryError::new("a page that may shrink", Errno::EPROTO));
        }
        Ok(memory)
    }

    /// Adds seals and reads them back: a call that succeeds in part leaves the memory open.
    ///
    /// # Errors
    /// [`MemoryError`] unless every seal is in force.
    pub fn seal(&self, seals: SealFlag) -> Result<(), MemoryError> {
        fcntl(&self.fd, FcntlArg::F_ADD_SEALS(seals))
            .map_err(|errno| MemoryError::new("F_ADD_SEALS", errno))?;
        match self.seals()?.contains(seals) {
            true => Ok(()),
            false => Err(MemoryError::new("seals not in force", Errno::EPERM)),
        }
    }

    /// No further writable mapping, no write, no hole, and no further seal. Mappings that exist
    /// keep their rights.
    ///
    /// # Errors
    /// [`MemoryError`] unless every seal is in force.
    pub fn close_for_writing(&self) -> Result<(), MemoryError> {
        // F_SEAL_FUTURE_WRITE (linux, 5.1) is not named by every libc.
        self.seal(SealFlag::from_bits_retain(FUTURE_WRITE) | SealFlag::F_SEAL_SEAL)
    }

    /// The seals in force.
    ///
    /// # Errors
    /// [`MemoryError`] when the descriptor has no seals at all.
    pub fn seals(&self) -> Result<SealFlag, MemoryError> {
        fcntl(&self.fd, FcntlArg::F_GET_SEALS)
            .map(SealFlag::from_bits_retain)
            .map_err(|errno| MemoryError::new("F_GET_SEALS", errno))
    }

    /// Maps all of it. Pages are touched, so that the first access faults here and not later, and
    /// locked if this process may.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn map(&self, access: Access) -> Result<Mapping, MemoryError> {
        let length = NonZeroUsize::new(self.words * 8)
            .ok_or(MemoryError::new("an empty page", Errno::EINVAL))?;
        let protection = match access {
            Access::Write => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            Access::Read => ProtFlags::PROT_READ,
        };
        // SAFETY: a fresh shared mapping at an address that the kernel chooses; nothing of this
        // process' memory is replaced. Its length is the memfd's, which is sealed against
        // shrinking, so that no access can fault past its end.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &self.fd, 0) }
            .map_err(|errno| MemoryError::new("mmap", errno))?;
        let mapping = Mapping(Arc::new(Raw { start, words: self.words }));
        // Refused without the right to lock; the process' own mlockall covers it where it matters.
        // SAFETY: start and length are those of the mapping just made.
        let _ = unsafe { mlock(start, length.get()) };
        for word in mapping.words() {
            match access {
                Access::Write => drop(word.fetch_or(0, Ordering::Relaxed)),
                Access::Read => drop(word.load(Ordering::Relaxed)),
            }
        }
        Ok(mapping)
    }

    /// The descriptor, to be handed to a peer.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// MFD_NOEXEC_SEAL, linux/memfd.h.
const NOEXEC_SEAL: u32 = 0x0008;
/// F_SEAL_FUTURE_WRITE, linux/fcntl.h.
const FUTURE_WRITE: i32 = 0x0010;

impl Mapping {
    /// The words. Through a read-only mapping only loads may be made of them.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned, maps `words` times 8 bytes for as long as the Arc
        // lives, and AtomicU64 has the layout of u64. Other processes may write at any time,
        // which is what atomics are for. A store through a read-only mapping would be refused by
        // the MMU; the types built on this make none.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr().cast(), self.0.words) }
    }

    /// Part of the words; empty when it lies outside.
    pub fn part(&self, start: usize, count: usize) -> &[AtomicU64] {
        self.words().get(start..start.saturating_add(count)).unwrap_or(&[])
    }

    /// One word.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        self.words().get(index).unwrap_or(&NOWHERE)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this start and length and nobody holds a
        // reference into it any more. munmap of a whole mapping does not fail.
        let _ = unsafe { munmap(self.start, self.words * 8) };
    }
}

//! Everything that the descriptors of the pages could be misused for.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect, munmap};
use nix::unistd::ftruncate;

const READ: ProtFlags = ProtFlags::PROT_READ;
const BOTH: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

fn bytes(page: &OwnedFd) -> usize {
    nix::sys::stat::fstat(page).unwrap().st_size as usize
}

/// Maps the page, does something to the mapping, and unmaps it.
fn with_mapping(
    page: impl AsFd,
    length: usize,
    protection: ProtFlags,
    act: impl FnOnce(std::ptr::NonNull<c_void>) -> nix::Result<()>,
) -> nix::Result<()> {
    let length = NonZeroUsize::new(length).unwrap();
    // SAFETY: a fresh mapping at an address that the kernel chooses.
    let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, page, 0) }?;
    let done = act(start);
    // SAFETY: the whole of the mapping just made, to which no reference was ever made.
    unsafe { munmap(start, length.get()) }.unwrap();
    done
}

/// Tries to change the size or the seals; refused from the start. How many were.
fn size_and_seals(page: &OwnedFd) -> u64 {
    let size = bytes(page) as i64;
    for length in [0, 1, size / 2, size - 1, size + 1, size + 4096, i64::MAX] {
        assert!(ftruncate(page, length).is_err(), "truncated to {length}");
    }
    let grow = FallocateFlags::empty();
    assert!(fallocate(page, grow, size, 4096).is_err(), "grown");
    8
}

/// Tries everything on a page that is closed; how many tries were refused, which is all of them.
pub fn closed(page: &OwnedFd) -> u64 {
    let size = bytes(page);
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let ranges = [FallocateFlags::FALLOC_FL_ZERO_RANGE, FallocateFlags::FALLOC_FL_COLLAPSE_RANGE];
    assert!(fallocate(page, punch, 0, size as i64).is_err(), "a hole");
    for range in ranges {
        assert!(fallocate(page, range, 0, 4096).is_err(), "{range:?}");
    }
    assert!(nix::unistd::write(page, &[1; 64]).is_err(), "write");
    assert!(nix::sys::uio::pwrite(page, &[1; 64], 64).is_err(), "pwrite");
    let seals = [SealFlag::F_SEAL_SEAL, SealFlag::F_SEAL_WRITE, SealFlag::F_SEAL_SHRINK];
    for seal in seals {
        assert!(fcntl(page, FcntlArg::F_ADD_SEALS(seal)).is_err(), "another seal: {seal:?}");
    }
    assert!(with_mapping(page, size, BOTH, |_| Ok(())).is_err(), "a writable mapping");
    let opened = with_mapping(page, size, READ, |start| {
        // SAFETY: the whole of a mapping that nothing else uses.
        unsafe { mprotect(start, size, BOTH) }
    });
    assert!(opened.is_err(), "mprotect");
    let removed = with_mapping(page, size, READ, |start| {
        // SAFETY: as above.
        unsafe { madvise(start, size, MmapAdvise::MADV_REMOVE) }
    });
    assert!(removed.is_err(), "MADV_REMOVE");
    let mut refused = 11 + size_and_seals(page);
    // A new open file of the same memory has the same seals.
    let name = format!("/proc/self/fd/{}", page.as_raw_fd());
    if let Ok(again) = std::fs::File::options().read(true).write(true).open(name) {
        assert!(with_mapping(&again, size, BOTH, |_| Ok(())).is_err(), "opened again");
        assert!(ftruncate(&again, 0).is_err() && nix::unistd::write(&again, &[1]).is_err());
        refused += 3;
    }
    refused
}

/// Does to the intent page what is not refused before the daemon has closed it: writes, holes, removed
/// pages. How many tries at its size were refused.
pub fn open(page: &OwnedFd) -> u64 {
    let size = bytes(page);
    nix::sys::uio::pwrite(page, &vec![0xa5; size], 0).expect("it is not closed yet");
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(page, punch, 0, size as i64).expect("it is not closed yet");
    let removed = with_mapping(page, size, BOTH, |start| {
        // SAFETY: the whole of a mapping that nothing else uses.
        unsafe { madvise(start, size, MmapAdvise::MADV_REMOVE) }
    });
    removed.expect("it is not closed yet");
    size_and_seals(page)
}

/// Takes the daemon the right to close the page.
pub fn seal_it_shut(page: &OwnedFd) {
    fcntl(page, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SEAL)).expect("it is not closed yet");
}

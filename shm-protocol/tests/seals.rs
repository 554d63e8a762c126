//! One writer a page, enforced by the kernel: what a peer tries is tried here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect, munmap};
use shm_protocol::layout::{INTENTS, IntentPage};
use shm_protocol::records::AXES_MAX;
use shm_protocol::{LinkServer, PageSet};

const READ: ProtFlags = ProtFlags::PROT_READ;
const BOTH: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// A mapping by hand.
struct Map(std::ptr::NonNull<std::ffi::c_void>, usize);

impl Map {
    fn new(descriptor: BorrowedFd<'_>, protection: ProtFlags) -> nix::Result<Map> {
        let bytes = nix::sys::stat::fstat(descriptor).unwrap().st_size as usize;
        let length = NonZeroUsize::new(bytes).unwrap();
        // SAFETY: a fresh mapping at an address that the kernel chooses.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, descriptor, 0) }?;
        Ok(Map(start, bytes))
    }

    fn protect(&self, protection: ProtFlags) -> nix::Result<()> {
        // SAFETY: the whole of this mapping; nothing else lies in it.
        unsafe { mprotect(self.0, self.1, protection) }
    }

    fn remove(&self) -> nix::Result<()> {
        // SAFETY: the whole of this mapping; it is seen as atomics only.
        unsafe { madvise(self.0, self.1, MmapAdvise::MADV_REMOVE) }
    }

    fn intent_page(&self) -> &IntentPage<AtomicU64> {
        assert_eq!(self.1, size_of::<IntentPage<AtomicU64>>());
        // SAFETY: the mapping is as long as the page, aligned, and the page consists of atomics.
        unsafe { self.0.cast().as_ref() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the whole of this mapping, to which no reference is left.
        unsafe { munmap(self.0, self.1) }.unwrap();
    }
}

fn seals(descriptor: BorrowedFd<'_>) -> SealFlag {
    SealFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GET_SEALS).unwrap())
}

/// Every way to change a closed page that goes by its descriptor.
fn nothing_changes(descriptor: BorrowedFd<'_>) {
    let needed = SealFlag::F_SEAL_FUTURE_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    assert!(seals(descriptor).contains(needed), "{:?}", seals(descriptor));

    assert_eq!(Map::new(descriptor, BOTH).map(drop), Err(Errno::EPERM), "a writable mapping");
    assert_eq!(nix::unistd::write(descriptor, &[1]), Err(Errno::EPERM), "write");
    let size = nix::sys::stat::fstat(descriptor).unwrap().st_size;
    for length in [0, size / 2, size - 1, size + 4096] {
        assert_eq!(nix::unistd::ftruncate(descriptor, length), Err(Errno::EPERM), "to {length}");
    }
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(fallocate(descriptor, punch, 0, 4096), Err(Errno::EPERM), "a hole");
    let more = FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE);
    assert_eq!(fcntl(descriptor, more), Err(Errno::EPERM), "another seal");

    let map = Map::new(descriptor, READ).unwrap();
    assert_eq!(map.protect(BOTH), Err(Errno::EACCES), "mprotect");
    assert!(map.remove().is_err(), "MADV_REMOVE");

    // A new open file of the same memory has the same seals.
    let name = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    if let Ok(again) = std::fs::File::options().read(true).write(true).open(name) {
        assert_eq!(Map::new(again.as_fd(), BOTH).map(drop), Err(Errno::EPERM));
        assert_eq!(nix::unistd::write(&again, &[1]), Err(Errno::EPERM));
    }
}

#[test]
fn nobody_can_change_the_telemetry_page_but_its_maker() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, [_intent, page]) = raw_pages(&mut server, &path);
    nothing_changes(page.as_fd());
    let mut connected = raw_go(&mut server, &peer);
    nothing_changes(page.as_fd());
    // The mapping that was there before the seals still writes.
    let before = Map::new(page.as_fd(), READ).unwrap();
    connected.end.publish(&telemetry(1));
    // SAFETY: the mapping is longer than this, aligned, and reached as an atomic.
    let newest = unsafe { before.0.cast::<AtomicU64>().add(32).as_ref() };
    assert_eq!(newest.load(Ordering::Acquire), 1);
}

#[test]
fn the_planner_writes_its_page_but_punches_no_hole_into_it() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, [page, _telemetry]) = raw_pages(&mut server, &path);
    assert_eq!(nix::unistd::ftruncate(&page, 0), Err(Errno::EPERM), "fixed from the start");
    let map = Map::new(page.as_fd(), BOTH).unwrap();
    let connected = raw_go(&mut server, &peer);
    nothing_changes(page.as_fd());
    assert!(map.remove().is_err(), "MADV_REMOVE through the writable mapping");
    map.intent_page().stops.word.store(3, Ordering::Release);
    assert_eq!(connected.end.stops(), 3, "the mapping made before still writes");
    // Its owner may give its own mapping up, and does not get it back.
    map.protect(READ).unwrap();
    assert_eq!(Map::new(page.as_fd(), BOTH).map(drop), Err(Errno::EPERM));
}

#[test]
fn the_maker_of_the_intent_page_gives_its_own_way_in_up() {
    let set = PageSet::create(&description(), 1).unwrap();
    let [intent, telemetry] = set.descriptors();
    assert!(seals(intent).contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW));
    nothing_changes(telemetry);
}

/// Page faults of this thread so far.
fn faults() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call fills the struct, which outlives it; it fails for a wrong number only.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    usage.ru_minflt + usage.ru_majflt
}

#[test]
fn holes_from_before_it_was_closed_cost_the_real_time_side_no_page_fault() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    // The first time pays for what the looks themselves touch.
    for holed in [false, true] {
        let (peer, [page, _telemetry]) = raw_pages(&mut server, &path);
        let map = Map::new(page.as_fd(), BOTH).unwrap();
        if holed {
            let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            fallocate(&page, punch, 0, map.1 as i64).expect("it is not closed yet");
            map.remove().expect("it is not closed yet");
        }
        let mut end = raw_go(&mut server, &peer).end;
        // A record in every slot, so that every page is looked at.
        for index in 0..INTENTS.slots() {
            let place = (91 * index % INTENTS.slots()) as usize * INTENTS.stride();
            map.intent_page().intents[place].store(index + 1, Ordering::Release);
        }
        let before = faults();
        assert_eq!((end.heartbeat(), end.queued()), (0, 64));
        while end.pop(AXES_MAX).is_some() {}
        let faults = faults() - before;
        assert!(!holed || faults == 0, "{faults} page faults");
        assert_eq!(end.taken(), 64);
    }
}

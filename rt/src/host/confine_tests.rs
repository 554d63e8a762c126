//! Threads under their lists, on this kernel.

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::*;
use crate::host::clock;
use crate::host::slots::{SlotCounters, counters_of_current, set_armed};
use crate::host::threads::{ThreadPlan, spawn};

const KINDS: [ThreadKind; 4] =
    [ThreadKind::Control, ThreadKind::Bus, ThreadKind::Deadline, ThreadKind::Guardian];

/// Runs `body` in a thread under its list; returns what its slot counted.
fn under<T: Send + 'static>(
    kind: ThreadKind,
    body: impl FnOnce() -> T + Send + 'static,
) -> (T, SlotCounters) {
    let plan = ThreadPlan { priority: Some(1), ..ThreadPlan::ordinary(format!("{kind:?}")) };
    let thread = spawn(plan, move || {
        confine(kind);
        let result = body();
        (result, counters_of_current())
    });
    thread.unwrap().join().unwrap()
}

/// Whether this kernel takes filters; where it does not, the tests say so.
fn supported() -> bool {
    // SAFETY: a prctl that only answers.
    let there = unsafe { libc::prctl(libc::PR_GET_SECCOMP) } >= 0;
    if !there {
        eprintln!("SKIPPED: this kernel has no seccomp");
    }
    there
}

#[test]
fn an_unlisted_call_fails_is_counted_and_named_and_the_thread_goes_on() {
    if !supported() {
        return;
    }
    for kind in KINDS {
        let (results, counters) = under(kind, || {
            // SAFETY: calls that take numbers only.
            let ppid = unsafe { libc::syscall(libc::SYS_getppid) };
            let errno = Errno::last_raw();
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_getuid) };
            (ppid, errno, clock::now_ns())
        });
        assert_eq!((results.0, results.1), (-1, libc::EPERM), "{kind:?}");
        assert!(results.2 > 0);
        let last_call = Some(libc::SYS_getuid as i32);
        assert_eq!((counters.calls_unlisted, counters.last_call), (2, last_call), "{kind:?}");
    }
}

#[test]
fn memory_for_code_and_a_socket_that_is_no_bus_are_refused() {
    if !supported() {
        return;
    }
    for kind in [ThreadKind::Bus, ThreadKind::Deadline] {
        let (results, counters) = under(kind, || {
            // SAFETY: an anonymous mapping that is never touched, and sockets that are closed with
            // the process: nothing that this process uses changes.
            unsafe {
                let (data, code) = (libc::PROT_READ, libc::PROT_READ | libc::PROT_EXEC);
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let map = |prot: i32| libc::syscall(libc::SYS_mmap, 0, 4096, prot, flags, -1, 0);
                let socket =
                    |family: i32| libc::syscall(libc::SYS_socket, family, libc::SOCK_DGRAM, 0);
                [map(data), map(code), socket(libc::AF_UNIX), socket(libc::AF_INET)]
            }
        });
        let refused = results.map(|result| result == -1);
        assert_eq!((refused, counters.calls_unlisted), ([false, true, false, true], 2), "{kind:?}");
    }
}

#[test]
fn a_thread_sleeps_panics_frees_and_ends_under_its_list() {
    if !supported() {
        return;
    }
    for kind in [ThreadKind::Control, ThreadKind::Deadline, ThreadKind::Guardian] {
        let (caught, counters) = under(kind, || {
            clock::sleep_until(clock::now_ns() + 1_000_000);
            let heap = vec![1_u8; 64 << 20];
            let caught = std::panic::catch_unwind(|| {
                std::panic::resume_unwind(Box::new("unwinds"));
            });
            drop(black_box(heap));
            caught.is_err()
        });
        assert_eq!((caught, counters.calls_unlisted), (true, 0), "{kind:?} {counters:?}");
    }
}

#[test]
fn a_lock_that_another_thread_holds_is_counted_and_still_taken() {
    if !supported() {
        return;
    }
    let lock = Arc::new(Mutex::new(0));
    let held = lock.lock().unwrap();
    let waits = Arc::clone(&lock);
    let plan = ThreadPlan { priority: None, ..ThreadPlan::ordinary("holder") };
    // Held by this thread until the other has been refused to sleep for it.
    let (begun, wait) = std::sync::mpsc::channel();
    let waiter = spawn(plan, move || {
        begun.send(()).unwrap();
        under(ThreadKind::Control, move || *waits.lock().unwrap() += 1).1
    })
    .unwrap();
    wait.recv().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    drop(held);
    let counters = waiter.join().unwrap();
    assert!(counters.calls_unlisted > 0, "{counters:?}");
    assert_eq!(counters.last_call, Some(libc::SYS_futex as i32));
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
fn the_heap_is_counted_on_real_time_threads_while_armed() {
    let (counts, _) = under(ThreadKind::Control, || {
        let before = counters_of_current().allocations;
        drop(black_box(Box::new(1)));
        let disarmed = counters_of_current().allocations - before;
        set_armed(true);
        drop(black_box(Box::new(1)));
        set_armed(false);
        (disarmed, counters_of_current().allocations - before)
    });
    assert_eq!(counts, (0, 2));
    // A thread without a slot counts nowhere.
    assert_eq!(counters_of_current(), SlotCounters::default());
}

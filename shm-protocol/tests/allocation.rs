//! What the real-time threads call neither allocates nor frees, whatever the peer does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::*;
use shm_protocol::records::{AXES_MAX, Cause, ModeCode};
use shm_protocol::{GuardianLink, GuardianServer, LinkServer};

/// Counts what each thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no count any more, and none is asked for.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn a_tick_s_use_of_the_planner_s_link_allocates_nothing() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (mut client, peer) = connect_pair(&mut server, &path, 1);
    let mut end = peer.end;
    for number in 1..1000 {
        let _ = client.submit(&intent(number));
        client.heartbeat();
        if number % 3 == 0 {
            client.poll_verdict();
        }
        let calls = counted(|| {
            let _ = (end.verdict_slots_free(), end.queued(), end.heartbeat(), end.stops());
            let _ = (end.estops(), end.submitted(), end.returned(), end.taken());
            if let Some(claim) = end.pop(AXES_MAX) {
                let _ = end.push_verdict(&verdict(claim.intent.number));
                let _ = end.push_verdict(&verdict(claim.intent.number));
            }
            end.publish(&telemetry(number));
            end.push_event(&event(number));
        });
        assert_eq!(calls, 0, "in round {number}");
    }
}

#[test]
fn a_turn_s_use_of_the_guardian_s_link_allocates_nothing() {
    let directory = Directory::new();
    let path = directory.path("guardian.sock");
    let mut server = GuardianServer::bind(&path, own_uid()).unwrap();
    let (mut link, mut end) = std::thread::scope(|scope| {
        let link = scope.spawn(|| GuardianLink::connect(&path, 1, PATIENCE).unwrap());
        let end = wait_for(|| server.turn(false, None));
        (link.join().unwrap(), end)
    });
    let mut beat = link.beat.take().unwrap();
    for number in 1..100 {
        link.reset(7).unwrap();
        let calls = counted(|| {
            beat.beat(number, number, ModeCode::Armed, true);
            end.beat();
            end.set_proved(true);
            end.set_fence(Some((Cause::RtLost, number)));
            assert!(end.rt_beat().is_some() && end.message().is_some() && end.message().is_none());
            let fence = &link.fence;
            assert!(fence.is_up() && fence.cause().is_some() && fence.socket_proved());
            assert!(fence.since_ns() == number && fence.guardian_beat() == number);
        });
        assert_eq!(calls, 0, "in round {number}");
    }
}

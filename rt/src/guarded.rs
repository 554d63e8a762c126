//! A real-time thread's way through a panic: latch, halt by the registry, go on stopped.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shm_protocol::records::Cause;

use crate::inject::Target;
use crate::registry::HardwareRegistry;
use crate::shared::Shared;

/// Panics of one thread that are survived, stopped; at the next one the thread stays away, and
/// housekeeping ends the process.
const PANICS_MAX: u32 = 3;

thread_local! {
    static REAL_TIME: Cell<bool> = const { Cell::new(false) };
}

/// From here on a panic of a real-time thread prints nothing: writing to a terminal or a pipe may
/// wait, and the stop comes first. Housekeeping logs it afterwards.
pub fn keep_panics_quiet() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !REAL_TIME.get() {
            print(info);
        }
    }));
}

/// The calling thread is a real-time thread: from here on a panic of it prints nothing.
pub fn be_quiet_in_a_panic() {
    REAL_TIME.set(true);
}

/// Latches and halts when it is dropped: by a panic or at the thread's end.
struct HaltOnDrop<'a> {
    target: Target,
    shared: &'a Shared,
    registry: &'a HardwareRegistry,
}

impl Drop for HaltOnDrop<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let number = u32::try_from(self.target.number()).unwrap_or(u32::MAX);
            // First the latch, so that no bus thread sends a setpoint after the stop.
            self.shared.latch.raise(Cause::ThreadPanic, number);
            self.shared.panics.fetch_add(1, Ordering::AcqRel);
        }
        self.registry.halt_all();
    }
}

/// Runs `body` until it returns. A panic latches `ThreadPanic` and halts every actuator; then the
/// body runs again, in a machine that is stopped until an operator's reset: a thread that stays
/// away could explain nothing and watch nothing.
pub fn guarded(
    target: Target,
    shared: &Arc<Shared>,
    registry: &Arc<HardwareRegistry>,
    mut body: impl FnMut(),
) {
    be_quiet_in_a_panic();
    for _ in 0..=PANICS_MAX {
        let run = AssertUnwindSafe(|| {
            let _halt = HaltOnDrop { target, shared, registry };
            body();
        });
        if catch_unwind(run).is_ok() {
            return;
        }
    }
    // Release pairs with housekeeping's Acquire: the last panic's latch is there.
    shared.gave_up.store(true, Ordering::Release);
}

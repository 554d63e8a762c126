//! A real-time thread's way through a panic: halt by the registry, latch, go on stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shm_protocol::records::Cause;

use crate::inject::Target;
use crate::registry::HardwareRegistry;
use crate::shared::Shared;

/// Panics of one thread that are survived, stopped; at the next one the thread stays away and
/// housekeeping ends the process.
const PANICS_MAX: u32 = 3;

/// Runs `body` until it returns. A panic drops the registry's guard, which halts every actuator,
/// and latches `ThreadPanic`; then the body runs again, in a machine that is stopped until an
/// operator's reset: a thread that stays away could explain nothing and watch nothing.
pub fn guarded(
    target: Target,
    shared: &Arc<Shared>,
    registry: &Arc<HardwareRegistry>,
    mut body: impl FnMut(),
) {
    for _ in 0..=PANICS_MAX {
        let run = AssertUnwindSafe(|| {
            let _halt = registry.guard();
            body();
        });
        match catch_unwind(run) {
            Ok(()) => return,
            Err(_) => {
                let number = u32::try_from(target.number()).unwrap_or(u32::MAX);
                shared.latch.raise(Cause::ThreadPanic, number);
                shared.panics.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

//! The planner's side of MechOS: observe, orient, decide, act, in plain threads.
//!
//! Promises: the heartbeat goes on however long a planner thinks; every decision carries a trace
//! id into its intents; an intent carries the epoch of the situation it was decided in, so that a
//! stop in between voids it; a lease is renewed only within the decision's own horizon.
//!
//! Forbids: unsafe code, an async runtime, any wait without a bound, and trust in a model's
//! answer: what it says is a claim until [`model::answer`] has read it and the gate admitted it.

#![forbid(unsafe_code)]

pub mod act;
pub mod clock;
pub mod decide;
pub mod embedded;
#[cfg(test)]
mod fake;
pub mod heart;
pub mod link;
pub mod machine;
pub mod model;
pub mod motion;
pub mod planner;
pub mod shm;
pub mod supervise;
pub mod trace;
pub mod words;
